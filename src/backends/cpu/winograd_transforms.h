// What the Winograd convolution and its weight gradient share, compiled once for each instruction set (so the guard is Highway's).
// The points are 0, +-5/8, +-3/2 and infinity: exact in binary, and half the error of the usual 0, +-1, +-2 (0.8e-6 against 1.9e-6 of the
// result's norm with 64 channels of normal numbers).
#if defined(FOVEA_WINOGRAD_TRANSFORMS) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_WINOGRAD_TRANSFORMS
#undef FOVEA_WINOGRAD_TRANSFORMS
#else
#define FOVEA_WINOGRAD_TRANSFORMS
#endif

#include <algorithm>

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include "backends/cpu/simd_bf16.h"
#include "backends/cpu/winograd.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL

using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
using G = WinogradGeometry;
constexpr int points = G::points, lanes = G::lanes;
constexpr float a = 0.625f, b = 1.5f, a2 = a * a, b2 = b * b;

/// B' d of six values.
HWY_INLINE void transform_input(const V (&d)[6], V (&t)[6]) {
    const D n;
    const V va = hn::Set(n, a), vb = hn::Set(n, b), va2 = hn::Set(n, a2), vb2 = hn::Set(n, b2), sum = hn::Set(n, a2 + b2), product = hn::Set(n, a2 * b2);
    t[0] = hn::MulAdd(product, d[0], hn::NegMulAdd(sum, d[2], d[4]));
    t[5] = hn::MulAdd(product, d[1], hn::NegMulAdd(sum, d[3], d[5]));
    const V even_a = hn::NegMulAdd(vb2, d[2], d[4]), odd_a = hn::NegMulAdd(vb2, d[1], d[3]);
    const V even_b = hn::NegMulAdd(va2, d[2], d[4]), odd_b = hn::NegMulAdd(va2, d[1], d[3]);
    t[1] = hn::MulAdd(va, odd_a, even_a);
    t[2] = hn::NegMulAdd(va, odd_a, even_a);
    t[3] = hn::MulAdd(vb, odd_b, even_b);
    t[4] = hn::NegMulAdd(vb, odd_b, even_b);
}

constexpr float scale_a = 1 / (2 * a2 * (a2 - b2)), scale_b = 1 / (2 * b2 * (b2 - a2));

/// G g of three or five values.
template <int taps> HWY_INLINE void transform_weight(const V (&g)[taps], V (&t)[6]) {
    const D n;
    // The values of g at a point: even powers, and odd ones over the point.
    const auto even = [&](float square) HWY_ATTR {
        if constexpr (taps == 5) return hn::MulAdd(hn::Set(n, square), hn::MulAdd(hn::Set(n, square), g[4], g[2]), g[0]);
        else return hn::MulAdd(hn::Set(n, square), g[2], g[0]);
    };
    const auto odd = [&](float square) HWY_ATTR {
        if constexpr (taps == 5) return hn::MulAdd(hn::Set(n, square), g[3], g[1]);
        else return (void)square, g[1];
    };
    t[0] = hn::Mul(hn::Set(n, 1 / (a2 * b2)), g[0]);
    t[5] = g[taps - 1];
    const V even_a = hn::Mul(hn::Set(n, scale_a), even(a2)), odd_a = hn::Mul(hn::Set(n, scale_a * a), odd(a2));
    const V even_b = hn::Mul(hn::Set(n, scale_b), even(b2)), odd_b = hn::Mul(hn::Set(n, scale_b * b), odd(b2));
    t[1] = hn::Add(even_a, odd_a);
    t[2] = hn::Sub(even_a, odd_a);
    t[3] = hn::Add(even_b, odd_b);
    t[4] = hn::Sub(even_b, odd_b);
}

/// A' m of six values: four or two.
template <int tile> HWY_INLINE void transform_output(const V (&m)[6], V (&t)[tile]) {
    const D n;
    const V sum_a = hn::Add(m[1], m[2]), sum_b = hn::Add(m[3], m[4]), difference_a = hn::Sub(m[1], m[2]), difference_b = hn::Sub(m[3], m[4]);
    t[0] = hn::Add(m[0], hn::Add(sum_a, sum_b));
    if constexpr (tile == 2) {
        t[1] = hn::MulAdd(hn::Set(n, a), difference_a, hn::MulAdd(hn::Set(n, b), difference_b, m[5]));
    } else {
        t[1] = hn::MulAdd(hn::Set(n, a), difference_a, hn::Mul(hn::Set(n, b), difference_b));
        t[2] = hn::MulAdd(hn::Set(n, a2), sum_a, hn::Mul(hn::Set(n, b2), sum_b));
        t[3] = hn::MulAdd(hn::Set(n, a2 * a), difference_a, hn::MulAdd(hn::Set(n, b2 * b), difference_b, m[5]));
    }
}

/// G' t of six values: three or five.
template <int taps> HWY_INLINE void transform_weight_gradient(const V (&t)[6], V (&g)[taps]) {
    const D n;
    const V sum_a = hn::Mul(hn::Set(n, scale_a), hn::Add(t[1], t[2])), sum_b = hn::Mul(hn::Set(n, scale_b), hn::Add(t[3], t[4]));
    const V difference_a = hn::Mul(hn::Set(n, scale_a * a), hn::Sub(t[1], t[2])), difference_b = hn::Mul(hn::Set(n, scale_b * b), hn::Sub(t[3], t[4]));
    g[0] = hn::MulAdd(hn::Set(n, 1 / (a2 * b2)), t[0], hn::Add(sum_a, sum_b));
    g[1] = hn::Add(difference_a, difference_b);
    if constexpr (taps == 3) {
        g[2] = hn::MulAdd(hn::Set(n, a2), sum_a, hn::MulAdd(hn::Set(n, b2), sum_b, t[5]));
    } else {
        g[2] = hn::MulAdd(hn::Set(n, a2), sum_a, hn::Mul(hn::Set(n, b2), sum_b));
        g[3] = hn::MulAdd(hn::Set(n, a2), difference_a, hn::Mul(hn::Set(n, b2), difference_b));
        g[4] = hn::MulAdd(hn::Set(n, a2 * a2), sum_a, hn::MulAdd(hn::Set(n, b2 * b2), sum_b, t[5]));
    }
}

/// A y of four or two values.
template <int tile> HWY_INLINE void transform_output_gradient(const V (&y)[tile], V (&t)[6]) {
    const D n;
    t[0] = y[0];
    t[5] = y[tile - 1];
    V even_a = y[0], even_b = y[0], odd_a = hn::Mul(hn::Set(n, a), y[1]), odd_b = hn::Mul(hn::Set(n, b), y[1]);
    if constexpr (tile == 4) {
        even_a = hn::MulAdd(hn::Set(n, a2), y[2], even_a), odd_a = hn::MulAdd(hn::Set(n, a2 * a), y[3], odd_a);
        even_b = hn::MulAdd(hn::Set(n, b2), y[2], even_b), odd_b = hn::MulAdd(hn::Set(n, b2 * b), y[3], odd_b);
    }
    t[1] = hn::Add(even_a, odd_a);
    t[2] = hn::Sub(even_a, odd_a);
    t[3] = hn::Add(even_b, odd_b);
    t[4] = hn::Sub(even_b, odd_b);
}

/// One tile, 16 channels: load(i, j) gives the pixel of line i and column j.
template <class Load> HWY_INLINE void input_tile(float* v, std::int64_t stride, const Load& load) {
    const D n;
    HWY_ALIGN float half[6][6][lanes];
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
        const V d[6] = {load(0, j), load(1, j), load(2, j), load(3, j), load(4, j), load(5, j)};
        V t[6];
        transform_input(d, t);
        for (int i = 0; i < 6; ++i) hn::Store(t[i], n, half[i][j]);
    }
    for (int i = 0; i < 6; ++i, v += 6 * stride) {
        const V d[6] = {hn::Load(n, half[i][0]), hn::Load(n, half[i][1]), hn::Load(n, half[i][2]), hn::Load(n, half[i][3]), hn::Load(n, half[i][4]), hn::Load(n, half[i][5])};
        V t[6];
        transform_input(d, t);
        for (int j = 0; j < 6; ++j) hn::StoreU(t[j], n, v + j * stride);
    }
}

/// 16 channels of a map.
HWY_INLINE V from_map(const float* p) { return hn::LoadU(D(), p); }
HWY_INLINE V from_map(const Bf16* p) { return widened(hn::LoadU(U16(), bits(p))); }
HWY_INLINE void to_map(V v, float* p) { hn::StoreU(v, D(), p); }
HWY_INLINE void to_map(V v, Bf16* p) { hn::StoreU(rounded(v), U16(), bits(p)); }

template <class E> struct Inside {
    const E* x;
    std::int64_t line, pixel;
    HWY_INLINE V operator()(int i, int j) const { return from_map(x + i * line + j * pixel); }
};
template <class E> struct AtEdge {
    const E* const (*places)[6];
    std::int64_t channel;
    HWY_INLINE V operator()(int i, int j) const { return from_map(places[i][j] + channel); }
};

/// Tile number `at` of all samples.
struct Tile {
    std::int64_t sample, line, column;
    Tile(const G& g, std::int64_t at) : sample(at / g.tiles()), line(at % g.tiles() / g.tiles_w() * g.tile()), column(at % g.tiles_w() * g.tile()) {}
};

/// Asks for `size` x `size` pixels of a map ahead of their use: the patches of a tile are too short for the hardware to foresee the next one.
template <class E> HWY_INLINE void prefetch(const E* map, std::int64_t channels, std::int64_t pixel, std::int64_t height, std::int64_t width, std::int64_t line, std::int64_t column,
                                            std::int64_t size) {
    const std::int64_t last_line = std::min(line + size, height), last_column = std::min(column + size, width);
    for (std::int64_t h = std::max<std::int64_t>(line, 0); h < last_line; ++h)
        for (std::int64_t w = column; w < last_column; ++w)
            for (std::int64_t i = 0; i < channels; i += 64 / static_cast<std::int64_t>(sizeof(E))) hwy::Prefetch(map + (h * width + w) * pixel + i);
}
/// Tiles from a prefetch to its use: about 100 ns of transforms.
HWY_INLINE std::int64_t tiles_ahead(std::int64_t channels) { return std::max<std::int64_t>(1, 128 / channels); }

/// The tiles first + [begin, end) of a block of `count`.
template <class E> void input(float* v, const E* x, const float* zeros, const G& g, std::int64_t first, std::int64_t count, std::int64_t begin, std::int64_t end) {
    const std::int64_t stride = G::point_stride(count, g.channels), line = g.width * g.x_pixel, ahead = tiles_ahead(g.channels);
    v += begin * lanes;
    for (std::int64_t t = begin; t < end; ++t, v += lanes) {
        const Tile tile(g, first + t);
        const std::int64_t h = tile.line - g.before_h, w = tile.column - g.before_w;
        const E* map = x + tile.sample * g.height * line;
        if (t + ahead < end) {
            const Tile next(g, first + t + ahead);  // its lower right corner: the rest belongs to tiles before it
            const std::int64_t overlap = g.taps - 1;
            prefetch(x + next.sample * g.height * line, g.channels, g.x_pixel, g.height, g.width, next.line - g.before_h + overlap, std::max<std::int64_t>(0, next.column - g.before_w + overlap), g.tile());
        }
        if (h >= 0 && w >= 0 && h + 6 <= g.height && w + 6 <= g.width) {
            const E* corner = map + h * line + w * g.x_pixel;
            for (std::int64_t c = 0; c < g.channels; c += lanes) input_tile(v + c * count, stride, Inside<E>{corner + c, line, g.x_pixel});
            continue;
        }
        const E* places[6][6];
        for (int i = 0; i < 6; ++i)
            for (int j = 0; j < 6; ++j)
                places[i][j] = h + i >= 0 && h + i < g.height && w + j >= 0 && w + j < g.width ? map + (h + i) * line + (w + j) * g.x_pixel : reinterpret_cast<const E*>(zeros);
        for (std::int64_t c = 0; c < g.channels; c += lanes) input_tile(v + c * count, stride, AtEdge<E>{places, c});
    }
}
#endif

}  // namespace
}  // namespace fovea::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
