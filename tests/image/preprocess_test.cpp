#include <gtest/gtest.h>

#include "image/pattern.h"

namespace fovea {
namespace {

Image one_pixel(std::uint8_t r, std::uint8_t g, std::uint8_t b) {
    Image image(1, 1, 3);
    image.pixels = {r, g, b};
    return image;
}

/// The preset's values alone, on a single pixel.
std::vector<float> values(std::string_view preset, const Image& image) {
    Preprocess p = preprocess_preset(preset);
    p.resize_shorter = p.resize_width = p.resize_height = p.crop_width = p.crop_height = 0;
    const Tensor tensor = to_tensor(image, p);
    return {tensor.data<float>().begin(), tensor.data<float>().end()};
}

TEST(Preprocess, PresetsGiveTheValuesOfTheirFrameworks) {
    const Image image = one_pixel(200, 100, 50);
    const auto torchvision = values("torchvision", image);
    EXPECT_FLOAT_EQ(torchvision[0], (200 / 255.0f - 0.485f) / 0.229f);
    EXPECT_FLOAT_EQ(torchvision[1], (100 / 255.0f - 0.456f) / 0.224f);
    EXPECT_FLOAT_EQ(torchvision[2], (50 / 255.0f - 0.406f) / 0.225f);
    EXPECT_EQ(values("caffe", image), (std::vector<float>{50 - 104, 100 - 117, 200 - 123}));  // blue first
    EXPECT_FLOAT_EQ(values("keras", image)[0], 200 / 127.5f - 1);
    EXPECT_FLOAT_EQ(values("dlib", image)[2], (50 - 104.298f) / 256);
    EXPECT_FLOAT_EQ(values("darknet", image)[1], 100 / 255.0f);
    const auto mnist = values("mnist", image);
    ASSERT_EQ(mnist.size(), 1u);
    EXPECT_FLOAT_EQ(mnist[0], ((200 * 19595 + 100 * 38470 + 50 * 7471 + 32768) >> 16) / 255.0f);
    EXPECT_EQ(message_of<ArgumentError>([] { (void)preprocess_preset("kaffe"); }), "no preprocess preset 'kaffe'; nearest: caffe, keras, dlib");
}

TEST(Preprocess, EveryPresetGivesItsShapeForAnyPicture) {
    const std::pair<std::string_view, Shape> shapes[] = {{"torchvision", {1, 3, 224, 224}}, {"caffe", {1, 3, 227, 227}}, {"keras", {1, 3, 224, 224}},
                                                         {"dlib", {1, 3, 227, 227}},        {"darknet", {1, 3, 256, 256}}, {"mnist", {1, 1, 28, 28}}};
    EXPECT_EQ(std::size(shapes), preprocess_presets().size());
    for (const auto& [name, shape] : shapes)
        for (const int channels : {1, 3}) EXPECT_EQ(to_tensor(pattern("photo", 61, 47, channels), preprocess_preset(name)).shape(), shape) << name;
}

TEST(Preprocess, ToImageUndoesToTensor) {
    for (const auto& name : preprocess_presets()) {
        Preprocess p = preprocess_preset(name);
        p.resize_shorter = p.resize_width = p.resize_height = p.crop_width = p.crop_height = 0;
        const Image image = pattern("noise", 9, 6, p.channels);
        EXPECT_EQ(to_image(to_tensor(image, p), 0, p), image) << name;
    }
}

TEST(Preprocess, RejectsContradictions) {
    const Image image(4, 4, 3);
    EXPECT_EQ(message_of<ArgumentError>([&] { (void)to_tensor(image, {.resize_shorter = 8, .resize_width = 4, .resize_height = 4}); }),
              "preprocess: resize to a shorter side of 8 or to exactly 4x4, not both");
    EXPECT_EQ(message_of<ArgumentError>([&] { (void)to_tensor(image, {.std = {1, 0, 1}}); }), "preprocess: std of channel 1 is 0");
}

}  // namespace
}  // namespace fovea
