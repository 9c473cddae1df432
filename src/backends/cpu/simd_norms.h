// Batch norm with both its passes, and local response normalisation. Sums run in f32 over blocks of rows, four side by side, and enter doubles
// per block, so that their error does not grow with the batch. It matters: batch norm subtracts these sums from every element, and what follows
// adds up the elements again, error and all.
#if defined(FOVEA_SIMD_NORMS) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_SIMD_NORMS
#undef FOVEA_SIMD_NORMS
#else
#define FOVEA_SIMD_NORMS
#endif

#include <algorithm>
#include <hwy/contrib/math/math-inl.h>

#include "backends/cpu/simd.h"
#include "backends/cpu/simd_vectors.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::cpu::HWY_NAMESPACE {
namespace {

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

}  // namespace
}  // namespace fovea::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
