// GELU. Hendrycks & Gimpel 2016, arXiv:1606.08415: x Phi(x) with the normal distribution, or its tanh approximation.
#include <cmath>
#include <numbers>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/unary.h"

namespace fovea {

Value gelu(const Value& x, const GeluSpec& spec, std::string_view name) { return x.graph().add(spec.approximate ? "gelu_tanh" : "gelu", {x}, {}, name.empty() ? "gelu" : name); }

namespace {

struct GeluErf {
    explicit GeluErf(const Attrs&) {}
    static constexpr double inv_sqrt2 = std::numbers::sqrt2 / 2;
    static constexpr double inv_sqrt_2pi = std::numbers::inv_sqrtpi * inv_sqrt2;
    template <class T> static T phi(T x) { return T(0.5) * (1 + std::erf(x * static_cast<T>(inv_sqrt2))); }
    template <class T> T value(T x) const { return x * phi(x); }
    template <class T> T slope(T x) const { return phi(x) + x * static_cast<T>(inv_sqrt_2pi) * std::exp(T(-0.5) * x * x); }
    [[nodiscard]] Value slope(const Value& x) const { return 0.5 * erf(x * inv_sqrt2) + 0.5 + inv_sqrt_2pi * (x * exp(-0.5 * square(x))); }
};

struct GeluTanh {
    explicit GeluTanh(const Attrs&) {}
    static constexpr double k = 2 * std::numbers::inv_sqrtpi / std::numbers::sqrt2, cubic = 0.044715;  // sqrt(2 / pi)
    template <class T> static T inner(T x) { return std::tanh(static_cast<T>(k) * (x + static_cast<T>(cubic) * x * x * x)); }
    template <class T> T value(T x) const { return T(0.5) * x * (1 + inner(x)); }
    template <class T> T slope(T x) const {
        const T t = inner(x);
        return T(0.5) * (1 + t) + T(0.5) * x * (1 - t * t) * static_cast<T>(k) * (1 + static_cast<T>(3 * cubic) * x * x);
    }
    [[nodiscard]] Value slope(const Value& x) const {
        const Value squares = square(x), t = tanh(k * (x * (cubic * squares + 1.0)));
        return 0.5 * t + 0.5 + 0.5 * k * (x * (1.0 - square(t)) * (3 * cubic * squares + 1.0));
    }
};

}  // namespace

void register_gelu(OpRegistry& ops) {
    add_activation<GeluErf>(ops, "gelu", 5);
    add_activation<GeluTanh>(ops, "gelu_tanh", 9);
}

}  // namespace fovea
