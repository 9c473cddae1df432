// What recomputation does to the graph of a training step. That no byte of a result changes is checked in tests/backends/nets_test.cpp.
#include "fovea/explain.h"
#include "fovea/runtime.h"
#include "support.h"

namespace fovea {
namespace {

using test::filled;

int count(const Graph& graph, std::string_view op) { return static_cast<int>(std::ranges::count_if(graph.nodes(), [&](const Node& node) { return op_name(node) == op; })); }

/// The gradient of every trained parameter as an output; what compile() hands to the pass.
Graph step_of(Graph graph, const Value& loss) {
    std::vector<Value> weights;
    for (const ParameterInfo& info : graph.parameters())
        if (info.is_trainable) weights.push_back(graph.find(info.name));
    const std::vector<Value> d = gradients(Value(&graph, loss.id(), loss.output()), weights);
    graph.output("loss", Value(&graph, loss.id(), loss.output()));
    for (std::size_t i = 0; i < weights.size(); ++i) graph.output("d" + weights[i].path(), d[i]);
    return fuse(graph);
}

/// Four layers of conv - norm - relu - dropout: each activation is read twice in the reverse pass.
Graph chain() {
    Graph graph;
    Value x = graph.input("image", {8, 4, 16, 16});
    for (int i = 0; i < 4; ++i) {
        const std::string name = "layer" + std::to_string(i);
        x = dropout(relu(batch_norm(conv2d(x, {.out = 4, .kernel = 3, .pad = 1, .bias = false}, name), {}, name + ".norm")), {.drop = 0.5}, name + ".drop");
    }
    const Value loss = sum(square(x));
    return step_of(std::move(graph), loss);
}

TEST(Recompute, ANormIsAppliedAgainAndItsStatisticsAreMadeOnce) {
    const Graph kept = chain(), again = recompute(kept, Recompute::cheap);
    again.verify();
    EXPECT_EQ(count(again, "batch_norm"), count(kept, "batch_norm"));
    EXPECT_EQ(count(again, "conv2d"), count(kept, "conv2d"));
    EXPECT_GE(count(again, "batch_norm_apply"), 2) << again.print();
    EXPECT_EQ(again.updates().size(), kept.updates().size());
    ASSERT_EQ(again.outputs().size(), kept.outputs().size());
    for (std::size_t i = 0; i < kept.outputs().size(); ++i) EXPECT_EQ(again.outputs()[i].first, kept.outputs()[i].first);
    EXPECT_GT(relative_time(again), relative_time(kept));
}

TEST(Recompute, DropoutKeepsTheKeyOfItsMask) {
    const Graph again = recompute(chain(), Recompute::cheap);
    std::map<std::string, int> keys;
    for (const Node& node : again.nodes())
        if (op_name(node) == "dropout") ++keys[node.attrs.text("key")];
    EXPECT_EQ(keys.size(), 4u);  // forward, reverse and made again
    EXPECT_TRUE(std::ranges::any_of(keys, [](const auto& key) { return key.second >= 3; })) << again.print();
}

TEST(Recompute, ACopyStandsBehindTheForwardPass) {
    const Graph again = recompute(chain(), Recompute::cheap);
    int first_backward = -1;
    for (const Node& node : again.nodes()) {
        if (first_backward < 0 && op_name(node).find("_backward") != std::string_view::npos) first_backward = node.id;
        if (op_name(node) == "batch_norm_apply") { EXPECT_GE(first_backward, 0) << node.path; }
    }
}

TEST(Recompute, BlocksRepeatConvolutionsButNotAll) {
    Graph graph;
    Value x = graph.input("image", {8, 4, 16, 16});
    for (int i = 0; i < 16; ++i) x = relu(conv2d(x, {.out = 4, .kernel = 3, .pad = 1}, "conv" + std::to_string(i)));
    const Value loss = sum(square(x));
    const Graph kept = step_of(std::move(graph), loss), again = recompute(kept, Recompute::blocks);
    again.verify();
    EXPECT_GT(count(again, "conv2d"), 16 + 4);
    EXPECT_LT(count(again, "conv2d"), 2 * 16);
    EXPECT_LT(relative_time(again) / relative_time(kept), 4.0 / 3) << "a forward pass is a third of a step at most";
}

TEST(Recompute, JoinedMapsAreMadeOfTheirPieces) {
    Graph graph;
    Value x = conv2d(graph.input("image", {8, 3, 16, 16}), {.out = 8, .kernel = 3, .pad = 1}, "stem");
    for (int i = 0; i < 6; ++i) {
        const std::string name = "layer" + std::to_string(i);
        x = concat({x, conv2d(relu(batch_norm(x, {}, name + ".norm")), {.out = 4, .kernel = 3, .pad = 1}, name)}, 1);
    }
    const Value loss = sum(square(x));
    const Graph again = recompute(step_of(std::move(graph), loss), Recompute::cheap);
    again.verify();
    std::size_t most = 0;
    for (const Node& node : again.nodes())
        if (op_name(node) == "concat") most = std::max(most, node.inputs.size());
    EXPECT_GT(most, 3u) << again.print();
}

TEST(Recompute, WithoutAReversePassNothingChanges) {
    const Graph net = specialize(build_model("cifar_resnet20"), {{"image", {4, 3, 32, 32}}});
    EXPECT_EQ(recompute(net, Recompute::blocks).nodes().size(), net.nodes().size());
}

TEST(Recompute, SecondDerivativesStayAsTheyAre) {
    Graph graph;
    const Value x = graph.input("image", {4, 3, 12, 12});
    const Value y = silu(batch_norm(conv2d(silu(conv2d(x, {.out = 6, .kernel = 3, .pad = 1}, "a")), {.out = 6, .kernel = 3, .pad = 1}, "b"), {}, "norm"));
    const std::vector<Value> weights{graph.find("a.weight"), graph.find("b.weight")};
    const std::vector<Value> d = gradients(sum(square(y)), weights);
    const std::vector<Value> second = gradients(sum(square(d[0])) + sum(square(d[1])), weights);
    for (std::size_t i = 0; i < second.size(); ++i) graph.output("d" + std::to_string(i), second[i]);
    Parameters parameters;
    for (const ParameterInfo& info : graph.parameters())
        parameters.set(info.name, info.type.dtype == DType::f32 ? filled(info.type.shape, info.name, 0.1, 0.5, DType::f32) : Tensor(info.type.shape, info.type.dtype));
    const auto run = [&](Recompute mode) {
        Program program(graph.clone(), std::make_shared<State>(parameters), {.recompute = mode});
        std::vector<double> values;
        for (const Tensor& tensor : program.run({{"image", filled({4, 3, 12, 12}, "image", -1, 1, DType::f32)}}))
            for (double v : test::values_of(tensor)) values.push_back(v);
        return values;
    };
    const std::vector<double> want = run(Recompute::none);
    for (Recompute mode : {Recompute::cheap, Recompute::blocks}) EXPECT_EQ(run(mode), want) << name_of(mode);
}

TEST(Recompute, AMemoryLimitTakesTheFirstModeThatFits) {
    const Graph step = training_step(build_model("cifar_resnet20"));
    const auto compiled = [&](std::size_t limit) { return compile(step, {{"image", {16, 3, 32, 32}}, {"label", {16}}}, {.memory_limit = limit}); };
    const Executable kept = compiled(0);
    EXPECT_EQ(kept.recomputed().mode, Recompute::none);
    EXPECT_EQ(compiled(kept.arena_bytes()).recomputed().mode, Recompute::none);
    const Executable cheap = compiled(kept.arena_bytes() - 1);
    EXPECT_EQ(cheap.recomputed().mode, Recompute::cheap);
    const Executable blocks = compiled(cheap.arena_bytes() - 1);
    EXPECT_EQ(blocks.recomputed().mode, Recompute::blocks);
    EXPECT_LT(blocks.arena_bytes(), cheap.arena_bytes());
    EXPECT_EQ(test::message_of<Error>([&] { (void)compiled(1000); }),
              "compile: the arena takes " + std::to_string(blocks.arena_bytes()) + " bytes whatever is made again, the limit is 1000; a smaller batch takes less");
}

TEST(Recompute, ItsModesAreNamed) {
    for (Recompute mode : {Recompute::none, Recompute::cheap, Recompute::blocks}) EXPECT_EQ(recompute_named(name_of(mode)), mode);
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)recompute_named("all"); }), "no recomputation 'all': none, cheap, blocks");
}

}  // namespace
}  // namespace fovea
