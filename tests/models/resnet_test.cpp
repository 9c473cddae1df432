// Residual networks: counts of the papers, the tables of a course and of Keras, maps, options.
#include "counts.h"
#include "fovea/nn.h"
#include "support.h"

namespace fovea {
namespace {

std::pair<std::int64_t, std::int64_t> parameters_and_macs(const std::string& name, const ModelOptions& options = {}) {
    const Graph net = build_model(name, options);
    return {net.trainable_scalars(), test::for_one_picture(net).cost().macs};
}
using Pair = std::pair<std::int64_t, std::int64_t>;

TEST(ResNet, StrideInTheFirstConvolutionSavesWhatThePaperCounts) {
    EXPECT_EQ(parameters_and_macs("resnet50_v1"), (Pair{25557032, 3857973248}));
    EXPECT_EQ(parameters_and_macs("resnet50"), (Pair{25557032, 4089184256}));
    EXPECT_EQ(parameters_and_macs("resnet101_v1"), (Pair{44549160, 7570194432}));
    EXPECT_EQ(parameters_and_macs("resnet152_v1"), (Pair{60192808, 11282415616}));
    EXPECT_EQ(find_model("resnet34_v1").name, "resnet34");  // blocks without a first 1 x 1 have one form
}

TEST(ResNet, ShortcutOptionsAreThoseOfThePaper) {
    EXPECT_EQ(parameters_and_macs("resnet34", {.shortcut = Shortcut::a}), (Pair{21623848, 3644493824}));
    EXPECT_EQ(parameters_and_macs("resnet34", {.shortcut = Shortcut::b}), (Pair{21797672, 3663761408}));
    EXPECT_EQ(parameters_and_macs("resnet34", {.shortcut = Shortcut::c}), (Pair{22716840, 3830747136}));
    EXPECT_EQ(parameters_and_macs("resnet50", {.shortcut = Shortcut::a}), (Pair{22780456, 3729522688}));
    EXPECT_EQ(parameters_and_macs("resnet50", {.shortcut = Shortcut::c}), (Pair{40128552, 6555435008}));
    EXPECT_EQ(build_model("resnet18", {.shortcut = Shortcut::a}).find_parameter("layer2.0.downsample.0.weight"), nullptr);
    EXPECT_NE(build_model("resnet18", {.shortcut = Shortcut::c}).find_parameter("layer1.1.downsample.0.weight"), nullptr);
}

TEST(ResNet, KerasCountsAreReproduced) {
    const auto keras = [](const std::string& name, test::Keras form) { return test::keras_parameters(build_model(name), form); };
    EXPECT_EQ(keras("resnet50", {.biased = true}), 25636712);
    EXPECT_EQ(keras("resnet101", {.biased = true}), 44707176);
    EXPECT_EQ(keras("resnet152", {.biased = true}), 60419944);
    EXPECT_EQ(keras("resnet50v2", {}), 25613800);
    EXPECT_EQ(keras("resnet101v2", {}), 44675560);
    EXPECT_EQ(keras("resnet152v2", {}), 60380648);
    EXPECT_EQ(keras("resnext50_32x4d", {}), 25097128);
    EXPECT_EQ(keras("resnext101_32x4d", {}), 44315560);
}

/// A row of the course's tables: the blocks [first, last] of a layer.
struct Row {
    int layer, first, last;
    test::Count count;
};

void expect_rows(const std::string& model, const std::vector<Row>& rows) {
    const Graph net = test::for_one_picture(build_model(model));
    test::Count total;
    const auto add = [&](const test::Count& c) { total.parameters += c.parameters, total.operations += c.operations; };
    EXPECT_EQ(test::biased_count(net, "conv1"), (test::Count{9472, 118816768}));
    add({9472, 118816768});
    add({0, 802816});  // the pool reads 112 x 112 x 64
    EXPECT_EQ(net.find("maxpool").node().inputs[0].shape().elements(), 802816);
    for (const Row& row : rows) {
        test::Count count;
        for (int i = row.first; i <= row.last; ++i) {
            const test::Count c = test::biased_count(net, "layer" + std::to_string(row.layer) + "." + std::to_string(i) + ".");
            count.parameters += c.parameters, count.operations += c.operations;
        }
        if (row.layer > 1 && row.first == 0) {  // the elements that the strided shortcut picks
            const std::string path = "layer" + std::to_string(row.layer) + ".0.downsample.0";
            count.operations += net.find(path).node().inputs[0].shape()[1] * net.find(path).shape()[2] * net.find(path).shape()[3];
        }
        EXPECT_EQ(count, row.count) << model << " layer" << row.layer << "." << row.first;
        add(count);
    }
    add({0, net.find("features").shape().elements()});
    add(test::biased_count(net, "fc"));
    add({0, 1000});  // softmax
    EXPECT_EQ(total, model == "resnet34" ? (test::Count{21789160, 3668417232}) : (test::Count{44496488, 7587155920}));
}

TEST(ResNet, EveryRowOfTheCoursesTablesIsReproduced) {
    expect_rows("resnet34", {{1, 0, 2, {221568, 694837248}},
                             {2, 0, 0, {229760, 180182016}},
                             {2, 1, 3, {885504, 694235136}},
                             {3, 0, 0, {918272, 180006400}},
                             {3, 1, 5, {5900800, 1156556800}},
                             {4, 0, 0, {3671552, 179918592}},
                             {4, 1, 2, {9439232, 462522368}}});
    expect_rows("resnet101_v1", {{1, 0, 2, {214400, 672358400}},
                                 {2, 0, 0, {378112, 296640512}},
                                 {2, 1, 3, {837888, 656904192}},
                                 {3, 0, 0, {1509888, 296038400}},
                                 {3, 1, 22, {24544256, 4810674176}},
                                 {4, 0, 0, {6034432, 295737344}},
                                 {4, 1, 2, {8919040, 437032960}}});
}

TEST(ResNet, TapsLieAtTheirStrides) {
    const Graph net = build_backbone("resnet50", {"C2", "C3", "C4", "C5", "pooled"}, {.height = 256, .width = 192});
    EXPECT_EQ(net.find_output("C2").shape(), (Shape{dynamic, 256, 64, 48}));
    EXPECT_EQ(net.find_output("C3").shape(), (Shape{dynamic, 512, 32, 24}));
    EXPECT_EQ(net.find_output("C4").shape(), (Shape{dynamic, 1024, 16, 12}));
    EXPECT_EQ(net.find_output("C5").shape(), (Shape{dynamic, 2048, 8, 6}));
    EXPECT_EQ(net.find_output("pooled").shape(), (Shape{dynamic, 2048}));
    EXPECT_EQ(net.find_parameter("fc.weight"), nullptr);
}

TEST(ResNet, GroupsAndWidthsScaleTogether) {
    const Graph net = build_model("resnext50_32x4d", {.width_multiplier = 0.5});
    EXPECT_EQ(net.find_parameter("layer1.0.conv2.weight")->type.shape, (Shape{64, 2, 3, 3}));
    EXPECT_EQ(build_model("wide_resnet50_2").find_parameter("layer1.0.conv2.weight")->type.shape, (Shape{128, 128, 3, 3}));
}

TEST(ResNetV2, TheProjectionStandsFirstInTheStateAndReadsWhatTheNormGives) {
    const Graph net = build_model("resnetv2_50");
    EXPECT_EQ(net.parameters()[1].name, "stages.0.blocks.0.downsample.conv.weight");
    EXPECT_EQ(op_name(net.find("stages.0.blocks.0.downsample.conv").node().inputs[0].node()), "relu");
    EXPECT_EQ(net.find_parameter("head.fc.weight")->type.shape, (Shape{1000, 2048, 1, 1}));
    EXPECT_EQ(parameters_and_macs("resnetv2_200"), (Pair{64666152, 15007481856}));
}

}  // namespace
}  // namespace fovea
