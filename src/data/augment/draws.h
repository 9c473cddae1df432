// Random numbers of one step on one picture.
#pragma once

#include <cmath>
#include <numbers>

#include "fovea/data/augment.h"

namespace fovea {

/// The draws of one step, in turn. They depend on the address and the step alone: a step that is added changes no other's.
class Draws {
public:
    /// `ordinal`: how many steps of the same name come before.
    Draws(const AugmentAddress& at, std::string_view step, std::uint64_t ordinal = 0)
        : rng_(at.seed, hash_name(step) + ordinal + (static_cast<std::uint64_t>(at.copy) << 20), static_cast<std::uint64_t>(at.epoch)), next_(static_cast<std::uint64_t>(at.sample) << 32) {}

    /// In [0, 1).
    double uniform() { return rng_.uniform(next_++); }
    double uniform(double low, double high) { return low + uniform() * (high - low); }
    double uniform(const Bounds& range) { return uniform(range[0], range[1]); }
    /// In [0, count).
    std::int64_t below(std::int64_t count) { return static_cast<std::int64_t>(uniform() * static_cast<double>(count)); }
    bool happens(double p) { return uniform() < p; }
    double normal() {
        const double u = 1 - uniform();  // in (0, 1]
        return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * uniform());
    }
    /// For steps that need thousands: Philox blocks of four words, numbered from 0, that no other draw meets.
    [[nodiscard]] std::array<std::uint32_t, 4> block(std::uint32_t index) const {
        const std::uint64_t counter = (next_ & ~std::uint64_t{0xFFFFFFFF}) | index;
        return philox({static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32), static_cast<std::uint32_t>(rng_.step()), static_cast<std::uint32_t>(rng_.step() >> 32)}, rng_.key() ^ hash_name("many"));
    }

private:
    Rng rng_;
    std::uint64_t next_;
};

}  // namespace fovea
