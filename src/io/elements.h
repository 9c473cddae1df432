// Element types as files store them, widened to ours.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <vector>

#include "fovea/core.h"

namespace fovea {

enum class Stored : std::uint8_t { f16, bf16, f32, f64, i8, i16, i32, i64, u8, boolean };

[[nodiscard]] inline std::size_t size_of(Stored stored) {
    switch (stored) {
        case Stored::f64:
        case Stored::i64: return 8;
        case Stored::f32:
        case Stored::i32: return 4;
        case Stored::f16:
        case Stored::bf16:
        case Stored::i16: return 2;
        default: return 1;
    }
}

/// The type it is held as: halves as f32, bool as u8, small integers as i32.
[[nodiscard]] inline DType held_as(Stored stored) {
    switch (stored) {
        case Stored::f64: return DType::f64;
        case Stored::i64: return DType::i64;
        case Stored::i32:
        case Stored::i16:
        case Stored::i8: return DType::i32;
        case Stored::u8:
        case Stored::boolean: return DType::u8;
        default: return DType::f32;
    }
}

/// IEEE 754 binary16, every value exact in f32.
[[nodiscard]] inline float from_half(std::uint16_t half) {
    const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16, exponent = (half >> 10) & 31U, fraction = half & 1023U;
    if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000U | fraction << 13);
    if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
    const float tiny = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -tiny : tiny;
}

/// One stored element (little-endian bytes) into element `to` of `tensor`, whose dtype is held_as(stored).
inline void widen(Stored stored, const std::byte* from, Tensor& tensor, std::int64_t to) {
    const auto read = [&]<class T>(T value) {
        std::memcpy(&value, from, sizeof value);
        return value;
    };
    const auto put = [&](auto value) { std::memcpy(tensor.raw() + static_cast<std::size_t>(to) * sizeof value, &value, sizeof value); };
    switch (stored) {
        case Stored::f16: return put(from_half(read(std::uint16_t{})));
        case Stored::bf16: return put(std::bit_cast<float>(static_cast<std::uint32_t>(read(std::uint16_t{})) << 16));
        case Stored::f32: return put(read(std::uint32_t{}));
        case Stored::f64:
        case Stored::i64: return put(read(std::uint64_t{}));
        case Stored::i32: return put(read(std::int32_t{}));
        case Stored::i16: return put(static_cast<std::int32_t>(read(std::int16_t{})));
        case Stored::i8: return put(static_cast<std::int32_t>(read(std::int8_t{})));
        case Stored::u8:
        case Stored::boolean: return put(read(std::uint8_t{}));
    }
}

/// All elements of `tensor`, one after the other.
inline void widen_all(Stored stored, const std::byte* from, Tensor& tensor) {
    const std::int64_t count = tensor.elements();
    const auto convert = [&]<class T, class F>(T value, F&& f) {
        auto to = tensor.data<decltype(f(value))>();
        for (std::size_t i = 0; i < to.size(); ++i) {
            std::memcpy(&value, from + i * sizeof value, sizeof value);
            to[i] = f(value);
        }
    };
    constexpr std::int64_t table_pays = 1 << 17;
    if (stored == Stored::f16 && count >= table_pays) {
        static const std::vector<float> table = [] {
            std::vector<float> all(1 << 16);
            for (std::size_t i = 0; i < all.size(); ++i) all[i] = from_half(static_cast<std::uint16_t>(i));
            return all;
        }();
        return convert(std::uint16_t{}, [](std::uint16_t half) { return table[half]; });
    }
    if (stored == Stored::bf16) return convert(std::uint16_t{}, [](std::uint16_t brain) { return std::bit_cast<float>(static_cast<std::uint32_t>(brain) << 16); });
    for (std::int64_t i = 0; i < count; ++i) widen(stored, from + static_cast<std::size_t>(i) * size_of(stored), tensor, i);
}

}  // namespace fovea
