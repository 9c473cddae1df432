// x[start:stop:step] along one axis, and its transpose. split is a few of them.
#include "fovea/ops.h"
#include "ops/axis_maps.h"

namespace fovea {

namespace {

struct Cut {
    std::int64_t start, count, step;
};

/// The cut of an axis of `size`, with numpy's clamping.
Cut cut_of(const Attrs& attrs, std::int64_t size) {
    const auto place = [&](std::int64_t i) { return std::clamp<std::int64_t>(i < 0 ? i + size : i, 0, size); };
    const std::int64_t start = place(attrs.integer("start")), stop = place(attrs.integer("stop")), step = attrs.integer("step");
    return {start, std::max<std::int64_t>(0, (stop - start + step - 1) / step), step};
}

Shape sliced(const OpInputs& in, const Shape& x) {
    const std::int64_t axis = in.attrs().integer("axis");
    in.check<ArgumentError>(axis >= 0 && axis < x.rank(), "axis {} is outside a shape {}", axis, x);
    in.check<ArgumentError>(in.attrs().integer("step") >= 1, "step must be at least 1, got {}", in.attrs().integer("step"));
    const int d = static_cast<int>(axis);
    Shape y = x;
    if (x[d] == dynamic) return y;
    y[d] = cut_of(in.attrs(), x[d]).count;
    in.check(y[d] > 0, "[{}, {}) holds nothing of dimension {} of {}", in.attrs().integer("start"), in.attrs().integer("stop"), axis, x);
    return y;
}

}  // namespace

AxisMaps slice_maps(const Shape& x, const Shape& y, const Attrs& attrs) {
    AxisMaps maps = identity_maps(y);
    const auto axis = static_cast<std::size_t>(attrs.integer("axis"));
    const Cut cut = cut_of(attrs, x[static_cast<int>(axis)]);
    for (std::int64_t& i : maps[axis]) i = cut.start + i * cut.step;
    return maps;
}

Value slice(const Value& x, const SliceSpec& spec, std::string_view name) {
    const std::int64_t axis = spec.axis < 0 ? spec.axis + x.shape().rank() : spec.axis;
    return x.graph().add("slice", {x}, {{"axis", axis}, {"start", spec.start}, {"stop", spec.stop}, {"step", spec.step}}, name);
}

std::vector<Value> split(const Value& x, const std::vector<std::int64_t>& sizes, std::int64_t axis, std::string_view name) {
    std::int64_t start = 0;
    std::vector<Value> pieces;
    const std::int64_t size = x.shape()[static_cast<int>(axis)];
    for (std::int64_t piece : sizes) {
        pieces.push_back(slice(x, {.axis = axis, .start = start, .stop = start + piece}, name.empty() ? "split" : name));
        start += piece;
    }
    require<ShapeError>(start == size, "split '{}': the sizes sum to {}, dimension {} of {} has {}", x.graph().path_of(name), start, axis, x.shape(), size);
    return pieces;
}

void register_slice(OpRegistry& ops) {
    const auto no_cost = [](const OpInputs&) { return Cost{}; };
    ops.add({.name = "slice",
             .shape = [](const OpInputs& in) { return Types(Type{sliced(in, in.shape(0)), in.dtype(0)}); },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("slice_backward", {g.dy(), g.x()}, g.attrs()); },
             .cost = no_cost,
             .reference =
                 [](const OpRun& run) {
                     with_input_type(run, [&](auto tag) {
                         using T = decltype(tag);
                         gather(run.out_shape(), run.shape(0), slice_maps(run.shape(0), run.out_shape(), run.attrs()), run.in<T>(0), run.out<T>());
                     });
                 }});
    // dy, like x -> dx: dy at its places, zeros elsewhere.
    ops.add({.name = "slice_backward",
             .shape =
                 [](const OpInputs& in) {
                     const Shape y = sliced(in, in.shape(1));
                     in.check(in.shape(0) == y, "gradient must be {}, got {}", y, in.shape(0));
                     return Types(in.shape(1));
                 },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("slice", {g.dy()}, g.attrs()); },
             .cost = no_cost,
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         scatter(run.shape(0), run.out_shape(), slice_maps(run.out_shape(), run.shape(0), run.attrs()), run.in<T>(0), run.out<T>());
                     });
                 },
             .shape_only = 0b10});
}

}  // namespace fovea
