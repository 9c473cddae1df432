// Sums over axes and their transposes. mean is a sum and a scale.
#include <algorithm>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/broadcast.h"

namespace fovea {

namespace {

/// Flags of the reduced axes; throws through `in` for one out of range or named twice.
std::vector<bool> reduced_axes(const OpInputs& in) {
    const int rank = in.shape(0).rank();
    const auto axes = in.attrs().integers("axes");
    std::vector<bool> reduced(static_cast<std::size_t>(rank), axes.empty());
    for (std::int64_t axis : axes) {
        in.check<ArgumentError>(axis >= -rank && axis < rank, "axis {} is outside a shape {}", axis, in.shape(0));
        const auto i = static_cast<std::size_t>(axis < 0 ? axis + rank : axis);
        in.check<ArgumentError>(!reduced[i], "axis {} is named twice", axis);
        reduced[i] = true;
    }
    return reduced;
}

Types sum_shape(const OpInputs& in) {
    const std::vector<bool> reduced = reduced_axes(in);
    Shape shape;
    for (int i = 0; i < in.shape(0).rank(); ++i) {
        if (!reduced[static_cast<std::size_t>(i)])
            shape.push_back(in.shape(0)[i]);
        else if (in.attrs().flag("keep"))
            shape.push_back(1);
    }
    return shape;
}

/// The shape of a sum as if its reduced dimensions had been kept.
Shape kept_shape(const Shape& x, const Attrs& attrs) {
    Shape kept = x;
    const auto axes = attrs.integers("axes");
    for (int i = 0; i < x.rank(); ++i)
        if (axes.empty()) kept[i] = 1;
    for (std::int64_t axis : axes) kept[static_cast<int>(axis)] = 1;
    return kept;
}

/// y[b] += x[i] for every element of x, where b is i with the dimensions of size 1 in `small` dropped. Accumulates in double.
void accumulate(const OpRun& run, const Shape& big, const Shape& small) {
    run.with_real([&](auto tag) {
        using T = decltype(tag);
        const T* x = run.in<T>(0);
        std::vector<double> total(static_cast<std::size_t>(small.elements()), 0.0);
        for_each_broadcast(big, small, small, [&](auto i, auto s, auto) { total[static_cast<std::size_t>(s)] += static_cast<double>(x[i]); });
        std::ranges::transform(total, run.out<T>(), [](double v) { return static_cast<T>(v); });
    });
}

}  // namespace

Shape broadcast_shape(const OpInputs& in, const Shape& a, const Shape& b) {
    Shape out = a.rank() >= b.rank() ? a : b;
    for (int i = 1; i <= std::min(a.rank(), b.rank()); ++i) {
        const std::int64_t x = a[-i], y = b[-i];
        in.check(x == y || x == 1 || y == 1, "shapes {} and {} do not broadcast: {} against {} in dimension {} from the end", a, b, x, y, i);
        out[-i] = x == 1 ? y : x;
    }
    return out;
}

Value sum(const Value& x, const ReduceSpec& spec, std::string_view name) { return x.graph().add("sum", {x}, {{"axes", spec.axes}, {"keep", spec.keep}}, name); }

Value mean(const Value& x, const ReduceSpec& spec, std::string_view name) { return x.graph().add("mean", {x}, {{"axes", spec.axes}, {"keep", spec.keep}}, name); }

Value expand_to(const Value& x, const Value& like) { return x.shape() == like.shape() ? x : x.graph().add("expand_to", {x, like}); }
Value sum_to(const Value& x, const Value& like) { return x.shape() == like.shape() ? x : x.graph().add("sum_to", {x, like}); }
Value reshape_to(const Value& x, const Value& like) { return x.shape() == like.shape() ? x : x.graph().add("reshape_to", {x, like}); }

namespace {

/// dy of a sum brought back to the rank of x, then repeated.
Value spread(const Grad& g) {
    const Value like_kept = g.graph().add("kept_shape", {g.x()}, {{"axes", g.attrs().integers("axes")}});
    return expand_to(reshape_to(g.dy(), like_kept), g.x());
}

}  // namespace

void register_reduce(OpRegistry& ops) {
    const auto cost_of_input = [](const OpInputs& in) { return Cost{0, in.shape(0).elements()}; };
    const auto no_cost = [](const OpInputs&) { return Cost{}; };
    ops.add({.name = "sum",
             .shape = sum_shape,
             .gradient = [](const Grad& g) -> Values { return spread(g); },
             .cost = cost_of_input,
             .reference = [](const OpRun& run) { accumulate(run, run.shape(0), kept_shape(run.shape(0), run.attrs())); }});
    ops.add({.name = "mean",
             .shape = sum_shape,
             .gradient = [](const Grad& g) -> Values { return g.graph().add("divide_by_count", {spread(g), g.x(), g.y()}); },
             .cost = cost_of_input,
             .reference =
                 [](const OpRun& run) {
                     const Shape kept = kept_shape(run.shape(0), run.attrs());
                     accumulate(run, run.shape(0), kept);
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         const T count = static_cast<T>(run.shape(0).elements() / std::max<std::int64_t>(1, kept.elements()));
                         for (std::int64_t i = 0; i < kept.elements(); ++i) run.out<T>()[i] /= count;
                     });
                 }});
    // x * (elements of `small` / elements of `big`): the factor of a mean whose sizes may still be dynamic.
    ops.add({.name = "divide_by_count",
             .shape = [](const OpInputs& in) { return Types(in.type(0)); },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("divide_by_count", {g.dy(), g.x(1), g.x(2)}); },
             .cost = cost_of_input,
             .reference =
                 [](const OpRun& run) {
                     const double factor = static_cast<double>(run.shape(2).elements()) / static_cast<double>(std::max<std::int64_t>(1, run.shape(1).elements()));
                     run.map([factor](auto v) { return static_cast<decltype(v)>(v * factor); });
                 },
             .shape_only = 0b110});
    // A value that exists for its shape alone: x with the reduced axes as 1.
    ops.add({.name = "kept_shape",
             .shape = [](const OpInputs& in) { return Types(kept_shape(in.shape(0), in.attrs())); },
             .cost = no_cost,
             .reference = [](const OpRun& run) { run.with_real([&](auto tag) { std::fill_n(run.out<decltype(tag)>(), run.out_shape().elements(), tag); }); },
             .shape_only = 0b1});
    ops.add({.name = "expand_to",
             .shape =
                 [](const OpInputs& in) {
                     const Shape shape = broadcast_shape(in, in.shape(0), in.shape(1));
                     in.check(shape == in.shape(1), "{} does not expand to {}", in.shape(0), in.shape(1));
                     return Types(Type{shape, in.dtype(0)});
                 },
             .gradient = [](const Grad& g) -> Values { return sum_to(g.dy(), g.x()); },
             .cost = no_cost,
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         for_each_broadcast(run.out_shape(), run.shape(0), run.shape(0), [&](auto i, auto s, auto) { run.out<T>()[i] = run.in<T>(0)[s]; });
                     });
                 },
             .shape_only = 0b10});
    ops.add({.name = "sum_to",
             .shape =
                 [](const OpInputs& in) {
                     in.check(broadcast_shape(in, in.shape(1), in.shape(0)) == in.shape(0), "{} does not sum to {}", in.shape(0), in.shape(1));
                     return Types(Type{in.shape(1), in.dtype(0)});
                 },
             .gradient = [](const Grad& g) -> Values { return expand_to(g.dy(), g.x()); },
             .cost = cost_of_input,
             .reference = [](const OpRun& run) { accumulate(run, run.shape(0), run.shape(1)); },
             .shape_only = 0b10});
    ops.add({.name = "reshape_to",
             .shape =
                 [](const OpInputs& in) {
                     in.check(in.shape(0).is_dynamic() || in.shape(1).is_dynamic() || in.shape(0).elements() == in.shape(1).elements(), "{} has another number of elements than {}",
                              in.shape(0), in.shape(1));
                     return Types(Type{in.shape(1), in.dtype(0)});
                 },
             .gradient = [](const Grad& g) -> Values { return reshape_to(g.dy(), g.x()); },
             .cost = no_cost,
             .reference = [](const OpRun& run) { run.map([](auto v) { return v; }); },
             .shape_only = 0b10,
             .is_view = true});
}

}  // namespace fovea
