// WebP, BMP and Netpbm, and JPEGs decoded smaller.
#include <cstdio>

#include <webp/encode.h>

#include "fovea/image.h"
#include "image/jpeg.h"
#include "support.h"

namespace fovea {
namespace {

/// Every channel another slope, so that swapped axes or channels show.
Image slopes(std::int64_t width, std::int64_t height) {
    Image image(width, height, 3);
    for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x) {
            std::uint8_t* pixel = image.row(y) + 3 * x;
            pixel[0] = static_cast<std::uint8_t>(x * 7 % 256), pixel[1] = static_cast<std::uint8_t>(y * 11 % 256), pixel[2] = static_cast<std::uint8_t>((x + y) * 3 % 256);
        }
    return image;
}

std::vector<std::byte> bytes_of(std::string_view text) {
    const auto all = std::as_bytes(std::span(text));
    return {all.begin(), all.end()};
}

std::string message_of(const std::vector<std::byte>& bytes) {
    return test::message_of<FormatError>([&] { (void)decode_image(bytes, "x"); });
}

std::vector<std::byte> webp_of(const Image& image) {
    std::uint8_t* data = nullptr;
    const std::size_t size = WebPEncodeLosslessRGB(image.pixels.data(), static_cast<int>(image.width), static_cast<int>(image.height), static_cast<int>(image.width * 3), &data);
    std::vector<std::byte> bytes(reinterpret_cast<std::byte*>(data), reinterpret_cast<std::byte*>(data) + size);
    WebPFree(data);
    return bytes;
}

void put(std::string& text, std::uint32_t value, int count) {
    for (int i = 0; i < count; ++i) text += static_cast<char>(value >> 8 * i & 0xFF);
}

/// A BMP of `bits`, its palette and its lines as they lie in the file.
std::vector<std::byte> bmp_of(std::int32_t width, std::int32_t height, int bits, const std::string& palette, const std::string& lines) {
    std::string text = "BM";
    put(text, static_cast<std::uint32_t>(54 + palette.size() + lines.size()), 4), put(text, 0, 4), put(text, static_cast<std::uint32_t>(54 + palette.size()), 4);
    put(text, 40, 4), put(text, static_cast<std::uint32_t>(width), 4), put(text, static_cast<std::uint32_t>(height), 4), put(text, 1, 2), put(text, static_cast<std::uint32_t>(bits), 2);
    for (int i = 0; i < 4; ++i) put(text, 0, 4);
    put(text, static_cast<std::uint32_t>(palette.size() / 4), 4), put(text, 0, 4);
    return bytes_of(text + palette + lines);
}

TEST(Webp, LosslessPicturesComeBackExactly) {
    for (const auto& [width, height] : {std::pair{1, 1}, std::pair{37, 23}, std::pair{256, 3}}) {
        const Image image = slopes(width, height);
        EXPECT_EQ(decode_image(webp_of(image), "x"), image) << width << "x" << height;
    }
}

TEST(Webp, ShortAndDamagedFilesAreRefused) {
    const std::vector<std::byte> whole = webp_of(slopes(64, 64));
    for (const std::size_t size : {std::size_t{12}, std::size_t{20}, whole.size() / 2, whole.size() - 1}) {
        const std::string message = message_of({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
        EXPECT_TRUE(message.starts_with("decode 'x': bad WebP of ")) << size << ": " << message;
    }
}

TEST(Bmp, LinesFromBelowAndFromAboveBlueFirst) {
    const std::string red_green("\0\0\xff\0\xff\0\0\0", 8), blue_white("\xff\0\0\xff\xff\xff\0\0", 8);  // two pixels and two bytes to fill the line
    const Image from_below = decode_image(bmp_of(2, 2, 24, "", blue_white + red_green), "x");
    EXPECT_EQ(from_below.pixels, (std::vector<std::uint8_t>{255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255}));
    EXPECT_EQ(decode_image(bmp_of(2, -2, 24, "", red_green + blue_white), "x"), from_below);
}

TEST(Bmp, PalettesOfOneFourAndEightBits) {
    const std::string palette("\0\0\0\0\x0a\x14\x1e\0", 8);  // black, (30, 20, 10)
    const std::vector<std::uint8_t> wanted{30, 20, 10, 0, 0, 0, 30, 20, 10};
    EXPECT_EQ(decode_image(bmp_of(3, 1, 1, palette, std::string("\xa0\0\0\0", 4)), "x").pixels, wanted);
    EXPECT_EQ(decode_image(bmp_of(3, 1, 4, palette, std::string("\x10\x10\0\0", 4)), "x").pixels, wanted);
    EXPECT_EQ(decode_image(bmp_of(3, 1, 8, palette, std::string("\x01\x00\x01\0", 4)), "x").pixels, wanted);
    EXPECT_EQ(message_of(bmp_of(3, 1, 8, palette, std::string("\x01\x02\x01\0", 4))), "decode 'x': BMP pixel (1, 0) has colour 2 of a palette of 2");
}

TEST(Bmp, WhatIsMissingOrUnknownIsNamed) {
    EXPECT_EQ(message_of(bmp_of(2, 2, 24, "", "short")), "decode 'x': BMP of 2x2 pixels needs 16 bytes from byte 54 on, the file has 59");
    EXPECT_EQ(message_of(bmp_of(2, 2, 16, "", std::string(8, '\0'))), "decode 'x': BMP of 16 bits a pixel; 1, 4, 8, 24 and 32 are read");
    EXPECT_EQ(message_of(bytes_of("BM12")), "decode 'x': BMP ends after 4 bytes, inside its header");
    EXPECT_EQ(message_of(bmp_of(-5, 2, 24, "", "")), "decode 'x': the picture is empty (-5x2)");
}

TEST(Netpbm, TextAndBinaryOneAndThreeChannelsAnyLargestValue) {
    EXPECT_EQ(decode_image(bytes_of("P3 # a comment\n2 1\n255\n1 2 3  4 5 6\n"), "x").pixels, (std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(decode_image(bytes_of("P6\n2 1\n255\nabcdef"), "x").pixels, (std::vector<std::uint8_t>{'a', 'b', 'c', 'd', 'e', 'f'}));
    EXPECT_EQ(decode_image(bytes_of("P2 3 1 4 0 2 4"), "x", 1).pixels, (std::vector<std::uint8_t>{0, 128, 255}));
    EXPECT_EQ(decode_image(bytes_of(std::string("P5 2 1 65535\n\x80\x80\xff\xff", 17)), "x", 1).pixels, (std::vector<std::uint8_t>{128, 255}));
    EXPECT_EQ(message_of(bytes_of("P6\n2 2\n255\nabc")), "decode 'x': Netpbm of 2x2 pixels needs 12 bytes more, the file has 3");
    EXPECT_EQ(message_of(bytes_of("P2 2 1 9 3 10")), "decode 'x': Netpbm value 10 of 1, its largest is 9");
    EXPECT_EQ(message_of(bytes_of("P2 2 x")), "decode 'x': Netpbm has no number for its height at byte 5 of 6");
}

TEST(Draft, AJpegComesOutAsSmallAsItsResizeAllows) {
    Image image(800, 600, 3);  // smooth: what the smaller transform gives is what a good resize would
    for (std::int64_t y = 0; y < 600; ++y)
        for (std::int64_t x = 0; x < 800; ++x)
            for (std::int64_t c = 0; c < 3; ++c) image.row(y)[3 * x + c] = static_cast<std::uint8_t>((x + c * 40) / 8 + y / 6);
    const std::vector<std::byte> jpeg = jpeg_of(image);
    const auto size_for = [&](std::int64_t side) {
        const Image small = decode_image(jpeg, "x", 3, {.draft_side = side});
        return std::pair(small.width, small.height);
    };
    EXPECT_EQ(size_for(0), std::pair(std::int64_t{800}, std::int64_t{600}));
    EXPECT_EQ(size_for(151), std::pair(std::int64_t{800}, std::int64_t{600}));  // half would be 300, less than twice 151
    EXPECT_EQ(size_for(150), std::pair(std::int64_t{400}, std::int64_t{300}));
    EXPECT_EQ(size_for(75), std::pair(std::int64_t{200}, std::int64_t{150}));
    EXPECT_EQ(size_for(1), std::pair(std::int64_t{100}, std::int64_t{75}));
    // A resize to the same size from the draft and from the whole picture: equal within a few grey levels.
    const Image whole = resize(decode_image(jpeg, "x"), 120, 90), draft = resize(decode_image(jpeg, "x", 3, {.draft_side = 90}), 120, 90);
    int most = 0;
    for (std::size_t i = 0; i < whole.pixels.size(); ++i) most = std::max(most, std::abs(whole.pixels[i] - draft.pixels[i]));
    EXPECT_LE(most, 4);
}

}  // namespace
}  // namespace fovea
