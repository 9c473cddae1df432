// Against fixtures/augment.txt, which torchvision made (make_augment.py).
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>
#include <numeric>
#include <sstream>

#include "core/text.h"
#include "data/augment/displacement.h"
#include "data/augment/policies.h"
#include "image/colour.h"
#include "image/pattern.h"

namespace fovea {
namespace {

/// torchvision's names, in PolicyOp's order.
constexpr std::array<std::string_view, 15> op_names{"Identity", "ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness", "Posterize", "Solarize", "AutoContrast", "Equalize", "Invert"};

PolicyOp op_of(std::string_view name) { return static_cast<PolicyOp>(std::ranges::find(op_names, name) - op_names.begin()); }

/// The lines of the fixture that begin with `kind`, the rest of each as words.
std::vector<std::vector<std::string>> lines_of(std::string_view kind) {
    std::ifstream file(test::source_path("tests/data/fixtures/augment.txt"));
    std::vector<std::vector<std::string>> lines;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string word;
        words >> word;
        if (word != kind) continue;
        lines.emplace_back();
        while (words >> word) lines.back().push_back(word);
    }
    return lines;
}

std::vector<int> bytes_of_hex(const std::string& hex) {
    std::vector<int> bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2) bytes.push_back(std::stoi(hex.substr(i, 2), nullptr, 16));
    return bytes;
}

TEST(Torchvision, AutoAugmentsLists) {
    std::map<std::string, std::size_t> next;
    for (const auto& words : lines_of("policy")) {
        const auto& pair = policy_of(words[0]).at(next[words[0]]++);
        SCOPED_TRACE(fmt::format("{}", fmt::join(words, " ")));
        for (std::size_t i = 0; i < 2; ++i) {
            EXPECT_EQ(pair[i].op, op_of(words[1 + 3 * i]));
            EXPECT_EQ(pair[i].p, std::stod(words[2 + 3 * i]));
            EXPECT_EQ(pair[i].bin, std::stoi(words[3 + 3 * i]));
        }
    }
    EXPECT_EQ(next, (std::map<std::string, std::size_t>{{"cifar10", 25}, {"imagenet", 25}, {"svhn", 25}}));
}

TEST(Torchvision, EveryOperationOfThePoliciesAtEveryStrength) {
    const Image image = pattern("photo", 61, 47, 3);
    int cases = 0;
    for (const auto& words : lines_of("op")) {
        SCOPED_TRACE(fmt::format("{}", fmt::join(words, " ")));
        const PolicyOp op = op_of(words[1]);
        const int bin = std::stoi(words[2]), sign = std::stoi(words[3]);
        const double magnitude = magnitude_of(op, bin, words[0] == "auto" ? 10 : 31, words[0] == "trivial" ? wide_strengths : usual_strengths(61, 47));
        EXPECT_NEAR(magnitude, std::stod(words[4]), 1e-5 * std::max(1.0, magnitude));  // printed with six digits
        EXPECT_TRUE(sign == 1 || is_signed(op));
        Annotated picture{.image = image};
        perform(op, sign * magnitude, Filter::nearest, {0, 0, 0}, picture);
        EXPECT_EQ(checksum(picture.image.pixels), words[5]);  // no tolerance, the arithmetic is Pillow's
        ++cases;
    }
    EXPECT_EQ(cases, 1449);
}

TEST(Torchvision, GaussianBlur) {
    const auto lines = lines_of("blur");
    for (const auto& words : lines) {
        const Image blurred = gaussian_blur(pattern(words[0], 19, 13, std::stoi(words[1])), std::stoll(words[2]), std::stod(words[3]));
        const std::vector<int> expected = bytes_of_hex(words[4]);
        ASSERT_EQ(expected.size(), blurred.pixels.size());
        // Both sum in f32, in another order: a value on the edge may round the other way.
        for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(blurred.pixels[i], expected[i], 1) << i;
        EXPECT_LE(std::inner_product(expected.begin(), expected.end(), blurred.pixels.begin(), std::size_t{0}, std::plus<>{}, std::not_equal_to<>{}), expected.size() / 100);
    }
    EXPECT_EQ(lines.size(), 3u);
}

TEST(Torchvision, ElasticTransform) {
    const auto lines = lines_of("elastic");
    for (const auto& words : lines) {
        SCOPED_TRACE(fmt::format("{} alpha {} sigma {}", words[0], words[2], words[3]));
        DisplacementField field(19, 13);
        for (int y = 0; y < 13; ++y)
            for (int x = 0; x < 19; ++x) {
                const int at = x * 37 + y * 101 + x * y * 13;
                field.x[static_cast<std::size_t>(y * 19 + x)] = static_cast<float>(at % 256 / 127.5 - 1);
                field.y[static_cast<std::size_t>(y * 19 + x)] = static_cast<float>((at + 7) % 256 / 127.5 - 1);
            }
        make_elastic(field, {.alpha = std::stod(words[2]), .sigma = std::stod(words[3])});
        const auto fill = static_cast<std::uint8_t>(std::stoi(words[4]));
        const Image moved = displaced(pattern(words[0], 19, 13, std::stoi(words[1])), field, {}, {fill, fill, fill}, false);
        const std::vector<int> expected = bytes_of_hex(words[5]);
        ASSERT_EQ(expected.size(), moved.pixels.size());
        int inside = 0;
        for (std::size_t i = 0; i < expected.size(); ++i) {
            const std::size_t at = i / static_cast<std::size_t>(moved.channels);
            // How much of the pixel is read from inside the picture.
            const auto share = [](double position, int size) { return std::clamp(std::min(position + 1, size - position), 0.0, 1.0); };
            const double w = share(static_cast<double>(at % 19) + field.x[at], 19) * share(static_cast<double>(at / 19) + field.y[at], 13);
            if (w < 0.1) continue;  // 1 / w would let everything pass
            // torchvision: w S + (1 - w) fill of the sum S over the pixels inside, ours: S + (1 - w) fill.
            EXPECT_NEAR(moved.pixels[i], (expected[i] - (1 - w) * fill) / w + (1 - w) * fill, w == 1 ? 1 : 0.6 + 0.6 / w) << i;  // both are rounded
            inside += w == 1;
        }
        EXPECT_GT(inside, std::ssize(expected) / 2);
    }
    EXPECT_EQ(lines.size(), 3u);
}

}  // namespace
}  // namespace fovea
