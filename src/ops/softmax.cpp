// softmax and log_softmax along one axis, on logits shifted by their maximum so that nothing overflows.
#include <algorithm>
#include <cmath>

#include "fovea/ops.h"
#include "graph/op.h"

namespace fovea {

Value softmax(const Value& x, const AxisSpec& spec, std::string_view name) { return x.graph().add("softmax", {x}, {{"axis", spec.axis}}, name); }
Value log_softmax(const Value& x, const AxisSpec& spec, std::string_view name) { return x.graph().add("log_softmax", {x}, {{"axis", spec.axis}}, name); }

namespace {

Types same_with_axis(const OpInputs& in) {
    const std::int64_t axis = in.attrs().integer("axis");
    const int rank = in.shape(0).rank();
    in.check<ArgumentError>(axis >= -rank && axis < rank, "axis {} is outside a shape {}", axis, in.shape(0));
    return Types(in.type(0));
}

/// f(first index, stride, length) for every line along the axis.
template <class F> void each_line(const OpRun& run, F&& f) {
    const Shape& shape = run.shape(0);
    const int axis = static_cast<int>(run.attrs().integer("axis")), a = axis < 0 ? axis + shape.rank() : axis;
    const std::int64_t outer = shape.elements(0, a), length = shape[a], inner = shape.elements(a + 1, shape.rank());
    for (std::int64_t o = 0; o < outer; ++o)
        for (std::int64_t i = 0; i < inner; ++i) f(o * length * inner + i, inner, length);
}

template <bool is_log> void softmax_loops(const OpRun& run) {
    run.with_real([&](auto tag) {
        using T = decltype(tag);
        const T* x = run.in<T>(0);
        T* y = run.out<T>();
        each_line(run, [&](std::int64_t first, std::int64_t stride, std::int64_t length) {
            double largest = x[first], total = 0;
            for (std::int64_t k = 1; k < length; ++k) largest = std::max(largest, static_cast<double>(x[first + k * stride]));
            for (std::int64_t k = 0; k < length; ++k) total += std::exp(x[first + k * stride] - largest);
            const double shift = largest + std::log(total);
            for (std::int64_t k = 0; k < length; ++k) {
                const std::int64_t i = first + k * stride;
                y[i] = static_cast<T>(is_log ? x[i] - shift : std::exp(x[i] - largest) / total);
            }
        });
    });
}

ReduceSpec along(const Attrs& attrs) { return {.axes = {attrs.integer("axis")}, .keep = true}; }

Value softmax_backward(const Value& dy, const Value& y, const Attrs& attrs) { return (dy - sum(dy * y, along(attrs))) * y; }

}  // namespace

void register_softmax(OpRegistry& ops) {
    const auto cost = [](const OpInputs& in) { return Cost{0, 5 * in.shape(0).elements()}; };
    ops.add({.name = "softmax",
             .shape = same_with_axis,
             .gradient = [](const Grad& g) -> Values { return softmax_backward(g.dy(), g.y(), g.attrs()); },
             .cost = cost,
             .reference = softmax_loops<false>});
    ops.add({.name = "log_softmax",
             .shape = same_with_axis,
             .gradient = [](const Grad& g) -> Values { return g.dy() - exp(g.y()) * sum(g.dy(), along(g.attrs())); },
             .cost = cost,
             .reference = softmax_loops<true>});
}

}  // namespace fovea
