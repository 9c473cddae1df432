// Compiled once per instruction set (foreach_target). Sums run in f32 over blocks of rows, four side by side, and enter doubles per block,
// so that their error does not grow with the batch. It matters: batch norm subtracts these sums from every element, and what follows
// adds up the elements again, error and all.
#include "backends/cpu/simd.h"

#include <algorithm>
#include <cstring>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include "backends/cpu/simd_bf16.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr std::int64_t block_rows = 64;

/// A whole vector of f32 or bf16 elements in memory; and one of which only the first lanes are there.
struct Load {
    HWY_INLINE V operator()(const float* p) const { return hn::LoadU(D(), p); }
#if FOVEA_BF16
    HWY_INLINE V operator()(const Bf16* p) const { return widened(hn::LoadU(U16(), bits(p))); }
#endif
};
struct Store {
    HWY_INLINE void operator()(V v, float* p) const { hn::StoreU(v, D(), p); }
#if FOVEA_BF16
    HWY_INLINE void operator()(V v, Bf16* p) const { hn::StoreU(rounded(v), U16(), bits(p)); }
#endif
};
struct LoadFirst {
    std::size_t count;
    HWY_INLINE V operator()(const float* p) const { return hn::MaskedLoad(hn::FirstN(D(), count), D(), p); }
#if FOVEA_BF16
    HWY_INLINE V operator()(const Bf16* p) const { return widened(hn::MaskedLoad(hn::FirstN(U16(), count), U16(), bits(p))); }
#endif
};
struct StoreFirst {
    std::size_t count;
    HWY_INLINE void operator()(V v, float* p) const { hn::BlendedStore(v, hn::FirstN(D(), count), D(), p); }
#if FOVEA_BF16
    HWY_INLINE void operator()(V v, Bf16* p) const { hn::BlendedStore(rounded(v), hn::FirstN(U16(), count), U16(), bits(p)); }
#endif
};

/// f(c, load, store) over vectors of channels; the last one is masked.
template <class F> HWY_INLINE void for_channels(std::int64_t channels, F&& f) {
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(D()));
    std::int64_t c = 0;
    for (; c + lanes <= channels; c += lanes) f(c, Load(), Store());
    if (c < channels) f(c, LoadFirst{static_cast<std::size_t>(channels - c)}, StoreFirst{static_cast<std::size_t>(channels - c)});
}

template <class E> void fill(E* out, float value, std::int64_t count) {
    const V v = hn::Set(D(), value);
    for_channels(count, [&](std::int64_t i, auto, auto store) HWY_ATTR { store(v, out + i); });
}

void sum_parts(float* out, const float* source, std::int64_t stride, int parts, std::int64_t count) {
    for_channels(count, [&](std::int64_t i, auto load, auto store) HWY_ATTR {
        V total = load(source + i);
        for (int p = 1; p < parts; ++p) total = hn::Add(total, load(source + p * stride + i));
        store(total, out + i);
    });
}

template <class E> void add(E* out, const E* a, const E* b, std::int64_t count) {
    for_channels(count, [&](std::int64_t i, auto load, auto store) HWY_ATTR { store(hn::Add(load(a + i), load(b + i)), out + i); });
}

template <class E> void multiply(E* out, const E* a, const E* b, std::int64_t count) {
    for_channels(count, [&](std::int64_t i, auto load, auto store) HWY_ATTR { store(hn::Mul(load(a + i), load(b + i)), out + i); });
}

template <class E> void relu(E* out, const E* x, std::int64_t count) {
    const D d;
    // IfThenElseZero keeps NaN out of Max's hands: a NaN input compares false and would vanish, so it is passed on.
    for_channels(count, [&](std::int64_t i, auto load, auto store) HWY_ATTR {
        const V v = load(x + i);
        store(hn::IfThenZeroElse(hn::Lt(v, hn::Zero(d)), v), out + i);
    });
}

template <class E> void relu_backward(E* out, const E* dy, const E* y, std::int64_t count) {
    const D d;
    for_channels(count, [&](std::int64_t i, auto load, auto store) HWY_ATTR { store(hn::IfThenElseZero(hn::Gt(load(y + i), hn::Zero(d)), load(dy + i)), out + i); });
}

template <class E> void scale_shift(E* out, const E* x, float scale, float shift, std::int64_t count) {
    const D d;
    const V a = hn::Set(d, scale), b = hn::Set(d, shift);
    for_channels(count, [&](std::int64_t i, auto load, auto store) HWY_ATTR { store(hn::MulAdd(load(x + i), a, b), out + i); });
}

template <class E> void add_channels(E* out, const E* x, const float* v, std::int64_t rows, std::int64_t channels) {
    for_channels(channels, [&](std::int64_t c, auto load, auto store) HWY_ATTR {
        const V by = load(v + c);
        for (std::int64_t i = c; i < rows * channels; i += channels) store(hn::Add(load(x + i), by), out + i);
    });
}

template <class E> void multiply_channels(E* out, const E* x, const float* v, std::int64_t rows, std::int64_t channels) {
    for_channels(channels, [&](std::int64_t c, auto load, auto store) HWY_ATTR {
        const V by = load(v + c);
        for (std::int64_t i = c; i < rows * channels; i += channels) store(hn::Mul(load(x + i), by), out + i);
    });
}

/// Adds the lanes of v that belong to channels [c, channels) to doubles.
HWY_INLINE void add_to(double* sums, V v, std::int64_t c, std::int64_t channels) {
    const D d;
    HWY_ALIGN float lanes[HWY_MAX_BYTES / sizeof(float)];
    hn::Store(v, d, lanes);
    const std::int64_t count = std::min<std::int64_t>(static_cast<std::int64_t>(hn::Lanes(d)), channels - c);
    for (std::int64_t i = 0; i < count; ++i) sums[c + i] += static_cast<double>(lanes[i]);
}

template <class E> void norm_sums(const E* x, const NormRows& n, float* pivot, double* sums, double* squares) {
    const D d;
    for_channels(n.channels, [&](std::int64_t c, auto load, auto store) HWY_ATTR { store(load(x + c), pivot + c); });
    std::fill_n(sums, n.channels, 0.0);
    std::fill_n(squares, n.channels, 0.0);
    for (std::int64_t begin = 0; begin < n.rows; begin += block_rows) {
        const std::int64_t end = std::min(n.rows, begin + block_rows);
        for_channels(n.channels, [&](std::int64_t c, auto load, auto) HWY_ATTR {
            const V p = load(pivot + c);
            V sum[4], square[4];
            for (int k = 0; k < 4; ++k) sum[k] = square[k] = hn::Zero(d);
            const auto take = [&](std::int64_t r, int k) HWY_ATTR {
                const V v = hn::Sub(load(x + r * n.x_pixel + c), p);
                sum[k] = hn::Add(sum[k], v);
                square[k] = hn::MulAdd(v, v, square[k]);
            };
            std::int64_t r = begin;
            for (; r + 4 <= end; r += 4)
                for (int k = 0; k < 4; ++k) take(r + k, k);
            for (; r < end; ++r) take(r, 0);
            add_to(sums, hn::Add(hn::Add(sum[0], sum[1]), hn::Add(sum[2], sum[3])), c, n.channels);
            add_to(squares, hn::Add(hn::Add(square[0], square[1]), hn::Add(square[2], square[3])), c, n.channels);
        });
    }
}

/// f(first, last) over short runs of rows: few enough to be read side by side, so that memory comes in long stretches.
template <class F> HWY_INLINE void for_rows(std::int64_t rows, F&& f) {
    constexpr std::int64_t together = 4;
    for (std::int64_t r = 0; r < rows; r += together) f(r, std::min(rows, r + together));
}

template <class E> void norm_apply(E* y, const E* x, const E* residual, const float* scale, const float* shift, const NormRows& n, bool rectified) {
    const D d;
    const V zero = hn::Zero(d);
    for_rows(n.rows, [&](std::int64_t first, std::int64_t last) HWY_ATTR {
        for_channels(n.channels, [&](std::int64_t c, auto load, auto store) HWY_ATTR {
            const V a = load(scale + c), b = load(shift + c);
            for (std::int64_t r = first; r < last; ++r) {
                V v = hn::MulAdd(load(x + r * n.x_pixel + c), a, b);
                if (residual) v = hn::Add(v, load(residual + r * n.channels + c));
                if (rectified) v = hn::IfThenZeroElse(hn::Lt(v, zero), v);
                store(v, y + r * n.y_pixel + c);
            }
        });
    });
}

void norm_coefficients(float* scale, float* shift, const float* gamma, const float* beta, const float* mean, const float* inv_std, std::int64_t channels) {
    for_channels(channels, [&](std::int64_t c, auto load, auto store) HWY_ATTR {
        const V a = hn::Mul(load(gamma + c), load(inv_std + c));
        store(a, scale + c);
        store(hn::NegMulAdd(load(mean + c), a, load(beta + c)), shift + c);
    });
}

void inference_coefficients(float* scale, float* shift, const float* gamma, const float* beta, const float* mean, const float* var, double eps, std::int64_t channels) {
    const hn::ScalableTag<double> d;
    const hn::Rebind<float, decltype(d)> f;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    HWY_ALIGN float in[4][HWY_MAX_BYTES / sizeof(double)], out[2][HWY_MAX_BYTES / sizeof(double)];
    const auto wide = [&](const float* p) HWY_ATTR { return hn::PromoteTo(d, hn::LoadU(f, p)); };
    const auto make = [&](const float* w, const float* b, const float* m, const float* v, float* s, float* t) HWY_ATTR {
        const auto factor = hn::Div(wide(w), hn::Sqrt(hn::Add(wide(v), hn::Set(d, eps))));
        hn::StoreU(hn::DemoteTo(f, factor), f, s);
        hn::StoreU(hn::DemoteTo(f, hn::NegMulAdd(wide(m), factor, wide(b))), f, t);
    };
    std::int64_t c = 0;
    for (; c + lanes <= channels; c += lanes) make(gamma + c, beta + c, mean + c, var + c, scale + c, shift + c);
    if (c == channels) return;
    for (std::int64_t i = 0; i < lanes; ++i) {  // the last few through full vectors
        const std::int64_t from = std::min(c + i, channels - 1);
        in[0][i] = gamma[from], in[1][i] = beta[from], in[2][i] = mean[from], in[3][i] = var[from];
    }
    make(in[0], in[1], in[2], in[3], out[0], out[1]);
    std::copy_n(out[0], channels - c, scale + c);
    std::copy_n(out[1], channels - c, shift + c);
}

/// f(g), g(r, c, scale, shift, load) being dy of row r from channel c on where the mask lets it through: the kind of mask is decided once,
/// outside the loops.
template <class E, class F> HWY_INLINE void with_mask(const E* x, const E* dy, const NormMask<E>& mask, const NormRows& n, F&& f) {
    const D d;
    const V zero = hn::Zero(d);
    const auto given = [&](std::int64_t r, std::int64_t c, auto load) HWY_ATTR { return load(dy + r * n.dy_pixel + c); };
    if (mask.scale)
        f([&](std::int64_t r, std::int64_t c, V a, V b, auto load) HWY_ATTR { return hn::IfThenElseZero(hn::Gt(hn::MulAdd(load(x + r * n.x_pixel + c), a, b), zero), given(r, c, load)); });
    else if (mask.y)
        f([&](std::int64_t r, std::int64_t c, V, V, auto load) HWY_ATTR { return hn::IfThenElseZero(hn::Gt(load(mask.y + r * n.y_pixel + c), zero), given(r, c, load)); });
    else
        f([&](std::int64_t r, std::int64_t c, V, V, auto load) HWY_ATTR { return given(r, c, load); });
}

template <class E> void norm_backward_sums(const E* x, const E* dy, const NormMask<E>& mask, const float* mean, const NormRows& n, double* sums, double* products) {
    const D d;
    const V zero = hn::Zero(d);
    std::fill_n(sums, n.channels, 0.0);
    std::fill_n(products, n.channels, 0.0);
    with_mask(x, dy, mask, n, [&](auto masked) HWY_ATTR {
        for (std::int64_t begin = 0; begin < n.rows; begin += block_rows) {
            const std::int64_t end = std::min(n.rows, begin + block_rows);
            for_channels(n.channels, [&](std::int64_t c, auto load, auto) HWY_ATTR {
                const V m = load(mean + c), a = mask.scale ? load(mask.scale + c) : zero, b = mask.scale ? load(mask.shift + c) : zero;
                V sum[4], product[4];
                for (int k = 0; k < 4; ++k) sum[k] = product[k] = zero;
                const auto take = [&](std::int64_t r, int k) HWY_ATTR {
                    const V g = masked(r, c, a, b, load);
                    sum[k] = hn::Add(sum[k], g);
                    product[k] = hn::MulAdd(g, hn::Sub(load(x + r * n.x_pixel + c), m), product[k]);
                };
                std::int64_t r = begin;
                for (; r + 4 <= end; r += 4)
                    for (int k = 0; k < 4; ++k) take(r + k, k);
                for (; r < end; ++r) take(r, 0);
                add_to(sums, hn::Add(hn::Add(sum[0], sum[1]), hn::Add(sum[2], sum[3])), c, n.channels);
                add_to(products, hn::Add(hn::Add(product[0], product[1]), hn::Add(product[2], product[3])), c, n.channels);
            });
        }
    });
}

template <class E>
void norm_backward_apply(E* dx, E* residual, const E* x, const E* dy, const NormMask<E>& mask, const float* a, const float* b, const float* d_mean, const float* mean, const NormRows& n) {
    const D d;
    const V zero = hn::Zero(d);
    with_mask(x, dy, mask, n, [&](auto masked) HWY_ATTR {
        for_rows(n.rows, [&](std::int64_t first, std::int64_t last) HWY_ATTR {
            for_channels(n.channels, [&](std::int64_t c, auto load, auto store) HWY_ATTR {
                const V va = load(a + c), vb = load(b + c), vd = load(d_mean + c), vm = load(mean + c);
                const V scale = mask.scale ? load(mask.scale + c) : zero, shift = mask.scale ? load(mask.shift + c) : zero;
                for (std::int64_t r = first; r < last; ++r) {
                    const std::int64_t i = r * n.channels + c;
                    const V g = masked(r, c, scale, shift, load);
                    const V v = hn::MulAdd(hn::Sub(g, vd), va, hn::Mul(hn::Sub(load(x + r * n.x_pixel + c), vm), vb));
                    if (residual) store(g, residual + i);
                    store(v, dx + i);
                }
            });
        });
    });
}

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

template <class E> void column_sums(const E* x, std::int64_t rows, std::int64_t channels, float* sums) {
    const D d;
    for_channels(channels, [&](std::int64_t c, auto load, auto store) HWY_ATTR {
        V total = hn::Zero(d);
        for (std::int64_t begin = 0; begin < rows; begin += block_rows) {
            const std::int64_t end = std::min(rows, begin + block_rows);
            V block[4];
            for (int k = 0; k < 4; ++k) block[k] = hn::Zero(d);
            std::int64_t r = begin;
            for (; r + 4 <= end; r += 4)
                for (int k = 0; k < 4; ++k) block[k] = hn::Add(block[k], load(x + (r + k) * channels + c));
            for (; r < end; ++r) block[0] = hn::Add(block[0], load(x + r * channels + c));
            total = hn::Add(total, hn::Add(hn::Add(block[0], block[1]), hn::Add(block[2], block[3])));
        }
        store(total, sums + c);
    });
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

/// s^-beta for s > 0.
HWY_INLINE V negative_power(V s, float beta) {
    const D d;
    if (beta == 0.75f) {  // AlexNet's
        const V root = hn::Sqrt(s);
        return hn::Div(hn::Set(d, 1.0f), hn::Mul(root, hn::Sqrt(root)));
    }
    return hn::Exp(d, hn::Mul(hn::Set(d, -beta), hn::Log(d, s)));
}

/// The bracket s of channels c .. from the padded squares.
template <class Load> HWY_INLINE V bracket(const LrnGeometry& g, const float* squares, std::int64_t c, Load load) {
    const D d;
    V total = load(squares + c);
    for (std::int64_t j = 1; j <= g.below + g.above; ++j) total = hn::Add(total, load(squares + c + j));
    return hn::MulAdd(total, hn::Set(d, g.a), hn::Set(d, g.k));
}

void lrn(float* y, const float* x, float* work, const LrnGeometry& g, std::int64_t pixels) {
    std::fill_n(work, g.work(), 0.0f);
    for (std::int64_t p = 0; p < pixels; ++p, x += g.channels, y += g.channels) {
        for_channels(g.channels, [&](std::int64_t c, auto load, auto store) HWY_ATTR { store(hn::Mul(load(x + c), load(x + c)), work + g.below + c); });
        for_channels(g.channels, [&](std::int64_t c, auto load, auto store) HWY_ATTR { store(hn::Mul(load(x + c), negative_power(bracket(g, work, c, load), g.beta)), y + c); });
    }
}

// dx_i = dy_i s_i^-beta - 2 a beta x_i sum over the j whose window holds i of dy_j x_j s_j^(-beta - 1).
void lrn_backward(float* dx, const float* x, const float* dy, float* work, const LrnGeometry& g, std::int64_t pixels) {
    const D d;
    std::fill_n(work, g.work(), 0.0f);
    float* ratios = work + g.channels + g.below + g.above;
    const V factor = hn::Set(d, -2 * g.a * g.beta);
    for (std::int64_t p = 0; p < pixels; ++p, x += g.channels, dy += g.channels, dx += g.channels) {
        for_channels(g.channels, [&](std::int64_t c, auto load, auto store) HWY_ATTR { store(hn::Mul(load(x + c), load(x + c)), work + g.below + c); });
        for_channels(g.channels, [&](std::int64_t c, auto load, auto store) HWY_ATTR {
            const V s = bracket(g, work, c, load), t = hn::Mul(load(dy + c), negative_power(s, g.beta));
            store(t, dx + c);
            store(hn::Div(hn::Mul(t, load(x + c)), s), ratios + g.above + c);
        });
        for_channels(g.channels, [&](std::int64_t c, auto load, auto store) HWY_ATTR {
            V total = load(ratios + c);
            for (std::int64_t j = 1; j <= g.below + g.above; ++j) total = hn::Add(total, load(ratios + c + j));
            store(hn::MulAdd(hn::Mul(factor, load(x + c)), total, load(dx + c)), dx + c);
        });
    }
}

float largest(const float* x, std::int64_t count) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    if (count < lanes) return *std::max_element(x, x + count);
    V top = hn::LoadU(d, x);
    for (std::int64_t i = lanes; i + lanes <= count; i += lanes) top = hn::Max(top, hn::LoadU(d, x + i));
    return hn::GetLane(hn::MaxOfLanes(d, hn::Max(top, hn::LoadU(d, x + count - lanes))));
}

double exponentials(float* out, const float* x, float shift, std::int64_t count) {
    const D d;
    const V s = hn::Set(d, shift);
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    double total = 0;
    for (std::int64_t begin = 0; begin < count; begin += block_rows * lanes) {
        const std::int64_t length = std::min(block_rows * lanes, count - begin);
        V sum = hn::Zero(d);
        for_channels(length, [&](std::int64_t i, auto load, auto store) HWY_ATTR {
            const V v = hn::Sub(load(x + begin + i), s);
            V e = hn::IfThenElse(hn::Eq(v, v), hn::Exp(d, v), v);
            if (i + lanes > length) e = hn::IfThenElseZero(hn::FirstN(d, static_cast<std::size_t>(length - i)), e);  // lanes past the end hold exp(-shift)
            if (out) store(e, out + begin + i);
            sum = hn::Add(sum, e);
        });
        total += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, sum)));
    }
    return total;
}

double sum(const float* x, std::int64_t count) {
    const D d;
    double total = 0;
    const std::int64_t block = block_rows * static_cast<std::int64_t>(hn::Lanes(d));
    for (std::int64_t begin = 0; begin < count; begin += block) {
        V part = hn::Zero(d);
        for_channels(std::min(block, count - begin), [&](std::int64_t i, auto load, auto) HWY_ATTR { part = hn::Add(part, load(x + begin + i)); });
        total += static_cast<double>(hn::GetLane(hn::SumOfLanes(d, part)));
    }
    return total;
}

template <class E> MapKernels<E> map_kernels() {
    return {add, multiply, relu, relu_backward, scale_shift, fill, add_channels, multiply_channels, norm_sums, norm_apply, norm_backward_sums, norm_backward_apply, max_pool, column_sums, resample};
}

#if FOVEA_BF16
void to_bf16(Bf16* out, const float* x, std::int64_t count) {
    for_channels(count, [&](std::int64_t i, auto load, auto store) HWY_ATTR { store(load(x + i), out + i); });
}
void from_bf16(float* out, const Bf16* x, std::int64_t count) {
    for_channels(count, [&](std::int64_t i, auto load, auto store) HWY_ATTR { store(load(x + i), out + i); });
}
constexpr auto bf16_kernels = map_kernels<Bf16>;
#else
constexpr void (*to_bf16)(Bf16*, const float*, std::int64_t) = nullptr;
constexpr void (*from_bf16)(float*, const Bf16*, std::int64_t) = nullptr;
MapKernels<Bf16> bf16_kernels() { return {}; }
#endif

Simd table() {
    return {map_kernels<float>(), hwy::TargetName(HWY_TARGET), bf16_kernels(), to_bf16, from_bf16, sum_parts, norm_coefficients, inference_coefficients, lrn, lrn_backward, largest, exponentials, sum};
}

}  // namespace fovea::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea::cpu {

HWY_EXPORT(table);

const Simd& simd() {
    static const Simd chosen = HWY_DYNAMIC_DISPATCH(table)();
    return chosen;
}

}  // namespace fovea::cpu
#endif
