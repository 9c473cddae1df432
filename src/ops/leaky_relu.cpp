// Lines with a knee: leaky ReLU (Maas et al. 2013), PReLU (He et al. 2015, arXiv:1502.01852), ReLU6.
#include <algorithm>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/layer.h"
#include "ops/unary.h"

namespace fovea {

Value leaky_relu(const Value& x, const LeakyReluSpec& spec, std::string_view name) { return x.graph().add("leaky_relu", {x}, {{"slope", spec.slope}}, name); }
Value relu6(const Value& x, std::string_view name) { return x.graph().add("relu6", {x}, {}, name); }

Value prelu_with_slope(const Value& x, const Value& slope, std::string_view name) {
    const Value a = slope.shape().rank() == 1 && slope.shape()[0] > 1 ? per_channel(slope, x) : slope;
    return where(greater(x, 0), x, a * x, name.empty() ? "prelu" : name);
}

Value prelu(const Value& x, const PreluSpec& spec, std::string_view name) {
    Graph& graph = x.graph();
    const std::string base = layer_name(graph, name, "prelu");
    require<ShapeError>(spec.shared || x.shape().rank() >= 2, "prelu '{}': one slope per channel needs [N, C, ...], got {}", graph.path_of(base), x.shape());
    return prelu_with_slope(x, graph.parameter(base + ".weight", {spec.shared ? 1 : x.shape()[1]}, Init::constant(spec.slope)), base);
}

namespace {

struct LeakyRelu {
    explicit LeakyRelu(const Attrs& attrs) : below(attrs.real("slope")) {}
    template <class T> T value(T x) const { return x > 0 ? x : static_cast<T>(below) * x; }
    template <class T> T slope(T x) const { return x > 0 ? T(1) : static_cast<T>(below); }
    [[nodiscard]] Value slope(const Value& x) const { return scale_shift(greater(x, 0), 1 - below, below); }
    [[nodiscard]] bool keeps_side() const { return below >= 0; }
    double below;
};

struct Relu6 {
    explicit Relu6(const Attrs&) {}
    template <class T> T value(T x) const { return std::min(std::max(x, T(0)), T(6)); }
    template <class T> T slope(T x) const { return x > 0 && x < 6 ? T(1) : T(0); }
    [[nodiscard]] Value slope(const Value& x) const { return in_range(x, 0, 6); }
    [[nodiscard]] static bool keeps_side() { return true; }
};

}  // namespace

void register_leaky_relu(OpRegistry& ops) {
    add_activation<LeakyRelu>(ops, "leaky_relu", 2);
    add_activation<Relu6>(ops, "relu6", 2);
}

}  // namespace fovea
