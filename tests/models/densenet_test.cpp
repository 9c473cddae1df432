#include "fovea/models.h"

#include "support.h"

namespace fovea {
namespace {

TEST(DenseNet, CallsItsStateWhatTorchvisionDoes) {
    const Graph net = build_model("densenet121");
    const auto at = [&](std::size_t i) { return net.parameters().at(i).name + " " + net.parameters().at(i).type.shape.str(); };
    EXPECT_EQ(net.parameters().size(), 727U);
    EXPECT_EQ(at(0), "features.conv0.weight [64, 3, 7, 7]");
    EXPECT_EQ(at(1), "features.norm0.weight [64]");
    EXPECT_EQ(at(6), "features.denseblock1.denselayer1.norm1.weight [64]");
    EXPECT_EQ(at(11), "features.denseblock1.denselayer1.conv1.weight [128, 64, 1, 1]");
    EXPECT_EQ(at(17), "features.denseblock1.denselayer1.conv2.weight [32, 128, 3, 3]");
    EXPECT_EQ(at(83), "features.transition1.conv.weight [128, 256, 1, 1]");
    EXPECT_EQ(at(720), "features.norm5.weight [1024]");
    EXPECT_EQ(at(725), "classifier.weight [1000, 1024]");
    EXPECT_EQ(at(726), "classifier.bias [1000]");
}

TEST(DenseNet, GrowsByKChannelsPerLayerAndATransitionHalvesThem) {
    const Graph net = build_model("densenet161");
    EXPECT_EQ(net.find("features.conv0").shape()[1], 96);
    EXPECT_EQ(net.find("features.denseblock1").shape(), (Shape{dynamic, 96 + 6 * 48, 56, 56}));
    EXPECT_EQ(net.find("features.transition1").shape(), (Shape{dynamic, 192, 28, 28}));
    EXPECT_EQ(net.find("features.denseblock2").shape()[1], 192 + 12 * 48);
    EXPECT_EQ(net.find("features").shape(), (Shape{dynamic, 2208, 7, 7}));
    // The CIFAR nets without compression keep all channels, and halve them with it.
    EXPECT_EQ(build_model("cifar_densenet40_k12").find("features.transition1").shape()[1], 16 + 12 * 12);
    EXPECT_EQ(build_model("cifar_densenet_bc100_k12").find("features.transition1").shape()[1], (24 + 16 * 12) / 2);
}

TEST(DenseNet, HasAMapPerStrideForDetectors) {
    const Graph net = build_backbone("densenet121", {"C2", "C3", "C4", "C5", "pooled"}, {.height = 64, .width = 96});
    EXPECT_EQ(net.find_output("C2").shape(), (Shape{dynamic, 256, 16, 24}));
    EXPECT_EQ(net.find_output("C3").shape(), (Shape{dynamic, 512, 8, 12}));
    EXPECT_EQ(net.find_output("C4").shape(), (Shape{dynamic, 1024, 4, 6}));
    EXPECT_EQ(net.find_output("C5").shape(), (Shape{dynamic, 1024, 2, 3}));
    EXPECT_EQ(net.find_output("pooled").shape(), (Shape{dynamic, 1024}));
    EXPECT_EQ(net.find_parameter("classifier.weight"), nullptr);
}

TEST(DenseNet, TakesDropoutAndWidthAsOptions) {
    const auto dropouts = [](double drop) {
        std::int64_t count = 0;
        const Graph net = build_model("cifar_densenet40_k12", {.dropout = drop});
        for (const Node& node : net.nodes()) count += op_name(node) == "dropout";
        return count;
    };
    EXPECT_EQ(dropouts(0.2), 36);
    EXPECT_EQ(dropouts(-1), 0);
    const Graph thin = build_model("densenet121", {.width_multiplier = 0.5});
    EXPECT_EQ(thin.find("features.conv0").shape()[1], 32);
    EXPECT_EQ(thin.find("features").shape()[1], 512);
}

}  // namespace
}  // namespace fovea
