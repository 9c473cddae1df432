#include <cmath>
#include <numbers>

#include "fovea/core.h"

namespace fovea {

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> c, std::uint64_t key) {
    auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t a = std::uint64_t{0xD2511F53} * c[0], b = std::uint64_t{0xCD9E8D57} * c[2];
        c = {static_cast<std::uint32_t>(b >> 32) ^ c[1] ^ k0, static_cast<std::uint32_t>(b),
             static_cast<std::uint32_t>(a >> 32) ^ c[3] ^ k1, static_cast<std::uint32_t>(a)};
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    return c;
}

std::array<std::uint32_t, 4> Rng::block(std::uint64_t index) const {
    // The stream is folded into the key: 128 bits of counter are left for step and element, none of which can collide.
    const std::array<std::uint32_t, 4> counter{static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
                                               static_cast<std::uint32_t>(step_), static_cast<std::uint32_t>(step_ >> 32)};
    return philox(counter, key());
}

std::uint32_t Rng::bits(std::uint64_t element) const { return block(element / 4)[element % 4]; }

std::int64_t Rng::below(std::uint64_t element, std::int64_t bound) const {
    // 64 random bits against the bound: the bias is below 2^-32 for every bound that indexes memory.
    const auto b = block(element);
    const std::uint64_t wide = (std::uint64_t{b[0]} << 32) | b[1];
    return static_cast<std::int64_t>((static_cast<unsigned __int128>(wide) * static_cast<std::uint64_t>(bound)) >> 64);
}

double Rng::normal(std::uint64_t element) const {
    const auto b = block(element);
    const double u1 = (b[0] + 1.0) * 0x1p-32, u2 = b[1] * 0x1p-32;
    return std::sqrt(-2 * std::log(u1)) * std::cos(2 * std::numbers::pi * u2);
}

std::uint64_t hash_name(std::string_view name) {
    std::uint64_t h = 0xCBF29CE484222325ull;
    for (char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
    return h;
}

}  // namespace fovea
