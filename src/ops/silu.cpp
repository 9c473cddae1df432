// x times a gate of x: SiLU / Swish (Ramachandran et al. 2017, arXiv:1710.05941), hard swish (MobileNetV3), Mish (Misra 2019).
#include <algorithm>
#include <cmath>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/unary.h"

namespace fovea {

Value silu(const Value& x, const SiluSpec& spec, std::string_view name) { return x.graph().add("silu", {x}, {{"beta", spec.beta}}, name); }
Value swish(const Value& x, const Value& beta, std::string_view name) { return multiply(x, sigmoid(beta * x), name.empty() ? "swish" : name); }
Value hard_swish(const Value& x, std::string_view name) { return x.graph().add("hard_swish", {x}, {}, name); }
Value mish(const Value& x, std::string_view name) { return x.graph().add("mish", {x}, {}, name); }

namespace {

template <class T> T logistic(T x) { return 1 / (1 + std::exp(-x)); }

struct Silu {
    explicit Silu(const Attrs& attrs) : beta(attrs.real("beta", 1)) {}
    template <class T> T value(T x) const { return x * logistic(static_cast<T>(beta) * x); }
    template <class T> T slope(T x) const {
        const T s = logistic(static_cast<T>(beta) * x);
        return s * (1 + static_cast<T>(beta) * x * (1 - s));
    }
    [[nodiscard]] Value slope(const Value& x) const {
        const Value s = sigmoid(beta == 1 ? x : beta * x);
        return s * (1.0 + beta * (x * (1.0 - s)));
    }
    double beta;
};

struct HardSwish {
    explicit HardSwish(const Attrs&) {}
    template <class T> T value(T x) const { return x * std::min(std::max(x + 3, T(0)), T(6)) / 6; }
    // The middle piece includes both edges, as in PyTorch: -1/2 at -3, 3/2 at 3.
    template <class T> T slope(T x) const { return x < -3 ? T(0) : x <= 3 ? x / 3 + T(0.5) : T(1); }
    [[nodiscard]] Value slope(const Value& x) const { return in_range(x, -3, 3, true) * (x / 3 + 0.5) + greater(x, 3); }
};

struct Mish {
    explicit Mish(const Attrs&) {}
    template <class T> static T softplus_of(T x) { return std::max(x, T(0)) + std::log1p(std::exp(-std::abs(x))); }
    template <class T> T value(T x) const { return x * std::tanh(softplus_of(x)); }
    template <class T> T slope(T x) const {
        const T t = std::tanh(softplus_of(x));
        return t + x * (1 - t * t) * logistic(x);
    }
    [[nodiscard]] Value slope(const Value& x) const {
        const Value t = tanh(-log_sigmoid(-x));
        return t + x * (1.0 - square(t)) * sigmoid(x);
    }
};

}  // namespace

void register_silu(OpRegistry& ops) {
    add_activation<Silu>(ops, "silu", 4);
    add_activation<HardSwish>(ops, "hard_swish", 5);
    add_activation<Mish>(ops, "mish", 8);
}

}  // namespace fovea
