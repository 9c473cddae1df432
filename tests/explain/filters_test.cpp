#include <gtest/gtest.h>

#include "fovea/explain.h"
#include "fovea/models.h"

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

/// The convolutions' weights of a model, all 0.
Parameters convolutions_of(const Graph& network) {
    Parameters parameters;
    for (const ParameterInfo& info : network.parameters())
        if (info.type.shape.rank() == 4) parameters.set(info.name, Tensor(info.type.shape));
    return parameters;
}

// T10: Krizhevsky et al. 2012, figure 3: 48 kernels of each of the two towers, three rows of 16 above three rows of 16.
TEST(FilterGrid, TheHalvesOf2012StandOneAboveTheOther) {
    Parameters parameters = convolutions_of(build_model("alexnet_2012"));
    Tensor& weights = parameters.at("conv1.weight");
    ASSERT_EQ(weights.shape(), (Shape{96, 3, 11, 11}));
    for (std::int64_t k = 0; k < 96; ++k)
        for (std::int64_t i = 0; i < 363; ++i) weights.set(k * 363 + i, i < 363 - k ? 0 : 1);  // k of its weights, the last ones, are white
    const std::int64_t towers = towers_of(parameters, "conv1.weight");
    EXPECT_EQ(towers, 2);
    const Image grid = filter_grid(weights, {.scale = 1, .gap = 2, .towers = towers});
    constexpr std::int64_t tower = 3 * (11 + 2) + 2;
    EXPECT_EQ(grid.width, 16 * (11 + 2) + 2);
    ASSERT_EQ(grid.height, 2 * tower + 2);
    for (std::int64_t x = 0; x < grid.width; ++x) {
        ASSERT_EQ(grid.at(x, tower - 1), 255);  // the gap above the line
        ASSERT_EQ(grid.at(x, tower), 0);
        ASSERT_EQ(grid.at(x, tower + 1), 0);
        ASSERT_EQ(grid.at(x, tower + 2), 255);
    }
    for (std::int64_t k = 1; k < 96; ++k) {
        std::int64_t white = 0;
        const std::int64_t left = 2 + k % 48 % 16 * 13, top = k / 48 * (tower + 2) + 2 + k % 48 / 16 * 13;
        for (std::int64_t y = 0; y < 11; ++y)
            for (std::int64_t x = 0; x < 11; ++x)
                for (int c = 0; c < 3; ++c) white += grid.at(left + x, top + y, c) == 255 ? 1 : 0;
        EXPECT_EQ(white, k);
    }
}

TEST(FilterGrid, OnlyAFirstLayerReadByHalvesHasTowers) {
    const auto of = [](const char* model, std::string_view name) { return towers_of(convolutions_of(build_model(model)), name); };
    EXPECT_EQ(of("alexnet_2012", "conv1.weight"), 2);
    EXPECT_EQ(of("alexnet_2012", "conv2.weight"), 1);  // conv3 joins the towers
    EXPECT_EQ(of("caffenet", "conv1.weight"), 2);
    EXPECT_EQ(of("alexnet_s4", "conv1.weight"), 1);
    EXPECT_EQ(of("mobilenet_v1", "stem.conv.weight"), 1);
    EXPECT_THROW((void)filter_grid(Tensor(Shape{5, 3, 2, 2}), {.towers = 2}), ArgumentError);
}

}  // namespace
}  // namespace fovea
