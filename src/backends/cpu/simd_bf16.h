// Vectors of f32 from and to bf16 in memory, compiled once for each instruction set (so the guard is Highway's). FOVEA_BF16 says whether there
// are any here.
#if defined(FOVEA_SIMD_BF16) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_SIMD_BF16
#undef FOVEA_SIMD_BF16
#else
#define FOVEA_SIMD_BF16
#endif

#include <hwy/highway.h>

#include "backends/cpu/bf16.h"

#undef FOVEA_BF16
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
#define FOVEA_BF16 1
#else
#define FOVEA_BF16 0
#endif

HWY_BEFORE_NAMESPACE();
namespace fovea::cpu::HWY_NAMESPACE {
namespace {

#if FOVEA_BF16
using F32 = hwy::HWY_NAMESPACE::ScalableTag<float>;
using U16 = hwy::HWY_NAMESPACE::Rebind<std::uint16_t, F32>;

/// Highway's own conversion cuts off. The instruction is newer than our Highway's targets: has_bf16() says whether the processor has it.
HWY_INLINE hwy::HWY_NAMESPACE::Vec<U16> rounded(hwy::HWY_NAMESPACE::Vec<F32> v) {
    hwy::HWY_NAMESPACE::Vec<U16> half;
    asm("vcvtneps2bf16 %1, %0" : "=v"(half.raw) : "v"(v.raw));
    return half;
}
HWY_INLINE hwy::HWY_NAMESPACE::Vec<F32> widened(hwy::HWY_NAMESPACE::Vec<U16> half) {
    namespace hn = hwy::HWY_NAMESPACE;
    return hn::BitCast(F32(), hn::ShiftLeft<16>(hn::PromoteTo(hn::RebindToUnsigned<F32>(), half)));
}
HWY_INLINE const std::uint16_t* bits(const Bf16* p) { return reinterpret_cast<const std::uint16_t*>(p); }
HWY_INLINE std::uint16_t* bits(Bf16* p) { return reinterpret_cast<std::uint16_t*>(p); }
#endif

}  // namespace
}  // namespace fovea::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
