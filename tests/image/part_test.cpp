#include <gtest/gtest.h>

#include "image/jpeg.h"
#include "image/pattern.h"

namespace fovea {
namespace {

TEST(Part, IsCutOutOfThePictureWithoutDecodingTheRest) {
    const Image photo = pattern("photo", 203, 149, 3);
    const std::vector<std::byte> made = jpeg_of(photo);  // chroma at half the resolution: neighbours matter
    std::vector<std::pair<std::string, std::vector<std::byte>>> files{{"made", made}, {"png", encode_png(photo)}};
    for (const char* name : {"rgb420.jpg", "rgb422.jpg", "rgb444.jpg", "grey.jpg", "progressive.jpg", "cmyk.jpg", "exif6.jpg", "exif3.jpg", "palette.png"}) files.emplace_back(name, bytes_of(fixture(name)));
    for (const auto& [name, bytes] : files) {
        const Image whole = decode_image(bytes, name);
        const std::int64_t w = whole.width, h = whole.height;
        for (const PixelRect& part : {PixelRect{0, 0, w, h}, PixelRect{0, 0, 1, 1}, PixelRect{w / 2, h / 3, (w + 1) / 2, h / 3}, PixelRect{w - 1, h - 1, 1, 1}, PixelRect{w / 3, 1, 2, h - 1}}) {
            std::pair<std::int64_t, std::int64_t> asked;
            const Image got = decode_image(bytes, name, 3, {.part = [&](std::int64_t width, std::int64_t height) {
                                                    asked = {width, height};
                                                    return part;
                                                }});
            EXPECT_EQ(asked, std::pair(w, h)) << name;
            EXPECT_EQ(got, crop(whole, part.x, part.y, part.width, part.height)) << name << " " << part.x << " " << part.y << " " << part.width << "x" << part.height;
        }
    }
    // Half of the file is enough for the upper third.
    const std::span<const std::byte> half(made.data(), made.size() / 2);
    EXPECT_EQ(decode_image(half, "half", 3, {.part = [](std::int64_t w, std::int64_t) { return PixelRect{0, 0, w, 20}; }}), crop(decode_image(made, "whole"), 0, 0, 203, 20));
    EXPECT_EQ(message_of<ArgumentError>([&] { (void)decode_image(made, "x", 3, {.part = [](std::int64_t, std::int64_t) { return PixelRect{200, 0, 4, 4}; }}); }),
              "decode 'x': the part 4x4 at (200, 0) leaves the picture of 203x149");
    // A draft of a part is that part of the smaller picture.
    const Image draft = decode_image(made, "x", 3, {.draft_side = 10, .part = [](std::int64_t, std::int64_t) { return PixelRect{80, 40, 90, 80}; }});
    EXPECT_EQ(std::pair(draft.width, draft.height), std::pair(std::int64_t{22}, std::int64_t{20}));  // an eighth would leave 10, less than twice 10: a quarter
}

}  // namespace
}  // namespace fovea
