// Euclidean radial basis units: y_l = sum over f of (x_f - code_lf)^2. LeCun et al. 1998, eq. 7: LeNet-5 compares its last
// 84 features with fixed 7 x 12 bitmaps of the digits; the smallest distance wins.
#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/layer.h"

namespace fovea {

namespace {

/// `layer` is who a message is about, `name` the node.
Value distances(const Value& x, const Value& codes, std::string_view layer, std::string_view name) {
    require<ShapeError>(x.shape().rank() == 2 && codes.shape().rank() == 2 && x.shape()[1] == codes.shape()[1], "rbf '{}': features [N, F] go with codes [L, F]; got {} and {}",
                        x.graph().path_of(layer), x.shape(), codes.shape());
    return sum(square(unsqueeze(x, 1) - codes), {.axes = {2}}, name);
}

}  // namespace

Value rbf(const Value& x, const Value& codes, std::string_view name) { return distances(x, codes, name, name.empty() ? "rbf" : name); }

Value rbf(const Value& x, const Value& codes, const Value& bias, std::string_view name) {
    const std::string base(name.empty() ? "rbf" : name);
    const Value squares = distances(x, codes, name, base + ".distances");
    require<ShapeError>(bias.shape() == Shape{codes.shape()[0]}, "rbf '{}': bias must be [{}], got {}", x.graph().path_of(name), codes.shape()[0], bias.shape());
    return add(squares, bias, base);
}

Value rbf(const Value& x, const RbfSpec& spec, std::string_view name) {
    Graph& graph = x.graph();
    const std::string base = layer_name(graph, name, "rbf");
    require<ShapeError>(spec.codes.shape().rank() == 2, "rbf '{}': codes are [L, F], got {}", graph.path_of(base), spec.codes.shape());
    Init init;
    init.kind = Init::Kind::values;
    init.values = spec.codes.to(DType::f32);
    const Value codes = graph.parameter(base + ".weight", spec.codes.shape(), init, spec.trainable);
    return spec.bias ? rbf(x, codes, graph.parameter(base + ".bias", {spec.codes.shape()[0]}), base) : rbf(x, codes, base);
}

void register_rbf(OpRegistry&) {}  // composed

}  // namespace fovea
