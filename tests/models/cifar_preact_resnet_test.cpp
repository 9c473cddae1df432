#include "fovea/models.h"
#include "fovea/nn.h"

#include "support.h"

namespace fovea {
namespace {

/// The ops between two paths of one unit, in order: what the figure of the paper draws.
std::vector<std::string> ops_of_unit(const std::string& model, const std::string& unit) {
    std::vector<std::string> ops;
    const Graph net = build_model(model);
    bool is_inside = false;
    const Value end = net.find(unit);
    for (const Node& node : net.nodes()) {
        is_inside |= node.path.starts_with(unit + ".");
        if (is_inside && !node.inputs.empty() && op_name(node) != "increment") ops.emplace_back(op_name(node));
        if (node.id == end.id()) break;
    }
    return ops;
}

TEST(ResidualUnits, AreTheFiveOfTheStudy) {
    using Ops = std::vector<std::string>;
    const std::string unit = "layer1.1", net = "cifar_preact_resnet110";
    EXPECT_EQ(ops_of_unit(net, unit), (Ops{"batch_norm", "relu", "conv2d", "batch_norm", "relu", "conv2d", "add"}));
    EXPECT_EQ(ops_of_unit(net + "_original", unit), (Ops{"conv2d", "batch_norm", "relu", "conv2d", "batch_norm", "add", "relu"}));
    EXPECT_EQ(ops_of_unit(net + "_bn_after_add", unit), (Ops{"conv2d", "batch_norm", "relu", "conv2d", "add", "batch_norm", "relu"}));
    EXPECT_EQ(ops_of_unit(net + "_relu_before_add", unit), (Ops{"conv2d", "batch_norm", "relu", "conv2d", "batch_norm", "relu", "add"}));
    EXPECT_EQ(ops_of_unit(net + "_relu_only", unit), (Ops{"relu", "conv2d", "batch_norm", "relu", "conv2d", "batch_norm", "add"}));
}

TEST(ResidualUnits, HaveNames) {
    EXPECT_EQ(name_of(ResidualUnit::full_preactivation), "full pre-activation");
    EXPECT_EQ(name_of(ResidualUnit::bn_after_add), "BN after addition");
}

TEST(StochasticDepth, GrowsLinearlyToTheLastBlock) {
    for (const char* model : {"cifar_resnet110", "cifar_preact_resnet110"}) {
        std::vector<double> drops;
        const Graph net = build_model(model, {.drop_path = 0.5});
        for (const Node& node : net.nodes())
            if (op_name(node) == "dropout") {
                drops.push_back(node.attrs.real("drop"));
                EXPECT_EQ(node.attrs.text("mode"), "batch");
            }
        ASSERT_EQ(drops.size(), 54U) << model;
        for (std::size_t i = 0; i < drops.size(); ++i) EXPECT_DOUBLE_EQ(drops[i], 0.5 * static_cast<double>(i + 1) / 54);
    }
}

TEST(StochasticDepth, IsTheWholeNetworkAtInference) {
    const Graph always = to_inference(build_model("cifar_resnet20")), sometimes = to_inference(build_model("cifar_resnet20", {.drop_path = 0.5}));
    const Parameters parameters = make_parameters(always, 5);
    const auto run = [&](const Graph& net) {
        const Graph fixed = specialize(net, {{"image", {2, 3, 32, 32}}});
        const Value out = fixed.find_output("out");
        return test::values_of(interpret(fixed, {&out, 1}, {{"image", test::filled({2, 3, 32, 32}, "picture")}}, parameters, {.real = DType::f32}).front());
    };
    EXPECT_EQ(run(always), run(sometimes));
}

TEST(CifarResNeXt, WorksInGroupsOf64ChannelsAndMore) {
    const Graph net = build_model("cifar_resnext29_8x64d");
    EXPECT_EQ(net.find_parameter("layer1.0.conv2.weight")->type.shape, (Shape{512, 64, 3, 3}));
    EXPECT_EQ(net.find_parameter("layer3.2.conv2.weight")->type.shape, (Shape{2048, 256, 3, 3}));
    EXPECT_EQ(net.find("features").shape(), (Shape{dynamic, 1024, 8, 8}));
    EXPECT_EQ(build_model("cifar_resnext29_16x64d").find_parameter("layer1.0.conv2.weight")->type.shape, (Shape{1024, 64, 3, 3}));
}

}  // namespace
}  // namespace fovea
