// Activations with exponentials or branches, and the random generator, compiled once per instruction set.
#include <algorithm>

#include "backends/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd_math.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include "backends/cpu/simd_activations.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
using activations::logistic;
using activations::not_a_number_or;
using DU = hn::ScalableTag<std::uint32_t>;
using U = hn::Vec<DU>;

/// out[i] = f(x[i], dy[i]) (dy may be null: then f sees x twice); the last vector is masked.
template <class F> HWY_INLINE void for_elements(float* out, const float* x, const float* dy, std::int64_t count, F&& f) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const float* other = dy ? dy : x;
    std::int64_t i = 0;
    for (; i + lanes <= count; i += lanes) hn::StoreU(f(hn::LoadU(d, x + i), hn::LoadU(d, other + i)), d, out + i);
    if (i == count) return;
    const auto mask = hn::FirstN(d, static_cast<std::size_t>(count - i));
    hn::BlendedStore(f(hn::MaskedLoad(mask, d, x + i), hn::MaskedLoad(mask, d, other + i)), mask, d, out + i);
}

void sigmoid(float* out, const float* x, std::int64_t count) {
    for_elements(out, x, nullptr, count, [](V v, V) HWY_ATTR { return logistic(v); });
}

void tanh(float* out, const float* x, std::int64_t count) {
    for_elements(out, x, nullptr, count, [](V v, V) HWY_ATTR { return not_a_number_or(v, hn::Tanh(D(), v)); });
}

void sigmoid_backward(float* out, const float* dy, const float* y, std::int64_t count) {
    const V one = hn::Set(D(), 1.0f);
    for_elements(out, y, dy, count, [&](V v, V g) HWY_ATTR { return hn::Mul(hn::Mul(g, v), hn::Sub(one, v)); });
}

void tanh_backward(float* out, const float* dy, const float* y, std::int64_t count) {
    const V one = hn::Set(D(), 1.0f);
    for_elements(out, y, dy, count, [&](V v, V g) HWY_ATTR { return hn::Mul(g, hn::NegMulAdd(v, v, one)); });
}

void relu6(float* out, const float* x, std::int64_t count) {
    for_elements(out, x, nullptr, count, [](V v, V) HWY_ATTR { return activations::relu6(v); });
}

void hard_sigmoid(float* out, const float* x, std::int64_t count) {
    for_elements(out, x, nullptr, count, [](V v, V) HWY_ATTR { return activations::hard_sigmoid(v); });
}

void hard_sigmoid_backward(float* out, const float* dy, const float* x, std::int64_t count) {
    const V sixth = hn::Set(D(), 1.0f / 6), three = hn::Set(D(), 3.0f);
    for_elements(out, x, dy, count, [&](V v, V g) HWY_ATTR { return hn::IfThenElseZero(hn::Lt(hn::Abs(v), three), hn::Mul(g, sixth)); });
}

void hard_swish(float* out, const float* x, std::int64_t count) {
    for_elements(out, x, nullptr, count, [](V v, V) HWY_ATTR { return activations::hard_swish(v); });
}

void hard_swish_backward(float* out, const float* dy, const float* x, std::int64_t count) {
    const V one = hn::Set(D(), 1.0f), third = hn::Set(D(), 1.0f / 3), half = hn::Set(D(), 0.5f), three = hn::Set(D(), 3.0f);
    for_elements(out, x, dy, count, [&](V v, V g) HWY_ATTR {
        const V slope = hn::IfThenElse(hn::Le(v, three), hn::MulAdd(v, third, half), one);
        return hn::Mul(g, hn::IfThenZeroElse(hn::Lt(v, hn::Neg(three)), slope));
    });
}

void elu(float* out, const float* x, float alpha, float width, float scale, std::int64_t count) {
    const V zero = hn::Zero(D()), a = hn::Set(D(), scale * alpha), w = hn::Set(D(), width), s = hn::Set(D(), scale);
    for_elements(out, x, nullptr, count, [&](V v, V) HWY_ATTR {
        const V below = hn::Mul(a, hn::Expm1(D(), hn::Div(hn::Min(v, zero), w)));
        return not_a_number_or(v, hn::IfThenElse(hn::Gt(v, zero), hn::Mul(s, v), below));
    });
}

void elu_backward(float* out, const float* dy, const float* x, float alpha, float width, float scale, std::int64_t count) {
    const V zero = hn::Zero(D()), a = hn::Set(D(), scale * alpha / width), w = hn::Set(D(), width), s = hn::Set(D(), scale);
    for_elements(out, x, dy, count, [&](V v, V g) HWY_ATTR {
        const V below = not_a_number_or(v, hn::Mul(a, hn::Exp(D(), hn::Div(hn::Min(v, zero), w))));
        return hn::Mul(g, hn::IfThenElse(hn::Gt(v, zero), s, below));
    });
}

/// Phi(v) = erfc(-v / sqrt 2) / 2, given bell = exp(-v^2 / 2). Abramowitz & Stegun 7.1.26: erfc(t) for t >= 0, absolute error 1.5e-7.
HWY_INLINE V normal_share(V v, V bell) {
    const D d;
    const V one = hn::Set(d, 1.0f), k = hn::Div(one, hn::MulAdd(hn::Set(d, 0.3275911f * 0.70710678f), hn::Abs(v), one));
    V sum = hn::Set(d, 1.061405429f);
    for (const float c : {-1.453152027f, 1.421413741f, -0.284496736f, 0.254829592f}) sum = hn::MulAdd(sum, k, hn::Set(d, c));
    const V tail = hn::Mul(hn::Mul(hn::Set(d, 0.5f), hn::Mul(sum, k)), bell);  // Phi(-|v|)
    return hn::IfThenElse(hn::Gt(v, hn::Zero(d)), hn::Sub(one, tail), tail);
}

HWY_INLINE V bell_of(V v) { return hn::Exp(D(), hn::Mul(hn::Set(D(), -0.5f), hn::Mul(v, v))); }

// x Phi(x).
void gelu(float* out, const float* x, std::int64_t count) {
    for_elements(out, x, nullptr, count, [](V v, V) HWY_ATTR { return not_a_number_or(v, hn::Mul(v, normal_share(v, bell_of(v)))); });
}

// Phi(x) + x phi(x).
void gelu_backward(float* out, const float* dy, const float* x, std::int64_t count) {
    const V height = hn::Set(D(), 0.3989422804f);  // 1 / sqrt(2 pi)
    for_elements(out, x, dy, count, [&](V v, V g) HWY_ATTR {
        const V bell = bell_of(v);
        return hn::Mul(g, not_a_number_or(v, hn::MulAdd(hn::Mul(height, v), bell, normal_share(v, bell))));
    });
}

// (1 + tanh t) / 2 is the logistic function of 2 t.
void gelu_tanh(float* out, const float* x, std::int64_t count) {
    const D d;
    const V k = hn::Set(d, 1.5957691216f), cubic = hn::Set(d, 0.044715f * 1.5957691216f);  // 2 sqrt(2 / pi)
    for_elements(out, x, nullptr, count, [&](V v, V) HWY_ATTR { return hn::Mul(v, logistic(hn::Mul(v, hn::MulAdd(cubic, hn::Mul(v, v), k)))); });
}

// With s = logistic(t), t = k x + cubic x^3: s + x s (1 - s) t'.
void gelu_tanh_backward(float* out, const float* dy, const float* x, std::int64_t count) {
    const D d;
    const V one = hn::Set(d, 1.0f), k = hn::Set(d, 1.5957691216f), cubic = hn::Set(d, 0.044715f * 1.5957691216f), cubic3 = hn::Set(d, 3 * 0.044715f * 1.5957691216f);
    for_elements(out, x, dy, count, [&](V v, V g) HWY_ATTR {
        const V squares = hn::Mul(v, v), s = logistic(hn::Mul(v, hn::MulAdd(cubic, squares, k)));
        // The slope's second part vanishes where s (1 - s) does: an infinite t' must not make it NaN.
        const V rise = hn::Mul(s, hn::Sub(one, s)), bent = hn::Mul(hn::Mul(v, rise), hn::MulAdd(cubic3, squares, k));
        return hn::Mul(g, hn::Add(s, hn::IfThenZeroElse(hn::Eq(rise, hn::Zero(d)), bent)));
    });
}

void silu(float* out, const float* x, float beta, std::int64_t count) {
    const V b = hn::Set(D(), beta);
    for_elements(out, x, nullptr, count, [&](V v, V) HWY_ATTR { return activations::silu(v, b); });
}

void silu_backward(float* out, const float* dy, const float* x, float beta, std::int64_t count) {
    const V b = hn::Set(D(), beta), one = hn::Set(D(), 1.0f);
    for_elements(out, x, dy, count, [&](V v, V g) HWY_ATTR {
        const V t = hn::Mul(b, v), s = logistic(t);
        return hn::Mul(g, hn::Mul(s, hn::MulAdd(t, hn::Sub(one, s), one)));
    });
}

void leaky_relu(float* out, const float* x, float slope, std::int64_t count) {
    const V s = hn::Set(D(), slope);
    for_elements(out, x, nullptr, count, [&](V v, V) HWY_ATTR { return activations::leaky_relu(v, s); });
}

void leaky_relu_backward(float* out, const float* dy, const float* x, float slope, std::int64_t count) {
    const V s = hn::Set(D(), slope), zero = hn::Zero(D());
    for_elements(out, x, dy, count, [&](V v, V g) HWY_ATTR { return hn::IfThenElse(hn::Gt(v, zero), g, hn::Mul(g, s)); });
}

void relu6_backward(float* out, const float* dy, const float* x, std::int64_t count) {
    const V zero = hn::Zero(D()), six = hn::Set(D(), 6.0f);
    for_elements(out, x, dy, count, [&](V v, V g) HWY_ATTR { return hn::IfThenElseZero(hn::And(hn::Gt(v, zero), hn::Lt(v, six)), g); });
}

/// The high halves of the products of 32-bit lanes.
HWY_INLINE U multiply_high(U a, U b) {
    const DU d;
#if HWY_TARGET == HWY_SCALAR
    return hn::Set(d, static_cast<std::uint32_t>((std::uint64_t{hn::GetLane(a)} * hn::GetLane(b)) >> 32));
#else
    const hn::Repartition<std::uint64_t, DU> wide;
    const auto even = hn::ShiftRight<32>(hn::MulEven(a, b));
    const auto odd = hn::MulEven(hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(wide, a))), hn::BitCast(d, hn::ShiftRight<32>(hn::BitCast(wide, b))));
    return hn::BitCast(d, hn::Or(even, hn::And(odd, hn::Set(wide, 0xFFFFFFFF00000000ull))));
#endif
}

// Philox4x32-10, lane by lane as philox() in core/rng.cpp. Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3".
void draws(std::uint32_t* words, std::uint64_t block, std::int64_t blocks, std::uint64_t step, std::uint64_t key) {
    const DU d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const U m0 = hn::Set(d, 0xD2511F53u), m1 = hn::Set(d, 0xCD9E8D57u), c2_start = hn::Set(d, static_cast<std::uint32_t>(step)), c3_start = hn::Set(d, static_cast<std::uint32_t>(step >> 32));
    for (std::int64_t b = 0; b < blocks; b += lanes) {
        const std::uint64_t first = block + static_cast<std::uint64_t>(b);
        const U low = hn::Set(d, static_cast<std::uint32_t>(first));
        U c0 = hn::Add(low, hn::Iota(d, 0)), c1 = hn::Set(d, static_cast<std::uint32_t>(first >> 32)), c2 = c2_start, c3 = c3_start;
        c1 = hn::Add(c1, hn::IfThenElseZero(hn::Lt(c0, low), hn::Set(d, 1u)));  // the carry of the block number
        auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
        for (int round = 0; round < 10; ++round) {
            const U high_a = multiply_high(c0, m0), low_a = hn::Mul(c0, m0), high_b = multiply_high(c2, m1), low_b = hn::Mul(c2, m1);
            c0 = hn::Xor(hn::Xor(high_b, c1), hn::Set(d, k0));
            c2 = hn::Xor(hn::Xor(high_a, c3), hn::Set(d, k1));
            c1 = low_b, c3 = low_a;
            k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
        }
        hn::StoreInterleaved4(c0, c1, c2, c3, d, words + 4 * b);
    }
}

Math math_table() {
    return {.sigmoid = sigmoid, .tanh = tanh, .relu6 = relu6, .hard_sigmoid = hard_sigmoid, .hard_swish = hard_swish, .gelu = gelu, .gelu_tanh = gelu_tanh,
            .sigmoid_backward = sigmoid_backward, .tanh_backward = tanh_backward, .relu6_backward = relu6_backward, .hard_sigmoid_backward = hard_sigmoid_backward,
            .hard_swish_backward = hard_swish_backward, .gelu_backward = gelu_backward, .gelu_tanh_backward = gelu_tanh_backward, .silu = silu, .silu_backward = silu_backward, .leaky_relu = leaky_relu, .leaky_relu_backward = leaky_relu_backward,
            .elu = elu, .elu_backward = elu_backward, .draws = draws};
}

}  // namespace fovea::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea::cpu {

HWY_EXPORT(math_table);

const Math& math() {
    static const Math chosen = HWY_DYNAMIC_DISPATCH(math_table)();
    return chosen;
}

}  // namespace fovea::cpu
#endif
