// Pooling of bytes, channels last. A maximum stays on the grid of its input; sums are whole numbers, scaled once.
#include "backends/cpu/int8.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"
#include "ops/axis_maps.h"

namespace fovea::cpu {

namespace {

/// Runs lines(args, sample, first output line, end): by rows of the batch, or in pieces of lines.
template <class F> Phase by_lines(const PlanContext& context, const Shape& y, std::int64_t line_bytes, F lines) {
    const std::int64_t height = y[2];
    if (context.is_sharded())
        return {.kind = Phase::Kind::rows, .row_reads = 1, .writes = 1, .run = [=](const KernelArgs& args, const Part& part) {
                    for (std::int64_t n = part.begin; n < part.end; ++n) lines(args, n, 0, height);
                }};
    const std::int64_t units = y[0] * height;
    return {.parts = split_parts(units, line_bytes), .writes = 1, .run = [=](const KernelArgs& args, const Part& part) {
                auto [at, end] = piece(part, units);
                while (at < end) {
                    const std::int64_t n = at / height, stop = std::min(end, (n + 1) * height);
                    lines(args, n, at - n * height, stop - n * height);
                    at = stop;
                }
            }};
}

std::optional<Kernel> max_pool(const Node& node, const PlanContext& context, const Int8Layout& source) {
    const Shape &x = node.inputs[0].shape(), &y = node.outputs[0].shape;
    if (node.op->name != "max_pool2d" || context.is_read(node, 1)) return {};
    const auto kernel_size = node.attrs.integers("kernel"), stride = node.attrs.integers("stride"), pad = node.attrs.integers("pad");
    const auto dilation = node.attrs.has("dilation") ? node.attrs.integers("dilation") : std::vector<std::int64_t>{1, 1};
    const BytePool g{x[1], x[2], x[3], y[2], y[3], kernel_size[0], kernel_size[1], stride[0], stride[1], pad[0], pad[2], dilation[0], dilation[1]};
    Kernel kernel;
    kernel.name = std::string("simd:") + int8_simd().name;
    kernel.in = {context.stored(node.inputs[0])};
    kernel.out = {std::make_shared<Int8Layout>(y, source.grid()), nullptr};
    const std::int64_t x_row = x.elements() / x[0], y_row = y.elements() / y[0], line = y[1] * y[3];
    kernel.phases.push_back(by_lines(context, y, line * g.kernel_h * g.kernel_w, [=, is_signed = source.is_signed()](const KernelArgs& args, std::int64_t n, std::int64_t begin, std::int64_t end) {
        int8_simd().max_pool(args.out[0] + n * y_row, args.in[0] + n * x_row, g, is_signed, begin, end);
    }));
    return kernel;
}

/// The part of an axis a window covers, and what its sum is divided by.
std::vector<PoolSpan> spans(const Node& node, int axis, std::int64_t size, std::int64_t count) {
    if (node.op->name == "avg_pool2d") return avg_pool_spans(node.attrs, axis, size, count);
    std::vector<PoolSpan> all;
    for (std::int64_t o = 0; o < count; ++o) {
        const std::int64_t begin = o * size / count, end = ((o + 1) * size + count - 1) / count;
        all.push_back({begin, end, end - begin});
    }
    return all;
}

std::optional<Kernel> avg_pool(const Node& node, const PlanContext& context, const Int8Layout& source) {
    const Shape &x = node.inputs[0].shape(), &y = node.outputs[0].shape;
    const auto rows = spans(node, 0, x[2], y[2]), columns = spans(node, 1, x[3], y[3]);
    const Int8Output output(node, context);
    Kernel kernel;
    kernel.name = std::string("simd:") + int8_simd().name;
    kernel.in = {context.stored(node.inputs[0])};
    kernel.out = {output.layout};
    if (output.through) kernel.through = {output.through};
    const std::int64_t channels = x[1], width = x[3], x_row = x.elements() / x[0], y_row = y.elements() / y[0], out_width = y[3];
    kernel.workspace_bytes = static_cast<std::size_t>(channels) * 8;
    kernel.phases.push_back(by_lines(context, y, out_width * channels * 4, [=, grid = source.grid(), is_signed = source.is_signed()](const KernelArgs& args, std::int64_t n, std::int64_t begin, std::int64_t end) {
        auto* sums = reinterpret_cast<std::int32_t*>(args.workspace);
        float* means = as_f32(args.workspace) + channels;
        for (std::int64_t p = begin; p < end; ++p)
            for (std::int64_t q = 0; q < out_width; ++q) {
                const PoolSpan &r = rows[static_cast<std::size_t>(p)], &s = columns[static_cast<std::size_t>(q)];
                std::fill_n(sums, channels, static_cast<std::int32_t>(-grid.zero_point * (r.end - r.begin) * (s.end - s.begin)));
                for (std::int64_t h = r.begin; h < r.end; ++h)
                    int8_simd().add_pixels(sums, args.in[0] + n * x_row + (h * width + s.begin) * channels, s.end - s.begin, channels, channels, is_signed);
                const float scale = static_cast<float>(grid.scale / static_cast<double>(r.counted * s.counted));
                for (std::int64_t c = 0; c < channels; ++c) means[c] = static_cast<float>(sums[c]) * scale;
                output.write(args.out[0], n * y_row + (p * out_width + q) * channels, means, channels);
            }
    }));
    return kernel;
}

/// The mean or sum of each map.
std::optional<Kernel> map_sums(const Node& node, const PlanContext& context, const Int8Layout& source) {
    const Shape &x = node.inputs[0].shape(), &y = node.outputs[0].shape;
    std::vector<std::int64_t> axes = node.attrs.integers("axes");
    for (auto& a : axes) a = a < 0 ? a + 4 : a;
    std::ranges::sort(axes);
    if (axes != std::vector<std::int64_t>{2, 3} || y.elements() != x[0] * x[1]) return {};
    Kernel kernel;
    kernel.name = std::string("simd:") + int8_simd().name;
    kernel.in.resize(node.inputs.size());
    kernel.in[0] = context.stored(node.inputs[0]);
    kernel.out.resize(1);
    const std::int64_t channels = x[1], pixels = x[2] * x[3];
    const float scale = static_cast<float>(source.grid().scale / static_cast<double>(node.op->name == "mean" ? pixels : 1));
    kernel.workspace_bytes = static_cast<std::size_t>(channels) * 4;
    kernel.phases.push_back({.kind = Phase::Kind::rows, .reads = 1, .row_reads = 1, .run = [=, zero = source.grid().zero_point, is_signed = source.is_signed()](const KernelArgs& args, const Part& part) {
                                 auto* sums = reinterpret_cast<std::int32_t*>(args.workspace);
                                 for (std::int64_t n = part.begin; n < part.end; ++n) {
                                     std::fill_n(sums, channels, static_cast<std::int32_t>(-zero * pixels));
                                     int8_simd().add_pixels(sums, args.in[0] + n * pixels * channels, pixels, channels, channels, is_signed);
                                     for (std::int64_t c = 0; c < channels; ++c) as_f32(args.out[0])[n * channels + c] = static_cast<float>(sums[c]) * scale;
                                 }
                             }});
    return kernel;
}

}  // namespace

std::optional<Kernel> plan_int8_pool(const Node& node, const PlanContext& context) {
    const Int8Layout* source = stored_int8(node.inputs[0], context);
    const Shape &x = node.inputs[0].shape(), &y = node.outputs[0].shape;
    if (!source || x.rank() != 4 || x[0] != context.rows || y.elements() == 0) return {};
    if (node.op->name == "mean" || node.op->name == "sum") return map_sums(node, context, *source);
    if (node.op->name == "avg_pool2d" || node.op->name == "adaptive_avg_pool2d") return avg_pool(node, context, *source);
    return max_pool(node, context, *source);
}

std::optional<Kernel> plan_int8_concat(const Node& node, const PlanContext& context) {
    const Shape& y = node.outputs[0].shape;
    if (node.op->name != "concat" || node.attrs.integer("axis") != 1 || y.rank() != 4 || y[0] != context.rows || y.elements() == 0) return {};
    const Int8Layout* first = stored_int8(node.inputs[0], context);
    for (const Value& input : node.inputs) {
        const Int8Layout* source = stored_int8(input, context);
        if (!source || !(source->grid() == first->grid())) return {};
    }
    Kernel kernel;
    kernel.name = "copies";
    std::vector<std::int64_t> widths;
    for (const Value& input : node.inputs) kernel.in.push_back(context.stored(input)), widths.push_back(input.shape()[1]);
    kernel.out = {std::make_shared<Int8Layout>(y, first->grid())};
    kernel.phases.push_back(over_pixels(context, y[0], y[2] * y[3], y[1], ~0u, [widths, pitch = y[1]](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
        std::int64_t at = 0;
        for (std::size_t i = 0; i < widths.size(); ++i) {
            for (std::int64_t p = begin; p < end; ++p) std::copy_n(args.in[i] + p * widths[i], widths[i], args.out[0] + p * pitch + at);
            at += widths[i];
        }
    }));
    return kernel;
}

}  // namespace fovea::cpu
