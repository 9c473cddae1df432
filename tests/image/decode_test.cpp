#include <gtest/gtest.h>

#include <cstdlib>

#include "image/pattern.h"

namespace fovea {
namespace {

TEST(Decode, EqualsPillowForEveryKindOfJpegAndPng) {
    std::ifstream golden(fixture("decoded.txt"));
    std::string name, rgb, grey;
    std::int64_t width, height;
    int cases = 0;
    while (golden >> name >> width >> height >> rgb >> grey) {
        SCOPED_TRACE(name);
        const Image colour = read_image(fixture(name)), luma = read_image(fixture(name), 1);
        EXPECT_EQ(colour.width, width);
        EXPECT_EQ(colour.height, height);
        EXPECT_EQ(checksum(colour.pixels), rgb);
        EXPECT_EQ(checksum(luma.pixels), grey);
        ++cases;
    }
    EXPECT_EQ(cases, 24);
}

std::string decode_message(std::span<const std::byte> bytes, std::string_view name, const DecodeLimits& limits = {}) {
    return message_of<FormatError>([&] { (void)decode_image(bytes, name, 3, limits); });
}

TEST(Decode, SaysWhereATruncatedFileEnds) {
    const auto jpeg = bytes_of(fixture("rgb420.jpg")), png = bytes_of(fixture("rgb.png"));
    EXPECT_EQ(decode_message(std::span(jpeg).first(jpeg.size() - 100), "cat.jpg"),
              fmt::format("decode 'cat.jpg': JPEG ends after {} bytes, at row 14 of 29", jpeg.size() - 100));
    EXPECT_EQ(decode_message(std::span(jpeg).first(100), "cat.jpg"), "decode 'cat.jpg': JPEG ends after 100 bytes, before its picture is complete");
    EXPECT_EQ(decode_message(std::span(png).first(80), "cat.png"), "decode 'cat.png': PNG ends after 80 bytes, before its picture is complete");
    EXPECT_EQ(decode_message({}, "empty"), "decode 'empty': the file is empty, expected a picture");
}

TEST(Decode, RejectsEveryPrefixOfAFile) {
    for (const char* name : {"rgb420.jpg", "progressive.jpg", "interlaced.png", "palette.png"}) {
        const auto bytes = bytes_of(fixture(name));
        for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_NE(decode_message(std::span(bytes).first(size), name), "") << name << " " << size;
    }
}

TEST(Decode, SaysWhichByteIsWrong) {
    auto png = bytes_of(fixture("rgb.png"));
    png[60] ^= std::byte{0xFF};

    EXPECT_EQ(decode_message(png, "x.png"), "decode 'x.png': bad PNG at byte 548 of 564: IDAT: invalid literal/lengths set");
    auto jpeg = bytes_of(fixture("rgb420.jpg"));
    for (std::size_t i = jpeg.size() - 60; i < jpeg.size() - 40; ++i) jpeg[i] = std::byte{0xFF};
    EXPECT_TRUE(decode_message(jpeg, "x.jpg").starts_with("decode 'x.jpg': bad JPEG at byte ")) << decode_message(jpeg, "x.jpg");
    const std::string text = "GIF89a";
    EXPECT_EQ(decode_message(std::as_bytes(std::span(text)), "x.gif"), "decode 'x.gif': none of JPEG (ff d8 ff), PNG (89 50 4e 47), WebP, BMP and PPM; the file starts with 47 49 46 38");
}

TEST(Decode, RefusesPicturesBeyondTheLimitBeforeReadingThem) {
    const auto png = bytes_of(fixture("rgb.png")), jpeg = bytes_of(fixture("rgb420.jpg"));
    EXPECT_EQ(decode_message(png, "bomb.png", {.max_side = 18}), "decode 'bomb.png': 19x11 pixels, at most 18 a side and 256000000 in all are accepted");
    EXPECT_EQ(decode_message(jpeg, "bomb.jpg", {.max_pixels = 1000}), "decode 'bomb.jpg': 37x29 pixels, at most 20000 a side and 1000 in all are accepted");
    auto huge = png;
    huge[16] = std::byte{0x70};  // width 0x70000013; the header's checksum no longer fits, either reason will do
    EXPECT_NE(decode_message(huge, "bomb.png"), "");
}

TEST(Decode, MissingFilesAreNamed) {
    EXPECT_EQ(message_of<FormatError>([] { (void)read_image("no/such/file.png"); }), "open 'no/such/file.png': No such file or directory");
}

TEST(EncodePng, ReadsBackTheSamePixels) {
    for (const int channels : {1, 3}) {
        const Image image = pattern("noise", 33, 21, channels);
        EXPECT_EQ(decode_image(encode_png(image), "png", channels), image);
    }
    EXPECT_EQ(message_of<ArgumentError>([] { (void)encode_png(Image{}); }), "encode PNG: the image is empty (0x0)");
}

TEST(WritePng, LeavesNoHalfFileBehind) {
    const auto folder = std::filesystem::path(testing::TempDir());
    write_png(folder / "fovea_write_png.png", pattern("photo", 8, 8, 3));
    EXPECT_EQ(read_image(folder / "fovea_write_png.png"), pattern("photo", 8, 8, 3));
    EXPECT_FALSE(std::filesystem::exists(folder / "fovea_write_png.png.partial"));
    EXPECT_EQ(message_of<Error>([&] { write_png(folder / "no_such_folder" / "a.png", Image(1, 1, 1)); }),
              fmt::format("write '{}': No such file or directory", (folder / "no_such_folder" / "a.png").string()));
}

}  // namespace
}  // namespace fovea
