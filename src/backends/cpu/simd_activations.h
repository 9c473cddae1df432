// Activations of one vector, shared by kernels that are compiled once for each instruction set (so the guard is Highway's).
#if defined(FOVEA_SIMD_ACTIVATIONS) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_SIMD_ACTIVATIONS
#undef FOVEA_SIMD_ACTIVATIONS
#else
#define FOVEA_SIMD_ACTIVATIONS
#endif

#include <hwy/highway.h>

#include "backends/cpu/epilogue.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::cpu::HWY_NAMESPACE {
namespace {
namespace activations {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// NaN is passed on: Highway's functions, Max and Min lose it.
HWY_INLINE V not_a_number_or(V x, V y) { return hn::IfThenElse(hn::Eq(x, x), y, x); }

/// 1 / (1 + exp(-x)) to 2e-7 of itself; of a NaN anything. exp(-x) = 2^n e^r with |r| <= ln 2 / 2: a polynomial whose error is 8e-8 (fitted,
/// equal ripples), and the reciprocal is an estimate and a step of Newton's. Half the time of hn::Exp and a division.
HWY_INLINE V logistic_of_number(V x) {
    const D d;
    const hn::RebindToSigned<D> di;
    const V one = hn::Set(d, 1.0f), t = hn::Min(hn::Max(hn::Neg(x), hn::Set(d, -87.0f)), hn::Set(d, 87.0f));
    const auto n = hn::NearestInt(hn::Mul(t, hn::Set(d, 1.44269504f)));
    const V r = hn::NegMulAdd(hn::ConvertTo(d, n), hn::Set(d, 0.69314718f), t);
    V p = hn::Set(d, 0.00829761848f);
    p = hn::MulAdd(p, r, hn::Set(d, 0.0419156291f));
    p = hn::MulAdd(p, r, hn::Set(d, 0.166675761f));
    p = hn::MulAdd(p, r, hn::Set(d, 0.499988914f));
    p = hn::MulAdd(p, r, hn::Set(d, 0.999999702f));
    p = hn::MulAdd(p, r, hn::Set(d, 1.00000012f));
    const V below = hn::Add(one, hn::BitCast(d, hn::Add(hn::BitCast(di, p), hn::ShiftLeft<23>(n))));
    const V estimate = hn::ApproximateReciprocal(below);
    return hn::Mul(estimate, hn::NegMulAdd(below, estimate, hn::Set(d, 2.0f)));
}

HWY_INLINE V logistic(V x) { return not_a_number_or(x, logistic_of_number(x)); }

/// min(max(x + 3, 0), 6)
HWY_INLINE V ramp(V x) { return hn::Min(hn::Max(hn::Add(x, hn::Set(D(), 3.0f)), hn::Zero(D())), hn::Set(D(), 6.0f)); }

HWY_INLINE V relu6(V x) { return not_a_number_or(x, hn::Min(hn::Max(x, hn::Zero(D())), hn::Set(D(), 6.0f))); }
HWY_INLINE V hard_sigmoid(V x) { return not_a_number_or(x, hn::Mul(ramp(x), hn::Set(D(), 1.0f / 6))); }
HWY_INLINE V hard_swish(V x) { return hn::Mul(hn::Mul(x, ramp(x)), hn::Set(D(), 1.0f / 6)); }
HWY_INLINE V silu(V x, V beta) { return hn::Mul(x, logistic_of_number(hn::Mul(beta, x))); }  // the factor x passes NaN on
HWY_INLINE V leaky_relu(V x, V slope) { return hn::IfThenElse(hn::Gt(x, hn::Zero(D())), x, hn::Mul(x, slope)); }

/// The epilogue of `count` sums.
template <int count> HWY_INLINE void finish(V (&sums)[count], const Epilogue& epilogue) {
    const V parameter = hn::Set(D(), epilogue.parameter), zero = hn::Zero(D());
    const auto each = [&](auto f) HWY_ATTR {
#pragma GCC unroll 32
        for (int i = 0; i < count; ++i) sums[i] = f(sums[i]);
    };
    switch (epilogue.kind) {
        case Epilogue::Kind::none: return;
        case Epilogue::Kind::relu: return each([&](V v) HWY_ATTR { return hn::IfThenZeroElse(hn::Lt(v, zero), v); });
        case Epilogue::Kind::leaky_relu: return each([&](V v) HWY_ATTR { return leaky_relu(v, parameter); });
        case Epilogue::Kind::relu6: return each([](V v) HWY_ATTR { return relu6(v); });
        case Epilogue::Kind::sigmoid: return each([](V v) HWY_ATTR { return logistic(v); });
        case Epilogue::Kind::hard_sigmoid: return each([](V v) HWY_ATTR { return hard_sigmoid(v); });
        case Epilogue::Kind::silu: return each([&](V v) HWY_ATTR { return silu(v, parameter); });
        case Epilogue::Kind::hard_swish: return each([](V v) HWY_ATTR { return hard_swish(v); });
    }
}

}  // namespace activations
}  // namespace
}  // namespace fovea::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
