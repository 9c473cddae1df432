// What moves or averages the positions of a map, axis by axis: slices, padding, flips, unpooling, average pooling, interpolation, and the
// gradients of all of these. Each axis is a small sparse matrix; a gradient is the same kernel on the transposed matrices.
#include "backends/cpu/bf16.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"
#include "ops/axis_maps.h"

namespace fovea::cpu {

namespace {

struct Taps {
    std::vector<std::int32_t> start{0}, index;
    std::vector<float> weight;
    void add(std::int64_t input, double w) {
        index.push_back(static_cast<std::int32_t>(input));
        weight.push_back(static_cast<float>(w));
    }
    void end_output() { start.push_back(static_cast<std::int32_t>(index.size())); }
    [[nodiscard]] TapTable table() const { return {start.data(), index.data(), weight.data()}; }
};

Taps transposed(const Taps& taps, std::int64_t inputs) {
    std::vector<std::vector<std::pair<std::int64_t, double>>> by_input(static_cast<std::size_t>(inputs));
    for (std::size_t o = 0; o + 1 < taps.start.size(); ++o)
        for (auto k = static_cast<std::size_t>(taps.start[o]); k < static_cast<std::size_t>(taps.start[o + 1]); ++k)
            by_input[static_cast<std::size_t>(taps.index[k])].emplace_back(o, taps.weight[k]);
    Taps result;
    for (const auto& list : by_input) {
        for (const auto& [output, w] : list) result.add(output, w);
        result.end_output();
    }
    return result;
}

Taps taps_of(const AxisMap& map) {
    Taps taps;
    for (std::int64_t i : map) {
        if (i >= 0) taps.add(i, 1);
        taps.end_output();
    }
    return taps;
}

/// Channels [to, to + count) of the output are channels [from, from + count) of the input; the others are not read.
struct ChannelRange {
    std::int64_t to = 0, from = 0, count = 0;
};
std::optional<ChannelRange> range_of(const AxisMap& map) {
    ChannelRange range;
    for (std::size_t o = 0; o < map.size(); ++o) {
        if (map[o] < 0) continue;
        const auto at = static_cast<std::int64_t>(o);
        if (range.count == 0) range = {at, map[o], 0};
        if (at != range.to + range.count || map[o] != range.from + range.count) return {};
        ++range.count;
    }
    return range;
}

/// The forward op from x to y as matrices.
struct Resampling {
    Taps rows, columns;
    ChannelRange channels;
    double value = 0;
};

std::optional<Resampling> of_maps(const AxisMaps& maps, double value = 0) {
    for (std::size_t n = 0; n < maps[0].size(); ++n)
        if (maps[0][n] != static_cast<std::int64_t>(n)) return {};
    const auto channels = range_of(maps[1]);
    if (!channels) return {};
    return Resampling{taps_of(maps[2]), taps_of(maps[3]), *channels, value};
}

Taps averages(const Attrs& attrs, int axis, std::int64_t size, std::int64_t count) {
    Taps taps;
    for (const PoolSpan& span : avg_pool_spans(attrs, axis, size, count)) {
        for (std::int64_t i = span.begin; i < span.end; ++i) taps.add(i, 1.0 / static_cast<double>(span.counted));
        taps.end_output();
    }
    return taps;
}

/// Bin o covers floor(o size / count) .. ceil((o + 1) size / count).
Taps bins(std::int64_t size, std::int64_t count) {
    Taps taps;
    for (std::int64_t o = 0; o < count; ++o) {
        const std::int64_t begin = o * size / count, end = ((o + 1) * size + count - 1) / count;
        for (std::int64_t i = begin; i < end; ++i) taps.add(i, 1.0 / static_cast<double>(end - begin));
        taps.end_output();
    }
    return taps;
}

Taps interpolation(const Attrs& attrs, std::int64_t size, std::int64_t count) {
    Taps taps;
    for (const Tap& tap : interpolate_taps(attrs, size, count)) {
        taps.add(tap.low, 1 - tap.weight);
        if (attrs.text("mode") != "nearest") taps.add(tap.high, tap.weight);
        taps.end_output();
    }
    return taps;
}

std::optional<Resampling> resampling_of(std::string_view op, const Attrs& attrs, const Shape& x, const Shape& y) {
    const ChannelRange all{0, 0, x[1]};
    if (op == "slice") return of_maps(slice_maps(x, y, attrs));
    if (op == "pad") return of_maps(pad_maps(x, attrs), attrs.real("value", 0));
    if (op == "flip") return of_maps(flip_maps(x, attrs));
    if (op == "unpool") return of_maps(unpool_maps(y, attrs));
    if (op == "avg_pool2d") return Resampling{averages(attrs, 0, x[2], y[2]), averages(attrs, 1, x[3], y[3]), all};
    if (op == "adaptive_avg_pool2d") return Resampling{bins(x[2], y[2]), bins(x[3], y[3]), all};
    if (op == "interpolate") return Resampling{interpolation(attrs, x[2], y[2]), interpolation(attrs, x[3], y[3]), all};
    return {};
}

}  // namespace

std::optional<Kernel> plan_resample(const Node& node, const PlanContext& context) {
    constexpr std::string_view suffix = "_backward";
    const bool backward = node.op->name.ends_with(suffix);
    const std::string_view op(node.op->name.data(), node.op->name.size() - (backward ? suffix.size() : 0));
    const Shape &in = node.inputs[0].shape(), &out = node.outputs[0].shape;
    if (in.rank() != 4 || out.rank() != 4 || in[0] != context.rows || out[0] != context.rows || node.outputs[0].dtype != DType::f32 || in.elements() == 0 || out.elements() == 0) return {};
    auto forward = backward ? resampling_of(op, node.attrs, out, in) : resampling_of(op, node.attrs, in, out);
    if (!forward) return {};
    auto r = std::make_shared<Resampling>(std::move(*forward));
    if (backward) {
        r->rows = transposed(r->rows, out[2]);
        r->columns = transposed(r->columns, out[3]);
        std::swap(r->channels.from, r->channels.to);
    }
    // The gradient of an average of everything is a vector that becomes a map.
    const bool half = is_half(node.inputs[0], context) || (context.stores_bf16 && in[2] * in[3] == 1 && out[2] * out[3] > 1);
    const Layout source = source_of(node.inputs[0], context, half);
    Layout target = home_of(node, 0, context, half);
    if (r->channels.count < out[1]) target = map_layout(out, half);  // the channels it does not take are filled over whole lines
    const ResampleGeometry geometry{.rows = r->rows.table(), .columns = r->columns.table(), .out_width = out[3], .in_width = in[3], .channels = r->channels.count,
                                    .x_channels = pixel_stride(source, in), .y_channels = pixel_stride(target, out), .value = static_cast<float>(r->value)};
    Kernel kernel;
    kernel.name = std::string("simd:") + simd().name;
    kernel.in.resize(node.inputs.size());
    kernel.in[0] = source;
    kernel.out = {target};
    // r travels with the closure: the geometry points into it.
    const auto lines = [r, half, geometry, in_row = in[2] * in[3] * geometry.x_channels, out_row = out[2] * out[3] * geometry.y_channels, line = out[3] * out[1], channels = out[1]](
                           const KernelArgs& args, std::int64_t n, std::int64_t begin, std::int64_t end) {
        with_element(half, [&]<class E>(E) {
            E* y = as<E>(args.out[0]) + n * out_row;
            if (geometry.channels < channels) simd().maps<E>().fill(y + begin * line, geometry.value, (end - begin) * line);
            if (geometry.channels > 0) simd().maps<E>().resample(y + r->channels.to, as<E>(args.in[0]) + n * in_row + r->channels.from, geometry, begin, end);
        });
    };
    if (context.is_sharded()) {
        kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 1, .run = [lines, height = out[2]](const KernelArgs& args, const Part& part) {
                                     for (std::int64_t n = part.begin; n < part.end; ++n) lines(args, n, 0, height);
                                 }});
        return kernel;
    }
    const std::int64_t units = out[0] * out[2];
    kernel.phases.push_back({.parts = split_parts(units, out[3] * out[1] * 4), .run = [lines, units, height = out[2]](const KernelArgs& args, const Part& part) {
                                 auto [at, end] = piece(part, units);
                                 while (at < end) {
                                     const std::int64_t n = at / height, stop = std::min(end, (n + 1) * height);
                                     lines(args, n, at - n * height, stop - n * height);
                                     at = stop;
                                 }
                             }});
    return kernel;
}

}  // namespace fovea::cpu
