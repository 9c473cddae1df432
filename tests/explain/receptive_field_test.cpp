#include <gtest/gtest.h>

#include "fovea/explain.h"
#include "fovea/ops.h"

namespace fovea {
namespace {

ReceptiveField field_at(const LayerTable& table, std::string_view path) { return table.at(path).field; }

TEST(ReceptiveField, OfThreeStackedThreeByThreeConvolutionsIsSevenAndOfTwoFive) {
    Graph net;
    Value x = net.input("image", {dynamic, 4, 32, 32});
    for (const char* name : {"a", "b", "c"}) x = conv2d(x, {.out = 4, .kernel = 3, .pad = 1, .bias = false}, name);
    net.output("out", x);
    const LayerTable table = layer_table(net, {1, 4, 32, 32});
    EXPECT_EQ(field_at(table, "b").size[0], 5);
    EXPECT_EQ(field_at(table, "c").size[0], 7);
    EXPECT_EQ(table.parameters, 27 * 4 * 4);  // against 49 C^2 for one 7 x 7
}

TEST(ReceptiveField, GrowsByTheStrideSoFarAndByDilation) {
    Graph net;
    Value x = net.input("image", {dynamic, 1, 65, 65});
    x = conv2d(x, {.out = 1, .kernel = 3, .stride = 2}, "a");                  // 3, stride 2
    x = conv2d(x, {.out = 1, .kernel = {3, 1}, .dilation = {2, 1}}, "b");      // rows 3 + 2 * 2 * 2
    x = max_pool(x, {.kernel = 2});                                           // 11 + 2, 3 + 2; stride 4
    net.output("out", x);
    const LayerTable table = layer_table(net, {1, 1, 65, 65});
    EXPECT_EQ(field_at(table, "b").size, (std::array<double, 2>{11, 3}));
    EXPECT_EQ(table.layers.back().field.size, (std::array<double, 2>{13, 5}));
    EXPECT_EQ(table.layers.back().field.stride, (std::array<double, 2>{4, 4}));
}

TEST(ReceptiveField, OfALinearLayerIsTheWholeImage) {
    const LayerTable table = layer_table("lenet5_tutorial");
    EXPECT_EQ(field_at(table, "conv2").size[0], 14);
    EXPECT_EQ(field_at(table, "fc1").size[0], 28);  // without padding it ends at the border
    EXPECT_EQ(field_at(table, "fc3").size[0], 28);
}

TEST(ReceptiveField, OfAResidualSumIsTheWidestPathAndAGateMovesNothing) {
    Graph net;
    const Value x = net.input("image", {dynamic, 2, 16, 16});
    const Value y = conv2d(x, {.out = 2, .kernel = 3, .pad = 1}, "y");
    const Value gated = multiply(y, sigmoid(global_avg_pool(y)), "gated");
    net.output("out", add(x, gated, "sum"));
    const LayerTable table = layer_table(net, {1, 2, 16, 16});
    EXPECT_EQ(field_at(table, "gated").size[0], 3);
    EXPECT_EQ(field_at(table, "sum").size[0], 3);
}

TEST(ReceptiveField, HalvesItsStrideWhereAMapIsEnlarged) {
    Graph net;
    Value x = net.input("image", {dynamic, 2, 16, 16});
    x = max_pool(x, {.kernel = 2});
    x = conv_transpose2d(x, {.out = 2, .kernel = 2, .stride = 2}, "up");
    net.output("out", x);
    const LayerTable table = layer_table(net, {1, 2, 16, 16});
    EXPECT_EQ(field_at(table, "up").size[0], 2);
    EXPECT_EQ(field_at(table, "up").stride[0], 1);
}

// The last map before the classifier, or the layer named.
TEST(ReceptiveField, OfTheZooAreThoseOfTheLiterature) {
    struct Want {
        const char *model, *layer;
        double size, stride;  // 0: not said
    };
    const std::vector<Want> wanted{
        {"alexnet_2012", "conv5", 163, 16}, {"alexnet_2012", "pool5", 195, 32}, {"zfnet", "conv5", 139, 0}, {"vgg16", "features.28", 196, 16}, {"vgg16", "features.30", 212, 32},
        {"vgg19", "features.36", 268, 32},
    };
    for (const Want& want : wanted) {
        const ReceptiveField field = layer_table(want.model).at(want.layer).field;
        EXPECT_EQ(field.size, (std::array<double, 2>{want.size, want.size})) << want.model << " " << want.layer;
        if (want.stride > 0) {
            EXPECT_EQ(field.stride[0], want.stride) << want.model << " " << want.layer;
        }
    }
    // Of the last convolution or pool before the global one.
    for (const auto& [model, size] : std::vector<std::pair<const char*, double>>{{"googlenet_v1", 715}, {"resnet18_v1", 435}, {"resnet34_v1", 899}, {"resnet50_v1", 483}, {"resnet50", 427}, {"resnet101_v1", 1027},
                                                                                 {"resnet152_v1", 1507}}) {
        if (!has_model(model)) continue;
        double widest = 0;
        for (const Layer& layer : layer_table(model).layers)
            if (layer.op == "conv2d") widest = std::max(widest, layer.field.size[0]);
        EXPECT_EQ(widest, size) << model;
    }
}

TEST(ReceptiveField, OfTheCifarResidualNetsGrowsLinearlyWithDepth) {
    // 6n + 1 convolutions of 3 x 3: 2n of them at stride 1 and 2n at 2 and 4 each, less what a block's first convolution sees at the stride before.
    for (const auto& [model, blocks] : {std::pair{"cifar_resnet20", 3}, std::pair{"cifar_resnet56", 9}}) {
        const int expected = 1 + 2 * (1 + 2 * blocks) + (2 + 4 * (2 * blocks - 1)) + (4 + 8 * (2 * blocks - 1));
        Graph net = build_model(model);
        const LayerTable table = layer_table(net, {1, 3, 32, 32});
        double widest = 0;
        for (const Layer& layer : table.layers)
            if (layer.op == "conv2d") widest = std::max(widest, layer.field.size[0]);
        EXPECT_EQ(widest, expected) << model;
    }
}

}  // namespace
}  // namespace fovea
