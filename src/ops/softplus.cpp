// softplus = log(1 + exp(beta x)) / beta, a smooth ReLU, and softsign = x / (1 + |x|), a tanh with heavier tails.
#include <algorithm>
#include <cmath>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/unary.h"

namespace fovea {

Value softplus(const Value& x, const SoftplusSpec& spec, std::string_view name) {
    require<ArgumentError>(spec.beta > 0, "softplus '{}': beta must be positive, got {}", x.graph().path_of(name), spec.beta);
    return x.graph().add("softplus", {x}, {{"beta", spec.beta}, {"threshold", spec.threshold}}, name);
}
Value softsign(const Value& x, std::string_view name) { return x.graph().add("softsign", {x}, {}, name); }

namespace {

/// The line x itself above beta x > threshold, where the difference is below rounding anyway.
struct Softplus {
    explicit Softplus(const Attrs& attrs) : beta(attrs.real("beta")), threshold(attrs.real("threshold")) {}
    template <class T> T value(T x) const {
        const T z = static_cast<T>(beta) * x;
        return z > static_cast<T>(threshold) ? x : (std::max(z, T(0)) + std::log1p(std::exp(-std::abs(z)))) / static_cast<T>(beta);
    }
    template <class T> T slope(T x) const {
        const T z = static_cast<T>(beta) * x;
        return z > static_cast<T>(threshold) ? T(1) : 1 / (1 + std::exp(-z));
    }
    [[nodiscard]] Value slope(const Value& x) const {
        const Value z = beta * x;
        return where(greater(z, threshold), scalar(x.graph(), 1), sigmoid(z));
    }
    double beta, threshold;
};

struct Softsign {
    explicit Softsign(const Attrs&) {}
    template <class T> T value(T x) const { return x / (1 + std::abs(x)); }
    template <class T> T slope(T x) const { return 1 / ((1 + std::abs(x)) * (1 + std::abs(x))); }
    [[nodiscard]] Value slope(const Value& x) const { return pow(abs(x) + 1.0, -2); }
};

}  // namespace

void register_softplus(OpRegistry& ops) {
    add_activation<Softplus>(ops, "softplus", 4);
    add_activation<Softsign>(ops, "softsign", 3);
}

}  // namespace fovea
