// The elements in reverse order along some axes; its own inverse and gradient.
#include "fovea/ops.h"
#include "ops/axis_maps.h"

namespace fovea {

AxisMaps flip_maps(const Shape& x, const Attrs& attrs) {
    AxisMaps maps = identity_maps(x);
    for (std::int64_t axis : attrs.integers("axes")) std::ranges::reverse(maps[static_cast<std::size_t>(axis)]);
    return maps;
}

Value flip(const Value& x, const std::vector<std::int64_t>& axes, std::string_view name) {
    std::vector<std::int64_t> from_start = axes;
    for (std::int64_t& axis : from_start) axis += axis < 0 ? x.shape().rank() : 0;
    return x.graph().add("flip", {x}, {{"axes", from_start}}, name);
}

void register_flip(OpRegistry& ops) {
    ops.add({.name = "flip",
             .shape =
                 [](const OpInputs& in) {
                     for (std::int64_t axis : in.attrs().integers("axes")) in.check<ArgumentError>(axis >= 0 && axis < in.shape(0).rank(), "axis {} is outside a shape {}", axis, in.shape(0));
                     return Types(in.type(0));
                 },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("flip", {g.dy()}, g.attrs()); },
             .cost = [](const OpInputs&) { return Cost{}; },
             .reference =
                 [](const OpRun& run) {
                     const AxisMaps maps = flip_maps(run.shape(0), run.attrs());
                     with_input_type(run, [&](auto tag) {
                         using T = decltype(tag);
                         gather(run.out_shape(), run.shape(0), maps, run.in<T>(0), run.out<T>());
                     });
                 }});
}

}  // namespace fovea
