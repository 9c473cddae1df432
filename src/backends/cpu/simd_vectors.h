// How our kernels go over channels or elements: whole vectors, then one that is masked; f32 or bf16 in memory, f32 in registers. Compiled once
// for each instruction set.
#if defined(FOVEA_SIMD_VECTORS) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_SIMD_VECTORS
#undef FOVEA_SIMD_VECTORS
#else
#define FOVEA_SIMD_VECTORS
#endif

#include <cstdint>

#include "backends/cpu/simd_bf16.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::cpu::HWY_NAMESPACE {
namespace {

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

}  // namespace
}  // namespace fovea::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
