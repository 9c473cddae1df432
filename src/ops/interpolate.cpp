// Nearest and bilinear resampling of planes, one axis after the other; the gradient scatters with the same weights.
#include <cmath>

#include "fovea/ops.h"
#include "ops/axis_maps.h"
#include "ops/window.h"

namespace fovea {

/// `scale` is the user's factor, 0 when only the sizes are given: a factor of 1.5 steps by 1 / 1.5 even where rounding made the sizes' ratio another.
std::vector<Tap> interpolate_taps(const Attrs& attrs, std::int64_t size, std::int64_t count) {
    const bool is_nearest = attrs.text("mode") == "nearest", align = attrs.flag("align_corners");
    const double scale = attrs.real("scale", 0), in = static_cast<double>(size), out = static_cast<double>(count);
    const double step = scale > 0 ? 1 / scale : in / out;
    std::vector<Tap> taps;
    for (std::int64_t o = 0; o < count; ++o) {
        const double at = static_cast<double>(o);
        if (is_nearest) {
            const std::int64_t i = std::min(static_cast<std::int64_t>(std::floor(at * step)), size - 1);
            taps.push_back({i, i, 0});
            continue;
        }
        const double from = align ? (count > 1 ? at * (in - 1) / (out - 1) : 0) : std::max(0.0, (at + 0.5) * step - 0.5);
        const std::int64_t low = std::min(static_cast<std::int64_t>(from), size - 1);
        taps.push_back({low, std::min(low + 1, size - 1), from - static_cast<double>(low)});
    }
    return taps;
}

namespace {

AxisMaps nearest_maps(const Shape& x, const Shape& y, const Attrs& attrs) {
    AxisMaps maps = identity_maps(y);
    for (int d : {2, 3}) {
        const std::vector<Tap> taps = interpolate_taps(attrs, x[d], y[d]);
        for (std::size_t o = 0; o < taps.size(); ++o) maps[static_cast<std::size_t>(d)][o] = taps[o].low;
    }
    return maps;
}

/// f(output, four inputs, their weights) for every output pixel.
template <class F> void for_each_bilinear(const Shape& x, const Shape& y, const Attrs& attrs, F&& f) {
    const auto rows = interpolate_taps(attrs, x[2], y[2]), columns = interpolate_taps(attrs, x[3], y[3]);
    std::int64_t o = 0;
    for (std::int64_t plane = 0; plane < x[0] * x[1]; ++plane) {
        const std::int64_t base = plane * x[2] * x[3];
        for (const Tap& r : rows)
            for (const Tap& c : columns) {
                const std::int64_t places[4]{base + r.low * x[3] + c.low, base + r.low * x[3] + c.high, base + r.high * x[3] + c.low, base + r.high * x[3] + c.high};
                const double weights[4]{(1 - r.weight) * (1 - c.weight), (1 - r.weight) * c.weight, r.weight * (1 - c.weight), r.weight * c.weight};
                f(o++, places, weights);
            }
    }
}

void check_mode(const OpInputs& in, const Shape& x) {
    const std::string mode = in.attrs().text("mode");
    in.check<ArgumentError>(mode == "nearest" || mode == "bilinear", "mode must be nearest or bilinear, got '{}'", mode);
    in.check(x.rank() == 4, "input must be [N, C, H, W], got {}", x);
}

Types interpolate_shape(const OpInputs& in) {
    const Shape& x = in.shape(0);
    check_mode(in, x);
    if (in.has(1)) {
        in.check(in.shape(1).rank() == 4, "the size is taken from [N, C, H, W], got {}", in.shape(1));
        return Shape{x[0], x[1], in.shape(1)[2], in.shape(1)[3]};
    }
    const double scale = in.attrs().real("scale", 0);
    const auto size = in.attrs().has("size") ? in.attrs().integers("size") : std::vector<std::int64_t>{};
    in.check<ArgumentError>((size.size() == 2) != (scale > 0), "takes either a size or a scale above 0");
    if (size.size() == 2) {
        in.check<ArgumentError>(size[0] >= 1 && size[1] >= 1, "size must be at least 1, got {}x{}", size[0], size[1]);
        return Shape{x[0], x[1], size[0], size[1]};
    }
    const auto scaled = [&](std::int64_t n) { return n == dynamic ? dynamic : static_cast<std::int64_t>(std::floor(static_cast<double>(n) * scale)); };
    const Shape y{x[0], x[1], scaled(x[2]), scaled(x[3])};
    in.check(y[2] != 0 && y[3] != 0, "scale {} leaves nothing of {}", scale, x);
    return y;
}

template <class T> void interpolate_loops(const OpRun& run) {
    const Shape &x = run.shape(0), &y = run.out_shape();
    const T* from = run.in<T>(0);
    T* to = run.out<T>();
    if (run.attrs().text("mode") == "nearest") return gather(y, x, nearest_maps(x, y, run.attrs()), from, to);
    for_each_bilinear(x, y, run.attrs(), [&](auto o, const auto& places, const auto& weights) {
        double total = 0;
        for (int i = 0; i < 4; ++i) total += weights[i] * static_cast<double>(from[places[i]]);
        to[o] = static_cast<T>(total);
    });
}

template <class T> void interpolate_backward_loops(const OpRun& run) {
    const Shape &x = run.out_shape(), &y = run.shape(0);
    const T* dy = run.in<T>(0);
    T* dx = run.out<T>();
    if (run.attrs().text("mode") == "nearest") return scatter(y, x, nearest_maps(x, y, run.attrs()), dy, dx);
    std::fill_n(dx, x.elements(), T(0));
    for_each_bilinear(x, y, run.attrs(), [&](auto o, const auto& places, const auto& weights) {
        for (int i = 0; i < 4; ++i) dx[places[i]] += static_cast<T>(weights[i]) * dy[o];
    });
}

Attrs attrs_of(Interpolation mode, bool align_corners) {
    return {{"mode", mode == Interpolation::nearest ? "nearest" : "bilinear"}, {"align_corners", align_corners && mode == Interpolation::bilinear}};
}

}  // namespace

Value interpolate(const Value& x, const InterpolateSpec& spec, std::string_view name) {
    Attrs attrs = attrs_of(spec.mode, spec.align_corners);
    if (spec.size) attrs.set("size", integers_of(*spec.size));
    if (spec.scale != 0) attrs.set("scale", spec.scale);
    return x.graph().add("interpolate", {x}, std::move(attrs), name);
}

Value interpolate_to(const Value& x, const Value& like, Interpolation mode, bool align_corners, std::string_view name) {
    return x.graph().add("interpolate", {x, like}, attrs_of(mode, align_corners), name);
}

void register_interpolate(OpRegistry& ops) {
    // x, like y (may be absent) -> y
    ops.add({.name = "interpolate",
             .shape = interpolate_shape,
             .gradient =
                 [](const Grad& g) -> Values {
                 Attrs attrs = g.attrs();
                 attrs.erase("size");
                 return g.graph().add("interpolate_backward", {g.dy(), g.x()}, std::move(attrs));
             },
             .cost =
                 [](const OpInputs& in) {
                     const std::int64_t pixels = interpolate_shape(in).front().shape.elements();
                     return Cost{0, in.attrs().text("mode") == "nearest" ? 0 : 7 * pixels};
                 },
             .reference = [](const OpRun& run) { run.with_real([&](auto tag) { interpolate_loops<decltype(tag)>(run); }); },
             .shape_only = 0b10});
    // dy, like x -> dx
    ops.add({.name = "interpolate_backward",
             .shape =
                 [](const OpInputs& in) {
                     check_mode(in, in.shape(1));
                     in.check(in.shape(0).rank() == 4 && in.shape(0)[0] == in.shape(1)[0] && in.shape(0)[1] == in.shape(1)[1], "gradient {} does not belong to input {}", in.shape(0),
                              in.shape(1));
                     return Types(in.shape(1));
                 },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("interpolate", {g.dy(), g.x()}, g.attrs()); },
             .cost = [](const OpInputs& in) { return Cost{0, (in.attrs().text("mode") == "nearest" ? 1 : 8) * in.shape(0).elements()}; },
             .reference = [](const OpRun& run) { run.with_real([&](auto tag) { interpolate_backward_loops<decltype(tag)>(run); }); },
             .shape_only = 0b10});
}

}  // namespace fovea
