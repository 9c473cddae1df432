#include <gtest/gtest.h>

#include <cmath>

#include "image/affine.h"
#include "image/colour.h"
#include "image/pattern.h"

namespace fovea {
namespace {

Image performed(const std::string& operation, const std::vector<double>& v, Image image) {
    const std::size_t dash = operation.find('-');
    if (dash != std::string::npos) {
        const Filter filter = filter_of(operation.substr(dash + 1));
        if (operation.starts_with("rotate")) return transform(image, image.width, image.height, rotation_map(image.width, image.height, v[0]), filter);
        return transform(image, image.width, image.height, affine_map(image.width, image.height, v[0], v[1], v[2], v[3], v[4], v[5]), filter);
    }
    if (operation == "brightness") adjust_brightness(image, v[0]);
    else if (operation == "contrast") adjust_contrast(image, v[0]);
    else if (operation == "saturation") adjust_saturation(image, v[0]);
    else if (operation == "sharpness") adjust_sharpness(image, v[0]);
    else if (operation == "hue") adjust_hue(image, v[0]);
    else if (operation == "grey") to_grey(image);
    else if (operation == "invert") invert(image);
    else if (operation == "posterize") posterize(image, static_cast<int>(v[0]));
    else if (operation == "solarize") solarize(image, v[0]);
    else if (operation == "autocontrast") autocontrast(image);
    else if (operation == "equalize") equalize(image);
    else ADD_FAILURE() << operation;
    return image;
}

TEST(Operations, EqualTorchvisionsOnPillowImages) {
    std::ifstream golden(fixture("operations.txt"));
    std::string kind, operation, values, sum, row;
    std::int64_t width, height;
    int channels, cases = 0;
    while (golden >> kind >> channels >> width >> height >> operation >> values >> sum >> row) {
        SCOPED_TRACE(fmt::format("{} {}x{}x{} {} {}", kind, width, height, channels, operation, values));
        std::vector<double> numbers;
        std::istringstream parts(values);
        for (std::string part; std::getline(parts, part, ',');) numbers.push_back(std::stod(part));
        const Image result = performed(operation, numbers, pattern(kind, width, height, channels));
        std::string got;
        for (std::int64_t i = 0; i < std::min<std::int64_t>(width, 8) * channels; ++i) got += fmt::format("{:02x}", result.row(height / 2)[i]);
        EXPECT_EQ(got, row);                      // the first pixels of the middle row, to see what differs
        EXPECT_EQ(checksum(result.pixels), sum);  // all pixels: no tolerance, the arithmetic is Pillow's
        ++cases;
    }
    EXPECT_EQ(cases, 684);
}

TEST(Operations, AnAffineMapAndItsInverseLeadBack) {
    const AffineMap map = affine_map(40, 30, 25, 3, -2, 1.3, 7, -4), there = map.inverse();
    for (const auto& [x, y] : {std::pair(0.5, 0.5), std::pair(39.5, 12.0), std::pair(-7.0, 55.0)}) {
        const auto [u, v] = map(x, y);
        const auto [back_x, back_y] = there(u, v);
        EXPECT_NEAR(back_x, x, 1e-10);  // a few roundings of numbers near 50
        EXPECT_NEAR(back_y, y, 1e-10);
        const auto [one_x, one_y] = map.after(there)(x, y);
        EXPECT_NEAR(one_x, x, 1e-10);
        EXPECT_NEAR(one_y, y, 1e-10);
    }
}

TEST(Operations, AGaussianBlurIsItsWeightsOnADot) {
    Image dot(7, 7, 1);
    dot.row(3)[3] = 255;
    const Image blurred = gaussian_blur(dot, 5, 1.0);
    double weights[5], sum = 0;
    for (int i = 0; i < 5; ++i) sum += weights[i] = std::exp(-0.5 * (i - 2) * (i - 2));
    for (int y = 0; y < 7; ++y)
        for (int x = 0; x < 7; ++x) {
            const bool is_near = std::abs(x - 3) <= 2 && std::abs(y - 3) <= 2;
            EXPECT_EQ(blurred.at(x, y), is_near ? std::lround(255 * weights[x - 1] / sum * weights[y - 1] / sum) : 0) << x << " " << y;
        }
    const Image flat(5, 3, 3, 77);
    EXPECT_EQ(gaussian_blur(flat, 9, 2.0), flat);  // mirrored edges, also where the kernel is longer than the picture
    EXPECT_EQ(gaussian_blur(Image(1, 1, 3, 5), 3, 1.0), Image(1, 1, 3, 5));
    EXPECT_EQ(message_of<ArgumentError>([&] { (void)gaussian_blur(flat, 4, 1.0); }), "gaussian blur: the kernel's size is odd and sigma above 0, got 4 and 1");
}

TEST(Operations, AffineMapsOfOtherFiltersAreRefused) {
    EXPECT_EQ(message_of<ArgumentError>([] { (void)transform(Image(2, 2, 1), 2, 2, {}, Filter::bicubic); }), "an affine map samples by nearest or bilinear, got bicubic");
}

}  // namespace
}  // namespace fovea
