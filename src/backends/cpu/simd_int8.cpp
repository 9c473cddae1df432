// Bytes to f32 and back, and sums and maxima of bytes. Compiled once per instruction set (foreach_target).
#include "backends/cpu/int8.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/simd_int8.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace fovea::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using I = hn::RebindToSigned<D>;

/// A vector of bytes as 32-bit integers.
template <class T> HWY_INLINE hn::Vec<I> widened(const T* p) {
    const I i;
    const hn::Rebind<T, I> bytes;
    return hn::PromoteTo(i, hn::LoadU(bytes, p));
}

template <class T> void to_f32_as(float* y, const T* x, std::int64_t count, const Grid& grid) {
    const D d;
    const I i;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const auto zero = static_cast<std::int32_t>(grid.zero_point);
    const float scale = static_cast<float>(grid.scale);
    const auto z = hn::Set(i, zero);
    const auto s = hn::Set(d, scale);
    std::int64_t at = 0;
    for (; at + lanes <= count; at += lanes) hn::StoreU(hn::Mul(hn::ConvertTo(d, hn::Sub(widened(x + at), z)), s), d, y + at);
    for (; at < count; ++at) y[at] = static_cast<float>(static_cast<std::int32_t>(x[at]) - zero) * scale;
}

template <class T> void from_f32_as(T* y, const float* x, std::int64_t count, const Grid& grid) {
    const D d;
    const hn::Rebind<T, D> bytes;
    const hn::Rebind<std::int16_t, D> words;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    // Division, not the reciprocal: the plain loops' quotient, so that ties round alike.
    const auto scale = hn::Set(d, static_cast<float>(grid.scale)), zero = hn::Set(d, static_cast<float>(grid.zero_point));
    const auto low = hn::Set(d, static_cast<float>(grid.low)), high = hn::Set(d, static_cast<float>(grid.high));
    const auto bytes_of = [&](auto v) HWY_ATTR {
        v = hn::Min(hn::Max(hn::Add(hn::Div(v, scale), zero), low), high);
        return hn::DemoteTo(bytes, hn::DemoteTo(words, hn::NearestInt(v)));
    };
    std::int64_t at = 0;
    for (; at + lanes <= count; at += lanes) hn::StoreU(bytes_of(hn::LoadU(d, x + at)), bytes, y + at);
    if (at < count) {
        HWY_ALIGN float in[HWY_MAX_BYTES / 4] = {};
        HWY_ALIGN T out[HWY_MAX_BYTES / 4];
        std::copy(x + at, x + count, in);
        hn::StoreU(bytes_of(hn::LoadU(d, in)), bytes, out);
        std::copy_n(out, count - at, y + at);
    }
}

template <class T> void max_pool_as(T* y, const T* x, const BytePool& g, std::int64_t begin, std::int64_t end) {
    const hn::ScalableTag<T> d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    // The taps within the map.
    const auto taps = [](std::int64_t first, std::int64_t kernel, std::int64_t dilation, std::int64_t size, std::int64_t& from, std::int64_t& to) {
        from = first < 0 ? (-first + dilation - 1) / dilation : 0;
        to = std::min(kernel, first >= size ? 0 : (size - 1 - first) / dilation + 1);
    };
    for (std::int64_t p = begin; p < end; ++p)
        for (std::int64_t q = 0; q < g.out_width; ++q) {
            const std::int64_t h = p * g.stride_h - g.before_h, w = q * g.stride_w - g.before_w;
            std::int64_t r0, r1, s0, s1;
            taps(h, g.kernel_h, g.dilation_h, g.height, r0, r1);
            taps(w, g.kernel_w, g.dilation_w, g.width, s0, s1);
            T* to = y + (p * g.out_width + q) * g.channels;
            const auto pixel = [&](std::int64_t r, std::int64_t s) { return x + ((h + r * g.dilation_h) * g.width + w + s * g.dilation_w) * g.channels; };
            std::int64_t c = 0;
            for (; c + lanes <= g.channels; c += lanes) {
                auto top = hn::LoadU(d, pixel(r0, s0) + c);
                for (std::int64_t r = r0; r < r1; ++r)
                    for (std::int64_t s = s0; s < s1; ++s) top = hn::Max(top, hn::LoadU(d, pixel(r, s) + c));
                hn::StoreU(top, d, to + c);
            }
            for (; c < g.channels; ++c) {
                T top = pixel(r0, s0)[c];
                for (std::int64_t r = r0; r < r1; ++r)
                    for (std::int64_t s = s0; s < s1; ++s) top = std::max(top, pixel(r, s)[c]);
                to[c] = top;
            }
        }
}

template <class T> void add_pixels_as(std::int32_t* sums, const T* x, std::int64_t pixels, std::int64_t pitch, std::int64_t channels) {
    const I i;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(i));
    std::int64_t c = 0;
    for (; c + lanes <= channels; c += lanes) {
        auto total = hn::LoadU(i, sums + c);
        for (std::int64_t p = 0; p < pixels; ++p) total = hn::Add(total, widened(x + p * pitch + c));
        hn::StoreU(total, i, sums + c);
    }
    for (; c < channels; ++c)
        for (std::int64_t p = 0; p < pixels; ++p) sums[c] += x[p * pitch + c];
}

using U = std::uint8_t;
using S = std::int8_t;
template <class T> const T* in(const std::byte* p) { return reinterpret_cast<const T*>(p); }
template <class T> T* out(std::byte* p) { return reinterpret_cast<T*>(p); }

void to_f32(float* y, const std::byte* x, std::int64_t count, const Grid& grid) { grid.low < 0 ? to_f32_as(y, in<S>(x), count, grid) : to_f32_as(y, in<U>(x), count, grid); }
void from_f32(std::byte* y, const float* x, std::int64_t count, const Grid& grid) { grid.low < 0 ? from_f32_as(out<S>(y), x, count, grid) : from_f32_as(out<U>(y), x, count, grid); }
void max_pool(std::byte* y, const std::byte* x, const BytePool& g, bool is_signed, std::int64_t begin, std::int64_t end) {
    is_signed ? max_pool_as(out<S>(y), in<S>(x), g, begin, end) : max_pool_as(out<U>(y), in<U>(x), g, begin, end);
}
void add_pixels(std::int32_t* sums, const std::byte* x, std::int64_t pixels, std::int64_t pitch, std::int64_t channels, bool is_signed) {
    is_signed ? add_pixels_as(sums, in<S>(x), pixels, pitch, channels) : add_pixels_as(sums, in<U>(x), pixels, pitch, channels);
}

Int8Simd int8_table() { return {hwy::TargetName(HWY_TARGET), to_f32, from_f32, max_pool, add_pixels}; }

}  // namespace fovea::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea::cpu {

HWY_EXPORT(int8_table);

const Int8Simd& int8_simd() {
    static const Int8Simd chosen = HWY_DYNAMIC_DISPATCH(int8_table)();
    return chosen;
}

}  // namespace fovea::cpu
#endif
