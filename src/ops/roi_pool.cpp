// RoI pooling: the maximum over the bins of a region rounded to whole pixels.
#include <algorithm>

#include "fovea/ops.h"
#include "ops/regions.h"
#include "ops/window.h"

namespace fovea {

namespace {

template <class T> void roi_pool_loops(const OpRun& run) {
    const Shape &x = run.shape(0), &y = run.out_shape();
    const std::int64_t C = x[1], H = x[2], W = x[3], P = y[2], Q = y[3];
    const T scale = static_cast<T>(run.attrs().real("scale"));
    const T* regions = run.in<T>(1);
    for (std::int64_t b = 0; b < y[0]; ++b) {
        const T* region = regions + 5 * b;
        const std::int64_t image = image_of(region, x[0]);
        const auto pixel = [&](int i) { return static_cast<std::int64_t>(std::round(region[i] * scale)); };
        const std::int64_t left = pixel(1), top = pixel(2);
        const T bin_w = static_cast<T>(std::max<std::int64_t>(pixel(3) - left + 1, 1)) / static_cast<T>(Q);  // the far edge belongs to the region
        const T bin_h = static_cast<T>(std::max<std::int64_t>(pixel(4) - top + 1, 1)) / static_cast<T>(P);
        const auto bin = [](std::int64_t i, T size, std::int64_t start, std::int64_t limit) {
            const auto begin = static_cast<std::int64_t>(std::floor(static_cast<T>(i) * size)), end = static_cast<std::int64_t>(std::ceil(static_cast<T>(i + 1) * size));
            return Range{std::clamp<std::int64_t>(begin + start, 0, limit), std::clamp<std::int64_t>(end + start, 0, limit)};
        };
        for (std::int64_t c = 0; c < C; ++c) {
            const T* plane = run.in<T>(0) + (image * C + c) * H * W;
            for (std::int64_t p = 0; p < P; ++p)
                for (std::int64_t q = 0; q < Q; ++q) {
                    const Range rows = bin(p, bin_h, top, H), columns = bin(q, bin_w, left, W);
                    std::int64_t best = -1;
                    for (std::int64_t h = rows.begin; h < rows.end; ++h)
                        for (std::int64_t w = columns.begin; w < columns.end; ++w)
                            if (best < 0 || plane[h * W + w] > plane[best]) best = h * W + w;
                    const std::int64_t o = ((b * C + c) * P + p) * Q + q;
                    run.out<T>(0)[o] = best < 0 ? T(0) : plane[best];
                    run.out<std::int32_t>(1)[o] = static_cast<std::int32_t>(best);
                }
        }
    }
}

/// f(window, place in x) for every bin that has a place.
template <class T, class F> void for_each_place(const Shape& windows, const Shape& x, const T* regions, const std::int32_t* indices, F&& f) {
    const std::int64_t bins = windows[2] * windows[3], size = x[2] * x[3];
    for (std::int64_t i = 0; i < windows.elements(); ++i) {
        const std::int64_t region = i / (bins * x[1]), channel = i / bins % x[1];
        if (indices[i] >= 0 && indices[i] < size) f(i, (image_of(regions + 5 * region, x[0]) * x[1] + channel) * size + indices[i]);
    }
}

}  // namespace

Value roi_pool(const Value& x, const Value& regions, const RoiPoolSpec& spec, std::string_view name) {
    return x.graph().add("roi_pool", {x, regions}, {{"output", integers_of(spec.size)}, {"scale", spec.scale}}, name);
}

void register_roi_pool(OpRegistry& ops) {
    // x, regions -> y, indices
    ops.add({.name = "roi_pool",
             .shape =
                 [](const OpInputs& in) {
                     const Shape y = region_shape(in, in.shape(0), in.shape(1));
                     return Types{Type{y}, Type{y, DType::i32}};
                 },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("roi_pool_backward", {g.dy(), g.x(1), g.y(1), g.x(0)}); },
             // The area of a region is data; a bin is taken as one comparison per pixel of an even share of the plane.
             .cost = [](const OpInputs& in) { return Cost{0, in.shape(1)[0] * in.shape(0).elements(1, 4)}; },
             .reference = [](const OpRun& run) { run.with_real([&](auto tag) { roi_pool_loops<decltype(tag)>(run); }); }});
    // dy, regions, indices, like x -> dx
    ops.add({.name = "roi_pool_backward",
             .shape =
                 [](const OpInputs& in) {
                     in.check(in.shape(0) == in.shape(2) && in.shape(3).rank() == 4 && in.shape(0)[1] == in.shape(3)[1], "gradient {}, indices {} and input {} do not belong together",
                              in.shape(0), in.shape(2), in.shape(3));
                     return Types(in.shape(3));
                 },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("roi_pool_gather", {g.dy(), g.x(1), g.x(2)}); },
             .cost = [](const OpInputs& in) { return Cost{0, in.shape(0).elements()}; },
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         std::fill_n(run.out<T>(), run.out_shape().elements(), T(0));
                         for_each_place(run.shape(2), run.out_shape(), run.in<T>(1), run.in<std::int32_t>(2), [&](auto i, auto place) { run.out<T>()[place] += run.in<T>(0)[i]; });
                     });
                 },
             .shape_only = 0b1000});
    // x, regions, indices -> the values of x at those places
    ops.add({.name = "roi_pool_gather",
             .shape = [](const OpInputs& in) { return Types(in.shape(2)); },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("roi_pool_backward", {g.dy(), g.x(1), g.x(2), g.x(0)}); },
             .cost = [](const OpInputs&) { return Cost{}; },
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         std::fill_n(run.out<T>(), run.out_shape().elements(), T(0));
                         for_each_place(run.shape(2), run.shape(0), run.in<T>(1), run.in<std::int32_t>(2), [&](auto i, auto place) { run.out<T>()[i] = run.in<T>(0)[place]; });
                     });
                 }});
}

}  // namespace fovea
