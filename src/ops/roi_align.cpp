// RoI align: the mean of bilinear samples spread evenly over each bin. Linear in x, so its gradient scatters with the same weights.
#include <algorithm>

#include "fovea/ops.h"
#include "ops/regions.h"
#include "ops/window.h"

namespace fovea {

namespace {

/// Four neighbours of a point and their weights; all weights 0 when it lies more than a pixel outside.
struct Sample {
    std::int64_t place[4]{};
    double weight[4]{};
};

Sample sample_at(double y, double x, std::int64_t H, std::int64_t W) {
    Sample s;
    if (y < -1 || y > static_cast<double>(H) || x < -1 || x > static_cast<double>(W)) return s;
    const auto split = [](double at, std::int64_t size, std::int64_t& low, std::int64_t& high) {
        at = std::max(at, 0.0);
        low = std::min(static_cast<std::int64_t>(at), size - 1);
        high = std::min(low + 1, size - 1);
        return low == size - 1 ? 0.0 : at - static_cast<double>(low);
    };
    std::int64_t top = 0, bottom = 0, left = 0, right = 0;
    const double v = split(y, H, top, bottom), u = split(x, W, left, right);
    s.place[0] = top * W + left, s.weight[0] = (1 - v) * (1 - u);
    s.place[1] = top * W + right, s.weight[1] = (1 - v) * u;
    s.place[2] = bottom * W + left, s.weight[2] = v * (1 - u);
    s.place[3] = bottom * W + right, s.weight[3] = v * u;
    return s;
}

/// f(bin of channel 0, first element of the image, sample, 1 / samples in the bin) for every sample of every bin.
template <class T, class F> void for_each_sample(const Shape& x, const Shape& y, const T* regions, const Attrs& attrs, F&& f) {
    const double scale = attrs.real("scale"), offset = attrs.flag("aligned") ? 0.5 : 0.0;
    const std::int64_t sampling = attrs.integer("sampling"), P = y[2], Q = y[3];
    for (std::int64_t b = 0; b < y[0]; ++b) {
        const T* region = regions + 5 * b;
        const std::int64_t image = image_of(region, x[0]) * x[1] * x[2] * x[3];
        const auto at = [&](int i) { return static_cast<double>(region[i]) * scale - offset; };
        double width = at(3) - at(1), height = at(4) - at(2);
        if (offset == 0) width = std::max(width, 1.0), height = std::max(height, 1.0);
        const double bin_h = height / static_cast<double>(P), bin_w = width / static_cast<double>(Q);
        const std::int64_t rows = sampling > 0 ? sampling : static_cast<std::int64_t>(std::ceil(bin_h)), columns = sampling > 0 ? sampling : static_cast<std::int64_t>(std::ceil(bin_w));
        const double share = 1 / static_cast<double>(std::max<std::int64_t>(rows * columns, 1));
        for (std::int64_t p = 0; p < P; ++p)
            for (std::int64_t q = 0; q < Q; ++q)
                for (std::int64_t i = 0; i < rows; ++i)
                    for (std::int64_t j = 0; j < columns; ++j) {
                        const double row = at(2) + bin_h * (static_cast<double>(p) + (static_cast<double>(i) + 0.5) / static_cast<double>(rows));
                        const double column = at(1) + bin_w * (static_cast<double>(q) + (static_cast<double>(j) + 0.5) / static_cast<double>(columns));
                        f((b * x[1] * P + p) * Q + q, image, sample_at(row, column, x[2], x[3]), share);
                    }
    }
}

template <class T> void roi_align_loops(const OpRun& run) {
    const Shape &x = run.shape(0), &y = run.out_shape();
    const T* from = run.in<T>(0);
    T* to = run.out<T>();
    std::vector<double> total(static_cast<std::size_t>(y.elements()), 0.0);
    for_each_sample(x, y, run.in<T>(1), run.attrs(), [&](auto bin, auto image, const Sample& s, double share) {
        for (std::int64_t c = 0; c < x[1]; ++c)
            for (int k = 0; k < 4; ++k)
                total[static_cast<std::size_t>(bin + c * y[2] * y[3])] += share * s.weight[k] * static_cast<double>(from[image + c * x[2] * x[3] + s.place[k]]);
    });
    std::ranges::transform(total, to, [](double v) { return static_cast<T>(v); });
}

template <class T> void roi_align_backward_loops(const OpRun& run) {
    const Shape &x = run.out_shape(), &y = run.shape(0);
    const T* dy = run.in<T>(0);
    T* dx = run.out<T>();
    std::fill_n(dx, x.elements(), T(0));
    for_each_sample(x, y, run.in<T>(1), run.attrs(), [&](auto bin, auto image, const Sample& s, double share) {
        for (std::int64_t c = 0; c < x[1]; ++c)
            for (int k = 0; k < 4; ++k)
                dx[image + c * x[2] * x[3] + s.place[k]] += static_cast<T>(share * s.weight[k] * static_cast<double>(dy[bin + c * y[2] * y[3]]));
    });
}

}  // namespace

Value roi_align(const Value& x, const Value& regions, const RoiAlignSpec& spec, std::string_view name) {
    require<ArgumentError>(spec.sampling >= 0, "roi_align '{}': sampling must not be negative, got {}", x.graph().path_of(name), spec.sampling);
    return x.graph().add("roi_align", {x, regions}, {{"output", integers_of(spec.size)}, {"scale", spec.scale}, {"sampling", spec.sampling}, {"aligned", spec.aligned}}, name);
}

void register_roi_align(OpRegistry& ops) {
    // Samples per bin are data when `sampling` is 0; two per axis, the usual number, are counted then.
    const auto cost = [](const OpInputs& in, const Shape& y) {
        const std::int64_t samples = std::max<std::int64_t>(in.attrs().integer("sampling"), 0) == 0 ? 2 : in.attrs().integer("sampling");
        return Cost{0, 8 * samples * samples * y.elements()};
    };
    ops.add({.name = "roi_align",
             .shape = [](const OpInputs& in) { return Types(region_shape(in, in.shape(0), in.shape(1))); },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("roi_align_backward", {g.dy(), g.x(1), g.x(0)}, g.attrs()); },
             .cost = [cost](const OpInputs& in) { return cost(in, region_shape(in, in.shape(0), in.shape(1))); },
             .reference = [](const OpRun& run) { run.with_real([&](auto tag) { roi_align_loops<decltype(tag)>(run); }); }});
    // dy, regions, like x -> dx
    ops.add({.name = "roi_align_backward",
             .shape =
                 [](const OpInputs& in) {
                     const Shape y = region_shape(in, in.shape(2), in.shape(1));
                     in.check(in.shape(0) == y, "gradient must be {}, got {}", y, in.shape(0));
                     return Types(in.shape(2));
                 },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("roi_align", {g.dy(), g.x(1)}, g.attrs()); },
             .cost = [cost](const OpInputs& in) { return cost(in, in.shape(0)); },
             .reference = [](const OpRun& run) { run.with_real([&](auto tag) { roi_align_backward_loops<decltype(tag)>(run); }); },
             .shape_only = 0b100});
}

}  // namespace fovea
