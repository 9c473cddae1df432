#include <gtest/gtest.h>

#include "fovea/explain.h"

namespace fovea {
namespace {

std::int64_t total(const Sheet& sheet, std::size_t column) { return *sheet.totals.front().at(column).number; }

TEST(Demo, AnInceptionModuleSavesSixtyEightPercentByItsBottlenecks) {
    const Sheet sheet = demo_sheet("inception-demo");
    EXPECT_EQ(total(sheet, 2), 854'196'224);
    EXPECT_EQ(total(sheet, 3), 271'351'808);
    EXPECT_EQ(sheet.notes.front(), "the reduced module saves 68.2 %");
}

TEST(Demo, GoogLeNetsLastModuleNaiveAndReduced) {
    const Sheet sheet = demo_sheet("inception-5b");
    EXPECT_EQ(total(sheet, 2), 287'091'392);
    EXPECT_EQ(total(sheet, 3), 70'800'688);
}

TEST(Demo, AOneByOneBeforeAFiveByFiveSavesNineTenths) {
    const Sheet sheet = demo_sheet("bottleneck");
    EXPECT_EQ(total(sheet, 1), 120'422'400);
    EXPECT_EQ(total(sheet, 2), 12'443'648);
}

TEST(Demo, AlexNetsRowOfNeuronsHasItsSecondNumberCorrected) {
    std::vector<std::int64_t> neurons;
    for (const auto& row : demo_sheet("neurons").rows) neurons.push_back(*row.at(2).number);
    EXPECT_EQ(neurons, (std::vector<std::int64_t>{227 * 227 * 3, 290'400, 186'624, 64'896, 64'896, 43'264, 4096, 4096, 1000}));
}

TEST(Demo, UnknownNamesAreAnsweredWithThoseThereAre) {
    try {
        (void)demo_sheet("inception");
        FAIL();
    } catch (const ArgumentError& error) {
        EXPECT_STREQ(error.what(), "no table 'inception'; there are inception-demo, inception-5b, bottleneck, neurons");
    }
}

TEST(Stack, OfThreeThreeByThreeSeesSevenAndTwoSeeFive) {
    const StackedKernels three = stack_kernels({3, 3, 3}), two = stack_kernels({3, 3});
    EXPECT_EQ(three.field, 7);
    EXPECT_EQ(three.weights, 27);
    EXPECT_EQ(three.weights_of_one, 49);
    EXPECT_EQ(two.field, 5);
    EXPECT_EQ(stack_kernels({1}).field, 1);
    EXPECT_THROW((void)stack_kernels({3, 0}), ArgumentError);
}

TEST(Compare, RatiosAreOfTheFirstModel) {
    const auto counts = count_models({"lenet5", "small_mnist"});
    EXPECT_EQ(counts[0].parameters, 61'706);
    EXPECT_DOUBLE_EQ(counts[1].megabytes, 155'606 * 4 / 1048576.0);
    const std::string csv = to_text(comparison_sheet(counts, Convention::torch), TableFormat::csv);
    EXPECT_NE(csv.find("small_mnist,155606,0.6,3841000,"), std::string::npos) << csv;
    EXPECT_NE(csv.find(",2.52,9.22\n"), std::string::npos) << csv;
    EXPECT_EQ(ratio_sentence(counts[0], counts[1]), "lenet5_modern against small_mnist: 9.22 times fewer operations, 2.52 times fewer parameters");
}

TEST(Compare, TheChartShowsEveryModelWithAnAccuracyAndNamesTheOthers) {
    std::vector<ModelCount> counts{{.model = "small", .parameters = 1'000'000, .operations = 100'000'000, .top1 = 60.0}, {.model = "large", .parameters = 25'000'000, .operations = 4'000'000'000, .top1 = 76.1},
                                   {.model = "unknown", .parameters = 5, .operations = 7}};
    const std::string svg = bubble_chart(counts);
    EXPECT_TRUE(svg.starts_with("<svg xmlns=")) << svg;
    EXPECT_EQ(svg.find("<circle"), svg.find("<circle cx=\""));
    std::size_t circles = 0;
    for (std::size_t at = svg.find("<circle"); at != std::string::npos; at = svg.find("<circle", at + 1)) ++circles;
    EXPECT_EQ(circles, 2u);
    EXPECT_NE(svg.find("no published ImageNet accuracy: unknown"), std::string::npos);
    EXPECT_LT(svg.find("large:"), svg.find("small:"));  // the small bubble lies on top
    EXPECT_NE(svg.find("r=\"40.0\""), std::string::npos);
    EXPECT_NE(svg.find("r=\"8.0\""), std::string::npos);  // a 25th of the area
}

// Sizes of Keras' files hold the graph as well: up to 1.5 percent (and half a megabyte of rounding) above the parameters.
TEST(Compare, TheTableOfKerasApplicationsIsCountedExactly) {
    int found = 0;
    for (const KerasEntry& entry : keras_applications()) {
        if (!has_model(entry.model)) continue;
        ++found;
        const std::int64_t parameters = layer_table(entry.model, Convention::keras).parameters;
        EXPECT_EQ(parameters, entry.parameters) << entry.model;
        EXPECT_NEAR(static_cast<double>(parameters) * 4 / 1048576, static_cast<double>(entry.megabytes), 0.5 + 0.015 * static_cast<double>(entry.megabytes)) << entry.model;
    }
    EXPECT_GE(found, 2);
    EXPECT_EQ(keras_sheet().rows.size(), static_cast<std::size_t>(found));
}

// Keras normalises the picture inside EfficientNet: 3 means, 3 variances and a count more.
TEST(Compare, EfficientNetsAreCountedAsKerasDoes) {
    EXPECT_EQ(layer_table("efficientnet_b0", Convention::keras).parameters, 5'330'571);
    EXPECT_EQ(layer_table("efficientnet_b7", Convention::keras).parameters, 66'658'687);
}

TEST(Compare, MobileNetsDifferFromKerasByTheirRunningStatistics) {
    for (const auto& [model, difference] : {std::pair{"mobilenet_v1_1.0", 21'888}, std::pair{"mobilenet_v2", 34'112}})
        EXPECT_EQ(layer_table(model, Convention::keras).parameters - layer_table(model).parameters, difference) << model;
}

// Several times the operations, fewer parameters: what residual networks are praised for.
TEST(Compare, ResidualNetsAgainstAlexNet) {
    if (!has_model("resnet34_v1")) GTEST_SKIP() << "no residual networks yet";
    struct Want {
        const char* model;
        double operations, fewer;
    };
    const auto counts = count_models({"alexnet_s4", "resnet34_v1", "resnet101_v1", "resnet152_v1"}, Convention::sifre);
    const Want wanted[] = {{"", 1, 1}, {"resnet34_v1", 3.23, 2.86}, {"resnet101_v1", 6.68, 1.40}, {"resnet152_v1", 9.95, 1.04}};
    for (std::size_t i = 1; i < 4; ++i) {
        EXPECT_NEAR(static_cast<double>(counts[i].operations) / static_cast<double>(counts[0].operations), wanted[i].operations, 0.005) << wanted[i].model;
        EXPECT_NEAR(static_cast<double>(counts[0].parameters) / static_cast<double>(counts[i].parameters), wanted[i].fewer, 0.005) << wanted[i].model;
    }
    EXPECT_EQ(counts[1].parameters, 21'789'160);
    EXPECT_EQ(counts[1].operations, 3'668'417'232);
    EXPECT_EQ(counts[2].parameters, 44'496'488);
    EXPECT_EQ(counts[2].operations, 7'587'155'920);
}

}  // namespace
}  // namespace fovea
