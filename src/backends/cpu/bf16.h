// bf16: the upper half of an f32, so 8 bits of mantissa and the same range. Maps and packed weights may lie in memory as bf16 (a layout, the
// value stays "real"); everything is computed in f32.
#pragma once

#include <cstdint>
#include <functional>

#include "backends/cpu/onednn.h"

namespace fovea::cpu {

struct Bf16 {
    std::uint16_t bits;
};

/// Whether oneDNN's kernels and ours multiply bf16 here: AVX512-BF16, and no environment variable forbids it.
[[nodiscard]] bool has_bf16();

/// Of a value [N, C, H, W] or any other: bf16, channels last or row-major.
[[nodiscard]] Layout bf16_layout(const Shape& shape);
[[nodiscard]] bool is_bf16(const Layout& layout);
/// Weights in the form a bf16 kernel asks for, made from f32 ones that live row-major, or in 16 x 16 blocks of channels where they are whole.
[[nodiscard]] Layout packed_bf16(const dnnl::memory::desc& desc, const Shape& weight, std::int64_t groups);
/// The reorder of a value other than packed weights between layouts of which at least one is bf16.
[[nodiscard]] Kernel plan_bf16_reorder(const Type& type, const Layout& from, const Layout& to, const PlanContext& context);

/// The layout of maps [N, C, H, W] of bf16 or of f32 elements.
[[nodiscard]] inline Layout map_layout(const Shape& shape, bool half) { return half ? bf16_layout(shape) : channels_last(shape); }
/// Whether a kernel that can do both should work on bf16 because its operand was made so.
[[nodiscard]] inline bool is_half(const Value& operand, const PlanContext& context) { return context.stores_bf16 && !context.is_undecided(operand) && is_bf16(context.stored(operand)); }
/// f(Element()) for the kind of element.
template <class F> auto with_element(bool half, F&& f) { return half ? f(Bf16{}) : f(0.0f); }
template <class Element> [[nodiscard]] Element* as(std::byte* bytes) { return reinterpret_cast<Element*>(bytes); }

[[nodiscard]] inline Bf16* as_bf16(std::byte* bytes) { return reinterpret_cast<Bf16*>(bytes); }

/// f, a piece at a time through f32 in the first-level cache.
[[nodiscard]] std::function<void(Bf16* y, const Bf16* x, std::int64_t count)> through_f32(std::function<void(float* y, const float* x, std::int64_t count)> f);

}  // namespace fovea::cpu
