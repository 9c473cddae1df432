// Activations that pull small values to zero: soft, hard and tanh shrinkage, and the plain threshold.
#include <cmath>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/unary.h"

namespace fovea {

Value softshrink(const Value& x, const ShrinkSpec& spec, std::string_view name) { return x.graph().add("softshrink", {x}, {{"lambda", spec.lambda}}, name); }
Value hardshrink(const Value& x, const ShrinkSpec& spec, std::string_view name) { return x.graph().add("hardshrink", {x}, {{"lambda", spec.lambda}}, name); }
Value tanhshrink(const Value& x, std::string_view name) { return subtract(x, tanh(x), name.empty() ? "tanhshrink" : name); }
Value threshold(const Value& x, const ThresholdSpec& spec, std::string_view name) {
    return x.graph().add("threshold", {x}, {{"threshold", spec.threshold}, {"value", spec.value}}, name);
}

namespace {

struct Shrink {
    explicit Shrink(const Attrs& attrs) : lambda(attrs.real("lambda")) {}
    template <class T> T slope(T x) const { return std::abs(x) > static_cast<T>(lambda) ? T(1) : T(0); }
    [[nodiscard]] Value slope(const Value& x) const { return 1.0 - in_range(x, -lambda, lambda, true); }
    double lambda;
};
struct Softshrink : Shrink {
    using Shrink::Shrink;
    template <class T> T value(T x) const { return x > static_cast<T>(lambda) ? x - static_cast<T>(lambda) : x < -static_cast<T>(lambda) ? x + static_cast<T>(lambda) : T(0); }
};
struct Hardshrink : Shrink {
    using Shrink::Shrink;
    template <class T> T value(T x) const { return std::abs(x) > static_cast<T>(lambda) ? x : T(0); }
};
struct Threshold {
    explicit Threshold(const Attrs& attrs) : at(attrs.real("threshold")), below(attrs.real("value")) {}
    template <class T> T value(T x) const { return x > static_cast<T>(at) ? x : static_cast<T>(below); }
    template <class T> T slope(T x) const { return x > static_cast<T>(at) ? T(1) : T(0); }
    [[nodiscard]] Value slope(const Value& x) const { return greater(x, at); }
    double at, below;
};

}  // namespace

void register_shrink(OpRegistry& ops) {
    add_activation<Softshrink>(ops, "softshrink", 2);
    add_activation<Hardshrink>(ops, "hardshrink", 2);
    add_activation<Threshold>(ops, "threshold", 1);
}

}  // namespace fovea
