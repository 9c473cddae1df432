// Which values go on grids, and networks with them.
#include "fovea/models.h"
#include "fovea/nn.h"
#include "fovea/quantize.h"
#include "support.h"

namespace fovea {
namespace {

using Paths = std::vector<std::string>;

Graph fused(const Graph& graph) { return fuse(fold_batch_norm(to_inference(graph))); }

/// conv -> relu -> pool -> conv, added to a shortcut -> relu -> linear
Graph residual_network() {
    Graph net;
    Value x = relu(conv2d(net.input("image", {dynamic, 3, 8, 8}), {.out = 8, .kernel = 3, .pad = 1}, "stem"));
    x = max_pool(x, {.kernel = 2}, "pool");
    const Value body = conv2d(x, {.out = 8, .kernel = 3, .pad = 1}, "body"), shortcut = conv2d(x, {.out = 8, .kernel = 1}, "down");
    x = relu(body + shortcut);
    net.output("out", linear(flatten(x, 1, "flat"), {.out = 4}, "head"));
    return net;
}

TEST(QuantizationPlan, RoundsWhereAValueIsMadeAndLeavesMovesAlone) {
    const QuantizationPlan plan = plan_quantization(fused(residual_network()));
    EXPECT_EQ(plan.layers, (Paths{"stem", "down", "body", "head"}));
    // The pool keeps the stem's grid; the flattened map is given its map's grid again; scores stay real.
    std::vector<Paths> groups = plan.groups;
    for (Paths& group : groups) std::ranges::sort(group);
    std::ranges::sort(groups);
    EXPECT_EQ(groups, (std::vector<Paths>{{"body", "flat"}, {"down"}, {"image"}, {"stem"}}));
}

TEST(QuantizationPlan, GivesMapsThatMeetInAConcatOneGrid) {
    Graph net;
    const Value x = net.input("image", {1, 8, 6, 6});
    const Value a = relu(conv2d(x, {.out = 8, .kernel = 1}, "a")), b = relu(conv2d(x, {.out = 8, .kernel = 3, .pad = 1}, "b"));
    net.output("out", linear(flatten(conv2d(concat({a, max_pool(b, {.kernel = 3, .stride = 1, .pad = 1})}), {.out = 4, .kernel = 1}, "c")), {.out = 2}, "head"));
    const QuantizationPlan plan = plan_quantization(fused(net));
    EXPECT_TRUE(std::ranges::find(plan.groups, Paths{"a", "b"}) != plan.groups.end());
}

TEST(QuantizationPlan, KeepsLayersByPlaceAndByPattern) {
    const Graph net = fused(residual_network());
    EXPECT_EQ(plan_quantization(net, {"first", "last"}).layers, (Paths{"down", "body"}));
    EXPECT_EQ(plan_quantization(net, {"*o*"}).layers, (Paths{"stem", "head"}));
    EXPECT_EQ(test::message_of<ArgumentError>([&] { (void)plan_quantization(net, {"boby"}); }).find("quantise: no layer 'boby' to keep; nearest: body"), 0U);
    EXPECT_EQ(test::message_of<ArgumentError>([&] { (void)plan_quantization(net, {"*"}); }), "quantise: every layer is kept in f32, nothing is left to quantise");
}

TEST(QuantizationTable, OfAnotherNetworkIsRefused) {
    const Graph net = fused(residual_network());
    QuantizationTable table;
    table.values["layer9"] = {.scale = 0.5};
    EXPECT_EQ(test::message_of<ArgumentError>([&] { (void)put_on_grids(net, table); }), "quantisation table: the network has no 'layer9' (1 of the table's paths are missing): it is of another network");
    table.values.clear();
    table.weights["stem"] = {1, 2, 3};
    EXPECT_EQ(test::message_of<ArgumentError>([&] { (void)put_on_grids(net, table); }), "quantisation table: 3 scales for the weight [8, 3, 3, 3] of 'stem': it is of another network");
}

TEST(Unfuse, GivesTheSameNumbersFromPlainNodes) {
    const Graph net = specialize(residual_network(), {{"image", {2, 3, 8, 8}}});
    const Graph apart = unfuse(fused(net));
    std::int64_t sums = 0;
    for (const Node& node : apart.nodes()) {
        EXPECT_FALSE(node.attrs.has("activation")) << node.path;
        sums += op_name(node) == "add";
    }
    EXPECT_EQ(sums, 1);
    Parameters parameters = make_parameters(net, 1);
    const Tensor image = test::filled({2, 3, 8, 8}, "image");
    const Value a = net.find_output("out"), b = apart.find_output("out");
    EXPECT_LT(test::relative_l2(interpret(apart, {&b, 1}, {{"image", image}}, parameters).front(), interpret(net, {&a, 1}, {{"image", image}}, parameters).front()), 1e-12);
}

TEST(QuantizationPlan, FitsNetworksOfEveryKind) {
    for (const std::string name : {"resnet18", "densenet121", "googlenet", "mobilenet_v2", "efficientnet_b0", "inception_v3"}) {
        const Graph net = fused(build_model(name));
        QuantizationTable table;
        const QuantizationPlan plan = plan_quantization(net);
        for (const auto& group : plan.groups)
            for (const auto& path : group) table.values[path] = {.scale = 0.5, .zero_point = 3};
        for (const auto& node : net.nodes())
            if (std::ranges::find(plan.layers, node.path) != plan.layers.end() && (op_name(node) == "conv2d" || op_name(node) == "linear"))
                table.weights[node.path].assign(static_cast<std::size_t>(node.inputs[1].shape()[0]), 0.01);
        EXPECT_NO_THROW(put_on_grids(net, table).verify()) << name;
    }
}

}  // namespace
}  // namespace fovea
