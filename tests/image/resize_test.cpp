#include <gtest/gtest.h>

#include "image/pattern.h"

namespace fovea {
namespace {

TEST(Resize, EqualsPillowForEveryFilterUpAndDown) {
    std::ifstream golden(fixture("resize.txt"));
    std::string kind, filter, sum, row;
    std::int64_t width, height, new_width, new_height;
    int channels, cases = 0;
    while (golden >> kind >> channels >> width >> height >> new_width >> new_height >> filter >> sum >> row) {
        SCOPED_TRACE(fmt::format("{} {}x{}x{} -> {}x{} {}", kind, width, height, channels, new_width, new_height, filter));
        const Image result = resize(pattern(kind, width, height, channels), new_width, new_height, filter_of(filter));
        const std::uint8_t* middle = result.row(new_height / 2);
        std::string got;
        for (std::int64_t i = 0; i < std::min<std::int64_t>(new_width, 8) * channels; ++i) got += fmt::format("{:02x}", middle[i]);
        EXPECT_EQ(got, row);               // the first pixels of the middle row, to see what differs
        EXPECT_EQ(checksum(result.pixels), sum);  // all pixels: no tolerance, the arithmetic is Pillow's
        ++cases;
    }
    EXPECT_EQ(cases, 264);
}

TEST(ResizePart, EqualsTheSamePartOfTheWholeResult) {
    const Image image = pattern("photo", 61, 47, 3);
    int cases = 0;
    for (const Filter filter : {Filter::nearest, Filter::box, Filter::bilinear, Filter::bicubic, Filter::lanczos})
        for (const auto& [width, height] : std::vector<std::pair<std::int64_t, std::int64_t>>{{40, 31}, {90, 70}, {61, 20}, {30, 47}, {61, 47}, {1, 1}})
            for (const PixelRect& part : {PixelRect{0, 0, 1, 1}, PixelRect{0, 0, width, height}, PixelRect{width / 3, height / 4, (width + 1) / 2, (height + 1) / 2}, PixelRect{width - 1, height - 1, 1, 1}}) {
                const PixelRect at = resize_source({61, 47}, width, height, part, filter);
                const Image whole = resize(image, width, height, filter), source = crop(image, at.x, at.y, at.width, at.height);
                EXPECT_EQ(resize_part(source, at, {61, 47}, width, height, part, filter), crop(whole, part.x, part.y, part.width, part.height))
                    << name_of(filter) << " " << width << "x" << height << " part " << part.x << " " << part.y << " " << part.width << " " << part.height;
                ++cases;
            }
    EXPECT_EQ(cases, 120);
    EXPECT_EQ(message_of<ArgumentError>([&] { (void)resize_part(image, {0, 0, 61, 47}, {61, 47}, 20, 20, {10, 0, 11, 5}); }), "resize: the part 11x5 at (10, 0) leaves the result of 20x20");
}

TEST(Resize, ShorterSideRoundsAsTorchvision) {
    const auto size = [](std::int64_t w, std::int64_t h, std::int64_t side) {
        const Image image = resize_shorter_side(Image(w, h, 1), side, Filter::nearest);
        return std::pair(image.width, image.height);
    };
    EXPECT_EQ(size(500, 375, 256), (std::pair<std::int64_t, std::int64_t>(341, 256)));  // int(256 * 500 / 375) = int(341.33)
    EXPECT_EQ(size(375, 500, 256), (std::pair<std::int64_t, std::int64_t>(256, 341)));
    EXPECT_EQ(size(333, 500, 256), (std::pair<std::int64_t, std::int64_t>(256, 384)));  // 384.38
    EXPECT_EQ(size(64, 64, 32), (std::pair<std::int64_t, std::int64_t>(32, 32)));
    EXPECT_EQ(message_of<FormatError>([] { (void)resize_shorter_side(Image(1, 20000, 1), 256); }),
              "resize: 1x20000 would become 256x5120000, beyond 256000000 pixels");
}

TEST(Resize, NamesTheNearestFilters) {
    EXPECT_EQ(message_of<ArgumentError>([] { (void)filter_of("bicubik"); }), "no resize filter 'bicubik'; nearest: bicubic, box, bilinear");
    EXPECT_EQ(message_of<ArgumentError>([] { (void)resize(Image(2, 2, 3), 0, 4); }), "resize: size must be positive, got 0x4");
    for (const Filter filter : {Filter::nearest, Filter::box, Filter::bilinear, Filter::hamming, Filter::bicubic, Filter::lanczos})
        EXPECT_EQ(filter_of(name_of(filter)), filter);
}

TEST(CenterCrop, RoundsHalvesToEvenAsTorchvision) {
    // int(round((w - 2) / 2.0)): 0.5 -> 0, 1.5 -> 2, 2.5 -> 2, 3.5 -> 4.
    const std::pair<std::int64_t, std::uint8_t> offsets[] = {{2, 0}, {3, 0}, {4, 1}, {5, 2}, {7, 2}, {9, 4}};
    for (const auto& [width, offset] : offsets) {
        Image image(width, 1, 1);
        for (std::int64_t x = 0; x < width; ++x) image.pixels[static_cast<std::size_t>(x)] = static_cast<std::uint8_t>(x);
        EXPECT_EQ(center_crop(image, 2, 1).at(0, 0), offset) << width;
    }
}

TEST(CenterCrop, PadsWhereTheImageIsSmaller) {
    Image image(2, 5, 1, 9);
    const Image result = center_crop(image, 5, 3);  // 3 missing columns: 1 left, 2 right
    EXPECT_EQ(result.width, 5);
    EXPECT_EQ(result.height, 3);
    for (std::int64_t y = 0; y < 3; ++y)
        for (std::int64_t x = 0; x < 5; ++x) EXPECT_EQ(result.at(x, y), x == 1 || x == 2 ? 9 : 0);
}

TEST(Geometry, MirrorFlipCropAndPadMovePixelsWhereTheySay) {
    const Image image = pattern("noise", 5, 4, 3);
    EXPECT_EQ(mirror(image).at(0, 2, 1), image.at(4, 2, 1));
    EXPECT_EQ(mirror(mirror(image)), image);
    EXPECT_EQ(flip_vertical(image).at(3, 0, 2), image.at(3, 3, 2));
    EXPECT_EQ(crop(pad(image, 1, 2, 3, 4, 7), 1, 2, 5, 4), image);
    EXPECT_EQ(pad(image, 1, 2, 3, 4, 7).at(0, 0), 7);
    EXPECT_EQ(message_of<ArgumentError>([&] { (void)crop(image, 3, 0, 3, 2); }), "crop 3x2 at (3, 0) leaves the image of 5x4");
}

TEST(Draw, TextAndRectanglesStayInsideThePicture) {
    Image image(20, 10, 3);
    draw_text(image, 1, 1, "I", {255, 0, 0});
    EXPECT_EQ(image.at(2, 1, 0), 255);  // top bar of the I: columns 1..3 of the glyph
    EXPECT_EQ(image.at(1, 1, 0), 0);
    EXPECT_EQ(image.at(3, 4, 0), 255);
    EXPECT_EQ(image.at(3, 4, 1), 0);
    const Image before = image;
    draw_text(image, 18, 8, "W\xC3\xA4", {255, 255, 255}, 3);  // leaves on the right and below
    fill_rect(image, -5, -5, 6, 6, {1, 2, 3});
    EXPECT_EQ(image.at(0, 0, 2), 3);
    EXPECT_EQ(image.at(1, 1, 2), before.at(1, 1, 2));
    paste(image, Image(4, 4, 1, 77), 18, -2);
    EXPECT_EQ(image.at(19, 1, 1), 77);
    paste(image, Image(4, 4, 1, 77), 500, 500);
    EXPECT_EQ(text_width("abc\nabcd", 2), 48);
    EXPECT_EQ(enlarge(before, 3).at(7, 4, 0), before.at(2, 1, 0));
}

}  // namespace
}  // namespace fovea
