// Tables of lectures and papers, digit for digit: every integer below was recomputed by hand from the layer definitions.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <tuple>

#include "fovea/explain.h"
#include "fovea/ops.h"

namespace fovea {
namespace {

struct Row {
    std::string title;
    std::int64_t parameters, operations;
    std::string volume;  ///< height x width x channels
};

std::string volume_of(const Shape& shape) {
    if (shape.rank() == 4 && shape[2] * shape[3] > 1) return std::to_string(shape[2]) + "x" + std::to_string(shape[3]) + "x" + std::to_string(shape[1]);
    return std::to_string(shape[1]);
}

/// Every row and the totals; `softmax` is what the last row counts.
void expect_rows(const LayerTable& table, const std::vector<Row>& rows, std::int64_t parameters, std::int64_t operations) {
    ASSERT_EQ(table.layers.size(), rows.size()) << to_text(sheet_of(table), TableFormat::table);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const Layer& layer = table.layers[i];
        EXPECT_EQ(layer.title, rows[i].title) << i;
        EXPECT_EQ(layer.parameters, rows[i].parameters) << layer.path;
        EXPECT_EQ(layer.operations, rows[i].operations) << layer.path;
        EXPECT_EQ(volume_of(layer.output), rows[i].volume) << layer.path;
    }
    EXPECT_EQ(table.parameters, parameters);
    EXPECT_EQ(table.operations, operations);
}

TEST(LayerTable, OfTheSmallNetOnMnistEqualsTheLecturesDigitForDigit) {
    expect_rows(layer_table("small_mnist", Convention::sifre),
                {{"input", 0, 0, "28x28x1"}, {"conv(5, 32)", 832, 479'232, "24x24x32"}, {"pool(2, 2)", 0, 18'432, "12x12x32"}, {"conv(5, 64)", 51'264, 3'280'896, "8x8x64"},
                 {"pool(2, 2)", 0, 4'096, "4x4x64"}, {"fc(100)", 102'500, 102'500, "100"}, {"fc(10)", 1'010, 1'010, "10"}, {"softmax", 0, 0, "10"}},
                155'606, 3'886'166);
}

TEST(LayerTable, OfTheSmallNetOnCifarEqualsTheLecturesDigitForDigit) {
    expect_rows(layer_table("small_cifar", Convention::sifre),
                {{"input", 0, 0, "32x32x3"}, {"conv(5, 32)", 2'432, 1'906'688, "28x28x32"}, {"pool(2, 2)", 0, 25'088, "14x14x32"}, {"conv(5, 64)", 51'264, 5'126'400, "10x10x64"},
                 {"pool(2, 2)", 0, 6'400, "5x5x64"}, {"fc(100)", 160'100, 160'100, "100"}, {"fc(10)", 1'010, 1'010, "10"}, {"softmax", 0, 0, "10"}},
                214'806, 7'225'686);
}

// The lecture pads the picture, the network its first convolution; the last layer of 10 units counts as its radial basis units did.
TEST(LayerTable, OfLeNet5EqualsTheLecturesDigitForDigit) {
    expect_rows(layer_table("lenet5_modern", Convention::sifre),
                {{"input", 0, 0, "28x28x1"}, {"conv(5, 6, p2)", 156, 122'304, "28x28x6"}, {"pool(2, 2)", 0, 4'704, "14x14x6"}, {"conv(5, 16)", 2'416, 241'600, "10x10x16"},
                 {"pool(2, 2)", 0, 1'600, "5x5x16"}, {"fc(120)", 48'120, 48'120, "120"}, {"fc(84)", 10'164, 10'164, "84"}, {"fc(10)", 850, 850, "10"}, {"softmax", 0, 10, "10"}},
                61'706, 429'352);
}

// 1,135,915,368 operations without pools, norms and softmax.
TEST(LayerTable, OfAlexNetInOneTowerEqualsTheLecturesDigitForDigit) {
    const LayerTable table = layer_table("alexnet_s4", Convention::sifre);
    expect_rows(table,
                {{"input", 0, 0, "227x227x3"}, {"conv(11, 96, s4)", 34'944, 105'705'600, "55x55x96"}, {"pool(3, 2)", 0, 290'400, "27x27x96"}, {"norm", 0, 69'984, "27x27x96"},
                 {"conv(5, 256, p2)", 614'656, 448'084'224, "27x27x256"}, {"pool(3, 2)", 0, 186'624, "13x13x256"}, {"norm", 0, 43'264, "13x13x256"},
                 {"conv(3, 384, p1)", 885'120, 149'585'280, "13x13x384"}, {"conv(3, 384, p1)", 1'327'488, 224'345'472, "13x13x384"}, {"conv(3, 256, p1)", 884'992, 149'563'648, "13x13x256"},
                 {"pool(3, 2)", 0, 43'264, "6x6x256"}, {"fc(4096)", 37'752'832, 37'752'832, "4096"}, {"fc(4096)", 16'781'312, 16'781'312, "4096"}, {"fc(1000)", 4'097'000, 4'097'000, "1000"},
                 {"softmax", 0, 1'000, "1000"}},
                62'378'344, 1'136'549'904);
    std::int64_t operations = 0;
    for (const Layer& layer : table.layers)
        if (layer.parameters > 0) operations += layer.operations;
    EXPECT_EQ(operations, 1'135'915'368);
}

TEST(LayerTable, OfVgg16EqualsTheLecturesDigitForDigit) {
    const LayerTable table = layer_table("vgg16", Convention::sifre);
    expect_rows(table,
                {{"input", 0, 0, "224x224x3"},
                 {"conv(3, 64, p1)", 1'792, 89'915'392, "224x224x64"},
                 {"conv(3, 64, p1)", 36'928, 1'852'899'328, "224x224x64"},
                 {"pool(2, 2)", 0, 3'211'264, "112x112x64"},
                 {"conv(3, 128, p1)", 73'856, 926'449'664, "112x112x128"},
                 {"conv(3, 128, p1)", 147'584, 1'851'293'696, "112x112x128"},
                 {"pool(2, 2)", 0, 1'605'632, "56x56x128"},
                 {"conv(3, 256, p1)", 295'168, 925'646'848, "56x56x256"},
                 {"conv(3, 256, p1)", 590'080, 1'850'490'880, "56x56x256"},
                 {"conv(3, 256, p1)", 590'080, 1'850'490'880, "56x56x256"},
                 {"pool(2, 2)", 0, 802'816, "28x28x256"},
                 {"conv(3, 512, p1)", 1'180'160, 925'245'440, "28x28x512"},
                 {"conv(3, 512, p1)", 2'359'808, 1'850'089'472, "28x28x512"},
                 {"conv(3, 512, p1)", 2'359'808, 1'850'089'472, "28x28x512"},
                 {"pool(2, 2)", 0, 401'408, "14x14x512"},
                 {"conv(3, 512, p1)", 2'359'808, 462'522'368, "14x14x512"},
                 {"conv(3, 512, p1)", 2'359'808, 462'522'368, "14x14x512"},
                 {"conv(3, 512, p1)", 2'359'808, 462'522'368, "14x14x512"},
                 {"pool(2, 2)", 0, 100'352, "7x7x512"},
                 {"fc(4096)", 102'764'544, 102'764'544, "4096"},
                 {"fc(4096)", 16'781'312, 16'781'312, "4096"},
                 {"fc(1000)", 4'097'000, 4'097'000, "1000"},
                 {"softmax", 0, 1'000, "1000"}},
                138'357'544, 15'489'943'504);
}

// The listing with weights only and "memory" per layer: 15.24 M values an image.
TEST(LayerTable, OfVgg16WithoutBiasesEqualsTheListing) {
    const LayerTable table = layer_table("vgg16", Convention::cs231n);
    EXPECT_EQ(table.parameters, 138'344'128);
    EXPECT_EQ(table.volume, 15'237'608);
    EXPECT_EQ(table.at("features.0").parameters, 1'728);
    EXPECT_EQ(table.at("classifier.0").parameters, 102'760'448);
    EXPECT_EQ(table.largest(&Layer::volume), 3'211'264);
}

// Groups of blocks, without batch norm and with biases: the tables of a 34- and a 101-layer network.
void expect_groups(const char* model, const std::vector<std::tuple<std::vector<std::string>, std::int64_t, std::int64_t>>& groups, std::int64_t parameters, std::int64_t operations) {
    const LayerTable table = layer_table(model, Convention::sifre);
    for (const auto& [prefixes, want_parameters, want_operations] : groups) {
        std::int64_t p = 0, o = 0;
        for (const std::string& prefix : prefixes) p += table.sum(&Layer::parameters, prefix), o += table.sum(&Layer::operations, prefix);
        EXPECT_EQ(p, want_parameters) << model << " " << prefixes.front();
        EXPECT_EQ(o, want_operations) << model << " " << prefixes.front();
    }
    EXPECT_EQ(table.parameters, parameters) << model;
    EXPECT_EQ(table.operations, operations) << model;
}

std::vector<std::string> blocks(const std::string& layer, int first, int last) {
    std::vector<std::string> paths;
    for (int i = first; i <= last; ++i) paths.push_back(layer + "." + std::to_string(i));
    return paths;
}

TEST(LayerTable, OfResNet34EqualsTheLecturesDigitForDigit) {
    if (!has_model("resnet34_v1")) GTEST_SKIP() << "no residual networks yet";
    expect_groups("resnet34_v1",
                  {{{"conv1"}, 9'472, 118'816'768}, {{"maxpool"}, 0, 802'816}, {{"layer1"}, 221'568, 694'837'248}, {blocks("layer2", 0, 0), 229'760, 180'182'016},
                   {blocks("layer2", 1, 3), 885'504, 694'235'136}, {blocks("layer3", 0, 0), 918'272, 180'006'400}, {blocks("layer3", 1, 5), 5'900'800, 1'156'556'800},
                   {blocks("layer4", 0, 0), 3'671'552, 179'918'592}, {blocks("layer4", 1, 2), 9'439'232, 462'522'368}, {{"avgpool"}, 0, 25'088}, {{"fc"}, 513'000, 513'000}, {{"softmax"}, 0, 1'000}},
                  21'789'160, 3'668'417'232);
}

TEST(LayerTable, OfResNet101EqualsTheLecturesDigitForDigit) {
    if (!has_model("resnet101_v1")) GTEST_SKIP() << "no residual networks yet";
    expect_groups("resnet101_v1",
                  {{{"conv1"}, 9'472, 118'816'768}, {{"maxpool"}, 0, 802'816}, {{"layer1"}, 214'400, 672'358'400}, {blocks("layer2", 0, 0), 378'112, 296'640'512},
                   {blocks("layer2", 1, 3), 837'888, 656'904'192}, {blocks("layer3", 0, 0), 1'509'888, 296'038'400}, {blocks("layer3", 1, 22), 24'544'256, 4'810'674'176},
                   {blocks("layer4", 0, 0), 6'034'432, 295'737'344}, {blocks("layer4", 1, 2), 8'919'040, 437'032'960}, {{"avgpool"}, 0, 100'352}, {{"fc"}, 2'049'000, 2'049'000}, {{"softmax"}, 0, 1'000}},
                  44'496'488, 7'587'155'920);
}

// Parameters and multiply-adds of the whole networks.
TEST(LayerTable, TotalsOfTheZooAreExact) {
    struct Total {
        const char* model;
        std::int64_t parameters, operations;  // 0: not said
    };
    const std::vector<Total> totals{
        {"alexnet_2012", 60'965'224, 724'406'816}, {"alexnet_d2l", 50'844'008, 0}, {"alexnet", 61'100'840, 0}, {"zfnet", 62'357'608, 0}, {"zfnet_big", 107'627'624, 0},
        {"vgg11", 132'863'336, 0}, {"vgg13", 133'047'848, 0}, {"vgg_c", 133'638'952, 0}, {"vgg16", 138'357'544, 0}, {"vgg19", 143'667'240, 0},
        {"densenet121", 7'978'856, 0}, {"densenet169", 14'149'480, 0}, {"densenet201", 20'013'928, 0}, {"densenet161", 28'681'000, 0},
        {"mobilenet_v1_1.0", 4'231'976, 568'740'352}, {"mobilenet_v2", 3'504'872, 0},
        {"googlenet_v1", 6'998'552, 1'582'671'872},
        {"resnet18", 11'689'512, 0}, {"resnet34", 21'797'672, 0}, {"resnet50", 25'557'032, 0}, {"resnet101", 44'549'160, 0}, {"resnet152", 60'192'808, 0},
        {"resnext50_32x4d", 25'028'904, 0}, {"resnext101_32x4d", 44'177'704, 0}, {"resnext101_64x4d", 83'455'272, 0},
    };
    int found = 0;
    for (const Total& total : totals) {
        if (!has_model(total.model)) continue;
        ++found;
        const LayerTable table = layer_table(total.model);
        EXPECT_EQ(table.parameters, total.parameters) << total.model;
        if (total.operations) {
            EXPECT_EQ(table.operations, total.operations) << total.model;
        }
    }
    EXPECT_GE(found, 10);
    EXPECT_EQ(build_model("alexnet_d2l", {.classes = 2}).trainable_scalars(), 46'755'202);
    // Billions of multiply-adds, as printed with three decimals.
    for (const auto& [model, billions] : std::vector<std::pair<const char*, double>>{{"vgg11", 7.609}, {"vgg13", 11.308}, {"vgg_c", 11.771}, {"vgg16", 15.470}, {"vgg19", 19.632},
                                                                                    {"densenet121", 2.834}, {"densenet169", 3.360}, {"densenet201", 4.291}, {"densenet161", 7.728},
                                                                                    {"resnet50", 4.089}, {"resnet101", 7.801}, {"resnet152", 11.514}, {"resnet18_v1", 1.814}, {"resnet34_v1", 3.664},
                                                                                    {"resnet50_v1", 3.858}, {"resnet101_v1", 7.570}, {"resnet152_v1", 11.282},
                                                                                    {"resnext50_32x4d", 4.230}, {"resnext101_32x4d", 7.970}, {"resnext101_64x4d", 15.460}}) {
        if (!has_model(model)) continue;
        EXPECT_NEAR(static_cast<double>(layer_table(model).operations) / 1e9, billions, 0.0005) << model;
    }
}

TEST(LayerTable, TheOldLeNetHasASparseThirdLayerAndTrainedSubsampling) {
    const LayerTable table = layer_table("lenet5_classic");
    EXPECT_EQ(table.parameters, 60'000);
    EXPECT_EQ(table.at("c3").parameters, 1'516);
    EXPECT_EQ(table.sum(&Layer::parameters, "s2") + table.at("multiply").parameters, 12);
    EXPECT_EQ(table.operations, 415'680);
}

TEST(LayerTable, MarksMostParametersInTheFirstLinearMostOperationsInTheSecondConvolutionMostMemoryInTheFirst) {
    for (const char* model : {"small_mnist", "small_cifar"}) {
        const LayerTable table = layer_table(model, Convention::sifre);
        const std::string text = to_text(sheet_of(table), TableFormat::md);
        const std::vector<std::pair<std::int64_t Layer::*, std::string>> most{{&Layer::parameters, "fc1"}, {&Layer::operations, "conv2"}, {&Layer::volume, "conv1"}};
        for (const auto& [column, path] : most) EXPECT_EQ(table.at(path).*column, table.largest(column)) << path;
    }
    const std::string text = to_text(sheet_of(layer_table("small_mnist", Convention::sifre)), TableFormat::md);
    EXPECT_NE(text.find("| fc1 | fc(100) | 100 | **102,500** | 102,500 | 100 |"), std::string::npos) << text;
    EXPECT_NE(text.find("| conv2 | conv(5, 64) | 8x8x64 | 51,264 | **3,280,896** | 4,096 |"), std::string::npos) << text;
    EXPECT_NE(text.find("| conv1 | conv(5, 32) | 24x24x32 | 832 | 479,232 | **18,432** | **73,728** |"), std::string::npos) << text;
}

TEST(LayerTable, InTheTorchConventionAddsUpToEveryCard) {
    for (const ModelCard& card : model_cards()) {
        if (card.depth > 200) continue;  // the same code as its family, a second to build
        const LayerTable table = layer_table(card.name);
        EXPECT_EQ(table.operations, card.macs) << card.name;
        std::int64_t parameters = 0;
        for (const Layer& layer : table.layers) parameters += layer.parameters;
        EXPECT_EQ(parameters, table.parameters) << card.name;
        EXPECT_LE(table.parameters, card.parameters) << card.name;
        const Graph graph = build_model(card.name);
        if (graph.outputs().size() == 1) {
            EXPECT_EQ(table.parameters, card.parameters) << card.name;
        }
    }
}

TEST(LayerTable, KerasAddsRunningStatistics) {
    // 19 batch norms of 7 x 16 + 6 x 32 + 6 x 64 channels, mean and variance each.
    EXPECT_EQ(layer_table("cifar_resnet20", Convention::keras).parameters, 269'722 + 2 * (7 * 16 + 6 * 32 + 6 * 64));
    EXPECT_EQ(layer_table("lenet5", Convention::keras).parameters, 61'706);
}

TEST(LayerTable, Cs231nCountsWeightsOnly) {
    EXPECT_EQ(layer_table("small_cifar", Convention::cs231n).parameters, 214'806 - 32 - 64 - 100 - 10);
    EXPECT_EQ(layer_table("small_cifar", Convention::cs231n).volume, 32 * 32 * 3 + 28 * 28 * 32 + 14 * 14 * 32 + 10 * 10 * 64 + 5 * 5 * 64 + 100 + 10);
}

TEST(LayerTable, SifreCountsTheSamplesOfAShortcutOnce) {
    // Two strided 1 x 1 convolutions read the same 4 x 4 x 8 samples of one map.
    Graph net;
    const Value x = net.input("image", {dynamic, 8, 8, 8});
    const Value a = conv2d(x, {.out = 2, .kernel = 1, .stride = 2, .bias = false}, "a"), b = conv2d(x, {.out = 2, .kernel = 1, .stride = 2}, "b");
    net.output("out", a + b);
    const LayerTable table = layer_table(net, {1, 8, 8, 8}, {.convention = Convention::sifre});
    EXPECT_EQ(table.at("a").parameters, 18);
    EXPECT_EQ(table.at("a").operations, 18 * 16 + 4 * 4 * 8);
    EXPECT_EQ(table.at("b").operations, 18 * 16);
}

TEST(LayerTable, SharedWeightsCountOnceAndWorkTwice) {
    Graph net;
    const Value x = net.input("image", {dynamic, 4, 6, 6});
    const Value w = net.parameter("w", {4, 4, 1, 1});
    net.output("out", conv2d(conv2d(x, w, {}, {}, "first"), w, {}, {}, "second"));
    const LayerTable table = layer_table(net, {1, 4, 6, 6});
    EXPECT_EQ(table.at("first").parameters, 16);
    EXPECT_EQ(table.at("second").parameters, 0);
    EXPECT_EQ(table.at("second").operations, 16 * 36);
}

TEST(LayerTable, ScalesWithTheBatchAndTheImage) {
    const LayerTable one = layer_table("five_blocks"), many = layer_table(build_model("five_blocks"), {3, 3, 224, 224});
    EXPECT_EQ(many.operations, 3 * one.operations);
    EXPECT_EQ(many.parameters, one.parameters);
    EXPECT_EQ(layer_table("small_mnist", Convention::torch, {.channels = 3, .height = 40, .width = 36}).at("conv1").output, (Shape{1, 32, 36, 32}));
}

TEST(LayerTable, FormatsAsJsonCsvAndHtml) {
    const LayerTable table = layer_table("lenet5");
    const Sheet sheet = sheet_of(table);
    EXPECT_NE(to_json(table).find("\"parameters\": 61706"), std::string::npos);
    EXPECT_NE(to_text(sheet, TableFormat::csv).find("conv2,\"conv(5, 16)\",10x10x16,2416,240000,1600,6400,14,2\n"), std::string::npos) << to_text(sheet, TableFormat::csv);
    EXPECT_NE(to_text(sheet, TableFormat::html).find("<td class=\"n\"><b>240,000</b></td>"), std::string::npos);
    EXPECT_NE(to_text(sheet, TableFormat::table).find("240,000*"), std::string::npos);
}

TEST(LayerTable, UnknownConventionsAndFormatsAreNamed) {
    try {
        (void)convention_of("tf");
        FAIL();
    } catch (const ArgumentError& error) {
        EXPECT_STREQ(error.what(), "no counting convention 'tf'; there are torch, keras, sifre, cs231n, paper");
    }
    EXPECT_THROW((void)table_format_of("xls"), ArgumentError);
}

// Printed figures are rounded to their last digit. Those that are further off, and by how much at most: ResNet's table cuts off 3.66 and
// 3.86 (erratum E34) and 7.57; AlexNet's abstract says 60 million of 60.97; MobileNet's tables round to millions their own way;
// EfficientNet's authors round channels and pictures otherwise than torchvision, whose networks ours are.
TEST(Published, FiguresAgreeWithTheCounts) {
    const auto allowed = [](std::string_view model) {
        if (model.starts_with("efficientnet")) return 0.10;
        if (model == "mobilenet_v2") return 0.04;
        if (model == "googlenet_v1") return 0.06;  // "designed to keep a computational budget of 1.5 billion multiply-adds": an aim, not a count
        if (model.starts_with("mobilenet") || model.starts_with("alexnet") || model.starts_with("resn") || model == "resnet34") return 0.06;
        return 0.0;
    };
    int compared = 0;
    for (const PublishedCount& count : published_counts()) {
        if (!has_model(count.model)) continue;
        const LayerTable table = layer_table(count.model);
        const auto agrees = [&](double printed, std::int64_t counted, std::string_view text) {
            if (printed == 0) return;
            ++compared;
            const std::string digits(text.substr(0, text.find_first_not_of("0123456789.")));
            const std::size_t point = digits.find('.');
            const double last_digit = text.find(',') != std::string_view::npos ? 1 : printed / std::stod(digits) * std::pow(10, point == std::string::npos ? 0.0 : -static_cast<double>(digits.size() - point - 1));
            EXPECT_NEAR(static_cast<double>(counted), printed, std::max(last_digit / 2, allowed(count.model) * printed)) << count.model << " prints " << text;
        };
        agrees(count.parameter_count, table.parameters, count.parameters);
        agrees(count.operation_count, table.operations, count.operations);
    }
    EXPECT_GE(compared, 30);
}

}  // namespace
}  // namespace fovea
