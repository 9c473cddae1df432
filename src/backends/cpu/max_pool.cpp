// Max pooling, channels last: a window's values are compared a vector of channels at a time.
#include <cstring>

#include "backends/cpu/bf16.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"

namespace fovea::cpu {

namespace {

/// Adaptive windows are ordinary ones where the output divides the input.
bool is_regular(const Shape& x, const Shape& y) { return x[2] % y[2] == 0 && x[3] % y[3] == 0; }

PoolGeometry geometry_of(const Attrs& attrs, const Shape& x, const Shape& y, std::int64_t x_pixel, std::int64_t y_pixel) {
    if (attrs.has("output"))
        return {.channels = x[1], .height = x[2], .width = x[3], .out_height = y[2], .out_width = y[3], .kernel_h = x[2] / y[2], .kernel_w = x[3] / y[3], .stride_h = x[2] / y[2],
                .stride_w = x[3] / y[3], .before_h = 0, .before_w = 0, .dilation_h = 1, .dilation_w = 1, .x_pixel = x_pixel, .y_pixel = y_pixel};
    const auto kernel = attrs.integers("kernel"), stride = attrs.integers("stride"), pad = attrs.integers("pad");
    const auto dilation = attrs.has("dilation") ? attrs.integers("dilation") : std::vector<std::int64_t>{1, 1};
    return {.channels = x[1], .height = x[2], .width = x[3], .out_height = y[2], .out_width = y[3], .kernel_h = kernel[0], .kernel_w = kernel[1], .stride_h = stride[0], .stride_w = stride[1],
            .before_h = pad[0], .before_w = pad[2], .dilation_h = dilation[0], .dilation_w = dilation[1], .x_pixel = x_pixel, .y_pixel = y_pixel};
}

}  // namespace

std::optional<Kernel> plan_pool(const Node& node, const PlanContext& context) {
    const bool backward = node.op->name == "max_pool2d_backward";
    const bool adaptive = node.op->name == "adaptive_max_pool2d";
    if (!backward && !adaptive && node.op->name != "max_pool2d") return {};
    const Shape& x = backward ? node.outputs[0].shape : node.inputs[0].shape();
    const Shape& y = backward ? node.inputs[0].shape() : node.outputs[0].shape;
    if (x.rank() != 4 || y.rank() != 4 || x[0] != context.rows || y.elements() == 0) return {};
    if (adaptive && !is_regular(x, y)) return {};
    // The gradient does not say what the windows were: any places will do, so it scatters.
    const std::int64_t x_row = x.elements() / x[0], y_row = y.elements() / y[0];
    Kernel kernel;
    kernel.name = std::string("simd:") + simd().name;
    if (!backward) {
        const bool half = is_half(node.inputs[0], context);
        const Layout source = source_of(node.inputs[0], context, half), target = home_of(node, 0, context, half);
        const PoolGeometry geometry = geometry_of(node.attrs, x, y, pixel_stride(source, x), pixel_stride(target, y));
        if (geometry.kernel_h * geometry.kernel_w > PoolGeometry::most_taps) return {};
        kernel.in = {source};
        kernel.out = {target, channels_last(y)};
        const std::int64_t x_map = x[2] * x[3] * geometry.x_pixel, y_map = y[2] * y[3] * geometry.y_pixel;
        const bool asks_where = context.is_read(node, 1);
        kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 1, .writes = asks_where ? 0b11u : 1u, .run = [=](const KernelArgs& args, const Part& part) {
                                     with_element(half, [&]<class E>(E) {
                                         for (std::int64_t n = part.begin; n < part.end; ++n)
                                             simd().maps<E>().max_pool(as<E>(args.out[0]) + n * y_map, asks_where ? as<std::int32_t>(args.out[1]) + n * y_row : nullptr,
                                                                       as<E>(args.in[0]) + n * x_map, geometry);
                                     });
                                 }});
        return kernel;
    }
    const bool half = is_half(node.inputs[0], context);
    kernel.in = {map_layout(y, half), channels_last(y), nullptr};
    kernel.out = {map_layout(x, half)};
    if (half) kernel.workspace_bytes = static_cast<std::size_t>(x_row + y[1]) * 4;  // sums in f32
    kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 0b11, .run = [=, channels = x[1], windows = y[2] * y[3], pixels = x[2] * x[3]](const KernelArgs& args, const Part& part) {
                                 for (std::int64_t n = part.begin; n < part.end; ++n) {
                                     float* dx = half ? as_f32(args.workspace) : as_f32(args.out[0]) + n * x_row;
                                     float* one = as_f32(args.workspace) + x_row;  // a window's gradients
                                     const std::int32_t* where = reinterpret_cast<const std::int32_t*>(args.in[1]) + n * y_row;
                                     std::memset(dx, 0, static_cast<std::size_t>(x_row) * 4);
                                     for (std::int64_t i = 0; i < windows; ++i) {
                                         if (half) simd().from_bf16(one, as_bf16(args.in[0]) + n * y_row + i * channels, channels);
                                         const float* dy = half ? one : as_f32(args.in[0]) + n * y_row + i * channels;
                                         for (std::int64_t c = 0; c < channels; ++c) {
                                             const std::int64_t place = where[i * channels + c];
                                             if (place >= 0 && place < pixels) dx[place * channels + c] += dy[c];
                                         }
                                     }
                                     if (half) simd().to_bf16(as_bf16(args.out[0]) + n * x_row, dx, x_row);
                                 }
                             }});
    return kernel;
}

}  // namespace fovea::cpu
