#include "fovea/explain/robustness.h"

#include <algorithm>
#include <cmath>

#include "support.h"
#include "train/small_run.h"

namespace fovea {
namespace {

constexpr std::array<std::uint8_t, 3> mean{120, 110, 100};

Image pattern(std::int64_t width, std::int64_t height) {
    Image image(width, height, 3);
    for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x)
            for (int c = 0; c < 3; ++c) image.row(y)[x * 3 + c] = static_cast<std::uint8_t>((37 * x + 91 * y + 53 * c) % 256);
    return image;
}

TEST(Disturbed, LeavesThePictureAloneAtNoStrength) {
    const Image image = pattern(20, 16);
    for (const Disturbance& disturbance : disturbances()) {
        EXPECT_EQ(disturbed(image, disturbance.name, disturbance.none, mean, 3), image) << disturbance.name;
        EXPECT_TRUE(std::ranges::is_sorted(disturbance.strengths)) << disturbance.name;
        for (const double strength : disturbance.strengths) {
            const Image changed = disturbed(image, disturbance.name, strength, mean, 3);
            EXPECT_EQ(changed.width, 20);
            EXPECT_EQ(changed.height, 16);
            EXPECT_NE(changed, image) << disturbance.name << " " << strength;
            EXPECT_EQ(changed, disturbed(image, disturbance.name, strength, mean, 3)) << disturbance.name;
        }
    }
    EXPECT_EQ(test::message_of<ArgumentError>([&] { (void)disturbed(image, "blurr", 1, mean, 0); }).substr(0, 37), "no disturbance 'blurr'; nearest: blur");
}

TEST(Disturbed, DoesWhatItsNameSays) {
    const Image image = pattern(20, 20);
    // Half a turn: each pixel's middle falls on another's, up to the rounding of the sine.
    const Image turned = disturbed(image, "rotation", 180, mean, 0), flipped = flip_vertical(mirror(image));
    for (std::size_t i = 0; i < turned.pixels.size(); ++i) EXPECT_NEAR(turned.pixels[i], flipped.pixels[i], 1) << i;
    // A fifth of 400 pixels is a square of 8.94, so of 9: the rest stays.
    const Image occluded = disturbed(image, "occlusion", 0.2, mean, 5);
    std::int64_t hidden = 0;
    for (std::int64_t y = 0; y < 20; ++y)
        for (std::int64_t x = 0; x < 20; ++x) {
            const std::array<std::uint8_t, 3> colour{occluded.at(x, y, 0), occluded.at(x, y, 1), occluded.at(x, y, 2)};
            hidden += colour == mean;
            EXPECT_TRUE(colour == mean || colour == (std::array<std::uint8_t, 3>{image.at(x, y, 0), image.at(x, y, 1), image.at(x, y, 2)}));
        }
    EXPECT_EQ(hidden, 81);
    EXPECT_NE(occluded, disturbed(image, "occlusion", 0.2, mean, 6));
    // Half the size: the corners come from outside, the middle from the middle.
    const Image small = disturbed(Image(20, 20, 3, 200), "scale", 0.5, mean, 0);
    EXPECT_EQ(small.at(0, 0, 0), 120);
    EXPECT_EQ(small.at(10, 10, 1), 200);
    EXPECT_EQ(small.at(17, 17, 2), 100);
    EXPECT_EQ(disturbed(Image(4, 4, 3, 100), "brightness", 0.5, mean, 0), Image(4, 4, 3, 50));
    EXPECT_EQ(disturbed(Image(4, 4, 3, 200), "brightness", 2, mean, 0), Image(4, 4, 3, 255));
    const Image grey = disturbed(image, "saturation", 0, mean, 0);
    EXPECT_EQ(grey.at(3, 4, 0), grey.at(3, 4, 2));
    EXPECT_EQ(disturbed(Image(12, 12, 3, 90), "blur", 8, mean, 0), Image(12, 12, 3, 90));
}

TEST(Disturbed, NoiseHasItsDeviation) {
    const Image noisy = disturbed(Image(64, 64, 3, 128), "noise", 10, mean, 7);
    double sum = 0, squares = 0;
    for (const std::uint8_t value : noisy.pixels) sum += value - 128.0, squares += (value - 128.0) * (value - 128.0);
    const auto n = static_cast<double>(noisy.pixels.size());
    // 12,288 draws: standard errors of 0.09 for the mean and 0.06 for the deviation, five of them allowed.
    EXPECT_NEAR(sum / n, 0, 0.45);
    EXPECT_NEAR(std::sqrt(squares / n), 10, 0.3);
}

TEST(Robustness, IsMeasuredAtEveryStrength) {
    const FitSpec spec = test::small_fit({}, 3);
    const Graph network = test::small_network();
    const Parameters parameters = fit(network, spec).parameters;
    EvaluateSpec how{.preprocess = spec.preprocess};
    std::int64_t calls = 0;
    const Robustness found = measure_robustness(network, parameters, spec.validation, how, [&](std::int64_t made) { EXPECT_EQ(made, ++calls); });
    EXPECT_EQ(calls, robustness_evaluations());
    EXPECT_EQ(std::ssize(found.points) + 1, calls);
    const Evaluation clean = evaluate(network, parameters, spec.validation, how);
    EXPECT_EQ(found.clean.top1, clean.top1);
    EXPECT_GE(clean.top1, 0.9);
    // The bright quadrant is the class: a quarter turn makes another of it.
    for (const Robustness::Point& point : found.points)
        if (point.name == "rotation" && std::abs(point.strength) == 90) {
            EXPECT_LE(point.top1, 0.1);
        }
    EXPECT_GT(found.mean_top1("noise"), found.mean_top1("rotation"));
    const std::string sheet = to_text(robustness_sheet(found), TableFormat::csv);
    EXPECT_NE(sheet.find("rotation,-90,degrees,"), std::string::npos) << sheet;
    EXPECT_NE(sheet.find("\nall,mean,,"), std::string::npos) << sheet;
    const std::string svg = robustness_chart(found);
    EXPECT_NE(svg.find("blur (% of the side)"), std::string::npos);
    EXPECT_EQ(svg.find("nan"), std::string::npos);
}

}  // namespace
}  // namespace fovea
