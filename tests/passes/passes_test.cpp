#include "fovea/passes.h"

#include "fovea/runtime.h"
#include "support.h"

namespace fovea {
namespace {

using test::filled;

int count(const Graph& graph, std::string_view op) {
    int n = 0;
    for (const Node& node : graph.nodes()) n += op_name(node) == op;
    return n;
}

/// conv - batch norm - relu - conv - batch norm - (+ input) - relu - pool - linear: the residual block of every ResNet.
Value residual_net(Graph& graph) {
    const Value x = graph.input("image", {dynamic, 3, 6, 5});
    const Value stem = relu(batch_norm(conv2d(x, {.out = 5, .kernel = 3, .pad = 1, .bias = false}, "stem"), {}, "bn0"));
    const Value inner = relu(batch_norm(conv2d(stem, {.out = 5, .kernel = 3, .pad = 1}, "conv1"), {}, "bn1"));
    const Value outer = batch_norm(conv2d(inner, {.out = 5, .kernel = 3, .pad = 1, .bias = false}, "conv2"), {}, "bn2");
    const Value y = relu(outer + stem, "out");
    return linear(flatten(max_pool(dropout(y, {.drop = 0.25}, "drop"), {.kernel = 2})), {.out = 4}, "fc");
}

Parameters filled_parameters(const Graph& graph) {
    Parameters parameters;
    for (const ParameterInfo& info : graph.parameters()) {
        const bool positive = info.name.ends_with("running_var") || (info.type.shape.rank() == 1 && info.name.ends_with("weight"));
        parameters.set(info.name, info.type.dtype == DType::f32 ? filled(info.type.shape, info.name, positive ? 0.5 : -0.5, positive ? 1.5 : 0.5, DType::f32) : Tensor(info.type.shape, info.type.dtype));
    }
    return parameters;
}

Tensor run(const Graph& graph, const CompileOptions& options, std::int64_t batch) {
    Program program(graph.clone(), std::make_shared<State>(filled_parameters(graph)), options);
    return program.run({{"image", filled({batch, 3, 6, 5}, "image", -1, 1, DType::f32)}}).front();
}

TEST(Passes, InferenceHasNeitherDropoutNorBatchStatisticsNorUpdates) {
    Graph graph;
    graph.output("y", residual_net(graph));
    const Graph inference = to_inference(graph);
    inference.verify();
    EXPECT_EQ(count(inference, "dropout"), 0);
    EXPECT_EQ(count(inference, "batch_norm"), 0);
    EXPECT_EQ(count(inference, "batch_norm_inference"), 3);
    EXPECT_TRUE(inference.updates().empty());
    EXPECT_EQ(inference.parameters().size(), graph.parameters().size());
}

TEST(Passes, FoldedAndFusedInferenceEqualsThePlainLoops) {
    Graph graph;
    graph.output("y", residual_net(graph));
    for (std::int64_t batch : {1, 3, 16}) {
        const Tensor want = run(graph, {.backend = "reference", .precision = Precision::f64, .inference = true, .fuse = false}, batch);
        // f32 rounding of three layers; folding changes the order of a few multiplications.
        EXPECT_LT(test::relative_l2(run(graph, {.inference = true}, batch), want), 5e-6) << batch;
        EXPECT_LT(test::relative_l2(run(graph, {.backend = "reference", .inference = true}, batch), want), 5e-6) << batch;
    }
}

TEST(Passes, FusionLeavesOneNodePerResidualConvolutionAtInference) {
    Graph graph;
    graph.output("y", residual_net(graph));
    const Graph fused = fuse(fold_batch_norm(to_inference(specialize(graph, {{"image", {2, 3, 6, 5}}}))));
    fused.verify();
    EXPECT_EQ(count(fused, "conv2d"), 3);
    EXPECT_EQ(count(fused, "batch_norm_inference") + count(fused, "relu") + count(fused, "add"), 0) << fused.print();
}

/// The inverted bottleneck of MobileNet: its convolutions end in activations, the last one in the sum with its input.
TEST(Passes, FusionTakesEveryActivationAndTheSumOfAnInvertedBottleneck) {
    Graph graph;
    const auto norm_of = [](const Value& x, const char* name, std::int64_t out, std::int64_t groups) {
        return batch_norm(conv2d(x, {.out = out, .kernel = 1, .groups = groups, .bias = false}, name), {}, std::string(name) + ".norm");
    };
    const Value stem = hard_swish(norm_of(graph.input("image", {dynamic, 3, 6, 5}), "stem", 8, 1));
    const Value inner = leaky_relu(norm_of(relu6(norm_of(stem, "expand", 24, 1)), "depthwise", 24, 24), {.slope = 0.2});
    const Value y = norm_of(inner, "project", 8, 1) + stem;
    graph.output("y", silu(linear(flatten(y), {.out = 4}, "fc"), {.beta = 1.5}));
    const Graph fused = fuse(fold_batch_norm(to_inference(specialize(graph, {{"image", {2, 3, 6, 5}}}))));
    fused.verify();
    for (const char* op : {"hard_swish", "relu6", "leaky_relu", "silu", "add", "batch_norm_inference"}) EXPECT_EQ(count(fused, op), 0) << fused.print();
    for (std::int64_t batch : {1, 9}) {
        const Tensor want = run(graph, {.backend = "reference", .precision = Precision::f64, .inference = true, .fuse = false}, batch);
        EXPECT_LT(test::relative_l2(run(graph, {.inference = true}, batch), want), 5e-6) << batch;
        EXPECT_LT(test::relative_l2(run(graph, {.backend = "reference", .precision = Precision::f64, .inference = true}, batch), want), 1e-14) << batch;
    }
}

TEST(Passes, TrainingFusesTheActivationsWhoseGradientReadsTheOutput) {
    for (const bool reads_output : {true, false}) {
        Graph graph;
        const Value c = conv2d(graph.input("image", {2, 3, 6, 5}), {.out = 4, .kernel = 3}, "conv"), y = reads_output ? relu6(c) : silu(c);
        graph.output("dw", gradients(sum(y), std::vector<Value>{graph.find("conv.weight")}).front());
        EXPECT_EQ(count(fuse(graph), reads_output ? "relu6" : "silu"), reads_output ? 0 : 1);
    }
}

TEST(Passes, FusionLeavesASumWhoseOtherOperandIsReadAgain) {
    Graph graph;
    const Value x = relu(graph.input("image", {dynamic, 3, 6, 5})), y = conv2d(x, {.out = 3, .kernel = 1}, "conv") + x;
    graph.output("y", y * x);
    EXPECT_EQ(count(fuse(graph), "add"), 1);
}

TEST(Passes, FusedTrainingNormsCarryTheMaskIntoTheReversePass) {
    Graph graph;
    const Value loss = cross_entropy(residual_net(graph));
    std::vector<Value> weights;
    for (const ParameterInfo& info : graph.parameters())
        if (info.is_trainable) weights.push_back(graph.find(info.name));
    const std::vector<Value> gradient = gradients(loss, weights);
    for (std::size_t i = 0; i < weights.size(); ++i) graph.output("d" + weights[i].path(), gradient[i]);
    const Graph fused = fuse(specialize(graph, {{"image", {16, 3, 6, 5}}, {"label", {16}}}));
    fused.verify();
    EXPECT_EQ(count(fused, "relu_backward"), 0) << fused.print();
    // Every gradient of the fused program on the CPU against the plain loops in f64.
    const auto outputs = [&](const CompileOptions& options) {
        Program program(graph.clone(), std::make_shared<State>(filled_parameters(graph)), options);
        Tensor labels({16}, DType::i32);
        for (std::int64_t i = 0; i < 16; ++i) labels.set(i, static_cast<double>(i * 37 % 4));
        return program.run({{"image", filled({16, 3, 6, 5}, "image", -1, 1, DType::f32)}, {"label", labels}}, {.seed = 1, .step = 2});
    };
    const auto want = outputs({.backend = "reference", .precision = Precision::f64, .fuse = false}), got = outputs({}), loops = outputs({.backend = "reference"});
    double largest = 0;
    for (const Tensor& tensor : want)
        for (double v : test::values_of(tensor)) largest = std::max(largest, std::abs(v));
    for (std::size_t i = 0; i < want.size(); ++i)
        for (std::int64_t k = 0; k < want[i].elements(); ++k) {
            // Biases in front of a batch norm have a zero gradient: only rounding is left there, so the largest gradient is the scale.
            EXPECT_NEAR(got[i].at(k), want[i].at(k), 2e-5 * largest) << graph.outputs()[i].first;
            EXPECT_NEAR(loops[i].at(k), want[i].at(k), 2e-5 * largest) << graph.outputs()[i].first;
        }
}

TEST(Passes, AMaskBehindThePoolingsGradientGoesBeforeIt) {
    for (const bool is_read_again : {false, true}) {
        Graph graph;
        const Value x = graph.input("image", {16, 3, 7, 6}), y = relu(conv2d(x, {.out = 17, .kernel = 3, .pad = 1}, "conv"));
        const Value pooled = max_pool(y, {.kernel = 3, .stride = 2, .pad = 1});
        graph.output("loss", is_read_again ? sum(square(pooled)) + sum(y) : sum(square(pooled)));
        graph.output("dw", gradients(graph.find_output("loss"), std::vector<Value>{graph.find("conv.weight")}).front());
        const Graph fused = fuse(graph);
        fused.verify();
        int mask_at = -1, pool_at = -1;
        for (const Node& node : fused.nodes()) {
            if (op_name(node) == "relu_backward") mask_at = node.id;
            if (op_name(node) == "max_pool2d_backward") pool_at = node.id;
        }
        EXPECT_EQ(mask_at < pool_at, !is_read_again) << fused.print();
        // A place takes its windows' gradients all or none, in the same order: the bytes stay.
        const Parameters parameters = filled_parameters(graph);
        const auto gradient = [&](bool fuses) {
            Program program(graph.clone(), std::make_shared<State>(parameters), {.fuse = fuses});
            return test::values_of(program.run({{"image", filled({16, 3, 7, 6}, "image", -1, 1, DType::f32)}}).back());
        };
        EXPECT_EQ(gradient(true), gradient(false));
    }
}

TEST(Passes, SpecializeNamesTheInputThatDoesNotFit) {
    Graph graph;
    graph.output("y", relu(graph.input("x", {dynamic, 2})));
    EXPECT_EQ(test::message_of<ShapeError>([&] { (void)specialize(graph, {{"x", {4, 3}}}); }), "input 'x' is declared as [N, 2], got [4, 3]");
    EXPECT_EQ(test::message_of<ArgumentError>([&] { (void)specialize(graph, {{"z", {4, 2}}}); }), "there is no input 'z'");
}

TEST(Passes, SubgraphRunsBetweenPaths) {
    Graph graph;
    graph.output("y", residual_net(graph));
    const std::vector<std::string> from{"conv1"}, to{"bn1"};
    const Graph part = subgraph(graph, from, to);
    part.verify();
    ASSERT_EQ(part.inputs().size(), 1u);
    EXPECT_EQ(part.inputs().front().path(), "conv1");
    EXPECT_EQ(count(part, "conv2d"), 0);
    EXPECT_EQ(count(part, "batch_norm"), 1);
    EXPECT_EQ(part.outputs().front().first, "bn1");
}

TEST(Passes, UpdatesMoveForwardOnlyBehindTheLastReader) {
    Graph graph;
    const Value x = graph.input("x", {1024, 1024});
    const Value w = graph.parameter("w", {1024, 1024});
    const Value early = graph.add("scale_shift", {x}, {{"scale", 0.5}, {"shift", 0.0}}, "gradient");  // 4 MiB: enough to be scheduled
    const Value reader = relu(w, "reader");
    graph.output("y", sum(reader));
    graph.update(w, w - early);
    const Graph scheduled = schedule_updates(graph);
    scheduled.verify();
    int reader_at = -1, update_at = -1;
    for (const Node& node : scheduled.nodes()) {
        if (node.path == "reader") reader_at = node.id;
        if (op_name(node) == "subtract") update_at = node.id;
    }
    EXPECT_GT(update_at, reader_at);
}

TEST(Memory, ThePlanReusesWhatIsDead) {
    Graph graph;
    Value x = graph.input("x", {16, 64, 32, 32});
    for (int i = 0; i < 12; ++i) x = conv2d(x, {.out = 64, .kernel = 3, .pad = 1}, "c" + std::to_string(i));
    graph.output("y", mean(x));
    // Twelve maps of 4 MiB each, of which two are alive at a time; stages group a few.
    const Executable executable = compile(graph, {}, {.inference = true});
    EXPECT_LT(executable.arena_bytes(), std::size_t{8} * (4 << 20)) << executable.explain_plan();
    EXPECT_TRUE(executable.fallbacks().empty());
}

}  // namespace
}  // namespace fovea
