// Post-training quantisation of whole networks: ranges, errors, accuracy, refusals.
#include <cstdlib>
#include <filesystem>

#include "calibrate/histogram.h"
#include "fovea/calibrate.h"
#include "fovea/models.h"
#include "fovea/nn.h"
#include "fovea/train.h"
#include "support.h"

namespace fovea {
namespace {

using test::filled;

/// A normal distribution with two outliers a hundred times as far.
Histogram with_outliers() {
    Histogram histogram(-100, 100);
    std::vector<float> values{-100, 100};
    const Rng rng(1, 2);
    for (std::uint64_t i = 0; i < 200'000; ++i) values.push_back(static_cast<float>(rng.normal(i)));
    histogram.add(values);
    return histogram;
}

TEST(Calibration, MethodsDifferInWhatTheyDoWithOutliers) {
    const Histogram histogram = with_outliers();
    const auto width = [&](Calibration method) {
        const auto [low, high] = histogram.range(method, 99.9);
        EXPECT_LE(low, 0);
        EXPECT_GE(high, 0);
        return high - low;
    };
    EXPECT_EQ(width(Calibration::minmax), 200);
    // 99.9 % of a normal distribution lie within 3.29 deviations; bins are 0.1 wide.
    EXPECT_NEAR(width(Calibration::percentile), 6.6, 0.3);
    // Rounding 200,000 values to steps of 2 T / 255 costs 1.025 T^2, clipping two at 100 to T costs 2 (100 - T)^2: least at T = 66.1.
    EXPECT_NEAR(width(Calibration::mse), 132, 6);
    // Two values of 200,000 are hardly any divergence: the range ends near the tails.
    EXPECT_LT(width(Calibration::entropy), 30);
    EXPECT_GT(width(Calibration::entropy), 5);
}

TEST(Calibration, GridsHoldZeroExactlyAndCoverTheirRange) {
    for (const auto& [low, high] : std::vector<std::pair<double, double>>{{0, 6}, {-1, 3}, {-3, -1}, {2, 5}, {0, 0}, {-0.001, 1000}}) {
        const Grid grid = grid_over(low, high);
        EXPECT_GE(grid.zero_point, 0);
        EXPECT_LE(grid.zero_point, 255);
        EXPECT_EQ(grid.scale, static_cast<double>(static_cast<float>(grid.scale)));
        EXPECT_LE(static_cast<double>(-grid.zero_point) * grid.scale, std::min(0.0, low) + 0.51 * grid.scale);
        EXPECT_GE(static_cast<double>(255 - grid.zero_point) * grid.scale, std::max(0.0, high) - 0.51 * grid.scale);
    }
}

struct Small {
    Graph net;
    Parameters parameters;
    CalibrationImages images = [](const auto& each) { each(filled({4, 3, 8, 8}, "image", 0, 1).to(DType::f32)); };
    Small() {
        const Value x = relu(conv2d(net.input("image", {dynamic, 3, 8, 8}), {.out = 16, .kernel = 3, .pad = 1}, "stem"));
        const Value y = relu(conv2d(x, {.out = 16, .kernel = 3, .pad = 1}, "body"));
        net.output("out", linear(flatten(y), {.out = 10}, "head"));
        parameters = make_parameters(net, 3);
    }
};

TEST(Calibrate, FindsTheSameGridsEachTimeAndTheirErrors) {
    const Small s;
    const QuantizationTable table = calibrate(s.net, s.parameters, s.images, {.method = Calibration::minmax});
    EXPECT_EQ(table.images, 4);
    EXPECT_EQ(table.weights.size(), 3U);
    EXPECT_EQ(table.weights.at("stem").size(), 16U);
    EXPECT_NEAR(table.values.at("image").scale, 1.0 / 255, 1e-4);
    EXPECT_EQ(calibrate(s.net, s.parameters, s.images, {.method = Calibration::minmax}).values, table.values);
    const auto errors = quantization_errors(s.net, s.parameters, table, s.images);
    ASSERT_EQ(errors.size(), 3U);
    for (const LayerError& e : errors) {
        // 255 steps over a range of some five deviations: a rounding error of about 0.5 % of the norm for a layer.
        EXPECT_GT(e.alone, 1e-4) << e.layer;
        EXPECT_LT(e.alone, 0.02) << e.layer;
        EXPECT_LT(e.accumulated, 0.04) << e.layer;
    }
    EXPECT_NEAR(errors[0].alone, errors[0].accumulated, 1e-3);
    EXPECT_GT(errors[2].accumulated, errors[2].alone);
}

TEST(Calibrate, RefusesWhatCannotBeQuantisedByName) {
    Small s;
    const auto message = [&](const CalibrationImages& images, const CalibrateSpec& spec = {}) { return test::message_of<ArgumentError>([&] { (void)calibrate(s.net, s.parameters, images, spec); }); };
    EXPECT_EQ(message([](const auto&) {}), "calibrate: no images");
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)calibration_images(memory_dataset("none", {"a"}, {.height = 2, .width = 2, .channels = 3}), {}, 10); }), "calibrate: no images in 'none'");
    Tensor bad = filled({4, 3, 8, 8}, "image", 0, 1).to(DType::f32);
    bad.set(2 * 192 + 5, std::numeric_limits<double>::quiet_NaN());
    EXPECT_EQ(message([&](const auto& each) { each(bad); }), "calibrate: 'image' holds nan for image 2; a network that is not finite in f32 cannot be quantised");
    s.parameters.at("body.weight").set(7, std::numeric_limits<double>::infinity());
    EXPECT_EQ(message(s.images), "calibrate: the weights of 'body' hold inf");
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)calibration_named("kl"); }), "no calibration 'kl'; there are: minmax, percentile, entropy, mse");
}

TEST(Calibrate, NamesLayersThatAreConstantAndKeepsThemExact) {
    Small s;
    for (std::int64_t i = 0; i < s.parameters.at("body.weight").elements(); ++i) s.parameters.at("body.weight").set(i, 0);
    for (std::int64_t i = 0; i < 16; ++i) s.parameters.at("body.bias").set(i, 0.75);
    const QuantizationTable table = calibrate(s.net, s.parameters, s.images);
    ASSERT_FALSE(table.notes.empty());
    EXPECT_EQ(table.notes[0], "'body' is 0.75 for every image: a constant, kept exactly; the layer behind it learns nothing from it");
    const auto errors = quantization_errors(s.net, s.parameters, table, s.images);
    EXPECT_LT(errors[1].accumulated, 1e-6);
}

TEST(Calibrate, TheTableTravelsAsText) {
    const Small s;
    const QuantizationTable table = calibrate(s.net, s.parameters, s.images), read = parse_quantization(to_text(table), "file");
    EXPECT_EQ(read.values, table.values);
    EXPECT_EQ(read.weights, table.weights);
    EXPECT_EQ(read.method, "percentile 99.99");
    for (const char* damaged : {"", "{", "[]", R"({"method": "x"})", R"({"method": "x", "images": 1, "values": {"a": [1]}, "weights": {}})"})
        EXPECT_EQ(test::message_of<FormatError>([&] { (void)parse_quantization(damaged, "file"); }).find("'file': its quantisation table cannot be read"), 0U) << damaged;
}

/// Top-1 of f32 and int8, and how many layers ran on bytes.
struct Accuracy {
    double f32 = 0, int8 = 0;
};
Accuracy accuracy_of(const std::string& model, const Parameters& parameters, const DatasetPtr& calibration, const DatasetPtr& test, const CalibrateSpec& spec) {
    const Graph net = build_model(model);
    EvaluateSpec evaluation;
    evaluation.preprocess = find_model(model).preprocess;
    Accuracy accuracy;
    accuracy.f32 = evaluate(net, parameters, test, evaluation).top1;
    accuracy.int8 = evaluate(quantized(net, calibrate(net, parameters, calibration, evaluation.preprocess, spec)), parameters, test, evaluation).top1;
    return accuracy;
}

TEST(Int8, PublishedResNetsLoseAtMostHalfAPoint) {
    const char* data = std::getenv("FOVEA_DATA");
    if (data == nullptr) GTEST_SKIP() << "FOVEA_DATA is not set";
    const std::string folder = data;
    const DatasetPtr images = cifar10_file(folder + "/cifar10");
    for (const auto& [model, file] : std::vector<std::pair<std::string, std::string>>{{"cifar_resnet20", "resnet20-12fca82f.th"}, {"cifar_resnet56", "resnet56-4bfd9763.th"}}) {
        const Parameters parameters = parameters_from(build_model(model), load_weights(folder + "/weights/resnet_cifar10/" + file), {});
        // Ranges from the last 512 pictures, accuracy on others.
        const Accuracy a = accuracy_of(model, parameters, subset(images, 3488, 512), subset(images, 0, 2000), {});
        EXPECT_GT(a.f32, 0.99) << model;
        EXPECT_GE(a.int8, a.f32 - 0.005) << model;
    }
}

}  // namespace
}  // namespace fovea
