// Every op the CPU backend has a kernel for, on awkward shapes: one sample, odd channels, H != W, few and many rows.
#include "compare.h"
#include "ops/choose_paths.h"

namespace fovea {
namespace {

using test::expect_cpu_equals_loops;
using test::filled;
using Xs = std::vector<Value>;

Tensor labels(const Shape& shape, std::int64_t classes, std::int64_t ignored = -1) {
    Tensor tensor(shape, DType::i32);
    for (std::int64_t i = 0; i < tensor.elements(); ++i) tensor.set(i, ignored >= 0 && i % 4 == 1 ? static_cast<double>(ignored) : static_cast<double>((i * 7 + 3) % classes));
    return tensor;
}

struct Named {
    std::string name;
    std::function<Value(const Value&)> f;
};

/// N = 1 and 3 run on splits, 9 and 16 by rows; 9 makes parts of unequal size.
void on_maps(const std::vector<Named>& ops, const std::vector<Shape>& shapes = {{1, 17, 7, 5}, {3, 3, 6, 9}, {9, 33, 7, 5}, {16, 1, 6, 9}, {16, 5, 9, 6}}, bool differentiates = true) {
    for (const auto& [name, f] : ops)
        for (const Shape& shape : shapes)
            expect_cpu_equals_loops({name + " on " + std::to_string(shape[0]) + "x" + std::to_string(shape[1]) + "x" + std::to_string(shape[2]) + "x" + std::to_string(shape[3]),
                                     {filled(shape, "x")}, [&](Graph&, const Xs& x) { return f(x[0]); }, differentiates});
}

TEST(CpuConv2d, EqualsTheLoops) {
    on_maps({{"3x3", [](const Value& x) { return conv2d(x, {.out = 17, .kernel = 3, .pad = 1}); }},
             {"1x1 without bias", [](const Value& x) { return conv2d(x, {.out = 16, .kernel = 1, .bias = false}); }},
             {"1x1 stride 2", [](const Value& x) { return conv2d(x, {.out = 8, .kernel = 1, .stride = 2, .bias = false}); }},
             {"uneven pad and kernel", [](const Value& x) { return conv2d(x, {.out = 5, .kernel = {3, 2}, .stride = {2, 1}, .pad = {1, 2, 0, 1}}); }},
             {"dilated", [](const Value& x) { return conv2d(x, {.out = 6, .kernel = 3, .pad = 2, .dilation = 2}); }},
             {"stride beyond the kernel", [](const Value& x) { return conv2d(x, {.out = 4, .kernel = 2, .stride = 3}); }},
             {"cropping pad", [](const Value& x) { return conv2d(x, {.out = 4, .kernel = 3, .pad = {-1, 0, 1, 1}}); }},
             {"same, even kernel", [](const Value& x) { return conv2d(x, {.out = 4, .kernel = 4, .pad_mode = PadMode::same}); }},
             {"depthwise", [](const Value& x) { return conv2d(x, {.out = x.shape()[1], .kernel = 3, .pad = 1, .groups = x.shape()[1]}); }},
             {"depthwise, stride 2", [](const Value& x) { return conv2d(x, {.out = x.shape()[1], .kernel = 3, .stride = 2, .pad = 1, .groups = x.shape()[1], .bias = false}); }},
             {"relu after", [](const Value& x) { return relu(conv2d(x, {.out = 17, .kernel = 3, .pad = 1})); }},
             {"residual and relu", [](const Value& x) { return relu(conv2d(x, {.out = x.shape()[1], .kernel = 3, .pad = 1}) + x); }}});
}

// Inputs of up to 6 reach both knees of relu6, hard swish and hard sigmoid. Without gradients nobody else reads what the activation reads.
TEST(CpuConv2d, EqualsTheLoopsWithEveryActivation) {
    for (const auto& [name, f] : test::every_activation()) {
        on_maps({{name, [&](const Value& x) { return f(conv2d(x * 6.0, {.out = 33, .kernel = 3, .stride = 2, .pad = 1})); }},
                 {name + " after a sum", [&](const Value& x) { return f(conv2d(x * 6.0, {.out = x.shape()[1], .kernel = 1, .bias = false}) + x); }},
                 {name + ", depthwise", [&](const Value& x) { return f(conv2d(x * 6.0, {.out = x.shape()[1], .kernel = 3, .pad = 1, .groups = x.shape()[1]})); }},
                 {name + ", few filters", [&](const Value& x) { return max_pool(f(conv2d(x * 6.0, {.out = 5, .kernel = 3, .pad = 1})), {.kernel = 2}); }},
                 {name + ", cropping pad", [&](const Value& x) { return f(conv2d(x * 6.0, {.out = 4, .kernel = 3, .pad = {-1, 0, 1, 1}})); }},
                 {name + " of fixed statistics", [&](const Value& x) { return f(batch_norm(relu(x * 6.0), {.frozen = true})); }}},
                {{1, 17, 7, 15}, {9, 33, 5, 13}}, false);
        on_maps({{name + " with gradients", [&](const Value& x) { return f(conv2d(x * 6.0, {.out = 17, .kernel = 3, .pad = 1})); }}}, {{1, 3, 7, 5}, {9, 3, 5, 4}});
    }
}

TEST(CpuConv2d, FusedActivationsAreOneLineOfThePlan) {
    for (const auto& [name, f] : test::every_activation()) {
        Graph graph;
        graph.output("y", f(batch_norm(conv2d(graph.input("x", {16, 32, 9, 9}), {.out = 64, .kernel = 3, .stride = 2, .bias = false}, "conv"), {}, "norm")));
        const auto program = compile(graph, {}, {.inference = true});
        EXPECT_EQ(std::ranges::count_if(program.plan(), [](const PlanLine& line) { return line.op != "reorder"; }), 1) << name << "\n" << program.explain_plan();
        EXPECT_EQ(program.fallbacks(), std::vector<std::string>{}) << name;
    }
}

// Kernels of 3 and 5 have tiles of their own; lines shorter than a tile, stripes of channels that end within a vector.
TEST(CpuDepthwise, EqualsTheLoopsForEveryKernelStrideAndDilation) {
    for (const Shape& x : std::vector<Shape>{{1, 3, 1, 1}, {1, 17, 7, 13}, {2, 24, 13, 7}, {9, 40, 9, 6}, {1, 960, 7, 7}})
        for (std::int64_t kernel : {1, 3, 5, 7})
            for (std::int64_t stride : {1, 2}) {
                const auto f = [=](std::int64_t dilation) {
                    return [=](Graph&, const Xs& v) {
                        return silu(conv2d(v[0], {.out = x[1], .kernel = kernel, .stride = stride, .pad = dilation * (kernel / 2), .dilation = dilation, .groups = x[1]}));
                    };
                };
                const std::string name = std::to_string(kernel) + " stride " + std::to_string(stride) + " on " + x.str();
                const bool differentiates = x[1] < 20;
                expect_cpu_equals_loops({name, {filled(x, "x")}, f(1), differentiates});
                if (kernel > 1) expect_cpu_equals_loops({name + " dilated", {filled(x, "x")}, f(2), differentiates});
            }
    on_maps({{"uneven", [](const Value& x) { return silu(conv2d(x, {.out = x.shape()[1], .kernel = {3, 2}, .stride = {2, 1}, .pad = {1, 2, 0, 1}, .groups = x.shape()[1], .bias = false})); }},
             {"a line past the edge", [](const Value& x) { return silu(conv2d(x, {.out = x.shape()[1], .kernel = 3, .pad = 4, .groups = x.shape()[1]})); }}},
            {{1, 17, 7, 15}, {9, 33, 5, 13}});
}

// Our direct kernel: few samples, or an activation it ends in; filters that fill their last vector and that do not, sums in several passes,
// maps narrower than the kernel, every number of outputs that a line's tiles leave over.
TEST(CpuDirectConv, EqualsTheLoops) {
    const auto runs_it = [](const Shape& x, std::int64_t out) {
        Graph graph;
        graph.output("y", silu(conv2d(graph.input("x", x), {.out = out, .kernel = 1})));
        const auto program = compile(graph, {}, {.inference = true});
        return std::ranges::any_of(program.plan(), [](const PlanLine& line) { return line.kernel.starts_with("direct"); });
    };
    if (!runs_it({16, 64, 14, 14}, 64)) GTEST_SKIP() << "no AVX-512: there is no direct kernel";
    for (const Shape& x : std::vector<Shape>{{1, 3, 27, 31}, {1, 24, 13, 7}, {2, 17, 7, 13}, {3, 960, 7, 7}, {1, 700, 3, 4}, {16, 40, 9, 6}})
        for (std::int64_t out : {1, 17, 24, 64, 200}) {
            const auto check = [&](const std::string& name, const std::function<Value(const Value&)>& f) {
                expect_cpu_equals_loops({name + " to " + std::to_string(out) + " on " + x.str(), {filled(x, "x")}, [&](Graph&, const Xs& v) { return f(v[0]); }, false});
            };
            check("1x1, silu", [&](const Value& v) { return silu(conv2d(v, {.out = out, .kernel = 1})); });
            if (x[1] > 100 && out != 17) continue;
            check("3x3, silu", [&](const Value& v) { return silu(conv2d(v, {.out = out, .kernel = 3, .stride = 2, .pad = 1}), {.beta = 1.5}); });
            if (x[1] > 100) continue;
            check("1x1 stride 2, hard swish", [&](const Value& v) { return hard_swish(conv2d(v, {.out = out, .kernel = 1, .stride = 2, .bias = false})); });
            // Small sums: the exponential of a large one multiplies its rounding.
            check("7x7 stride 2, sigmoid", [&](const Value& v) { return sigmoid(conv2d(v * 0.01, {.out = out, .kernel = 7, .stride = 2, .pad = 3})); });
            check("3x5 dilated, uneven", [&](const Value& v) { return silu(conv2d(v, {.out = out, .kernel = {3, 5}, .stride = {1, 3}, .pad = {2, 3, 5, 4}, .dilation = {1, 2}})); });
            check("3x3 after a sum", [&](const Value& v) { return silu(conv2d(v, {.out = x[1], .kernel = 3, .pad = 1}) + v); });
            check("1x1 after a sum that others read", [&](const Value& v) {
                const Value u = relu(v * 2.0);
                return relu(conv2d(u, {.out = x[1], .kernel = 1}) + u) + u;
            });
        }
}

TEST(CpuConv2d, EqualsTheLoopsWithGroupsOfSeveralChannels) {
    on_maps({{"3 groups", [](const Value& x) { return conv2d(x, {.out = 12, .kernel = 3, .pad = 1, .groups = 3}); }},
             {"two convolutions", [](const Value& x) { return conv2d(relu(conv2d(x, {.out = 12, .kernel = 1, .groups = 3}, "a")), {.out = 6, .kernel = 3, .groups = 2}, "b"); }},
             {"transposed", [](const Value& x) { return conv_transpose2d(x, {.out = 6, .kernel = 3, .stride = 2, .pad = 1, .output_pad = 1}); }},
             {"transposed in groups", [](const Value& x) { return conv_transpose2d(x, {.out = 6, .kernel = {2, 3}, .groups = 3, .bias = false}); }}},
            {{1, 6, 7, 5}, {3, 9, 5, 6}, {9, 12, 5, 4}, {16, 48, 4, 5}});
}

TEST(CpuConv2d, FewLargeMapsAreCutIntoStripes) {
    on_maps({{"1x1", [](const Value& x) { return conv2d(x, {.out = 130, .kernel = 1}); }},
             {"1x1 with residual", [](const Value& x) { return relu(conv2d(conv2d(x, {.out = 90, .kernel = 1}, "a"), {.out = x.shape()[1], .kernel = 1, .bias = false}, "b") + x); }},
             {"1x1 stride 2", [](const Value& x) { return conv2d(x, {.out = 310, .kernel = 1, .stride = 2}); }},
             {"7x7 stride 2", [](const Value& x) { return relu(conv2d(x, {.out = 40, .kernel = 7, .stride = 2, .pad = 3})); }},
             {"4x4 stride 3", [](const Value& x) { return conv2d(x, {.out = 96, .kernel = 4, .stride = 3, .pad = {0, 1, 2, 0}}); }},
             {"dilated", [](const Value& x) { return conv2d(x, {.out = 48, .kernel = 3, .pad = 4, .dilation = 4}); }},
             {"depthwise", [](const Value& x) { return conv2d(conv2d(x, {.out = 160, .kernel = 1}, "wide"), {.out = 160, .kernel = 5, .stride = 2, .pad = 2, .groups = 160}, "deep"); }},
             {"3x3", [](const Value& x) { return conv2d(x, {.out = 64, .kernel = 3, .pad = 1}); }},
             {"stride 2, uneven", [](const Value& x) { return conv2d(x, {.out = 96, .kernel = {5, 3}, .stride = 2, .pad = {2, 1, 0, 2}}); }},
             {"dilated, stride beyond the kernel", [](const Value& x) { return conv2d(x, {.out = 250, .kernel = {2, 3}, .stride = {5, 1}, .dilation = {2, 1}, .bias = false}); }}},
            {{1, 19, 40, 37}, {3, 16, 41, 38}});
}

// Few channels: our own kernels, with lines of every remainder modulo a vector, in groups of filters of every size.
TEST(CpuThinConv, EqualsTheLoopsOnLinesOfEveryWidth) {
    for (std::int64_t width = 1; width <= 33; ++width)
        for (std::int64_t n : {1, 9}) {
            const std::string on = " at width " + std::to_string(width);
            on_maps({{"5x5" + on, [](const Value& x) { return relu(conv2d(x, {.out = 6, .kernel = 5, .pad = 2})); }},
                     {"pooled" + on, [](const Value& x) { return max_pool(relu(conv2d(x, {.out = 5, .kernel = {3, 2}, .pad = 1})), {.kernel = 2, .ceil = true}); }},
                     {"1x1" + on, [](const Value& x) { return conv2d(x, {.out = 2, .kernel = 1, .bias = false}); }}},
                    {{n, 1, 5, width}, {n, 3, 4, width}});
            if (width >= 5) on_maps({{"5x5 without pad" + on, [](const Value& x) { return conv2d(x, {.out = 6, .kernel = 5}); }}}, {{n, 1, 7, width}, {n, 6, 8, width}});
        }
}

TEST(CpuThinConv, EqualsTheLoopsForEveryNumberOfFilters) {
    for (std::int64_t filters = 1; filters <= 20; ++filters) {
        const std::string with = " with " + std::to_string(filters) + " filters";
        on_maps({{"5x5" + with, [=](const Value& x) { return conv2d(x, {.out = filters, .kernel = 5, .pad = 1}); }},
                 {"pooled" + with, [=](const Value& x) { return max_pool(conv2d(x, {.out = filters, .kernel = 3}), {.kernel = 2}); }}},
                {{1, 1, 12, 13}, {9, 2, 6, 25}, {9, 4, 5, 6}, {3, 6, 12, 12}, {10, 8, 7, 11}});
    }
}

TEST(CpuThinConv, EqualsTheLoopsWithStridesAndUnevenPads) {
    on_maps({{"stride 2", [](const Value& x) { return conv2d(x, {.out = 6, .kernel = 3, .stride = 2, .pad = 1}); }},
             {"stride 2 of 7x7, pooled", [](const Value& x) { return max_pool(relu(conv2d(x, {.out = 16, .kernel = 7, .stride = 2, .pad = 3})), {.kernel = 2}); }},
             {"stride 3, 1", [](const Value& x) { return conv2d(x, {.out = 7, .kernel = {2, 5}, .stride = {3, 1}, .pad = {0, 3, 4, 1}}); }},
             {"stride 1, 3", [](const Value& x) { return conv2d(x, {.out = 12, .kernel = 4, .stride = {1, 3}, .pad = {3, 0, 0, 2}}); }},
             {"stride beyond the kernel", [](const Value& x) { return conv2d(x, {.out = 4, .kernel = 2, .stride = 5}); }},
             {"wide pad", [](const Value& x) { return conv2d(x, {.out = 9, .kernel = 3, .pad = 9}); }},
             {"after another", [](const Value& x) { return conv2d(relu(conv2d(x, {.out = 3, .kernel = 3, .pad = 1}, "a")), {.out = 10, .kernel = 3, .stride = 2}, "b"); }}},
            {{1, 1, 9, 21}, {2, 3, 19, 8}, {9, 1, 19, 40}, {9, 4, 8, 9}, {16, 7, 9, 20}, {8, 2, 29, 45}});
    // Too large to be copied at once.
    on_maps({{"3x3", [](const Value& x) { return conv2d(x, {.out = 3, .kernel = 3, .pad = 1}); }}}, {{1, 37, 60, 61}, {9, 18, 60, 61}});
}

TEST(CpuThinConv, PoolingJoinsTheConvolutionOnlyWhereNobodyElseReadsIt) {
    const auto compiled = [](bool reads_it_again) {
        Graph graph;
        const Value x = graph.input("x", {16, 1, 20, 20}), y = relu(conv2d(x, {.out = 6, .kernel = 5}, "conv"));
        graph.output("pooled", max_pool(y, {.kernel = 2}, "pool"));
        if (reads_it_again) graph.output("y", y);
        return compile(graph, {}, {.inference = true});
    };
    EXPECT_EQ(compiled(false).plan().size(), 2u);  // and the pooled maps' way out
    EXPECT_EQ(compiled(false).plan()[0].fused, "bias relu max_pool2d");
    EXPECT_TRUE(compiled(false).plan()[0].kernel.starts_with("simd:pixels")) << compiled(false).plan()[0].kernel;
    EXPECT_EQ(compiled(true).plan()[0].fused, "bias relu");
    EXPECT_NE(compiled(true).explain_plan().find("max_pool2d"), std::string::npos);
}

TEST(CpuThinConv, PassesNotANumberOn) {
    Graph graph;
    const Value x = graph.input("x", {1, 1, 6, 20});
    graph.output("y", max_pool(relu(conv2d(x, {.out = 3, .kernel = 3, .pad = 1})), {.kernel = 2}));
    Tensor image = filled({1, 1, 6, 20}, "x").to(DType::f32);
    image.set(20 + 5, std::numeric_limits<double>::quiet_NaN());  // line 1, column 5: read for lines 0 to 2, columns 4 to 6
    Parameters parameters;
    for (const ParameterInfo& info : graph.parameters()) parameters.set(info.name, filled(info.type.shape, info.name).to(DType::f32));
    Session session(compile(graph, {}, {.inference = true}), std::make_shared<State>(parameters));
    const Tensor y = session.run({{"x", image}})[0];
    for (std::int64_t i = 0; i < y.elements(); ++i) {
        const std::int64_t line = i / 10 % 3, column = i % 10;
        EXPECT_EQ(std::isnan(y.at(i)), line <= 1 && (column == 2 || column == 3)) << i;
    }
}

TEST(CpuLinear, EqualsTheLoops) {
    for (std::int64_t n : {1, 3, 9, 16})
        for (std::int64_t in : {1, 7, 33}) {
            expect_cpu_equals_loops({"linear", {filled({n, in}, "x")}, [](Graph&, const Xs& x) { return linear(x[0], {.out = 10}); }});
            expect_cpu_equals_loops({"two with relu", {filled({n, in}, "x")}, [](Graph&, const Xs& x) { return linear(relu(linear(x[0], {.out = 65}, "a")), {.out = 3, .bias = false}, "b"); }});
            expect_cpu_equals_loops({"of rank 3", {filled({n, 2, in}, "x")}, [](Graph&, const Xs& x) { return linear(x[0], {.out = 5}); }});
        }
    // Few rows and many; a weight that parts would read again; inputs beyond one stretch.
    for (std::int64_t n : {1, 5, 16, 31, 32, 33, 64})
        for (std::int64_t in : {255, 2049})
            expect_cpu_equals_loops({std::to_string(n) + " rows of " + std::to_string(in), {filled({n, in}, "x")}, [](Graph&, const Xs& x) { return linear(x[0], {.out = 47}); }, false});
    for (std::int64_t n : {1, 9})
        for (const auto& [name, f] : test::every_activation())
            for (bool differentiates : {false, true})
                expect_cpu_equals_loops({name, {filled({n, 33}, "x", -6, 6)}, [&](Graph&, const Xs& x) { return f(linear(x[0], {.out = 19})); }, differentiates});
}

TEST(CpuMatmul, EqualsTheLoopsInEveryOrientation) {
    for (bool ta : {false, true})
        for (bool tb : {false, true}) {
            const Shape a = ta ? Shape{9, 17} : Shape{17, 9}, b = tb ? Shape{33, 9} : Shape{9, 33};
            expect_cpu_equals_loops({"matmul", {filled(a, "a"), filled(b, "b")}, [=](Graph&, const Xs& x) { return matmul(x[0], x[1], {.transpose_a = ta, .transpose_b = tb}); }});
        }
    // A second operand beyond a core's cache: the outputs are cut, not the rows.
    for (bool tb : {false, true})
        for (std::int64_t m : {1, 9})
            expect_cpu_equals_loops({"large", {filled({m, 530}, "a"), filled(tb ? Shape{501, 530} : Shape{530, 501}, "b")},
                                     [=](Graph&, const Xs& x) { return matmul(x[0], x[1], {.transpose_b = tb}); }, false});
    expect_cpu_equals_loops({"batched", {filled({9, 4, 3}, "a"), filled({9, 3, 5}, "b")}, [](Graph&, const Xs& x) { return matmul(x[0], x[1]); }});
}

TEST(CpuBatchNorm, EqualsTheLoopsWithReluAndResidual) {
    on_maps({{"alone", [](const Value& x) { return batch_norm(x); }},
             {"relu", [](const Value& x) { return relu(batch_norm(x)); }},
             {"residual and relu", [](const Value& x) { return relu(batch_norm(conv2d(x, {.out = x.shape()[1], .kernel = 3, .pad = 1, .bias = false})) + x); }},
             {"residual alone", [](const Value& x) { return batch_norm(x) + x; }},
             {"frozen", [](const Value& x) { return relu(batch_norm(x, {.frozen = true})); }},
             {"not affine", [](const Value& x) { return batch_norm(x, {.affine = false}); }}});
    for (std::int64_t n : {3, 9, 16}) expect_cpu_equals_loops({"of rank 2", {filled({n, 19}, "x")}, [](Graph&, const Xs& x) { return relu(batch_norm(x[0])); }});
}

TEST(CpuPooling, EqualsTheLoops) {
    on_maps({{"max 2", [](const Value& x) { return max_pool(x, {.kernel = 2}); }},
             {"max 3 stride 2 pad 1", [](const Value& x) { return max_pool(x, {.kernel = 3, .stride = 2, .pad = 1}); }},
             {"max ceil, uneven", [](const Value& x) { return max_pool(x, {.kernel = {3, 2}, .stride = {2, 3}, .pad = {1, 0, 0, 1}, .ceil = true}); }},
             {"max dilated", [](const Value& x) { return max_pool(x, {.kernel = 2, .stride = 1, .pad = 1, .dilation = 3}); }},
             {"adaptive maximum of equal windows", [](const Value& x) { return adaptive_max_pool(x, {1, x.shape()[3]}); }},
             {"global max", [](const Value& x) { return global_max_pool(x); }},
             {"average 2", [](const Value& x) { return avg_pool(x, {.kernel = 2}); }},
             {"average 3 stride 2 pad 1", [](const Value& x) { return avg_pool(x, {.kernel = 3, .stride = 2, .pad = 1}); }},
             {"average ceil without pad", [](const Value& x) { return avg_pool(x, {.kernel = {3, 2}, .stride = 2, .pad = {1, 0, 0, 1}, .ceil = true, .count_include_pad = false}); }},
             {"average, stride beyond the kernel", [](const Value& x) { return avg_pool(x, {.kernel = 2, .stride = 3}); }},
             {"adaptive average", [](const Value& x) { return adaptive_avg_pool(x, {4, 3}); }},
             {"adaptive average upwards", [](const Value& x) { return adaptive_avg_pool(x, 11); }},
             {"adaptive maximum", [](const Value& x) { return adaptive_max_pool(x, {2, 3}); }},
             {"global average", [](const Value& x) { return global_avg_pool(x); }},
             {"l2", [](const Value& x) { return lp_pool(x, {.p = 2, .kernel = 2}); }},
             {"subsample", [](const Value& x) { return subsample(x, 2); }}});
}

TEST(CpuMovement, EqualsTheLoops) {
    on_maps({{"slice rows", [](const Value& x) { return slice(x, {.axis = 2, .start = 1, .stop = -1}); }},
             {"every second pixel", [](const Value& x) { return slice(slice(x, {.axis = 2, .step = 2}), {.axis = 3, .step = 2}); }},
             {"option A", [](const Value& x) {
                  const Value half = slice(slice(x, {.axis = 2, .step = 2}), {.axis = 3, .step = 2});
                  return pad(half, {0, 2, 0, 0}, {0, 3, 0, 0});
              }},
             {"slice channels", [](const Value& x) { return slice(x, {.axis = 1, .start = -1}); }},
             {"slice channels by steps", [](const Value& x) { return slice(x, {.axis = 1, .step = 2}); }},
             {"slice samples", [](const Value& x) { return slice(x, {.axis = 0, .stop = 1}); }},
             {"pad a value", [](const Value& x) { return pad(x, Pad4{1, 0, 2, 3}, {.value = 0.5}); }},
             {"pad everything", [](const Value& x) { return pad(x, {1, 1, 0, 2}, {0, 2, 1, 0}, {.value = -2}); }},
             {"reflect", [](const Value& x) { return pad(x, Pad4{2, 1, 3, 0}, {.mode = PadMode::reflect}); }},
             {"replicate", [](const Value& x) { return pad(x, Pad4{2, 1, 3, 0}, {.mode = PadMode::replicate}); }},
             {"replicate channels", [](const Value& x) { return pad(x, {0, 1, 0, 0}, {0, 1, 0, 0}, {.mode = PadMode::replicate}); }},
             {"crop", [](const Value& x) { return crop(x, {.top = 1, .left = 2, .size = {3, 2}}); }},
             {"flip", [](const Value& x) { return flip(x, {3}); }},
             {"flip channels", [](const Value& x) { return flip(x, {1, 2}); }},
             {"nearest", [](const Value& x) { return interpolate(x, {.size = Size2{9, 7}}); }},
             {"bilinear", [](const Value& x) { return interpolate(x, {.scale = 1.5, .mode = Interpolation::bilinear}); }},
             {"bilinear aligned, down", [](const Value& x) { return interpolate(x, {.size = Size2{3, 4}, .mode = Interpolation::bilinear, .align_corners = true}); }},
             {"unpool nearest", [](const Value& x) { return unpool_nearest(x, {2, 3}); }},
             {"unpool among zeros", [](const Value& x) { return unpool_bed_of_nails(x, 2); }},
             {"max unpool", [](const Value& x) {
                  const Value y = max_pool(x, {.kernel = 2});
                  return max_unpool(y, y.sibling(1), x);
              }},
             {"transpose", [](const Value& x) { return transpose(x, {0, 2, 3, 1}); }},
             {"transpose samples", [](const Value& x) { return transpose(x, {1, 0, 2, 3}); }},
             {"flatten", [](const Value& x) { return flatten(relu(x)); }},
             {"unfold", [](const Value& x) { return unfold(x, {.kernel = {2, 3}, .pad = 1}); }},
             {"locally connected", [](const Value& x) { return locally_connected2d(x, {.out = 3, .kernel = 3}); }}});
}

TEST(CpuConcat, EqualsTheLoopsAlongEveryAxis) {
    for (std::int64_t n : {1, 3, 9, 16})
        for (std::int64_t axis : {0, 1, 2, 3}) {
            Shape a{n, 3, 4, 5}, b = a, c = a;
            b[static_cast<int>(axis)] = axis == 0 ? n : 1;
            c[static_cast<int>(axis)] = axis == 0 ? n : 17;
            expect_cpu_equals_loops({"axis " + std::to_string(axis), {filled(a, "a"), filled(b, "b"), filled(c, "c")}, [=](Graph&, const Xs& x) { return concat({x[0], x[1], x[2]}, axis); }});
        }
    expect_cpu_equals_loops({"rank 2", {filled({9, 3}, "a"), filled({9, 5}, "b")}, [](Graph&, const Xs& x) { return concat({x[0], x[1]}, 1); }});
    expect_cpu_equals_loops({"forty", {filled({9, 3, 4, 5}, "a")}, [](Graph&, const Xs& x) {
                                 std::vector<Value> pieces;
                                 for (int i = 0; i < 40; ++i) pieces.push_back(x[0] * (1 + 0.1 * i));
                                 return concat(pieces, 1);
                             }});
}

TEST(CpuShuffles, EqualTheLoops) {
    on_maps({{"channels", [](const Value& x) { return channel_shuffle(x, 3); }},
             {"channels to pixels", [](const Value& x) { return pixel_shuffle(x, 2); }},
             {"pixels to channels", [](const Value& x) { return pixel_unshuffle(x, 2); }}},
            {{1, 12, 6, 4}, {9, 24, 4, 2}, {16, 12, 2, 6}});
}

TEST(CpuLrn, EqualsTheLoops) {
    on_maps({{"AlexNet's", [](const Value& x) { return lrn(x * 3.0, {.size = 5, .alpha = 0.1, .beta = 0.75, .k = 2}); }},
             {"even window, other power", [](const Value& x) { return lrn(x * 3.0, {.size = 4, .alpha = 0.5, .beta = 0.6, .k = 1}); }},
             {"wider than the channels", [](const Value& x) { return lrn(x * 3.0, {.size = 40, .alpha = 0.5}); }}});
}

TEST(CpuReductions, EqualTheLoopsOverEverySetOfAxes) {
    std::vector<Named> ops;
    for (int set = 0; set < 16; ++set)
        for (bool keep : {false, true}) {
            std::vector<std::int64_t> axes;
            for (int d = 0; d < 4; ++d)
                if (set >> d & 1) axes.push_back(d);
            ops.push_back({"sum over set " + std::to_string(set), [=](const Value& x) { return sum(x * x, {.axes = axes, .keep = keep}); }});
            if (keep) ops.push_back({"mean over set " + std::to_string(set), [=](const Value& x) { return mean(x * x, {.axes = axes, .keep = keep}); }});
        }
    on_maps(ops, {{1, 3, 4, 5}, {9, 17, 3, 2}, {16, 1, 2, 3}});
}

TEST(CpuBroadcast, EqualsTheLoopsForEveryOperandThatRepeats) {
    const std::vector<std::pair<std::string, std::function<Value(const Value&, const Value&)>>> ops{
        {"add", [](const Value& a, const Value& b) { return a + b; }},
        {"subtract", [](const Value& a, const Value& b) { return b - a; }},
        {"multiply", [](const Value& a, const Value& b) { return b * a; }},
        {"divide", [](const Value& a, const Value& b) { return a / (b + 3.0); }},
        {"maximum", [](const Value& a, const Value& b) { return maximum(a, b); }},
        {"where", [](const Value& a, const Value& b) { return where(greater(a, b), a * 2.0, b); }}};
    for (std::int64_t n : {1, 3, 9})
        for (std::int64_t c : {1, 5})
            for (const Shape& other : {Shape{}, Shape{1}, Shape{c, 1, 1}, Shape{1, c, 1, 1}, Shape{n, c, 1, 1}, Shape{n, 1, 4, 3}, Shape{4, 3}, Shape{n, c, 1, 3}, Shape{n, 1, 1, 1}})
                for (const auto& [name, f] : ops)
                    expect_cpu_equals_loops({name, {filled({n, c, 4, 3}, "a"), filled(other, "b")}, [&](Graph&, const Xs& x) { return f(relu(x[0]) + x[0], x[1]); }});
}

TEST(CpuElementwise, EqualsTheLoops) {
    for (const auto& [name, f] : test::every_activation()) on_maps({{name, [&](const Value& x) { return f(x * 9.0); }}}, {{1, 3, 4, 5}, {9, 17, 3, 2}, {16, 1, 2, 3}});
    on_maps({{"sigmoid", [](const Value& x) { return sigmoid(x); }},
             {"silu of a product", [](const Value& x) { return silu(x * x); }},
             {"swish", [](const Value& x) { return silu(x * 9.0, {.beta = 1.5}); }},
             {"relu6", [](const Value& x) { return relu6(x * 9.0); }},
             {"hard swish", [](const Value& x) { return hard_swish(x * 5.0); }},
             {"sigmoid far out", [](const Value& x) { return sigmoid(x * 200.0); }},
             {"gelu", [](const Value& x) { return gelu(x * 2.0); }},
             {"leaky relu", [](const Value& x) { return leaky_relu(x); }},
             {"prelu", [](const Value& x) { return prelu(x); }},
             {"scale and shift", [](const Value& x) { return 3.0 * x - 1.0; }},
             {"clamp", [](const Value& x) { return clamp(x, -0.5, 0.7); }}},
            {{1, 3, 4, 5}, {9, 17, 3, 2}, {16, 1, 2, 3}});
}

TEST(CpuElementwise, PassesNotANumberOn) {
    Tensor x({16, 5}, DType::f32);
    for (std::int64_t i = 0; i < x.elements(); ++i) x.set(i, i % 3 == 0 ? std::nan("") : static_cast<double>(i) - 40);
    auto functions = test::every_activation();
    functions.push_back({"softmax", [](const Value& v) { return softmax(reshape(v, {80, 1})); }});
    for (const auto& [name, f] : functions) {
        SCOPED_TRACE(name);
        test::Compared c({"", {x}, [&](Graph&, const Xs& v) { return f(v[0]); }, false});
        const Tensor y = c.run({}).outputs.front();
        for (std::int64_t i = 0; i < y.elements(); ++i) EXPECT_EQ(std::isnan(y.at(i)), i % 3 == 0) << i;
    }
}

TEST(CpuSoftmax, EqualsTheLoops) {
    on_maps({{"softmax", [](const Value& x) { return softmax(x * 20.0); }},
             {"log softmax", [](const Value& x) { return log_softmax(x * 20.0); }},
             {"over rows", [](const Value& x) { return softmax(x, {.axis = 2}); }},
             {"over samples", [](const Value& x) { return softmax(x, {.axis = 0}); }}});
    for (std::int64_t n : {1, 9, 16}) expect_cpu_equals_loops({"of rank 2", {filled({n, 37}, "x", -30, 30)}, [](Graph&, const Xs& x) { return softmax(x[0]); }});
}

TEST(CpuCrossEntropy, EqualsTheLoops) {
    for (const Shape& shape : {Shape{1, 10}, Shape{9, 3}, Shape{16, 37}, Shape{1, 5, 7, 6}, Shape{3, 21, 4, 5}, Shape{16, 4, 3, 2}})
        for (Reduction reduction : {Reduction::mean, Reduction::sum, Reduction::none})
            for (double smoothing : {0.0, 0.1})
                for (bool weighted : {false, true}) {
                    Shape at{shape[0]};
                    for (int d = 2; d < shape.rank(); ++d) at.push_back(shape[d]);
                    CrossEntropySpec spec{.label_smoothing = smoothing, .ignore_index = 255, .reduction = reduction};
                    for (std::int64_t c = 0; weighted && c < shape[1]; ++c) spec.class_weights.push_back(0.5 + 0.1 * static_cast<double>(c));
                    for (std::int64_t ignored : {-1, 255})
                        expect_cpu_equals_loops({std::string(name_of(reduction)), {filled(shape, "x", -8, 8), labels(at, shape[1], ignored)},
                                                 [&](Graph&, const Xs& x) { return cross_entropy(x[0], x[1], spec); }});
                }
}

TEST(CpuCrossEntropy, NamesALabelOutOfRangeByItsPlaceInTheBatch) {
    test::Compared c({"label", {filled({16, 3}, "x"), labels({16}, 3)}, [](Graph&, const Xs& x) { return cross_entropy(x[0], x[1]); }});
    c.given["x1"].set(13, 7);
    EXPECT_EQ(test::message_of<ArgumentError>([&] { (void)c.run({}); }), "softmax_cross_entropy: label 7 at position 13 is outside 0..2 and is not ignore_index -100");
}

TEST(CpuDropout, DropsWhatThePlainLoopsDropBitForBit) {
    const std::vector<std::function<Value(const Value&)>> modes{[](const Value& x) { return dropout(x, {.drop = 0.3}); }, [](const Value& x) { return spatial_dropout(x, {.drop = 0.3}); },
                                                                [](const Value& x) { return drop_path(x, {.drop = 0.3}); },
                                                                [](const Value& x) { return drop_path(x, {.drop = 0.3, .whole_batch = true}); }};
    for (const auto& mode : modes)
        for (const Shape& shape : {Shape{1, 5, 7, 6}, Shape{9, 17, 5, 3}, Shape{16, 33}, Shape{16, 1, 4, 4}}) {
            const test::Case c{"dropout", {filled(shape, "x", 0.5, 1)}, [&](Graph&, const Xs& x) { return mode(x[0]); }};
            expect_cpu_equals_loops(c);
            const test::Compared compared(c);
            test::expect_same_bytes(compared, compared.run({}), compared.run({.backend = "reference"}), "the plain loops in f32");
        }
}

// The lecture demo of a convolution over a volume, 5 x 5 x 3 padded to 7 x 7 x 3, two 3 x 3 x 3 filters, biases 1 and 0, stride 2: whole numbers,
// so that every backend gives them to the bit. The reasons for the values stand in tests/ops/conv2d_test.cpp.
TEST(CpuConv2d, ComputesTheLecturesDemoExactly) {
    Tensor x({1, 3, 5, 5}), w({2, 3, 3, 3});
    for (int i = 0; i < 25; ++i) x.set(i, i / 5), x.set(25 + i, i % 5), x.set(50 + i, 1);
    w.set(4, 1), w.set(9 + 5, -1), w.set(27, 2), w.set(27 + 9 + 7, 1);
    for (int i = 0; i < 9; ++i) w.set(18 + i, 1);
    Parameters parameters;
    parameters.set("conv.weight", w);
    parameters.set("conv.bias", Tensor::of<double>({1, 0}, {2}).to(DType::f32));
    for (const char* backend : {"reference", "cpu"})
        for (const bool fuse : {true, false}) {
            Graph net;
            net.output("out", conv2d(net.input("image", {dynamic, 3, 5, 5}), {.out = 2, .kernel = 3, .stride = 2, .pad = 1}, "conv"));
            Session session(compile(net, {{"image", {1, 3, 5, 5}}}, {.backend = backend, .fuse = fuse}), std::make_shared<State>(parameters));
            EXPECT_EQ(test::values_of(session.run({{"image", x}}).front()), (std::vector<double>{4, 4, 5, 8, 9, 9, 8, 8, 9, 0, 2, 4, 0, 4, 6, 0, 6, 6})) << backend;
        }
}

TEST(CpuChoosePaths, ChoosesWhatThePlainLoopsChoose) {
    for (const double global : {0.0, 0.5, 1.0})
        for (const Shape& shape : {Shape{3, 1, 5, 7, 2}, Shape{3, 16, 3, 4, 4}}) {
            const test::Case c{"paths", {filled(shape, "x")}, [&](Graph& net, const Xs& x) {
                                   const Value weights = choose_paths(net, {.columns = {0, 1, 3}, .all_columns = 4, .drop = 0.4, .global = global}, "join");
                                   return mean(x[0] * reshape(weights, {-1, 1, 1, 1, 1}), {.axes = {0}});
                               }};
            expect_cpu_equals_loops(c);
            EXPECT_TRUE(std::ranges::none_of(test::Compared(c).compiled({}).fallbacks(), [](const std::string& line) { return line.starts_with("choose_paths"); }));
        }
}

TEST(CpuBackend, HasAKernelForEveryOpOfThisFile) {
    const auto fallbacks = [](const Shape& shape, const std::function<Value(const Value&)>& f) {
        return test::Compared({"", {filled(shape, "x")}, [&](Graph&, const Xs& x) { return f(x[0]); }}).compiled({}).fallbacks();
    };
    for (std::int64_t n : {3, 16}) {
        const Shape shape{n, 8, 6, 4};
        EXPECT_EQ(fallbacks(shape, [](const Value& x) { return softmax(avg_pool(pad(slice(x, {.axis = 2, .step = 2}), 1), {.kernel = 2})); }), std::vector<std::string>{});
        EXPECT_EQ(fallbacks(shape, [](const Value& x) { return concat({channel_shuffle(x, 2), dropout(flip(x, {1}), {.drop = 0.5})}, 1) * 2.0; }), std::vector<std::string>{});
        EXPECT_EQ(fallbacks(shape, [](const Value& x) { return unfold(interpolate(x * sigmoid(global_avg_pool(x)), {.size = Size2{5, 5}}), {.kernel = 3}); }), std::vector<std::string>{});
        EXPECT_EQ(fallbacks(shape, [](const Value& x) { return sum(transpose(x, {1, 0, 2, 3})); }).size(), 2u) << "a transpose of the batch, and its gradient, are left to the loops and say so";
    }
}

}  // namespace
}  // namespace fovea
