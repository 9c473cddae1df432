// MobileNets and EfficientNets: published counts, widths in eights, the scaling rule, stochastic depth.
#include "fovea/models.h"
#include "support.h"

namespace fovea {
namespace {

/// Parameters as Keras counts them: with the running statistics of batch norm.
std::int64_t keras_count(const Graph& net) {
    std::int64_t count = net.trainable_scalars();
    for (const ParameterInfo& p : net.parameters())
        if (p.name.ends_with("running_mean") || p.name.ends_with("running_var")) count += p.type.shape.elements();
    return count;
}

TEST(MobileNet, HasTheCountsOfKerasWithRunningStatistics) {
    EXPECT_EQ(keras_count(build_model("mobilenet_v1")), 4253864);
    EXPECT_EQ(keras_count(build_model("mobilenet_v2")), 3538984);
}

TEST(MobileNet, WidthsAreMultiplesOfEightAsTorchvisionRoundsThem) {
    const auto count = [](const char* name, double width) { return build_model(name, {.width_multiplier = width}).trainable_scalars(); };
    EXPECT_EQ(count("mobilenet_v2", 0.35), 1677128);
    EXPECT_EQ(count("mobilenet_v2", 0.75), 2636424);
    EXPECT_EQ(count("mobilenet_v2", 1.4), 6108776);
    EXPECT_EQ(count("mobilenet_v3_large", 0.75), 3377576);
    EXPECT_EQ(count("mobilenet_v3_large", 0.35), 997064);
    EXPECT_EQ(count("mobilenet_v3_small", 0.75), 1653920);
}

TEST(MobileNet, OfHalfTheWidthIsTheFullOneUnderAMultiplier) {
    EXPECT_EQ(build_model("mobilenet_v1", {.width_multiplier = 0.5}).trainable_scalars(), find_model("mobilenet_v1_0.5").parameters);
    EXPECT_EQ(build_model("mobilenet_v1_0.5", {.width_multiplier = 0.5}).trainable_scalars(), find_model("mobilenet_v1_0.25").parameters);
}

TEST(MobileNet, CallsItsStateWhatTorchvisionDoes) {
    const Graph v2 = build_model("mobilenet_v2"), v3 = build_model("mobilenet_v3_large");
    EXPECT_EQ(v2.parameters().size(), 314U);
    EXPECT_EQ(v2.parameters()[12].name, "features.1.conv.1.weight");
    EXPECT_EQ(v2.find_parameter("features.2.conv.2.weight")->type.shape, (Shape{24, 96, 1, 1}));
    EXPECT_EQ(v3.parameters().size(), 312U);
    EXPECT_EQ(v3.find_parameter("features.4.block.2.fc1.weight")->type.shape, (Shape{24, 72, 1, 1}));
    EXPECT_EQ(v3.find_parameter("classifier.0.weight")->type.shape, (Shape{1280, 960}));
}

TEST(EfficientNet, HasTheCountsOfKeras) {
    // Keras normalises the picture inside the network: a mean and a variance per colour and a counter, 7 values.
    constexpr std::int64_t counts[] = {5330571, 7856239, 9177569, 12320535, 19466823, 30562527, 43265143, 66658687};
    for (int i = 0; i < 8; ++i) EXPECT_EQ(keras_count(build_model("efficientnet_b" + std::to_string(i))) + 7, counts[i]) << i;
}

TEST(EfficientNet, ScalesWidthInEightsAndDepthUpwards) {
    EXPECT_EQ(scaled_width(32, 1.1), 32);   // 35.2
    EXPECT_EQ(scaled_width(40, 1.1), 48);   // 44
    EXPECT_EQ(scaled_width(16, 1.4), 24);   // 22.4
    EXPECT_EQ(scaled_width(320, 2.0), 640);
    EXPECT_EQ(scaled_depth(1, 1.1), 2);
    EXPECT_EQ(scaled_depth(4, 3.1), 13);
    // Each step about doubles the operations; B1 is half a step, B7 six.
    const CompoundScale step = compound_scale(1), half = compound_scale(0.5), six = compound_scale(6);
    EXPECT_NEAR(step.depth * std::pow(step.width, 2) * std::pow(step.resolution / 224, 2), 2, 0.1);
    EXPECT_NEAR(half.depth, 1.1, 0.01);
    EXPECT_NEAR(half.resolution, 240, 1);
    EXPECT_NEAR(six.depth, 3.1, 0.15);
    // 600 / 224 rounded the authors' way; the rule alone gives 518.
    EXPECT_NEAR(six.resolution, 518, 1);
}

TEST(EfficientNet, SkipsDeeperBlocksMoreOften) {
    const auto drops = [](const ModelOptions& options) {
        std::vector<double> all;
        const Graph net = build_model("efficientnet_b0", options);
        for (const Node& node : net.nodes())
            if (op_name(node) == "dropout" && node.attrs.text("mode") == "sample") all.push_back(node.attrs.real("drop"));
        return all;
    };
    // Of 16 blocks the nine with a shortcut; block i is skipped with probability 0.2 i / 16.
    EXPECT_EQ(drops({}), (std::vector<double>{0.2 * 2 / 16, 0.2 * 4 / 16, 0.2 * 6 / 16, 0.2 * 7 / 16, 0.2 * 9 / 16, 0.2 * 10 / 16, 0.2 * 12 / 16, 0.2 * 13 / 16, 0.2 * 14 / 16}));
    EXPECT_EQ(drops({.drop_path = 0.8}).back(), 0.8 * 14 / 16);
    EXPECT_TRUE(drops({.drop_path = 0}).empty());
}

TEST(EfficientNet, PreparesPicturesAtItsOwnSizeWithBicubicWeights) {
    constexpr std::int64_t sizes[] = {224, 240, 288, 300, 380, 456, 528, 600};
    for (int i = 0; i < 8; ++i) {
        const ModelCard& card = find_model("efficientnet_b" + std::to_string(i));
        EXPECT_EQ(card.preprocess.crop_width, sizes[i]);
        EXPECT_EQ(card.height, sizes[i]);
        EXPECT_EQ(card.preprocess.filter, Filter::bicubic);
    }
}

TEST(Backbone, OfAMobileNetHasAMapPerStride) {
    struct Net {
        const char* name;
        std::int64_t c2, c3, c4, c5, pooled;
    };
    for (const Net& row : {Net{"mobilenet_v1", 128, 256, 512, 1024, 1024}, Net{"mobilenet_v2", 24, 32, 96, 1280, 1280}, Net{"mobilenet_v3_large", 24, 40, 112, 960, 1280},
                           Net{"mobilenet_v3_small", 16, 24, 48, 576, 1024}, Net{"efficientnet_b0", 24, 40, 112, 1280, 1280}}) {
        const Graph net = build_backbone(row.name, {"C2", "C3", "C4", "C5", "features", "pooled"}, {.height = 96, .width = 64});
        EXPECT_EQ(net.find_output("C2").shape(), (Shape{dynamic, row.c2, 24, 16})) << row.name;
        EXPECT_EQ(net.find_output("C3").shape(), (Shape{dynamic, row.c3, 12, 8})) << row.name;
        EXPECT_EQ(net.find_output("C4").shape(), (Shape{dynamic, row.c4, 6, 4})) << row.name;
        EXPECT_EQ(net.find_output("C5").shape(), (Shape{dynamic, row.c5, 3, 2})) << row.name;
        EXPECT_EQ(net.find_output("features").shape(), net.find_output("C5").shape()) << row.name;
        EXPECT_EQ(net.find_output("pooled").shape(), (Shape{dynamic, row.pooled})) << row.name;
    }
}

}  // namespace
}  // namespace fovea
