// The weight gradient. A block of tiles is transformed once; then, for 16 channels by a panel of outputs at a time, the sums at all 36 points
// are made and folded to the taps before they leave the cache. Blocks are added as taps, which keeps the error that of one block.
#include "backends/cpu/winograd.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/winograd_gradient.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backends/cpu/winograd_transforms.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::cpu::HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL

/// z of the tiles first + [0, count), zero where a tile reaches past the map; their sums go to db.
template <int side, class E> void output_gradient(float* z, float* db, const E* dy, const G& g, std::int64_t first, std::int64_t count) {
    const D n;
    const std::int64_t stride = G::point_stride(count, g.outputs), line = g.out_width * g.y_pixel, ahead = tiles_ahead(g.outputs);
    for (std::int64_t t = 0; t < count; ++t, z += lanes) {
        const Tile tile(g, first + t);
        const std::int64_t lines = std::min<std::int64_t>(side, g.out_height - tile.line), columns = std::min<std::int64_t>(side, g.out_width - tile.column);
        const E* corner = dy + (tile.sample * g.out_height + tile.line) * line + tile.column * g.y_pixel;
        if (t + ahead < count) {
            const Tile next(g, first + t + ahead);
            prefetch(dy + next.sample * g.out_height * line, g.outputs, g.y_pixel, g.out_height, g.out_width, next.line, next.column, side);
        }
        for (std::int64_t k = 0; k < g.outputs; k += lanes) {
            HWY_ALIGN float half[6][side][lanes];
            V sum = hn::Zero(n);
#pragma GCC unroll 4
            for (std::int64_t j = 0; j < side; ++j) {
                V column[side], s[6];
#pragma GCC unroll 4
                for (std::int64_t i = 0; i < side; ++i) column[i] = i < lines && j < columns ? from_map(corner + i * line + j * g.y_pixel + k) : hn::Zero(n);
                if (db) {
                    if constexpr (side == 4) sum = hn::Add(sum, hn::Add(hn::Add(column[0], column[1]), hn::Add(column[2], column[3])));
                    else sum = hn::Add(sum, hn::Add(column[0], column[1]));
                }
                transform_output_gradient(column, s);
                for (int i = 0; i < 6; ++i) hn::Store(s[i], n, half[i][j]);
            }
            if (db) hn::StoreU(hn::Add(hn::LoadU(n, db + k), sum), n, db + k);
            float* to = z + k * count;
            for (int i = 0; i < 6; ++i, to += 6 * stride) {
                V row[side], s[6];
                for (int j = 0; j < side; ++j) row[j] = hn::Load(n, half[i][j]);
                transform_output_gradient(row, s);
                for (int j = 0; j < 6; ++j) hn::StoreU(s[j], n, to + j * stride);
            }
        }
    }
}

/// Sums over `count` tiles of `channels` channels times `vectors` x 16 outputs: rows of 16 * vectors in `sums`.
template <int vectors, int channels> HWY_INLINE void outer_products(float* sums, const float* v, const float* z, std::int64_t count, std::int64_t step) {
    const D n;
    V held[channels][vectors];
#pragma GCC unroll 16
    for (int c = 0; c < channels; ++c)
#pragma GCC unroll 4
        for (int k = 0; k < vectors; ++k) held[c][k] = hn::Zero(n);
    for (std::int64_t t = 0; t < count; ++t, v += lanes, z += lanes) {
        V row[vectors];
#pragma GCC unroll 4
        for (int k = 0; k < vectors; ++k) row[k] = hn::LoadU(n, z + k * step);
#pragma GCC unroll 16
        for (int c = 0; c < channels; ++c) {
            const V value = hn::Set(n, v[c]);
#pragma GCC unroll 4
            for (int k = 0; k < vectors; ++k) held[c][k] = hn::MulAdd(value, row[k], held[c][k]);
        }
    }
#pragma GCC unroll 16
    for (int c = 0; c < channels; ++c)
#pragma GCC unroll 4
        for (int k = 0; k < vectors; ++k) hn::StoreU(held[c][k], n, sums + (c * vectors + k) * lanes);
}

/// 16 channels by `vectors` x 16 outputs: the sums at all points, and their taps into (or onto) dw, whose panels lie `panel` floats apart.
template <int taps, int vectors, int channels>
void square(float* dw, bool adds, float* sums, const float* v, const float* z, std::int64_t v_stride, std::int64_t z_stride, std::int64_t count, std::int64_t panel) {
    const D n;
    for (std::int64_t p = 0; p < points; ++p)
        for (std::int64_t c = 0; c < lanes; c += channels)
            outer_products<vectors, channels>(sums + p * G::sum_stride + c * vectors * lanes, v + p * v_stride + c, z + p * z_stride, count, count * lanes);
    for (std::int64_t c = 0; c < lanes; ++c)
        for (std::int64_t k = 0; k < vectors; ++k) {
            const float* from = sums + (c * vectors + k) * lanes;
            V half[taps][6];
#pragma GCC unroll 6
            for (int j = 0; j < 6; ++j) {
                V column[6], s[taps];
#pragma GCC unroll 6
                for (int i = 0; i < 6; ++i) column[i] = hn::LoadU(n, from + (i * 6 + j) * G::sum_stride);
                transform_weight_gradient(column, s);
                for (int i = 0; i < taps; ++i) half[i][j] = s[i];
            }
            float* to = dw + k * panel + c * lanes;
#pragma GCC unroll 5
            for (int i = 0; i < taps; ++i) {
                V s[taps];
                transform_weight_gradient(half[i], s);
#pragma GCC unroll 5
                for (int j = 0; j < taps; ++j) {
                    float* tap = to + (i * taps + j) * lanes * lanes;
                    hn::StoreU(adds ? hn::Add(hn::LoadU(n, tap), s[j]) : s[j], n, tap);
                }
            }
        }
}

using Square = void (*)(float*, bool, float*, const float*, const float*, std::int64_t, std::int64_t, std::int64_t, std::int64_t);
// By vectors of outputs: 16 or 24 sums in registers.
template <int taps> constexpr Square squares[] = {square<taps, 1, 16>, square<taps, 2, 8>, square<taps, 3, 8>, square<taps, 4, 4>};

template <int taps, class E> void weight_gradient_of(float* dw, float* db, const E* x, const E* dy, float* work, const G& g, std::int64_t begin, std::int64_t end) {
    float *v = work, *z = v + points * G::point_stride(g.block, g.channels), *sums = z + points * G::point_stride(g.block, g.outputs), *zeros = sums + points * G::sum_stride;
    std::fill_n(zeros, g.channels, 0.0f);
    if (db) std::fill_n(db, g.outputs, 0.0f);
    const std::int64_t blocks = (end - begin + g.block - 1) / g.block, panel = g.channels / lanes * taps * taps * lanes * lanes;
    for (std::int64_t i = 0, first = begin; i < blocks; ++i) {
        const std::int64_t last = begin + (end - begin) * (i + 1) / blocks, count = last - first;
        const std::int64_t v_stride = G::point_stride(count, g.channels), z_stride = G::point_stride(count, g.outputs);
        input(v, x, zeros, g, first, count, 0, count);
        output_gradient<7 - taps>(z, db, dy, g, first, count);
        for (std::int64_t k = 0; k < g.outputs; k += G::panel) {
            const auto vectors = static_cast<std::size_t>(std::min(G::panel, g.outputs - k) / lanes);
            for (std::int64_t c = 0; c < g.channels; c += lanes)
                squares<taps>[vectors - 1](dw + k / lanes * panel + c * taps * taps * lanes, i > 0, sums, v + c * count, z + k * count, v_stride, z_stride, count, panel);
        }
        first = last;
    }
}
template <class E> void weight_gradient(float* dw, float* db, const E* x, const E* dy, float* work, const G& g, std::int64_t begin, std::int64_t end) {
    g.taps == 5 ? weight_gradient_of<5>(dw, db, x, dy, work, g, begin, end) : weight_gradient_of<3>(dw, db, x, dy, work, g, begin, end);
}

#else

template <class E> void weight_gradient(float*, float*, const E*, const E*, float*, const WinogradGeometry&, std::int64_t, std::int64_t) {}

#endif

void full_gradient(float* dw, float* db, const float* x, const float* dy, float* work, const WinogradGeometry& g, std::int64_t begin, std::int64_t end) {
    weight_gradient(dw, db, x, dy, work, g, begin, end);
}
void half_gradient(float* dw, float* db, const Bf16* x, const Bf16* dy, float* work, const WinogradGeometry& g, std::int64_t begin, std::int64_t end) {
    weight_gradient(dw, db, x, dy, work, g, begin, end);
}

}  // namespace
}  // namespace fovea::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea::cpu {

HWY_EXPORT(full_gradient);
HWY_EXPORT(half_gradient);

void winograd_weight_gradient(float* dw, float* db, const float* x, const float* dy, float* work, const WinogradGeometry& geometry, std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(full_gradient)(dw, db, x, dy, work, geometry, begin, end);
}
void winograd_weight_gradient(float* dw, float* db, const Bf16* x, const Bf16* dy, float* work, const WinogradGeometry& geometry, std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(half_gradient)(dw, db, x, dy, work, geometry, begin, end);
}

}  // namespace fovea::cpu
#endif
