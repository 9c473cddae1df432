// Overlapping tiles, exact distances, and U-Net's weights of pixels.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

#include "data/distance.h"
#include "fovea/data.h"
#include "support.h"

namespace fovea {
namespace {

using test::message_of;
using test::values_of;

Tensor numbered(const Shape& shape) {
    Tensor tensor(shape);
    for (std::int64_t i = 0; i < tensor.elements(); ++i) tensor.set(i, static_cast<double>(i));
    return tensor;
}

TEST(OverlapTiles, OfUNetCoverASliceOf512) {
    const auto tiles = overlap_tiles(512, 512, {.in_width = 572, .in_height = 572, .out_width = 388, .out_height = 388});
    ASSERT_EQ(tiles.size(), 4U);
    EXPECT_EQ(tiles[0].in, (PixelRect{-92, -92, 572, 572}));
    EXPECT_EQ(tiles[0].out, (PixelRect{0, 0, 388, 388}));
    EXPECT_EQ(tiles[1].out, (PixelRect{124, 0, 388, 388}));  // ends with the picture
    EXPECT_EQ(tiles[3].in, (PixelRect{32, 32, 572, 572}));
}

TEST(OverlapTiles, SeeThePictureMirroredWithoutItsEdge) {
    const Tensor part = mirrored_part(numbered({1, 1, 2, 4}), {-2, -1, 8, 4});  // rows 0 1 2 3 and 4 5 6 7
    EXPECT_EQ(values_of(part), (std::vector<double>{6, 5, 4, 5, 6, 7, 6, 5,    //
                                                    2, 1, 0, 1, 2, 3, 2, 1,    //
                                                    6, 5, 4, 5, 6, 7, 6, 5,    //
                                                    2, 1, 0, 1, 2, 3, 2, 1}));
    // Farther out than the picture is wide it is mirrored again; a single pixel is all there is.
    EXPECT_EQ(values_of(mirrored_part(numbered({1, 1, 1, 3}), {-5, 0, 6, 1})), (std::vector<double>{1, 0, 1, 2, 1, 0}));
    EXPECT_EQ(values_of(mirrored_part(numbered({1, 1, 1, 1}), {-2, -2, 2, 2})), (std::vector<double>{0, 0, 0, 0}));
}

TEST(OverlapTiles, OfANetworkThatOnlyCutsItsBorderGiveThePictureBack) {
    const TileSizes sizes{.in_width = 14, .in_height = 10, .out_width = 8, .out_height = 6};
    const auto identity = [](const Tensor& x) { return mirrored_part(x, {3, 2, 8, 6}); };
    // As large as tiles, larger by one, no multiple, smaller than a tile, smaller than the border.
    for (const auto& [width, height] : {std::pair(16, 12), std::pair(17, 13), std::pair(30, 5), std::pair(8, 6), std::pair(2, 1), std::pair(1, 20)}) {
        const Tensor picture = test::filled({2, 3, height, width}, "picture", -1, 1, DType::f32);
        const Tensor back = run_in_tiles(picture, sizes, identity);
        ASSERT_EQ(back.shape(), picture.shape());
        EXPECT_EQ(values_of(back), values_of(picture)) << width << "x" << height;
    }
}

TEST(OverlapTiles, HaveNoSeams) {
    // A 5 x 5 box filter without padding, with twice as many channels.
    const auto network = [](const Tensor& x) {
        const std::int64_t H = x.shape()[2], W = x.shape()[3];
        Tensor y({1, 2, H - 4, W - 4});
        for (std::int64_t i = 0; i < H - 4; ++i)
            for (std::int64_t j = 0; j < W - 4; ++j) {
                double sum = 0;
                for (std::int64_t k = 0; k < 25; ++k) sum += x.at((i + k / 5) * W + j + k % 5);
                y.set(i * (W - 4) + j, sum), y.set((H - 4 + i) * (W - 4) + j, -sum);
            }
        return y;
    };
    const Tensor picture = test::filled({1, 1, 23, 37}, "picture", -1, 1, DType::f32);
    const Tensor whole = run_in_tiles(picture, {.in_width = 41, .in_height = 27, .out_width = 37, .out_height = 23}, network);
    const Tensor tiled = run_in_tiles(picture, {.in_width = 14, .in_height = 12, .out_width = 10, .out_height = 8}, network);
    EXPECT_EQ(tiled.shape(), (Shape{1, 2, 23, 37}));
    EXPECT_EQ(values_of(tiled), values_of(whole));
}

TEST(OverlapTiles, RefuseSizesThatLeaveNoBorder) {
    EXPECT_EQ(message_of<ArgumentError>([] { (void)overlap_tiles(9, 9, {.in_width = 10, .in_height = 10, .out_width = 7, .out_height = 6}); }),
              "tiles: the network sees 10x10 and answers 7x6; what it answers lies in the middle, with whole pixels around it");
    const auto wrong = [](const Tensor& x) { return x; };
    EXPECT_EQ(message_of<ShapeError>([&] { (void)run_in_tiles(numbered({1, 3, 9, 9}), {.in_width = 10, .in_height = 10, .out_width = 6, .out_height = 6}, wrong); }),
              "tiles: the network gave [1, 3, 10, 10] for [1, 3, 10, 10], expected [1, L, 6, 6]");
}

/// By all pairs of pixels.
std::vector<double> plain_distances(const std::vector<std::uint8_t>& is_seed, std::int64_t width, std::int64_t height) {
    std::vector<double> distances(is_seed.size(), std::numeric_limits<double>::infinity());
    for (std::int64_t p = 0; p < width * height; ++p)
        for (std::int64_t q = 0; q < width * height; ++q)
            if (is_seed[static_cast<std::size_t>(q)])
                distances[static_cast<std::size_t>(p)] = std::min(distances[static_cast<std::size_t>(p)], std::pow(p % width - q % width, 2) + std::pow(p / width - q / width, 2));
    return distances;
}

TEST(Distances, AreTheLeastOverAllPairs) {
    for (const auto& [width, height, share] : {std::tuple(31, 22, 0.02), std::tuple(17, 40, 0.2), std::tuple(1, 50, 0.1), std::tuple(50, 1, 0.1), std::tuple(12, 9, 0.0), std::tuple(12, 9, 1.0)}) {
        const Rng rng(3, hash_name("seeds"));
        std::vector<std::uint8_t> is_seed(static_cast<std::size_t>(width * height));
        for (std::size_t i = 0; i < is_seed.size(); ++i) is_seed[i] = rng.uniform(i) < share ? 1 : 0;
        EXPECT_EQ(squared_distances(is_seed, width, height), plain_distances(is_seed, width, height)) << width << "x" << height;  // whole numbers: exact
    }
}

double weight_at(const Tensor& weights, std::int64_t x, std::int64_t y) { return weights.at(y * weights.shape()[1] + x); }

// Two squares of 5 x 5, four pixels between them: columns 3..7 and 12..16, rows 3..7.
TEST(PixelWeights, OfAGapOfFourPixelsFollowTheEquation) {
    Image labels(20, 11, 1);
    fill_rect(labels, 3, 3, 5, 5, {1, 1, 1});
    fill_rect(labels, 12, 3, 5, 5, {1, 1, 1});
    const Tensor weights = pixel_weights(labels, {.background = 2, .cell = 3});
    EXPECT_EQ(weights.shape(), (Shape{11, 20}));
    // d1 + d2 is 5 everywhere across the gap: exp(-25 / 50). f32 rounds to 5e-7 there.
    for (std::int64_t x = 8; x < 12; ++x) EXPECT_NEAR(weight_at(weights, x, 5), 2 + 10 * std::exp(-0.5), 1e-6);
    // Above the gap, 3 rows from the squares: to their upper inner corners (7, 3) and (12, 3).
    EXPECT_NEAR(weight_at(weights, 9, 0), 2 + 10 * std::exp(-std::pow(std::sqrt(4 + 9) + std::sqrt(9 + 9), 2) / 50), 1e-6);
    // In a cell: its own border is 2 pixels from its middle, the other's 7.
    EXPECT_NEAR(weight_at(weights, 5, 5), 3 + 10 * std::exp(-81.0 / 50), 1e-6);
    EXPECT_NEAR(weight_at(weights, 7, 5), 3 + 10 * std::exp(-25.0 / 50), 1e-6);
    EXPECT_NEAR(weight_at(pixel_weights(labels, {.border = 4, .sigma = 2, .background = 2, .cell = 3}), 8, 5), 2 + 4 * std::exp(-25.0 / 8), 1e-6);
}

TEST(PixelWeights, BalanceTheClasses) {
    Image labels(10, 4, 1);
    fill_rect(labels, 0, 0, 2, 4, {255, 255, 255});  // one cell, 8 of 40 pixels: there is no second to be near to
    const Tensor weights = pixel_weights(labels);
    EXPECT_FLOAT_EQ(static_cast<float>(weight_at(weights, 0, 0)), 40.0F / 16);
    EXPECT_FLOAT_EQ(static_cast<float>(weight_at(weights, 9, 3)), 40.0F / 64);
    for (const int fill : {0, 7}) EXPECT_EQ(values_of(pixel_weights(Image(3, 2, 1, static_cast<std::uint8_t>(fill)))), std::vector<double>(6, 1.0));
}

/// Cells by flooding from each pixel anew, distances by all pairs.
std::vector<double> plain_weights(const Image& labels, const PixelWeightSpec& spec) {
    const std::int64_t W = labels.width, H = labels.height;
    const auto value = [&](std::int64_t p) { return labels.at(p % W, p / W); };
    const auto neighbours = [&](std::int64_t p) {
        std::vector<std::int64_t> all;
        if (p % W > 0) all.push_back(p - 1);
        if (p % W + 1 < W) all.push_back(p + 1);
        if (p >= W) all.push_back(p - W);
        if (p + W < W * H) all.push_back(p + W);
        return all;
    };
    // Every pixel takes the least number of its cell, until nothing changes.
    std::vector<std::int64_t> cell(static_cast<std::size_t>(W * H));
    for (std::int64_t p = 0; p < W * H; ++p) cell[static_cast<std::size_t>(p)] = p;
    for (bool is_changed = true; is_changed;) {
        is_changed = false;
        for (std::int64_t p = 0; p < W * H; ++p)
            for (const std::int64_t q : neighbours(p))
                if (value(p) == value(q) && cell[static_cast<std::size_t>(q)] < cell[static_cast<std::size_t>(p)]) cell[static_cast<std::size_t>(p)] = cell[static_cast<std::size_t>(q)], is_changed = true;
    }
    std::vector<double> weights;
    for (std::int64_t p = 0; p < W * H; ++p) {
        std::map<std::int64_t, double> to;
        for (std::int64_t q = 0; q < W * H; ++q) {
            const bool is_border = value(q) != 0 && std::ranges::any_of(neighbours(q), [&](std::int64_t n) { return cell[static_cast<std::size_t>(n)] != cell[static_cast<std::size_t>(q)]; });
            if (!is_border) continue;
            const double distance = std::hypot(p % W - q % W, p / W - q / W);
            const auto [known, is_new] = to.emplace(cell[static_cast<std::size_t>(q)], distance);
            if (!is_new) known->second = std::min(known->second, distance);
        }
        std::vector<double> sorted;
        for (const auto& [number, distance] : to) sorted.push_back(distance);
        std::ranges::sort(sorted);
        const double apart = sorted.size() < 2 ? std::numeric_limits<double>::infinity() : sorted[0] + sorted[1];
        weights.push_back((value(p) != 0 ? spec.cell : spec.background) + spec.border * std::exp(-apart * apart / (2 * spec.sigma * spec.sigma)));
    }
    return weights;
}

TEST(PixelWeights, EqualThePlainLoopsOnRandomMasks) {
    // 30 x 24 with a reach of 9 pixels: cells are looked for within a window. Values 1 and 2 touch; some cells touch the picture's edge.
    for (const double share : {0.05, 0.3, 0.6}) {
        const Rng rng(7, hash_name("cells"));
        Image labels(30, 24, 1);
        for (std::size_t i = 0; i < labels.pixels.size(); ++i) labels.pixels[i] = static_cast<std::uint8_t>(rng.uniform(2 * i) < share ? 1 + rng.below(2 * i + 1, 2) : 0);
        for (const double sigma : {1.0, 5.0}) {
            const PixelWeightSpec spec{.sigma = sigma, .background = 1, .cell = 0.5};
            const std::vector<double> got = values_of(pixel_weights(labels, spec)), want = plain_weights(labels, spec);
            for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-6) << i << " " << share;  // f32's rounding below 16
        }
    }
}

TEST(PixelWeights, RefuseWhatIsNoLabelMap) {
    EXPECT_EQ(message_of<ArgumentError>([] { (void)pixel_weights(Image(4, 3, 3)); }), "pixel_weights: labels have one channel and a size, got 4x3 with 3");
    EXPECT_EQ(message_of<ArgumentError>([] { (void)pixel_weights(Image(4, 3, 1), {.sigma = 0}); }),
              "pixel_weights: border, background and cell must not be negative and sigma lies above 0, got 10, 0, 0 and 0");
}

}  // namespace
}  // namespace fovea
