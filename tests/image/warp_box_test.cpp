// R-CNN's crops. Sizes are chosen so that the frame is enlarged by a whole number: what each pixel of the crop shows follows by hand.
#include <gtest/gtest.h>

#include "image/pattern.h"

namespace fovea {
namespace {

constexpr Colour mean{200, 201, 202};
using Pixel = std::array<int, 3>;

/// Every pixel tells where it is: its column and row times `step`, and what of them is beyond a byte.
Image coordinates(std::int64_t width, std::int64_t height, std::int64_t step = 1) {
    Image image(width, height, 3);
    for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x) {
            std::uint8_t* pixel = image.row(y) + 3 * x;
            pixel[0] = static_cast<std::uint8_t>(x * step), pixel[1] = static_cast<std::uint8_t>(y * step);
            pixel[2] = static_cast<std::uint8_t>(x * step / 256 * 16 + y * step / 256);
        }
    return image;
}

Pixel pixel(const Image& image, std::int64_t x, std::int64_t y) { return {image.at(x, y, 0), image.at(x, y, 1), image.at(x, y, 2)}; }
constexpr Pixel nothing{200, 201, 202};

// 97 to either side of the middle, times 227 / 195, is 112.9: from 16 before the box's first pixel to 210 behind it, 227 as the crop has.
TEST(WarpBox, ShowsSixteenPixelsAroundABoxAt227) {
    const Image image = coordinates(400, 300);
    EXPECT_EQ(warp_box(image, {150, 60, 194, 194}, {.mean = mean}), crop(image, 134, 44, 227, 227));
}

TEST(WarpBox, FillsWhatLiesBeyondTheImageWithTheMean) {
    const Image image = coordinates(300, 280);
    const Image first = warp_box(image, {0, 5, 194, 194}, {.mean = mean});  // frame from (-16, -11)
    const Image last = warp_box(image, {106, 86, 194, 194}, {.mean = mean});  // frame from (90, 70) to (316, 296)
    for (std::int64_t y = 0; y < 227; ++y)
        for (std::int64_t x = 0; x < 227; ++x) {
            ASSERT_EQ(pixel(first, x, y), x < 16 || y < 11 ? nothing : pixel(image, x - 16, y - 11)) << x << " " << y;
            ASSERT_EQ(pixel(last, x, y), x >= 210 || y >= 210 ? nothing : pixel(image, x + 90, y + 70)) << x << " " << y;
        }
}

// At 64 with 8 around: a box of 47 is shown as it is (64 pixels from 8 before it), one of 23 twice as large (32 from 4 before it).
constexpr WarpBoxSpec small{.size = 64, .context = 8, .mean = mean};

/// Of an enlargement by 2 of a ramp in steps of 4 that begins with pixel `first`: halves of a pixel lie a quarter to each side of its middle.
int doubled(std::int64_t at, std::int64_t first, std::int64_t count) {
    const std::int64_t value = 4 * (first + at / 2) + (at % 2 == 0 ? -1 : 1);
    return static_cast<int>(std::clamp(value, 4 * first, 4 * (first + count - 1)));
}

TEST(WarpBox, StretchesWidthAndHeightEachByItself) {
    const Image warped = warp_box(coordinates(64, 64, 4), {20, 8, 23, 47}, small);  // columns 16..47, rows 0..63
    for (std::int64_t y = 0; y < 64; ++y)
        for (std::int64_t x = 0; x < 64; ++x) ASSERT_EQ(pixel(warped, x, y), (Pixel{doubled(x, 16, 32), static_cast<int>(4 * y), 0})) << x << " " << y;
}

TEST(WarpBox, StretchesWhatIsLeftAtABorderAsMuch) {
    const Image warped = warp_box(coordinates(64, 64, 4), {40, 8, 23, 47}, small);  // columns 36..67, of which 36..63 are there
    for (std::int64_t y = 0; y < 64; ++y)
        for (std::int64_t x = 0; x < 64; ++x) ASSERT_EQ(pixel(warped, x, y), x >= 56 ? nothing : (Pixel{doubled(x, 36, 28), static_cast<int>(4 * y), 0})) << x << " " << y;
}

TEST(WarpBox, TightestSquaresKeepShapes) {
    const Image image = coordinates(100, 100);
    WarpBoxSpec spec = small;
    spec.shape = BoxShape::square;
    // 47 x 23: the square's middle is the box's, rows 11.5 - 31.3 = -19.8 from its top on.
    EXPECT_EQ(warp_box(image, {20, 40, 47, 23}, spec), crop(image, 12, 20, 64, 64));
    spec.shape = BoxShape::bare_square;
    Image bare(64, 64, 3);
    fill_rect(bare, 0, 0, 64, 64, mean);
    paste(bare, crop(image, 12, 36, 64, 32), 0, 16);  // the box's rows and 4 on either side, as the warp shows them
    EXPECT_EQ(warp_box(image, {20, 40, 47, 23}, spec), bare);
    // Without context the box alone, in a square that counts both its ends.
    spec.size = 48, spec.context = 0;
    fill_rect(bare, 0, 0, 64, 64, mean);
    paste(bare, crop(image, 20, 40, 47, 23), 0, 12);
    EXPECT_EQ(warp_box(image, {20, 40, 47, 23}, spec), crop(bare, 0, 0, 48, 48));
}

TEST(WarpBox, WithoutContextIsTheBoxResized) {
    const Image image = pattern("photo", 90, 70, 3);
    EXPECT_EQ(warp_box(image, {10, 20, 50, 33}, {.context = 0, .mean = mean}), resize(crop(image, 10, 20, 50, 33), 227, 227));
    EXPECT_EQ(warp_box(pattern("photo", 90, 70, 1), {10, 20, 50, 33}, {.size = 20, .context = 4, .mean = mean}).channels, 1);
}

TEST(WarpBox, RefusesWhatHasNoPixels) {
    const Image image = coordinates(30, 20);
    EXPECT_EQ(message_of<ArgumentError>([&] { (void)warp_box(image, {30, 0, 5, 5}, {.mean = mean}); }), "warp_box: the box 5x5 at (30, 0) has no pixel of the image of 30x20");
    EXPECT_EQ(message_of<ArgumentError>([&] { (void)warp_box(image, {0, 0, 0, 5}, {.mean = mean}); }), "warp_box: the box 0x5 at (0, 0) has no pixel of the image of 30x20");
    EXPECT_EQ(message_of<ArgumentError>([&] { (void)warp_box(image, {0, 0, 5, 5}, {.size = 32, .context = 16, .mean = mean}); }), "warp_box: 16 pixels of context on each side leave nothing of 32");
    // A box of which next to nothing is left is mean throughout.
    const Image sliver = warp_box(image, {-2999, 0, 3000, 20}, {.size = 32, .context = 0, .mean = mean});
    EXPECT_EQ(pixel(sliver, 31, 0), nothing);
}

}  // namespace
}  // namespace fovea
