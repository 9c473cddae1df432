// Unpooling without indices: each value repeated, or set among zeros. (With indices: max_unpool in max_pool2d.cpp.)
#include "fovea/ops.h"
#include "ops/axis_maps.h"
#include "ops/window.h"

namespace fovea {

namespace {

Shape spread(const OpInputs& in, const Shape& x) {
    const auto factor = in.attrs().integers("factor");
    in.check(x.rank() == 4, "input must be [N, C, H, W], got {}", x);
    in.check<ArgumentError>(factor.size() == 2 && factor[0] >= 1 && factor[1] >= 1, "factor must be two numbers of at least 1, got [{}]", fmt::join(factor, ", "));
    return {x[0], x[1], x[2] == dynamic ? dynamic : x[2] * factor[0], x[3] == dynamic ? dynamic : x[3] * factor[1]};
}

Value unpool(const Value& x, const Size2& factor, bool repeat, std::string_view name) { return x.graph().add("unpool", {x}, {{"factor", integers_of(factor)}, {"repeat", repeat}}, name); }

}  // namespace

/// Output o holds input o / factor where that is whole, or (repeat) everywhere.
AxisMaps unpool_maps(const Shape& y, const Attrs& attrs) {
    AxisMaps maps = identity_maps(y);
    const auto factor = attrs.integers("factor");
    const bool repeat = attrs.flag("repeat");
    for (std::size_t d : {2U, 3U})
        for (std::int64_t& i : maps[d]) i = repeat || i % factor[d - 2] == 0 ? i / factor[d - 2] : -1;
    return maps;
}

Value unpool_nearest(const Value& x, const Size2& factor, std::string_view name) { return unpool(x, factor, true, name.empty() ? "unpool_nearest" : name); }
Value unpool_bed_of_nails(const Value& x, const Size2& factor, std::string_view name) { return unpool(x, factor, false, name.empty() ? "unpool_bed_of_nails" : name); }

void register_unpool(OpRegistry& ops) {
    ops.add({.name = "unpool",
             .shape = [](const OpInputs& in) { return Types(spread(in, in.shape(0))); },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("unpool_backward", {g.dy(), g.x()}, g.attrs()); },
             .cost = [](const OpInputs&) { return Cost{}; },
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         gather(run.out_shape(), run.shape(0), unpool_maps(run.out_shape(), run.attrs()), run.in<T>(0), run.out<T>());
                     });
                 }});
    // dy, like x -> dx
    ops.add({.name = "unpool_backward",
             .shape =
                 [](const OpInputs& in) {
                     const Shape y = spread(in, in.shape(1));
                     in.check(in.shape(0) == y, "gradient must be {}, got {}", y, in.shape(0));
                     return Types(in.shape(1));
                 },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("unpool", {g.dy()}, g.attrs()); },
             .cost = [](const OpInputs& in) { return Cost{0, in.shape(0).elements()}; },
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         scatter(run.shape(0), run.out_shape(), unpool_maps(run.shape(0), run.attrs()), run.in<T>(0), run.out<T>());
                     });
                 },
             .shape_only = 0b10});
}

}  // namespace fovea
