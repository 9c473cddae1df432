// Average pooling and its gradient, which are each other's gradients.
#include "fovea/ops.h"
#include "ops/axis_maps.h"
#include "ops/window.h"

namespace fovea {

namespace {

Shape pooled(const OpInputs& in, const Shape& x) {
    in.check(x.rank() == 4, "input must be [N, C, H, W], got {}", x);
    const Window window(in.attrs());
    check_window(in, window);
    const auto& [h, w] = window;
    in.check<ArgumentError>(std::max(h.before, h.after) < h.kernel && std::max(w.before, w.after) < w.kernel && std::min({h.before, h.after, w.before, w.after}) >= 0,
                            "pad [{}, {}, {}, {}] must be smaller than the kernel {}x{} and not negative", h.before, h.after, w.before, w.after, h.kernel, w.kernel);
    return {x[0], x[1], windows_along(in, h, x[2], "height"), windows_along(in, w, x[3], "width")};
}

}  // namespace

std::vector<PoolSpan> avg_pool_spans(const Attrs& attrs, int which, std::int64_t size, std::int64_t count) {
    const Window window(attrs);
    const Axis& axis = which == 0 ? window.h : window.w;
    const bool include_pad = attrs.flag("count_include_pad", true);
    std::vector<PoolSpan> result;
    for (std::int64_t p = 0; p < count; ++p) {
        const std::int64_t start = p * axis.stride - axis.before, stop = std::min(start + axis.kernel, size + axis.after);
        const std::int64_t begin = std::max<std::int64_t>(start, 0), end = std::min(stop, size);
        result.push_back({begin, end, include_pad ? stop - start : end - begin});
    }
    return result;
}

namespace {

/// f(plane, window, place in the plane, 1 / size of the window) for every input element of every window.
template <class F> void for_each_tap(const Shape& x, const Shape& y, const Attrs& attrs, F&& f) {
    const auto rows = avg_pool_spans(attrs, 0, x[2], y[2]), columns = avg_pool_spans(attrs, 1, x[3], y[3]);
    for (std::int64_t plane = 0; plane < x[0] * x[1]; ++plane) {
        std::int64_t o = plane * y[2] * y[3];
        for (const PoolSpan& row : rows)
            for (const PoolSpan& column : columns) {
                const double share = 1.0 / static_cast<double>(row.counted * column.counted);
                for (std::int64_t h = row.begin; h < row.end; ++h)
                    for (std::int64_t w = column.begin; w < column.end; ++w) f(o, (plane * x[2] + h) * x[3] + w, share);
                ++o;
            }
    }
}

}  // namespace

Value avg_pool(const Value& x, const AvgPoolSpec& spec, std::string_view name) {
    Attrs attrs{{"kernel", integers_of(spec.kernel)},
                {"stride", integers_of(spec.stride == Size2(0) ? spec.kernel : spec.stride)},
                {"pad", integers_of(spec.pad)},
                {"ceil", spec.ceil},
                {"count_include_pad", spec.count_include_pad}};
    if (spec.strict) attrs.set("strict", true);
    return x.graph().add("avg_pool2d", {x}, std::move(attrs), name);
}

Value lp_pool(const Value& x, const LpPoolSpec& spec, std::string_view name) {
    require<ArgumentError>(spec.p >= 1, "lp_pool '{}': p must be at least 1, got {}", x.graph().path_of(name), spec.p);
    const double area = static_cast<double>(spec.kernel.h * spec.kernel.w);
    const Value powers = spec.p == 2 ? x * x : pow(abs(x), spec.p);
    const Value total = scale_shift(avg_pool(powers, {.kernel = spec.kernel, .stride = spec.stride, .ceil = spec.ceil}), area, 0);
    const std::string_view path = name.empty() ? "lp_pool" : name;
    return spec.p == 2 ? sqrt(total, path) : pow(total, 1 / spec.p, path);
}

void register_avg_pool2d(OpRegistry& ops) {
    const auto cost = [](const OpInputs& in) {
        const auto kernel = in.attrs().integers("kernel");
        return Cost{0, in.shape(0).elements() * kernel[0] * kernel[1]};
    };
    ops.add({.name = "avg_pool2d",
             .shape = [](const OpInputs& in) { return Types(pooled(in, in.shape(0))); },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("avg_pool2d_backward", {g.dy(), g.x()}, g.attrs()); },
             .cost =
                 [](const OpInputs& in) {
                     const auto kernel = in.attrs().integers("kernel");
                     return Cost{0, pooled(in, in.shape(0)).elements() * kernel[0] * kernel[1]};
                 },
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         const T* x = run.in<T>(0);
                         T* y = run.out<T>();
                         std::fill_n(y, run.out_shape().elements(), T(0));
                         for_each_tap(run.shape(0), run.out_shape(), run.attrs(), [&](auto o, auto i, double share) { y[o] += static_cast<T>(share) * x[i]; });
                     });
                 }});
    // dy, like x -> dx
    ops.add({.name = "avg_pool2d_backward",
             .shape =
                 [](const OpInputs& in) {
                     const Shape y = pooled(in, in.shape(1));
                     in.check(in.shape(0) == y, "gradient must be {}, got {}", y, in.shape(0));
                     return Types(in.shape(1));
                 },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("avg_pool2d", {g.dy()}, g.attrs()); },
             .cost = cost,
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         const T* dy = run.in<T>(0);
                         T* dx = run.out<T>();
                         std::fill_n(dx, run.out_shape().elements(), T(0));
                         for_each_tap(run.out_shape(), run.shape(0), run.attrs(), [&](auto o, auto i, double share) { dx[i] += static_cast<T>(share) * dy[o]; });
                     });
                 },
             .shape_only = 0b10});
}

}  // namespace fovea
