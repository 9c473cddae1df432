// The weight gradient of a convolution of few channels: a vector holds 16 pixels of a line, as in by_pixels; each weight's vector of partial sums is
// added up at the end. Compiled once for each instruction set.
#if defined(FOVEA_THIN_CONV_GRADIENT) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_THIN_CONV_GRADIENT
#undef FOVEA_THIN_CONV_GRADIENT
#else
#define FOVEA_THIN_CONV_GRADIENT
#endif

#include <algorithm>
#include <hwy/highway.h>

#include "backends/cpu/thin_conv_lines.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::cpu::HWY_NAMESPACE {
namespace {

#if HWY_TARGET != HWY_SCALAR

/// The weight gradient: K filters by S neighbouring taps of one line of the kernel, each a vector that sums over the pixels it passes.
struct Sums {
    const float* x;   ///< the taps' line of the first output line
    const float* dy;  ///< planes of the filters, lines of `pitch` floats that end in zeros
    float* sums;      ///< [K, taps] vectors, at the first filter and tap
    std::int64_t lines, pitch, dy_plane, x_step, sums_step;
    const std::int32_t* offsets;  ///< of the taps
};

template <int K, int S> void add_products(const Sums& g) {
    const D d;
    V sums[K][S];
    for (int k = 0; k < K; ++k)
        for (int s = 0; s < S; ++s) sums[k][s] = hn::LoadU(d, g.sums + k * g.sums_step + s * lanes);
    for (std::int64_t line = 0; line < g.lines; ++line) {
        const float *x = g.x + line * g.x_step, *dy = g.dy + line * g.pitch;
        for (std::int64_t q = 0; q < g.pitch; q += lanes) {
            V slope[K];
            for (int k = 0; k < K; ++k) slope[k] = hn::LoadU(d, dy + k * g.dy_plane + q);
            for (int s = 0; s < S; ++s) {
                const V v = hn::LoadU(d, x + q + g.offsets[s]);
                for (int k = 0; k < K; ++k) sums[k][s] = hn::MulAdd(v, slope[k], sums[k][s]);
            }
        }
    }
    for (int k = 0; k < K; ++k)
        for (int s = 0; s < S; ++s) hn::StoreU(sums[k][s], d, g.sums + k * g.sums_step + s * lanes);
}

// 16 registers hold 2 x 5 sums and what they are made of.
constexpr int summed_filters = HWY_MAX_BYTES == 64 ? 4 : 2, summed_taps = 5;
template <int K> void add_taps(const Sums& g, std::int64_t taps) {
    constexpr void (*table[])(const Sums&) = {add_products<K, 1>, add_products<K, 2>, add_products<K, 3>, add_products<K, 4>, add_products<K, 5>};
    table[taps - 1](g);
}
template <int K> void add_filters(const Sums& g, std::int64_t filters, std::int64_t taps) {
    if constexpr (K > 0) {
        if (filters == K) add_taps<K>(g, taps);
        else add_filters<K - 1>(g, filters, taps);
    }
}

std::int64_t gradient_work(const ThinConv& g) {
    return rounded(g.taps()) + g.filters * g.taps() * lanes + Planes(g, (g.out_height + 1) / 2, false).floats(g) + g.filters * g.out_height * rounded(g.out_width);
}

void gradient(float* dw, float* db, const float* x, const float* dy, float* work, const ThinConv& g, std::int64_t samples) {
    const D d;
    const std::int64_t units = (g.out_height + 1) / 2, taps = g.taps(), pitch = rounded(g.out_width);
    const Planes planes(g, units, false);
    auto* offsets = reinterpret_cast<std::int32_t*>(work);
    float* sums = work + rounded(taps);
    float* copied = sums + g.filters * taps * lanes;
    float* slopes = copied + planes.floats(g);
    const std::int64_t dy_plane = g.out_height * pitch;
    std::fill_n(sums, g.filters * taps * lanes, 0.0f);
    std::fill_n(slopes, g.filters * dy_plane, 0.0f);
    if (db) std::fill_n(db, g.filters, 0.0f);
    for (std::int64_t s = 0; s < g.kernel_w; ++s) offsets[s] = static_cast<std::int32_t>(s % g.stride_w * planes.columns + s / g.stride_w);
    const std::int64_t groups = (g.filters + summed_filters - 1) / summed_filters, runs = (g.kernel_w + summed_taps - 1) / summed_taps;
    for (std::int64_t n = 0; n < samples; ++n) {
        fill(copied, x + n * g.channels * g.height * g.width, g, planes, -g.before_h, Planes::lines(g, units));
        const float* from = dy + n * g.out_height * g.out_width * g.filters;
        for (std::int64_t line = 0; line < g.out_height; ++line) transpose(slopes + line * pitch, dy_plane, from + line * g.out_width * g.filters, g.filters, g.out_width, g.filters);
        for (std::int64_t group = 0; group < groups; ++group) {
            const std::int64_t k = g.filters * group / groups, filters = g.filters * (group + 1) / groups - k;
            for (std::int64_t c = 0; c < g.channels; ++c)
                for (std::int64_t r = 0; r < g.kernel_h; ++r)
                    for (std::int64_t run = 0; run < runs; ++run) {
                        const std::int64_t s = g.kernel_w * run / runs, tap = (c * g.kernel_h + r) * g.kernel_w + s;
                        add_filters<summed_filters>({.x = copied + c * planes.plane + r * planes.line, .dy = slopes + k * dy_plane, .sums = sums + (k * taps + tap) * lanes,
                                                     .lines = g.out_height, .pitch = pitch, .dy_plane = dy_plane, .x_step = g.stride_h * planes.line, .sums_step = taps * lanes,
                                                     .offsets = offsets + s},
                                                    filters, g.kernel_w * (run + 1) / runs - s);
                    }
        }
        for (std::int64_t k = 0; db && k < g.filters; ++k) {
            V total = hn::Zero(d);
            for (std::int64_t i = 0; i < dy_plane; i += lanes) total = hn::Add(total, hn::LoadU(d, slopes + k * dy_plane + i));
            db[k] += hn::GetLane(hn::SumOfLanes(d, total));
        }
    }
    for (std::int64_t i = 0; i < g.filters * taps; ++i) dw[i] = hn::GetLane(hn::SumOfLanes(d, hn::LoadU(d, sums + i * lanes)));
}

#endif

}  // namespace
}  // namespace fovea::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
