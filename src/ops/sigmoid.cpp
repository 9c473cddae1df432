// sigmoid(x) = 1 / (1 + exp(-x)), its logarithm, and the piecewise linear form of MobileNetV3.
#include <algorithm>
#include <cmath>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/unary.h"

namespace fovea {

Value sigmoid(const Value& x, std::string_view name) { return x.graph().add("sigmoid", {x}, {}, name); }
Value log_sigmoid(const Value& x, std::string_view name) { return x.graph().add("log_sigmoid", {x}, {}, name); }
Value hard_sigmoid(const Value& x, std::string_view name) { return x.graph().add("hard_sigmoid", {x}, {}, name); }

namespace {

struct LogSigmoid {
    explicit LogSigmoid(const Attrs&) {}
    // min(x, 0) - log(1 + exp(-|x|)): neither end overflows.
    template <class T> T value(T x) const { return std::min(x, T(0)) - std::log1p(std::exp(-std::abs(x))); }
    template <class T> T slope(T x) const { return 1 / (1 + std::exp(x)); }
    [[nodiscard]] Value slope(const Value& x) const { return sigmoid(-x); }
};

/// Howard et al. 2019, arXiv:1905.02244: relu6(x + 3) / 6.
struct HardSigmoid {
    explicit HardSigmoid(const Attrs&) {}
    template <class T> T value(T x) const { return std::min(std::max(x + 3, T(0)), T(6)) / 6; }
    // PyTorch's kernel holds the slope 1/6 in single precision whatever the tensor's: 3e-8 off, and so are the reference records.
    static constexpr double sixth = 1.0F / 6.0F;
    template <class T> T slope(T x) const { return x > -3 && x < 3 ? T(sixth) : T(0); }
    [[nodiscard]] Value slope(const Value& x) const { return in_range(x, -3, 3) * sixth; }
};

}  // namespace

void register_sigmoid(OpRegistry& ops) {
    const auto first = [](const OpInputs& in) { return Types(in.type(0)); };
    const auto cost = [](const OpInputs& in) { return Cost{0, 3 * in.shape(0).elements()}; };
    ops.add({.name = "sigmoid",
             .shape = first,
             .gradient = [](const Grad& g) -> Values { return g.graph().add("sigmoid_backward", {g.dy(), g.y()}); },
             .cost = cost,
             .reference = [](const OpRun& run) { run.map([](auto x) { return 1 / (1 + std::exp(-x)); }); },
             .is_elementwise = true});
    // dx = dy y (1 - y)
    ops.add({.name = "sigmoid_backward",
             .shape = first,
             .expand = [](const Node& node) -> Values { return node.inputs[0] * (node.inputs[1] * (1.0 - node.inputs[1])); },
             .cost = cost,
             .reference = [](const OpRun& run) { run.zip([](auto dy, auto y) { return dy * y * (1 - y); }); },
             .is_elementwise = true});
    add_activation<LogSigmoid>(ops, "log_sigmoid", 5);
    add_activation<HardSigmoid>(ops, "hard_sigmoid", 4);
}

}  // namespace fovea
