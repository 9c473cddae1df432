// Two direct convolutions, compiled once per instruction set; thin_conv_gradient.h has the weight gradient. Every output is one chain of
// multiply-adds over the taps in order, starting from the bias, so neither the blocks nor the pieces the work is cut into change a bit of it.
//
// by_pixels: a vector holds 16 pixels of a line and a tap is one (unaligned) load of the input; filters are broadcast. Lines are computed in
// pairs: with 24 columns, two vectors for the first 16 of each line and one whose halves are the last 8 of both. What a pair gives is kept
// planar in the first-level cache (pooled first, where the network pools) and transposed on its way out.
// by_filters: a vector holds filters, the input is broadcast; a block is two lines by up to eight columns.
#include "backends/cpu/thin_conv.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/thin_conv_simd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backends/cpu/thin_conv_gradient.h"
#include "backends/cpu/thin_conv_lines.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::cpu::HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR  // nothing to gain: the planner leaves the node to others
ThinConvKernels thin_conv_table() { return {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, transpose}; }
#else

// 32 vector registers hold 8 x 3 sums, 16 hold 4 x 3.
constexpr int most_filters = HWY_MAX_BYTES == 64 ? 8 : 4;
constexpr int most_columns = HWY_MAX_BYTES == 64 ? 8 : 6;

/// The larger value; a NaN beats every number (Max gives b where either is one).
HWY_INLINE V larger(V a, V b) { return hn::IfThenElse(hn::Eq(a, a), hn::Max(a, b), a); }
/// NaN compares false and is passed on.
HWY_INLINE V rectified(V v) { return hn::IfThenZeroElse(hn::Lt(v, hn::Zero(D())), v); }

/// What a block of two lines needs.
struct Block {
    const float* upper;           ///< input of the first line's first column
    const float* lower;           ///< of the second line
    const float* weight;          ///< [taps, K]
    const float* bias;            ///< or null
    const std::int32_t* offsets;  ///< of the taps
    std::int64_t taps;
    float* first;                 ///< results of filter 0, planar with `pitch`: of the first line or the pooled one
    float* second;                ///< of the second line
    std::int64_t pitch;
    bool rectifies, pools;
};

/// K filters on a vector of both lines from column q on and, with_halves, on the half vectors of both behind them.
template <int K, bool with_halves> HWY_INLINE void run_block(const Block& b, std::int64_t q) {
    constexpr int N = with_halves ? 3 : 2;
    const D d;
    const hn::Half<D> half;
    V sums[K][N];
    for (int k = 0; k < K; ++k) {
        const V start = b.bias ? hn::Set(d, b.bias[k]) : hn::Zero(d);
        for (int n = 0; n < N; ++n) sums[k][n] = start;
    }
    const float *upper = b.upper + q, *lower = b.lower + q, *weight = b.weight;
    for (std::int64_t t = 0; t < b.taps; ++t, weight += K) {
        const std::int32_t at = b.offsets[t];
        V x[N];
        x[0] = hn::LoadU(d, upper + at), x[1] = hn::LoadU(d, lower + at);
        if constexpr (with_halves) x[2] = hn::Combine(d, hn::LoadU(half, lower + at + lanes), hn::LoadU(half, upper + at + lanes));
        for (int k = 0; k < K; ++k) {
            const V w = hn::Set(d, weight[k]);
            for (int n = 0; n < N; ++n) sums[k][n] = hn::MulAdd(x[n], w, sums[k][n]);
        }
    }
    for (int k = 0; k < K; ++k) {
        float* first = b.first + k * b.pitch;
        if (b.pools) {
            const V low = larger(sums[k][0], sums[k][1]);
            V high = low;
            if constexpr (with_halves) high = larger(sums[k][2], hn::Combine(d, hn::LowerHalf(half, sums[k][2]), hn::UpperHalf(half, sums[k][2])));
            const V pooled = larger(hn::ConcatEven(d, high, low), hn::ConcatOdd(d, high, low));
            hn::StoreU(b.rectifies ? rectified(pooled) : pooled, d, first + q / 2);
        } else {
            if (b.rectifies)
                for (int n = 0; n < N; ++n) sums[k][n] = rectified(sums[k][n]);
            float* second = b.second + k * b.pitch;
            hn::StoreU(sums[k][0], d, first + q);
            hn::StoreU(sums[k][1], d, second + q);
            if constexpr (with_halves) {
                hn::StoreU(hn::LowerHalf(half, sums[k][2]), half, first + q + lanes);
                hn::StoreU(hn::UpperHalf(half, sums[k][2]), half, second + q + lanes);
            }
        }
    }
}

/// Two lines of K filters.
template <int K> void run_lines(const Block& b, std::int64_t columns) {
    std::int64_t q = 0;
    for (; columns - q > lanes + lanes / 2; q += lanes) run_block<K, false>(b, q);
    if (columns - q > lanes) run_block<K, true>(b, q);
    else run_block<K, false>(b, q);
}

using RunLines = void (*)(const Block&, std::int64_t);
RunLines lines_of(int filters) {
    if constexpr (most_filters == 8) {
        constexpr RunLines table[] = {run_lines<1>, run_lines<2>, run_lines<3>, run_lines<4>, run_lines<5>, run_lines<6>, run_lines<7>, run_lines<8>};
        return table[filters - 1];
    } else {
        constexpr RunLines table[] = {run_lines<1>, run_lines<2>, run_lines<3>, run_lines<4>};
        return table[filters - 1];
    }
}

/// Filters go in groups of nearly equal size.
std::int64_t groups_of(const ThinConv& g) { return (g.filters + most_filters - 1) / most_filters; }
std::int64_t line_pitch(const ThinConv& g) { return rounded(g.out_width) + most_lanes; }

std::int64_t pixels_work(const ThinConv& g, std::int64_t units) {
    return rounded(g.taps() * g.filters) + rounded(g.taps()) + Planes(g, units).floats(g) + 2 * g.filters * line_pitch(g);
}

void by_pixels(float* y, const float* x, const float* weight, const float* bias, float* work, const ThinConv& g, std::int64_t samples, std::int64_t begin, std::int64_t end, bool has_more) {
    const Planes planes(g, end - begin);
    const std::int64_t taps = g.taps(), groups = groups_of(g), pitch = line_pitch(g);
    float* packed = work;
    auto* offsets = reinterpret_cast<std::int32_t*>(packed + rounded(taps * g.filters));
    float* copied = reinterpret_cast<float*>(offsets) + rounded(taps);
    float* first = copied + planes.floats(g);
    float* second = first + g.filters * pitch;
    for (std::int64_t c = 0, t = 0; c < g.channels; ++c)
        for (std::int64_t r = 0; r < g.kernel_h; ++r)
            for (std::int64_t s = 0; s < g.kernel_w; ++s, ++t)
                offsets[t] = static_cast<std::int32_t>(c * planes.plane + r * planes.line + s % g.stride_w * planes.columns + s / g.stride_w);
    for (std::int64_t group = 0; group < groups; ++group) {
        const std::int64_t from = g.filters * group / groups, to = g.filters * (group + 1) / groups;
        transpose(packed + from * taps, to - from, weight + from * taps, taps, to - from, taps);
    }
    const std::int64_t x_size = g.channels * g.height * g.width, out_columns = g.pools ? g.out_width / 2 : g.out_width;
    const std::int64_t y_size = (g.pools ? g.out_height / 2 : g.out_height) * out_columns * g.filters;
    for (std::int64_t n = 0; n < samples; ++n, x += x_size, y += y_size) {
        std::int64_t first_line = 2 * begin * g.stride_h;
        const float* source = copied;
        if (!planes.is_direct) {
            fill(copied, x, g, planes, first_line - g.before_h, Planes::lines(g, end - begin));
        } else if ((n + 1 == samples && !has_more) || x_size < most_lanes) {  // vectors would reach past the end of the input
            move(copied, x, x_size);
            source += first_line * planes.line;
        } else {
            source = x + first_line * planes.line;
        }
        for (std::int64_t unit = begin; unit < end; ++unit) {
            const std::int64_t line = 2 * unit;
            const bool is_single = line + 1 == g.out_height;
            Block block;
            block.upper = source + (line - 2 * begin) * g.stride_h * planes.line;
            block.lower = block.upper + (is_single ? 0 : g.stride_h * planes.line);
            block.offsets = offsets, block.taps = taps, block.pitch = pitch, block.rectifies = g.rectifies, block.pools = g.pools;
            for (std::int64_t group = 0; group < groups; ++group) {
                const std::int64_t from = g.filters * group / groups, to = g.filters * (group + 1) / groups;
                block.weight = packed + from * taps;
                block.bias = bias ? bias + from : nullptr;
                block.first = first + from * pitch;
                block.second = second + from * pitch;
                lines_of(static_cast<int>(to - from))(block, g.pools ? 2 * out_columns : out_columns);
            }
            float* out = y + (g.pools ? unit : line) * out_columns * g.filters;
            transpose(out, g.filters, first, pitch, g.filters, out_columns);
            if (!g.pools && !is_single) transpose(out + out_columns * g.filters, g.filters, second, pitch, g.filters, out_columns);
        }
    }
}

/// One vector of filters on two lines by M columns.
struct Tile {
    const float* upper;
    const float* lower;
    const float* weight;  ///< [R, S * C, K] at the vector's first filter
    std::int64_t pixel, line, rows, run, filters;  ///< floats from one output's input to the next, of an input line; taps: rows x run
    V bias;
    hn::Mask<D> mask;
    float* first;
    float* second;  ///< null where there is one line
    bool is_masked, rectifies, pools;
};

template <int M, bool is_masked> HWY_INLINE void run_tile(const Tile& t) {
    const D d;
    V above[M], below[M];
    for (int m = 0; m < M; ++m) above[m] = below[m] = t.bias;
    // One address per column and one index per line: there are registers for those.
    const float* weight = t.weight;
    const float* column[M];
    for (int m = 0; m < M; ++m) column[m] = t.upper + m * t.pixel;
    const std::int64_t below_it = t.lower - t.upper;
    for (std::int64_t r = 0; r < t.rows; ++r) {
        const std::int64_t end = r * t.line + t.run;
        for (std::int64_t j = r * t.line, i = j + below_it; j < end; ++j, ++i, weight += t.filters) {
            const V w = is_masked ? hn::MaskedLoad(t.mask, d, weight) : hn::LoadU(d, weight);
            for (int m = 0; m < M; ++m) {
                above[m] = hn::MulAdd(hn::Set(d, column[m][j]), w, above[m]);
                below[m] = hn::MulAdd(hn::Set(d, column[m][i]), w, below[m]);
            }
        }
    }
    const auto store = [&](V v, float* to) HWY_ATTR {
        if (is_masked) hn::BlendedStore(v, t.mask, d, to);
        else hn::StoreU(v, d, to);
    };
    if (t.pools) {
        for (int m = 0; m + 1 < M; m += 2) {
            const V pooled = larger(larger(above[m], above[m + 1]), larger(below[m], below[m + 1]));
            store(t.rectifies ? rectified(pooled) : pooled, t.first + m / 2 * t.filters);
        }
        return;
    }
    if (t.rectifies)
        for (int m = 0; m < M; ++m) above[m] = rectified(above[m]), below[m] = rectified(below[m]);
    for (int m = 0; m < M; ++m) {
        store(above[m], t.first + m * t.filters);
        if (t.second) store(below[m], t.second + m * t.filters);
    }
}

template <int M> void run_last(const Tile& t, std::int64_t columns) {
    if constexpr (M > 0) {
        if (columns == M) t.is_masked ? run_tile<M, true>(t) : run_tile<M, false>(t);
        else run_last<M - 1>(t, columns);
    }
}

std::int64_t filters_work(const ThinConv& g, std::int64_t units) {
    return g.is_padded() ? rounded(((2 * units - 1) * g.stride_h + g.kernel_h) * ((g.out_width - 1) * g.stride_w + g.kernel_w) * g.channels) : 0;
}

void by_filters(float* y, const float* x, const float* weight, const float* bias, float* work, const ThinConv& g, std::int64_t samples, std::int64_t begin, std::int64_t end) {
    const D d;
    const bool is_padded = g.is_padded();
    const std::int64_t columns = is_padded ? (g.out_width - 1) * g.stride_w + g.kernel_w : g.width, line = columns * g.channels;
    const std::int64_t x_size = g.channels * g.height * g.width, out_columns = g.pools ? g.out_width / 2 : g.out_width;
    const std::int64_t y_size = (g.pools ? g.out_height / 2 : g.out_height) * out_columns * g.filters, computed = g.pools ? 2 * out_columns : out_columns;
    Tile t;
    t.pixel = g.stride_w * g.channels, t.line = line, t.rows = g.kernel_h, t.run = g.kernel_w * g.channels, t.filters = g.filters;
    t.rectifies = g.rectifies, t.pools = g.pools;
    // Tiles of equal width: whole pairs of columns, for the pooling.
    const std::int64_t tiles = (computed + most_columns - 1) / most_columns, tile = ((computed + tiles - 1) / tiles + 1) / 2 * 2;
    for (std::int64_t n = 0; n < samples; ++n, x += x_size, y += y_size) {
        const std::int64_t first_line = 2 * begin * g.stride_h - g.before_h;
        const float* source = x + first_line * line;
        if (is_padded) {
            source = work;
            const std::int64_t left = std::min(g.before_w, columns), kept = std::clamp<std::int64_t>(g.width, 0, columns - left);
            for (std::int64_t l = 0; l < (2 * (end - begin) - 1) * g.stride_h + g.kernel_h; ++l) {
                float* to = work + l * line;
                const std::int64_t h = first_line + l;
                const bool is_inside = h >= 0 && h < g.height;
                std::fill_n(to, (is_inside ? left : columns) * g.channels, 0.0f);
                if (!is_inside) continue;
                move(to + left * g.channels, x + h * g.width * g.channels, kept * g.channels);
                std::fill(to + (left + kept) * g.channels, to + line, 0.0f);
            }
        }
        for (std::int64_t unit = begin; unit < end; ++unit) {
            const bool is_single = 2 * unit + 1 == g.out_height;
            const float* upper = source + 2 * (unit - begin) * g.stride_h * line;
            const float* lower = upper + (is_single ? 0 : g.stride_h * line);
            float* out = y + (g.pools ? unit : 2 * unit) * out_columns * g.filters;
            for (std::int64_t k = 0; k < g.filters; k += lanes) {
                t.is_masked = k + lanes > g.filters;
                t.mask = hn::FirstN(d, static_cast<std::size_t>(std::min(lanes, g.filters - k)));
                t.bias = bias ? hn::MaskedLoad(t.mask, d, bias + k) : hn::Zero(d);
                t.weight = weight + k;
                for (std::int64_t q = 0; q < computed; q += tile) {
                    t.upper = upper + q * t.pixel, t.lower = lower + q * t.pixel;
                    t.first = out + (g.pools ? q / 2 : q) * g.filters + k;
                    t.second = is_single ? nullptr : t.first + out_columns * g.filters;
                    run_last<most_columns>(t, std::min(tile, computed - q));
                }
            }
        }
    }
}

ThinConvKernels thin_conv_table() { return {by_pixels, by_filters, gradient, gradient_work, pixels_work, filters_work, transpose}; }
#endif

}  // namespace fovea::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea::cpu {

HWY_EXPORT(thin_conv_table);

const ThinConvKernels& thin_conv() {
    static const ThinConvKernels chosen = HWY_DYNAMIC_DISPATCH(thin_conv_table)();
    return chosen;
}

}  // namespace fovea::cpu
#endif
