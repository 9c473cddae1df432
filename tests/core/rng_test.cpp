#include <gtest/gtest.h>

#include <cmath>

#include "fovea/core.h"

namespace fovea {
namespace {

TEST(Rng, PhiloxEqualsThePublishedTestVectors) {
    // Known answers of Random123 (kat_vectors, philox4x32 10 rounds).
    EXPECT_EQ(philox({0, 0, 0, 0}, 0), (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, ~0ull), (std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0x299f31d0a4093822ull), (std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Rng, UniformAndNormalHaveTheirMoments) {
    const Rng rng(7, hash_name("test"));
    double mean = 0, square = 0, normal = 0, normal_square = 0;
    constexpr int n = 100000;
    for (int i = 0; i < n; ++i) {
        const double u = rng.uniform(static_cast<std::uint64_t>(i)), z = rng.normal(static_cast<std::uint64_t>(i));
        ASSERT_GE(u, 0);
        ASSERT_LT(u, 1);
        mean += u / n, square += u * u / n, normal += z / n, normal_square += z * z / n;
    }
    // Five standard errors of the mean of 1e5 draws.
    EXPECT_NEAR(mean, 0.5, 5 * 0.2887 / std::sqrt(n));
    EXPECT_NEAR(square, 1.0 / 3, 5 * 0.298 / std::sqrt(n));
    EXPECT_NEAR(normal, 0, 5 / std::sqrt(n));
    EXPECT_NEAR(normal_square, 1, 5 * 1.4142 / std::sqrt(n));
}

TEST(Rng, BelowStaysInRangeAndReachesBothEnds) {
    const Rng rng(1, 2, 3);
    std::array<int, 7> seen{};
    for (std::uint64_t i = 0; i < 7000; ++i) ++seen[static_cast<std::size_t>(rng.below(i, 7))];
    for (int count : seen) EXPECT_NEAR(count, 1000, 150);
}

}  // namespace
}  // namespace fovea
