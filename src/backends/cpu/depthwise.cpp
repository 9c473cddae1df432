// Four outputs of a line at a time, all their channels: an input pixel is loaded once for the outputs that share it, and memory is read
// and written in whole pixels. Pixels beyond the edges are a pixel of zeros.
#include "backends/cpu/depthwise.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/depthwise.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backends/cpu/simd_activations.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
using G = DepthwiseGeometry;
constexpr int tile = 4;
constexpr int any = 0;  // a kernel size or stride known at run time only

/// A line of outputs, some of its channels, and where its pixels lie.
struct Line {
    const float* x;
    const float* zeros;
    const G& g;
    const float *weight, *bias;
    const Epilogue& epilogue;
    std::int64_t p, first_channel, last_channel;

    /// Pixel (h, w) of the map, or zeros beyond its edges.
    const float* at(std::int64_t h, std::int64_t w) const { return h < 0 || h >= g.height || w < 0 || w >= g.width ? zeros : x + (h * g.width + w) * g.x_pixel; }
};

/// f(channel, load, store) for every vector of channels, the last one masked.
template <class F> HWY_INLINE void for_channels(const Line& line, F&& f) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    std::int64_t c = line.first_channel;
    for (; c + lanes <= line.last_channel; c += lanes)
        f(c, [&](const float* at) HWY_ATTR { return hn::LoadU(d, at); }, [&](V v, float* at) HWY_ATTR { hn::StoreU(v, d, at); });
    if (c == line.last_channel) return;
    const auto mask = hn::FirstN(d, static_cast<std::size_t>(line.last_channel - c));
    f(c, [&](const float* at) HWY_ATTR { return hn::MaskedLoad(mask, d, at); }, [&](V v, float* at) HWY_ATTR { hn::BlendedStore(v, mask, d, at); });
}

/// Outputs q ... q + 3 of a line, of which output t goes to to[t]; from(r, j) is the pixel in row r and column j of those they read.
template <int kernel, int stride, class From> HWY_INLINE void sum_tile(float* const (&to)[tile], const Line& line, From from) {
    constexpr int columns = (tile - 1) * stride + kernel;
    for_channels(line, [&](std::int64_t c, auto load, auto store) HWY_ATTR {
        V sums[tile];
        const V start = line.bias ? load(line.bias + c) : hn::Zero(D());
#pragma GCC unroll 4
        for (int t = 0; t < tile; ++t) sums[t] = start;
#pragma GCC unroll 5
        for (int r = 0; r < kernel; ++r) {
            V pixels[columns];
#pragma GCC unroll 11
            for (int j = 0; j < columns; ++j) pixels[j] = load(from(r, j) + c);
#pragma GCC unroll 5
            for (int s = 0; s < kernel; ++s) {
                const V w = load(line.weight + (r * kernel + s) * line.g.tap + c);
#pragma GCC unroll 4
                for (int t = 0; t < tile; ++t) sums[t] = hn::MulAdd(pixels[t * stride + s], w, sums[t]);
            }
        }
        activations::finish(sums, line.epilogue);
#pragma GCC unroll 4
        for (int t = 0; t < tile; ++t) store(sums[t], to[t] + c);
    });
}

template <int kernel, int stride> void run_tile(float* const (&to)[tile], const Line& line, std::int64_t q) {
    const G& g = line.g;
    constexpr int columns = (tile - 1) * stride + kernel;
    const std::int64_t h = line.p * stride - g.before_h, w = q * stride - g.before_w;
    if (h >= 0 && h + kernel <= g.height && w >= 0 && w + columns <= g.width) {
        const std::int64_t pixel = g.x_pixel, row = g.width * pixel;
        const float* corner = line.x + h * row + w * pixel;
        return sum_tile<kernel, stride>(to, line, [=](int r, int j) { return corner + r * row + j * pixel; });
    }
    const float* from[kernel][columns];
    for (int r = 0; r < kernel; ++r)
        for (int j = 0; j < columns; ++j) from[r][j] = line.at(h + r, w + j);
    sum_tile<kernel, stride>(to, line, [&](int r, int j) { return from[r][j]; });
}

/// The same for every kernel size, stride and dilation.
template <> void run_tile<any, any>(float* const (&to)[tile], const Line& line, std::int64_t q) {
    const G& g = line.g;
    for_channels(line, [&](std::int64_t c, auto load, auto store) HWY_ATTR {
        V sums[tile];
        const V start = line.bias ? load(line.bias + c) : hn::Zero(D());
        for (V& sum : sums) sum = start;
        for (std::int64_t r = 0; r < g.kernel_h; ++r) {
            const std::int64_t h = line.p * g.stride_h - g.before_h + r * g.dilation_h;
            if (h < 0 || h >= g.height) continue;
            for (std::int64_t s = 0; s < g.kernel_w; ++s) {
                const V w = load(line.weight + (r * g.kernel_w + s) * g.tap + c);
#pragma GCC unroll 4
                for (int t = 0; t < tile; ++t) sums[t] = hn::MulAdd(load(line.at(h, (q + t) * g.stride_w - g.before_w + s * g.dilation_w) + c), w, sums[t]);
            }
        }
        activations::finish(sums, line.epilogue);
        for (int t = 0; t < tile; ++t) store(sums[t], to[t] + c);
    });
}

void run(float* y, const float* x, const float* weight, const float* bias, float* work, const G& g, const Epilogue& epilogue, std::int64_t begin, std::int64_t end) {
    const auto is = [&](std::int64_t kernel, std::int64_t stride) {
        return g.kernel_h == kernel && g.kernel_w == kernel && g.stride_h == stride && g.stride_w == stride && g.dilation_h == 1 && g.dilation_w == 1;
    };
    void (*const f)(float* const (&)[tile], const Line&, std::int64_t) = is(3, 1) ? run_tile<3, 1> : is(3, 2) ? run_tile<3, 2> : is(5, 1) ? run_tile<5, 1> : is(5, 2) ? run_tile<5, 2> : run_tile<any, any>;
    // So many channels at a time that the lines a line of outputs reads stay in the first-level cache for the next one.
    constexpr std::int64_t cached_floats = 10 << 10, line_bytes = 16;
    const std::int64_t floats = g.kernel_h * g.width, wanted = std::max<std::int64_t>(1, cached_floats / floats / line_bytes) * line_bytes, blocks = (g.channels + wanted - 1) / wanted;
    const std::int64_t block = ((g.channels + blocks - 1) / blocks + line_bytes - 1) / line_bytes * line_bytes;
    float *zeros = work, *spare = work + g.channels;  // where outputs past the end of the line go
    std::fill_n(zeros, g.channels, 0.0f);
    for (std::int64_t c = 0; c < g.channels; c += block)
        for (std::int64_t p = begin; p < end; ++p) {
            const Line line{x, zeros, g, weight, bias, epilogue, p, c, std::min(g.channels, c + block)};
            for (std::int64_t q = 0; q < g.out_width; q += tile) {
                float* to[tile];
                for (std::int64_t t = 0; t < tile; ++t) to[t] = q + t < g.out_width ? y + (p * g.out_width + q + t) * g.y_pixel : spare;
                f(to, line, q);
            }
        }
}

Depthwise depthwise_kernel() { return run; }

}  // namespace
}  // namespace fovea::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea::cpu {

HWY_EXPORT(depthwise_kernel);

Depthwise depthwise() {
    static const Depthwise chosen = HWY_DYNAMIC_DISPATCH(depthwise_kernel)();
    return chosen;
}

}  // namespace fovea::cpu
#endif
