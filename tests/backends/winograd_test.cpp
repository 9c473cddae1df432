// Winograd's convolution wherever there is a kernel for it, and where the cost rule wants it.
#include "compare.h"
#include "fovea/ops.h"

namespace fovea {
namespace {

using test::Compared;
using test::filled;
using Xs = std::vector<Value>;
const CompileOptions always{.winograd = Winograd4x4::always};

// The transforms add and subtract numbers up to ten times the result: with the points chosen 1e-6 of the norm remains at a few hundred
// channels (three to five times a direct sum's error). A wrong tile edge or matrix shows at 1e-2 and above.
constexpr double winograd_limit = test::f32_limit;

std::int64_t winograd_nodes(const Executable& executable) {
    return std::ranges::count_if(executable.plan(), [](const PlanLine& line) { return line.op.starts_with("conv2d") && line.kernel.starts_with("winograd"); });
}

bool has_kernel() {
    Graph graph;
    graph.output("y", conv2d(graph.input("x", {1, 16, 4, 4}), {.out = 16, .kernel = 3}));
    return winograd_nodes(compile(graph, {}, always)) == 1;
}

#define SKIP_WITHOUT_KERNEL() \
    if (!has_kernel()) GTEST_SKIP() << "no AVX-512: there is no Winograd kernel"

void expect_winograd_equals_loops(const std::string& name, const Shape& x, const std::function<Value(const Value&)>& f, std::int64_t nodes = 3) {
    const test::Case c{name + " on " + x.str(), {filled(x, "x")}, [&](Graph&, const Xs& xs) { return f(xs[0]); }};
    EXPECT_EQ(winograd_nodes(Compared(c).compiled(always)), nodes) << c.name;
    test::expect_cpu_equals_loops(c, winograd_limit, always);
}

/// Two convolutions, a loss and a step of gradient descent on every parameter.
struct Training {
    Graph graph;
    Parameters parameters;
    Tensor image = filled({9, 16, 10, 6}, "image").to(DType::f32);

    explicit Training(bool updates) {
        Value x = relu(conv2d(graph.input("x", {9, 16, 10, 6}), {.out = 32, .kernel = 3, .pad = 1}, "a"));
        const Value y = mean(square(conv2d(x, {.out = 16, .kernel = 3, .pad = 1}, "b")));
        graph.output("y", y);
        for (const ParameterInfo& info : graph.parameters()) parameters.set(info.name, filled(info.type.shape, info.name, -0.3, 0.3).to(DType::f32));
        if (!updates) return;
        std::vector<Value> weights;
        for (const ParameterInfo& info : std::vector<ParameterInfo>(graph.parameters())) weights.push_back(graph.find(info.name));
        const std::vector<Value> d = gradients(y, weights);
        for (std::size_t i = 0; i < d.size(); ++i) graph.update(weights[i], weights[i] - d[i] * scalar(graph, 0.5));
    }
    /// The loss of three runs on `state`.
    [[nodiscard]] std::vector<double> losses(const std::shared_ptr<State>& state, const CompileOptions& options) const {
        Session session(compile(graph, {}, options), state);
        std::vector<double> values;
        for (int i = 0; i < 3; ++i) values.push_back(session.run({{"x", image}})[0].at(0));
        return values;
    }
};

TEST(Winograd, EqualsTheLoopsInAllDirectionsOnAwkwardMaps) {
    SKIP_WITHOUT_KERNEL();
    // One sample to nine: in pieces and by rows; maps of less than a tile, of whole tiles, and one past them.
    const std::vector<Shape> shapes{{1, 16, 1, 1}, {1, 16, 3, 35}, {2, 32, 5, 4}, {3, 48, 8, 9}, {9, 16, 35, 33}, {9, 80, 6, 7}, {8, 64, 12, 13}};
    for (const Shape& x : shapes)
        for (std::int64_t taps : {3, 5})
            for (std::int64_t pad : {0, 1, 2}) {
                if (x[2] + 2 * pad < taps || x[3] + 2 * pad < taps) continue;
                expect_winograd_equals_loops(std::to_string(taps) + " taps, pad " + std::to_string(pad), x,
                                             [=](const Value& v) { return conv2d(v, {.out = x[1] == 32 ? 112 : 16 * (pad + 1), .kernel = taps, .pad = pad}); });
            }
}

TEST(Winograd, EqualsTheLoopsWithUnevenPads) {
    SKIP_WITHOUT_KERNEL();
    for (std::int64_t taps : {3, 5})
        expect_winograd_equals_loops("pads 0 2 3 1", {9, 16, 7, 10}, [=](const Value& v) { return conv2d(v, {.out = 32, .kernel = taps, .pad = {0, 2, 3, 1}, .bias = false}); });
}

TEST(Winograd, EqualsTheLoopsWhereThreadsShareLargeMatrices) {
    SKIP_WITHOUT_KERNEL();
    for (const Shape& x : {Shape{1, 128, 7, 5}, Shape{3, 96, 3, 9}})
        for (std::int64_t taps : {3, 5})
            expect_winograd_equals_loops("few tiles", x, [=](const Value& v) { return relu(conv2d(v, {.out = v.shape()[1], .kernel = taps, .pad = taps / 2}) + v); });
}

TEST(Winograd, AddsTheBiasTheResidualAndRectifies) {
    SKIP_WITHOUT_KERNEL();
    for (std::int64_t n : {1, 9}) {
        expect_winograd_equals_loops("relu", {n, 16, 9, 6}, [](const Value& v) { return relu(conv2d(v, {.out = 48, .kernel = 3, .pad = 1})); });
        expect_winograd_equals_loops("residual and relu", {n, 32, 7, 9}, [](const Value& v) { return relu(conv2d(v, {.out = 32, .kernel = 3, .pad = 1}) + v); });
        for (const auto& [name, f] : test::every_activation()) {
            const test::Case c{name, {filled({n, 32, 9, 6}, "x", -3, 3)}, [&](Graph&, const Xs& v) { return f(conv2d(v[0], {.out = 32, .kernel = 3, .pad = 1}) + v[0]); }, false};
            EXPECT_EQ(winograd_nodes(Compared(c).compiled(always)), 1) << name;
            test::expect_cpu_equals_loops(c, winograd_limit, always);
        }
        expect_winograd_equals_loops("five taps, residual and relu", {n, 32, 7, 9}, [](const Value& v) { return relu(conv2d(v, {.out = 32, .kernel = 5, .pad = 2}) + v); });
        expect_winograd_equals_loops("residual, no bias", {n, 32, 7, 9}, [](const Value& v) { return conv2d(v, {.out = 32, .kernel = 3, .pad = 1, .bias = false}) + v; });
    }
}

TEST(Winograd, SumsTheWeightGradientOverBlocksAndParts) {
    SKIP_WITHOUT_KERNEL();
    // Pieces of the tiles and rows of samples; two or three blocks of tiles in each; every width of a panel of outputs.
    for (const Shape& x : {Shape{2, 48, 40, 39}, Shape{9, 48, 23, 24}})
        for (std::int64_t k : {48, 80, 96})
            for (std::int64_t taps : {3, 5})
                expect_winograd_equals_loops("to " + std::to_string(k), x, [=](const Value& v) { return conv2d(v, {.out = k, .kernel = taps, .pad = taps / 2}); });
}

TEST(Winograd, GivesTheWeightGradientInTheLayoutOfTheWeight) {
    SKIP_WITHOUT_KERNEL();
    const auto plan = compile(Training(true).graph, {}, always).plan();
    EXPECT_EQ(std::ranges::count_if(plan, [](const PlanLine& line) { return line.op == "conv2d_backward_weight" && line.kernel.starts_with("winograd"); }), 2);
    // What is reordered are the images, and each weight to its matrices: once for each direction that uses them.
    for (const PlanLine& line : plan) EXPECT_FALSE(line.op == "reorder" && line.path.find("backward_weight") != std::string::npos) << line.path;
}

TEST(Winograd, LeavesOtherProblemsToTheDirectKernels) {
    for (const Conv2dSpec& spec : {Conv2dSpec{.out = 16, .kernel = 3, .stride = 2, .pad = 1}, Conv2dSpec{.out = 16, .kernel = 3, .pad = 2, .dilation = 2}, Conv2dSpec{.out = 17, .kernel = 3},
                                   Conv2dSpec{.out = 32, .kernel = 3, .groups = 2}, Conv2dSpec{.out = 16, .kernel = 7, .pad = 2}, Conv2dSpec{.out = 16, .kernel = {3, 5}, .pad = 1}})
        expect_winograd_equals_loops("direct", {3, 32, 7, 9}, [&](const Value& v) { return conv2d(v, spec); }, 0);
}

TEST(Winograd, IsChosenByShapeAndCanBeSwitchedOff) {
    SKIP_WITHOUT_KERNEL();
    const auto nodes = [](const Shape& x, Winograd4x4 choice) {
        Graph graph;
        graph.output("y", conv2d(graph.input("x", x), {.out = x[1], .kernel = 3, .pad = 1}));
        return winograd_nodes(compile(graph, {}, {.winograd = choice}));
    };
    const auto gradient_nodes = [](const std::string& problem, Winograd4x4 choice) { return winograd_nodes(compile(parse_problem("conv2d_backward_weight " + problem).graph, {}, {.winograd = choice})); };
    EXPECT_EQ(gradient_nodes("n16c64h56w56 k64r3s3 pad1 f32", Winograd4x4::by_cost), 1);
    EXPECT_EQ(gradient_nodes("n16c64h56w56 k64r3s3 pad1 f32", Winograd4x4::never), 0);
    EXPECT_EQ(gradient_nodes("n8c128h4w4 k128r3s3 pad1 f32", Winograd4x4::by_cost), 0);  // a part folds its sums for one tile
    EXPECT_EQ(nodes({16, 64, 56, 56}, Winograd4x4::by_cost), 1);
    EXPECT_EQ(winograd_nodes(compile(parse_problem("conv2d n16c64h27w27 k192r5s5 pad2 bias f32").graph, {}, {})), 1);  // AlexNet's second
    EXPECT_EQ(nodes({16, 64, 56, 56}, Winograd4x4::never), 0);
    EXPECT_EQ(nodes({8, 128, 4, 4}, Winograd4x4::by_cost), 0);  // every part reads its matrices for one tile
    EXPECT_EQ(nodes({1, 512, 1, 1}, Winograd4x4::by_cost), 0);  // its matrices are read for one pixel
    EXPECT_EQ(nodes({1, 512, 1, 1}, Winograd4x4::always), 1);
}

TEST(Winograd, FollowsTheWeightsAsTheyAreTrained) {
    SKIP_WITHOUT_KERNEL();
    const Training step(true), loss(false);
    const auto state = std::make_shared<State>(step.parameters), exact = std::make_shared<State>(step.parameters);
    Session evaluation(compile(loss.graph, {}, {.inference = true, .winograd = Winograd4x4::always}), state);
    const auto evaluated = [&] { return evaluation.run({{"x", step.image}})[0].at(0); };
    EXPECT_GT(winograd_nodes(compile(step.graph, {}, always)), 2);
    const double before = evaluated();
    const auto got = step.losses(state, always), want = step.losses(exact, {.backend = "reference", .precision = Precision::f64});
    EXPECT_NEAR(before, want[0], 1e-5 * want[0]);
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-5 * want[i]) << "step " << i;
    EXPECT_LT(want[2], 0.9 * want[0]) << "the steps change little: this test would not see stale weights";
    // The program compiled for inference keeps its transformed weights between runs: they must be those of now.
    EXPECT_NEAR(evaluated(), loss.losses(exact, {.backend = "reference", .precision = Precision::f64})[0], 1e-5 * want[0]);
}

TEST(Winograd, LeavesTheParametersOfAnInferenceProgramAsTheyWere) {
    const Training loss(false);
    const auto state = std::make_shared<State>(loss.parameters);
    (void)loss.losses(state, {.inference = true, .winograd = Winograd4x4::always});
    for (const std::string& name : loss.parameters.names())
        EXPECT_EQ(std::memcmp(state->read(name).raw(), loss.parameters.at(name).raw(), loss.parameters.at(name).bytes()), 0) << name;
}

}  // namespace
}  // namespace fovea
