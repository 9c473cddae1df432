#include "fovea/models.h"

#include <set>

#include "fovea/nn.h"
#include "support.h"

namespace fovea {
namespace {

std::int64_t convolutions(const Graph& net, std::string_view below) {
    std::int64_t count = 0;
    for (const Node& node : net.nodes()) count += op_name(node) == "conv2d" && node.path.starts_with(below);
    return count;
}

/// Most convolutions on a way from the image to the output.
std::int64_t depth(const Graph& net) {
    std::vector<std::int64_t> longest(net.nodes().size(), 0);
    for (const Node& node : net.nodes()) {
        std::int64_t& mine = longest[static_cast<std::size_t>(node.id)];
        for (const Value& input : node.inputs)
            if (!input.is_empty()) mine = std::max(mine, longest[static_cast<std::size_t>(input.id())]);
        mine += op_name(node) == "conv2d";
    }
    return longest[static_cast<std::size_t>(net.find_output("out").id())];
}

TEST(FractalNet, FollowsTheExpansionRule) {
    for (const std::int64_t columns : {3, 4}) {
        const std::string name = "fractalnet_c" + std::to_string(columns);
        const Graph net = build_model(name);
        EXPECT_EQ(convolutions(net, "layers.0."), (1 << columns) - 1);
        EXPECT_EQ(depth(net), 5 << (columns - 1));
        for (std::int64_t column = 0; column < columns; ++column) {
            const Graph plain = build_model(name + "_column" + std::to_string(column));
            EXPECT_EQ(depth(plain), 5 << column);
            EXPECT_EQ(convolutions(plain, ""), 5 << column);
            for (const ParameterInfo& p : plain.parameters()) {
                ASSERT_NE(net.find_parameter(p.name), nullptr) << p.name;
                EXPECT_EQ(net.find_parameter(p.name)->type.shape, p.type.shape) << p.name;
            }
        }
    }
    EXPECT_EQ(find_model("fractalnet40").name, "fractalnet_c4");
}

/// Columns of the network whose weights get a gradient that is not zero, in one training step with the given drop-path.
std::set<int> active_columns(const Graph& net, const Parameters& parameters, std::uint64_t step) {
    Graph graph = specialize(net, {{"image", {2, 3, 32, 32}}});
    const Value loss = sum(square(graph.find_output("out")));
    std::vector<Value> weights;
    std::vector<int> columns;
    for (const ParameterInfo& p : graph.parameters())
        if (p.name.ends_with("conv.weight")) {
            weights.push_back(graph.find(p.name));
            columns.push_back(p.name[p.name.find("columns.") + 8] - '0');
        }
    const std::vector<Value> found = gradients(loss, weights);
    Interpretation options;
    options.real = DType::f32;
    options.step = step;
    const auto values = interpret(graph, found, {{"image", test::filled({2, 3, 32, 32}, "picture")}}, parameters, options);
    std::set<int> active;
    for (std::size_t i = 0; i < values.size(); ++i)
        for (std::int64_t j = 0; j < values[i].elements(); ++j)
            if (values[i].at(j) != 0) {
                active.insert(columns[i]);
                break;
            }
    return active;
}

/// The network with only the given share of global steps.
Graph with_global(const Graph& net, double share) {
    Graph result;
    Rewriter rewrite(net, result);
    for (const Node& node : net.nodes()) {
        if (op_name(node) != "choose_paths") {
            rewrite.copy(node);
            continue;
        }
        Attrs attrs = node.attrs;
        attrs.set("global", share);
        rewrite.set(Value(const_cast<Graph*>(&net), node.id, 0), result.add("choose_paths", {rewrite(node.inputs[0])}, attrs, node.path));
    }
    rewrite.finish();
    return result;
}

TEST(FractalNet, LeavesExactlyOneColumnInAGlobalStep) {
    const Graph net = build_model("fractalnet_c3", {.dropout = 0, .width_multiplier = 1.0 / 32});
    const Parameters parameters = make_parameters(net, 2);
    const Graph global = with_global(net, 1), local = with_global(net, 0);
    std::set<int> seen;
    bool has_several = false;
    for (std::uint64_t step = 0; step < 12; ++step) {
        const std::set<int> active = active_columns(global, parameters, step);
        ASSERT_EQ(active.size(), 1U) << "step " << step;
        seen.insert(active.begin(), active.end());
        has_several |= active_columns(local, parameters, step).size() > 1;
    }
    EXPECT_EQ(seen, (std::set<int>{0, 1, 2}));
    EXPECT_TRUE(has_several);
}

TEST(FractalNet, IsThePlainMeanAtInference) {
    const Graph dropped = to_inference(build_model("fractalnet_c3", {.width_multiplier = 0.125, .drop_path = 0.15}));
    const Graph plain = to_inference(build_model("fractalnet_c3", {.width_multiplier = 0.125, .drop_path = 0}));
    const Parameters parameters = make_parameters(plain, 5);
    const auto run = [&](const Graph& net) {
        const Graph fixed = specialize(net, {{"image", {2, 3, 32, 32}}});
        const Value out = fixed.find_output("out");
        return test::values_of(interpret(fixed, {&out, 1}, {{"image", test::filled({2, 3, 32, 32}, "picture")}}, parameters).front());
    };
    EXPECT_EQ(run(dropped), run(plain));
}

}  // namespace
}  // namespace fovea
