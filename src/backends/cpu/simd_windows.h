// Max pooling and resampling: each pixel of the result from a few of the input, all channels at a time.
#if defined(FOVEA_SIMD_WINDOWS) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_SIMD_WINDOWS
#undef FOVEA_SIMD_WINDOWS
#else
#define FOVEA_SIMD_WINDOWS
#endif

#include <algorithm>
#include <cstring>
#include <limits>

#include "backends/cpu/simd.h"
#include "backends/cpu/simd_vectors.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::cpu::HWY_NAMESPACE {
namespace {

/// The maxima of `count` places (pixels) over the channels from c on, and where they are.
template <class E, class I>
HWY_INLINE void window_maxima(E* y, std::int32_t* where, const E* x, const std::int32_t* places, int count, std::int32_t base, std::int64_t channels, std::int64_t pixel, I places_tag) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    for_channels(channels, [&](std::int64_t c, auto load, auto store) HWY_ATTR {
        V best = load(x + (base + places[0]) * pixel + c);
        auto place = hn::Set(places_tag, base + places[0]);
        for (int t = 1; t < count; ++t) {
            const V v = load(x + (base + places[t]) * pixel + c);
            // The first maximum wins; a NaN beats every number and the first NaN stays.
            const auto better = hn::Or(hn::Gt(v, best), hn::AndNot(hn::Eq(v, v), hn::Eq(best, best)));
            best = hn::IfThenElse(better, v, best);
            if (where) place = hn::IfThenElse(hn::RebindMask(places_tag, better), hn::Set(places_tag, base + places[t]), place);
        }
        store(best, y + c);
        if (where) hn::BlendedStore(place, hn::FirstN(places_tag, static_cast<std::size_t>(std::min(lanes, channels - c))), places_tag, where + c);
    });
}

template <class E> void max_pool(E* y, std::int32_t* where, const E* x, const PoolGeometry& g) {
    const hn::RebindToSigned<D> di;
    std::int32_t places[PoolGeometry::most_taps], inner[PoolGeometry::most_taps];
    // Windows that lie inside the input have the same places, counted from their first.
    for (std::int64_t r = 0, t = 0; r < g.kernel_h; ++r)
        for (std::int64_t s = 0; s < g.kernel_w; ++s, ++t) inner[t] = static_cast<std::int32_t>(r * g.dilation_h * g.width + s * g.dilation_w);
    const std::int64_t reach_h = (g.kernel_h - 1) * g.dilation_h, reach_w = (g.kernel_w - 1) * g.dilation_w;
    const bool is_two_by_two = g.kernel_h == 2 && g.kernel_w == 2;
    for (std::int64_t p = 0; p < g.out_height; ++p)
        for (std::int64_t q = 0; q < g.out_width; ++q, y += g.y_pixel, where = where ? where + g.channels : nullptr) {
            const std::int64_t top = p * g.stride_h - g.before_h, left = q * g.stride_w - g.before_w;
            if (top >= 0 && left >= 0 && top + reach_h < g.height && left + reach_w < g.width) {
                const auto base = static_cast<std::int32_t>(top * g.width + left);
                if (is_two_by_two) window_maxima(y, where, x, inner, 4, base, g.channels, g.x_pixel, di);
                else window_maxima(y, where, x, inner, static_cast<int>(g.kernel_h * g.kernel_w), base, g.channels, g.x_pixel, di);
                continue;
            }
            int count = 0;
            for (std::int64_t r = 0; r < g.kernel_h; ++r) {
                const std::int64_t h = top + r * g.dilation_h;
                if (h < 0 || h >= g.height) continue;
                for (std::int64_t s = 0; s < g.kernel_w; ++s) {
                    const std::int64_t w = left + s * g.dilation_w;
                    if (w >= 0 && w < g.width) places[count++] = static_cast<std::int32_t>(h * g.width + w);
                }
            }
            if (count > 0) {
                window_maxima(y, where, x, places, count, 0, g.channels, g.x_pixel, di);
            } else {  // a dilated window may miss the input altogether
                fill(y, -std::numeric_limits<float>::infinity(), g.channels);
                if (where) std::fill_n(where, g.channels, -1);
            }
        }
}

template <class E> void resample(E* y, const E* x, const ResampleGeometry& g, std::int64_t begin, std::int64_t end) {
    const D d;
    const auto copied = static_cast<std::size_t>(g.channels) * sizeof(E);
    for (std::int64_t p = begin; p < end; ++p) {
        const std::int32_t r0 = g.rows.start[p], r1 = g.rows.start[p + 1];
        for (std::int64_t q = 0; q < g.out_width; ++q) {
            E* to = y + (p * g.out_width + q) * g.y_channels;
            const std::int32_t s0 = g.columns.start[q], s1 = g.columns.start[q + 1];
            const auto from = [&](std::int32_t r, std::int32_t s) { return x + (g.rows.index[r] * g.in_width + g.columns.index[s]) * g.x_channels; };
            if (r0 == r1 || s0 == s1) {
                fill(to, g.value, g.channels);
            } else if (r1 - r0 == 1 && s1 - s0 == 1 && g.rows.weight[r0] * g.columns.weight[s0] == 1.0f) {
                std::memcpy(to, from(r0, s0), copied);
            } else {
                for_channels(g.channels, [&](std::int64_t c, auto load, auto store) HWY_ATTR {
                    V total = hn::Zero(d);
                    for (std::int32_t r = r0; r < r1; ++r)
                        for (std::int32_t s = s0; s < s1; ++s) total = hn::MulAdd(hn::Set(d, g.rows.weight[r] * g.columns.weight[s]), load(from(r, s) + c), total);
                    store(total, to + c);
                });
            }
        }
    }
}

}  // namespace
}  // namespace fovea::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
