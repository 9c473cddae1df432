// The convolution: its weights' matrices, the products and what follows them.
#include "backends/cpu/winograd.h"

#include <algorithm>
#include <array>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/winograd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backends/cpu/winograd_transforms.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::cpu::HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL

template <int taps> void weights_of(float* u, const float* w, const WinogradWeights& g, std::int64_t begin, std::int64_t end) {
    const D n;
    constexpr int count = taps * taps;
    const std::int64_t contracted_blocks = g.contracted / lanes, point = g.contracted * g.outputs;
    HWY_ALIGN float values[count][lanes];
    for (std::int64_t unit = begin; unit < end; ++unit) {
        const std::int64_t k = unit / contracted_blocks * lanes, c_block = unit % contracted_blocks;
        const std::int64_t panel = k / G::panel * G::panel, width = std::min(G::panel, g.outputs - panel);
        const float* block = w + k / lanes * g.output_block + c_block * g.contracted_block;
        for (std::int64_t c = 0; c < lanes; ++c, block += g.contracted_step) {
            for (std::int64_t tap = 0; tap < count; ++tap) {
                const float* from = block + (g.is_turned ? count - 1 - tap : tap) * g.tap_step;
                if (g.output_step == 1)
                    hn::Store(hn::LoadU(n, from), n, values[tap]);
                else
                    for (std::int64_t i = 0; i < lanes; ++i) values[tap][i] = from[i * g.output_step];
            }
            HWY_ALIGN float half[6][taps][lanes];
            for (int s = 0; s < taps; ++s) {
                V column[taps], t[6];
                for (int r = 0; r < taps; ++r) column[r] = hn::Load(n, values[r * taps + s]);
                transform_weight(column, t);
                for (int i = 0; i < 6; ++i) hn::Store(t[i], n, half[i][s]);
            }
            float* to = u + panel * g.contracted + (c_block * lanes + c) * width + (k - panel);
            for (int i = 0; i < 6; ++i) {
                V row[taps], t[6];
                for (int s = 0; s < taps; ++s) row[s] = hn::Load(n, half[i][s]);
                transform_weight(row, t);
                for (int j = 0; j < 6; ++j) hn::StoreU(t[j], n, to + (i * 6 + j) * point);
            }
        }
    }
}
void weights(float* u, const float* w, const WinogradWeights& g, std::int64_t begin, std::int64_t end) {
    g.taps == 5 ? weights_of<5>(u, w, g, begin, end) : weights_of<3>(u, w, g, begin, end);
}

/// Sums of `tiles` tiles x `vectors` x 16 outputs over all channels.
template <int vectors, int tiles>
void product(float* m, const float* v, const float* u, std::int64_t blocks, std::int64_t step) {
    const D n;
    V sums[tiles][vectors];
#pragma GCC unroll 32
    for (int t = 0; t < tiles; ++t)
#pragma GCC unroll 4
        for (int k = 0; k < vectors; ++k) sums[t][k] = hn::Zero(n);
    for (std::int64_t block = 0; block < blocks; ++block, v += step)
        for (int c = 0; c < lanes; ++c, u += vectors * lanes) {
            V row[vectors];
#pragma GCC unroll 4
            for (int k = 0; k < vectors; ++k) row[k] = hn::LoadU(n, u + k * lanes);
#pragma GCC unroll 32
            for (int t = 0; t < tiles; ++t) {
                const V value = hn::Set(n, v[t * lanes + c]);
#pragma GCC unroll 4
                for (int k = 0; k < vectors; ++k) sums[t][k] = hn::MulAdd(value, row[k], sums[t][k]);
            }
        }
#pragma GCC unroll 32
    for (int t = 0; t < tiles; ++t)
#pragma GCC unroll 4
        for (int k = 0; k < vectors; ++k) hn::StoreU(sums[t][k], n, m + k * step + t * lanes);
}

using Product = void (*)(float*, const float*, const float*, std::int64_t, std::int64_t);
constexpr int most_tiles[] = {24, 12, 8, 6};  // by vectors of outputs: 24 sums stay in registers
template <int vectors, int... t> constexpr auto products_of(std::integer_sequence<int, t...>) { return std::array<Product, 24>{product<vectors, t + 1>...}; }
constexpr std::array<Product, 24> products[] = {products_of<1>(std::make_integer_sequence<int, 24>()), products_of<2>(std::make_integer_sequence<int, 12>()),
                                                products_of<3>(std::make_integer_sequence<int, 8>()), products_of<4>(std::make_integer_sequence<int, 6>())};

/// m = v u at one point of a block of `count` tiles.
void multiply_point(float* m, const float* v, const float* u, const G& g, std::int64_t count) {
    for (std::int64_t panel = 0; panel < g.outputs; panel += G::panel) {
        const int vectors = static_cast<int>(std::min(G::panel, g.outputs - panel) / lanes);
        const std::int64_t most = most_tiles[vectors - 1], groups = (count + most - 1) / most;
        for (std::int64_t i = 0, first = 0; i < groups; ++i) {
            const std::int64_t last = count * (i + 1) / groups;
            products[vectors - 1][static_cast<std::size_t>(last - first - 1)](m + panel * count + first * lanes, v + first * lanes, u + panel * g.channels, g.channels / lanes, count * lanes);
            first = last;
        }
    }
}

void multiply(float* m, const float* v, const float* u, const G& g, std::int64_t count, std::int64_t begin, std::int64_t end) {
    const std::int64_t v_stride = G::point_stride(count, g.channels), m_stride = G::point_stride(count, g.outputs);
    for (std::int64_t p = begin; p < end; ++p) multiply_point(m + p * m_stride, v + p * v_stride, u + p * g.channels * g.outputs, g, count);
}

template <int side, class E>
void output_of(E* y, const float* m, const float* bias, const E* residual, bool relu, const G& g, std::int64_t first, std::int64_t count, std::int64_t begin,
            std::int64_t end) {
    const D n;
    const V zero = hn::Zero(n);
    const std::int64_t stride = G::point_stride(count, g.outputs), map = g.out_height * g.out_width, ahead = tiles_ahead(g.outputs);
    m += begin * lanes;
    for (std::int64_t t = begin; t < end; ++t, m += lanes) {
        const Tile tile(g, first + t);
        const std::int64_t lines = std::min<std::int64_t>(side, g.out_height - tile.line), columns = std::min<std::int64_t>(side, g.out_width - tile.column);
        if (t + ahead < end) {
            const Tile next(g, first + t + ahead);
            prefetch(y + next.sample * map * g.y_pixel, g.outputs, g.y_pixel, g.out_height, g.out_width, next.line, next.column, side);
            if (residual && residual != y) prefetch(residual + next.sample * map * g.outputs, g.outputs, g.outputs, g.out_height, g.out_width, next.line, next.column, side);
        }
        const std::int64_t corner = (tile.sample * g.out_height + tile.line) * g.out_width + tile.column;
        for (std::int64_t k = 0; k < g.outputs; k += lanes) {
            const float* from = m + k * count;
            HWY_ALIGN float half[side][6][lanes];
#pragma GCC unroll 6
            for (int j = 0; j < 6; ++j) {
                V column[6], s[side];
                for (int i = 0; i < 6; ++i) column[i] = hn::LoadU(n, from + (i * 6 + j) * stride);
                transform_output(column, s);
                for (int i = 0; i < side; ++i) hn::Store(s[i], n, half[i][j]);
            }
            const V shift = bias ? hn::LoadU(n, bias + k) : zero;
            for (std::int64_t i = 0; i < lines; ++i) {
                V row[6], s[side];
                for (int j = 0; j < 6; ++j) row[j] = hn::Load(n, half[i][j]);
                transform_output(row, s);
                const std::int64_t at = corner + i * g.out_width;
#pragma GCC unroll 4
                for (std::int64_t j = 0; j < side; ++j) {
                    if (j >= columns) break;
                    V value = hn::Add(s[j], shift);
                    if (residual) value = hn::Add(value, from_map(residual + (at + j) * g.outputs + k));
                    if (relu) value = hn::IfThenZeroElse(hn::Lt(value, zero), value);
                    to_map(value, y + (at + j) * g.y_pixel + k);
                }
            }
        }
    }
}

template <class E>
void output(E* y, const float* m, const float* bias, const E* residual, bool relu, const G& g, std::int64_t first, std::int64_t count, std::int64_t begin, std::int64_t end) {
    g.taps == 5 ? output_of<2>(y, m, bias, residual, relu, g, first, count, begin, end) : output_of<4>(y, m, bias, residual, relu, g, first, count, begin, end);
}

template <class E>
void convolve(E* y, const E* x, const float* u, const float* bias, const E* residual, bool relu, float* work, const G& g, std::int64_t begin, std::int64_t end) {
    float *v = work, *m = v + points * G::point_stride(g.block, g.channels), *zeros = m + points * G::point_stride(g.block, g.outputs);
    std::fill_n(zeros, g.channels, 0.0f);
    const std::int64_t blocks = (end - begin + g.block - 1) / g.block;
    for (std::int64_t i = 0, first = begin; i < blocks; ++i) {
        const std::int64_t last = begin + (end - begin) * (i + 1) / blocks, count = last - first;
        input(v, x, zeros, g, first, count, 0, count);
        multiply(m, v, u, g, count, 0, points);
        output(y, m, bias, residual, relu, g, first, count, 0, count);
        first = last;
    }
}

template <class E> void input_step(float* v, const E* x, float* zeros, const G& g, std::int64_t begin, std::int64_t end) {
    std::fill_n(zeros, g.channels, 0.0f);
    input(v, x, zeros, g, 0, g.block, begin, end);
}
void multiply_step(float* m, const float* v, const float* u, const G& g, std::int64_t begin, std::int64_t end) { multiply(m, v, u, g, g.block, begin, end); }
template <class E> void output_step(E* y, const float* m, const float* bias, const E* residual, bool relu, const G& g, std::int64_t begin, std::int64_t end) {
    output(y, m, bias, residual, relu, g, 0, g.block, begin, end);
}

Winograd winograd_table() { return {{convolve, input_step, output_step}, {convolve, input_step, output_step}, true, hwy::TargetName(HWY_TARGET), weights, multiply_step}; }

#else

Winograd winograd_table() { return {.is_supported = false, .name = hwy::TargetName(HWY_TARGET)}; }

#endif

}  // namespace
}  // namespace fovea::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea::cpu {

HWY_EXPORT(winograd_table);

const Winograd& winograd() {
    static const Winograd chosen = HWY_DYNAMIC_DISPATCH(winograd_table)();
    return chosen;
}

}  // namespace fovea::cpu
#endif
