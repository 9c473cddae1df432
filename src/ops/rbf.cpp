// Euclidean radial basis units: y_l = sum over f of (x_f - code_lf)^2. LeCun et al. 1998, eq. 7: LeNet-5 compares its last
// 84 features with fixed 7 x 12 bitmaps of the digits; the smallest distance wins.
#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/layer.h"

namespace fovea {

Value rbf(const Value& x, const Value& codes, std::string_view name) {
    require<ShapeError>(x.shape().rank() == 2 && codes.shape().rank() == 2 && x.shape()[1] == codes.shape()[1], "rbf '{}': features [N, F] go with codes [L, F]; got {} and {}",
                        x.graph().path_of(name), x.shape(), codes.shape());
    return sum(square(unsqueeze(x, 1) - codes), {.axes = {2}}, name.empty() ? "rbf" : name);
}

Value rbf(const Value& x, const RbfSpec& spec, std::string_view name) {
    Graph& graph = x.graph();
    const std::string base = layer_name(graph, name, "rbf");
    require<ShapeError>(spec.codes.shape().rank() == 2, "rbf '{}': codes are [L, F], got {}", graph.path_of(base), spec.codes.shape());
    Init init;
    init.kind = Init::Kind::values;
    init.values = spec.codes.to(DType::f32);
    return rbf(x, graph.parameter(base + ".weight", spec.codes.shape(), init, spec.trainable), base);
}

void register_rbf(OpRegistry&) {}  // composed

}  // namespace fovea
