// Element by element, over channels, sums and softmax; with simd_norms.h and simd_windows.h the table of kernels that is compiled once for each
// instruction set (foreach_target).
#include "backends/cpu/simd.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>

#include "backends/cpu/simd_norms.h"
#include "backends/cpu/simd_vectors.h"
#include "backends/cpu/simd_windows.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::cpu::HWY_NAMESPACE {

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
