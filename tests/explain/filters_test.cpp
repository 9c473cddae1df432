#include <gtest/gtest.h>

#include "fovea/explain.h"

namespace fovea {
namespace {

TEST(FilterGrid, StretchesEachFilterAndKeepsItsColours) {
    // Two 1 x 2 filters of three channels.
    const Tensor weights = Tensor::of<float>({0.F, 1.F, 0.F, 0.5F, 0.F, 0.F, -1.F, 3.F, 1.F, 1.F, 1.F, 1.F}, {2, 3, 1, 2});
    const Image grid = filter_grid(weights, {.columns = 2, .scale = 1, .gap = 1});
    ASSERT_EQ(grid.width, 7);
    ASSERT_EQ(grid.height, 3);
    ASSERT_EQ(grid.channels, 3);
    const auto pixel = [&](std::int64_t x) { return std::array<int, 3>{grid.at(x, 1, 0), grid.at(x, 1, 1), grid.at(x, 1, 2)}; };
    EXPECT_EQ(pixel(0), (std::array<int, 3>{255, 255, 255}));  // the gap
    EXPECT_EQ(pixel(1), (std::array<int, 3>{0, 0, 0}));
    EXPECT_EQ(pixel(2), (std::array<int, 3>{255, 128, 0}));
    EXPECT_EQ(pixel(4), (std::array<int, 3>{0, 128, 128}));
    EXPECT_EQ(pixel(5), (std::array<int, 3>{255, 128, 128}));
}

TEST(FilterGrid, ShowsTheChannelsOfDeeperFiltersInARow) {
    const Tensor weights(Shape{3, 4, 5, 5});
    const Image grid = filter_grid(weights, {.scale = 2, .gap = 1});
    EXPECT_EQ(grid.width, 4 * 11 + 1);
    EXPECT_EQ(grid.height, 3 * 11 + 1);
    EXPECT_EQ(grid.channels, 1);
    EXPECT_EQ(grid.at(1, 1), 128);  // nothing to stretch
}

TEST(FilterGrid, NinetySixFiltersOfElevenAreTenByTen) {
    const Image grid = filter_grid(Tensor(Shape{96, 3, 11, 11}));
    EXPECT_EQ(grid.width, 10 * (22 + 2) + 2);
    EXPECT_EQ(grid.height, 10 * (22 + 2) + 2);
    EXPECT_THROW((void)filter_grid(Tensor(Shape{4, 3})), ShapeError);
}

}  // namespace
}  // namespace fovea
