// Rearrangements between channels and pixels.
#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/axis_maps.h"

namespace fovea {

namespace {

/// Throws unless x is [N, C, H, W] with known channels.
void require_planes(const Value& x, std::string_view op, std::string_view name) {
    const Shape& s = x.shape();
    require<ShapeError>(s.rank() == 4 && s[1] != dynamic, "{} '{}': takes [N, C, H, W] with known channels, got {}", op, x.graph().path_of(name), s);
}

std::int64_t factor_of(const OpInputs& in) {
    const std::int64_t factor = in.attrs().integer("factor");
    in.check<ArgumentError>(factor >= 1, "factor must be at least 1, got {}", factor);
    in.check(in.shape(0).rank() == 4, "input must be [N, C, H, W], got {}", in.shape(0));
    return factor;
}

/// f(element of [N, C, H f, W f], the same element of [N, C f f, H, W])
template <class F> void each_of_cells(const Shape& fine, std::int64_t f, F&& visit) {
    std::int64_t i = 0;
    const std::int64_t H = fine[2] / f, W = fine[3] / f;
    for (std::int64_t plane = 0; plane < fine[0] * fine[1]; ++plane)
        for (std::int64_t h = 0; h < fine[2]; ++h)
            for (std::int64_t w = 0; w < fine[3]; ++w) visit(i++, ((plane * f * f + h % f * f + w % f) * H + h / f) * W + w / f);
}

std::int64_t times(std::int64_t size, std::int64_t f) { return size == dynamic ? dynamic : size * f; }

}  // namespace

Value pixel_shuffle(const Value& x, std::int64_t f, std::string_view name) {
    require_planes(x, "pixel_shuffle", name);
    require<ShapeError>(f >= 1 && x.shape()[1] % (f * f) == 0, "pixel_shuffle '{}': {} channels do not divide into cells of {}x{}; input {}", x.graph().path_of(name), x.shape()[1], f, f,
                        x.shape());
    return x.graph().add("pixel_shuffle", {x}, {{"factor", f}}, name);
}

Value pixel_unshuffle(const Value& x, std::int64_t f, std::string_view name) {
    require_planes(x, "pixel_unshuffle", name);
    const std::int64_t H = x.shape()[2], W = x.shape()[3];
    require<ShapeError>(f >= 1 && (H == dynamic || H % f == 0) && (W == dynamic || W % f == 0), "pixel_unshuffle '{}': {}x{} does not divide into cells of {}x{}; input {}",
                        x.graph().path_of(name), H, W, f, f, x.shape());
    return x.graph().add("pixel_unshuffle", {x}, {{"factor", f}}, name);
}

Value channel_shuffle(const Value& x, std::int64_t groups, std::string_view name) {
    require_planes(x, "channel_shuffle", name);
    require<ShapeError>(groups >= 1 && x.shape()[1] % groups == 0, "channel_shuffle '{}': {} channels do not divide into {} groups; input {}", x.graph().path_of(name), x.shape()[1], groups,
                        x.shape());
    return x.graph().add("channel_shuffle", {x}, {{"groups", groups}}, name);
}

void register_shuffle(OpRegistry& ops) {
    const auto no_cost = [](const OpInputs&) { return Cost{}; };
    ops.add({.name = "pixel_shuffle",
             .shape =
                 [](const OpInputs& in) {
                     const std::int64_t f = factor_of(in);
                     const Shape& x = in.shape(0);
                     in.check(x[1] % (f * f) == 0, "{} channels do not divide into cells of {}x{}; input {}", x[1], f, f, x);
                     return Types(Type{{x[0], x[1] / (f * f), times(x[2], f), times(x[3], f)}, in.dtype(0)});
                 },
             .gradient = [](const Grad& g) -> Values { return pixel_unshuffle(g.dy(), g.attrs().integer("factor")); },
             .cost = no_cost,
             .reference =
                 [](const OpRun& run) {
                     with_input_type(run, [&](auto tag) {
                         using T = decltype(tag);
                         each_of_cells(run.out_shape(), run.attrs().integer("factor"), [&](auto fine, auto cell) { run.out<T>()[fine] = run.in<T>(0)[cell]; });
                     });
                 }});
    ops.add({.name = "pixel_unshuffle",
             .shape =
                 [](const OpInputs& in) {
                     const std::int64_t f = factor_of(in);
                     const Shape& x = in.shape(0);
                     for (int d : {2, 3}) in.check(x[d] == dynamic || x[d] % f == 0, "{}x{} does not divide into cells of {}x{}; input {}", x[2], x[3], f, f, x);
                     return Types(Type{{x[0], x[1] * f * f, x[2] == dynamic ? dynamic : x[2] / f, x[3] == dynamic ? dynamic : x[3] / f}, in.dtype(0)});
                 },
             .gradient = [](const Grad& g) -> Values { return pixel_shuffle(g.dy(), g.attrs().integer("factor")); },
             .cost = no_cost,
             .reference =
                 [](const OpRun& run) {
                     with_input_type(run, [&](auto tag) {
                         using T = decltype(tag);
                         each_of_cells(run.shape(0), run.attrs().integer("factor"), [&](auto fine, auto cell) { run.out<T>()[cell] = run.in<T>(0)[fine]; });
                     });
                 }});
    // Channel g C / groups + k becomes channel k groups + g; the inverse takes C / groups groups.
    ops.add({.name = "channel_shuffle",
             .shape =
                 [](const OpInputs& in) {
                     const Shape& x = in.shape(0);
                     const std::int64_t groups = in.attrs().integer("groups");
                     in.check(x.rank() == 4 && groups >= 1 && x[1] % groups == 0, "the channels of {} do not divide into {} groups", x, groups);
                     return Types(in.type(0));
                 },
             .gradient = [](const Grad& g) -> Values { return channel_shuffle(g.dy(), g.x().shape()[1] / g.attrs().integer("groups")); },
             .cost = no_cost,
             .reference =
                 [](const OpRun& run) {
                     with_input_type(run, [&](auto tag) {
                         using T = decltype(tag);
                         const Shape& x = run.shape(0);
                         const std::int64_t groups = run.attrs().integer("groups"), size = x[1] / groups, area = x[2] * x[3];
                         for (std::int64_t n = 0; n < x[0]; ++n)
                             for (std::int64_t c = 0; c < x[1]; ++c)
                                 std::copy_n(run.in<T>(0) + (n * x[1] + c) * area, area, run.out<T>() + (n * x[1] + c % size * groups + c / size) * area);
                     });
                 }});
}

}  // namespace fovea
