// tanh, LeCun's scaled tanh and the clipped line.
#include <algorithm>
#include <cmath>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/unary.h"

namespace fovea {

Value tanh(const Value& x, std::string_view name) { return x.graph().add("tanh", {x}, {}, name); }

Value scaled_tanh(const Value& x, const ScaledTanhSpec& spec, std::string_view name) { return scale_shift(tanh(scale_shift(x, spec.s, 0)), spec.a, 0, name.empty() ? "scaled_tanh" : name); }

Value hard_tanh(const Value& x, const HardTanhSpec& spec, std::string_view name) {
    require<ArgumentError>(spec.low < spec.high, "hard_tanh '{}': low {} is not below high {}", x.graph().path_of(name), spec.low, spec.high);
    return x.graph().add("hard_tanh", {x}, {{"low", spec.low}, {"high", spec.high}}, name);
}

namespace {

/// The derivative on both edges is 0, unlike that of clamp.
struct HardTanh {
    explicit HardTanh(const Attrs& attrs) : low(attrs.real("low")), high(attrs.real("high")) {}
    template <class T> T value(T x) const { return std::min(std::max(x, static_cast<T>(low)), static_cast<T>(high)); }
    template <class T> T slope(T x) const { return x > static_cast<T>(low) && x < static_cast<T>(high) ? T(1) : T(0); }
    [[nodiscard]] Value slope(const Value& x) const { return in_range(x, low, high); }
    double low, high;
};

}  // namespace

void register_tanh(OpRegistry& ops) {
    const auto first = [](const OpInputs& in) { return Types(in.type(0)); };
    const auto cost = [](const OpInputs& in) { return Cost{0, 3 * in.shape(0).elements()}; };
    ops.add({.name = "tanh",
             .shape = first,
             .gradient = [](const Grad& g) -> Values { return g.graph().add("tanh_backward", {g.dy(), g.y()}); },
             .cost = cost,
             .reference = [](const OpRun& run) { run.map([](auto x) { return std::tanh(x); }); },
             .is_elementwise = true});
    // dx = dy (1 - y^2)
    ops.add({.name = "tanh_backward",
             .shape = first,
             .expand = [](const Node& node) -> Values { return node.inputs[0] * (1.0 - square(node.inputs[1])); },
             .cost = cost,
             .reference = [](const OpRun& run) { run.zip([](auto dy, auto y) { return dy * (1 - y * y); }); },
             .is_elementwise = true});
    add_activation<HardTanh>(ops, "hard_tanh", 2);
}

}  // namespace fovea
