// Squeeze-and-excitation of inference: the gate in one kernel, the gated map inside the convolution that projects it.
#include "compare.h"
#include "fovea/ops.h"

namespace fovea {
namespace {

using test::filled;
using Xs = std::vector<Value>;

std::int64_t kernels_named(const Executable& executable, std::string_view start) {
    return std::ranges::count_if(executable.plan(), [&](const PlanLine& line) { return line.kernel.starts_with(start); });
}

struct Block {
    std::int64_t hidden, out;
    SqueezeExciteSpec::Activation activation = SqueezeExciteSpec::Activation::silu;
    SqueezeExciteSpec::Gate gate = SqueezeExciteSpec::Gate::sigmoid;
    bool has_residual = false, ends_in_relu = false;
};

/// A map that a kernel makes, weighed and projected.
test::Case block_on(const Shape& x, const Block& b, bool differentiates = false) {
    return {"squeeze-and-excitation on " + x.str() + " to " + std::to_string(b.out), {filled(x, "x")}, [=](Graph&, const Xs& xs) {
                const Value map = silu(conv2d(xs[0], {.out = x[1], .kernel = 3, .pad = 1, .groups = x[1]}, "depthwise"));
                Value y = conv2d(squeeze_excite(map, {.squeeze = b.hidden, .activation = b.activation, .gate = b.gate}, "se"), {.out = b.out, .kernel = 1}, "project");
                if (b.has_residual) y = y + xs[0];
                return b.ends_in_relu ? relu(y) : y;
            }, differentiates};
}

TEST(SqueezeExcite, OfInferenceEqualsTheLoopsOnAwkwardShapes) {
    using Activation = SqueezeExciteSpec::Activation;
    using Gate = SqueezeExciteSpec::Gate;
    // Batches below and above what is cut by samples; fewer pixels than a tile, several passes over the channels, filters that leave lanes empty.
    for (const std::int64_t batch : {1, 2, 5, 16}) {
        test::expect_cpu_equals_loops(block_on({batch, 13, 9, 5}, {.hidden = 3, .out = 7}), test::f32_limit, {.inference = true});
        test::expect_cpu_equals_loops(block_on({batch, 24, 31, 26}, {.hidden = 6, .out = 24, .activation = Activation::relu, .gate = Gate::hard_sigmoid, .has_residual = true}), test::f32_limit, {.inference = true});
        test::expect_cpu_equals_loops(block_on({batch, 700, 7, 7}, {.hidden = 29, .out = 112, .ends_in_relu = true}), test::f32_limit, {.inference = true});
        test::expect_cpu_equals_loops(block_on({batch, 96, 40, 28}, {.hidden = 4, .out = 96, .has_residual = true}), test::f32_limit, {.inference = true});
    }
}

TEST(SqueezeExcite, IsTwoKernelsWithFewSamplesAndStaysApartInTraining) {
    const Executable few = test::Compared(block_on({1, 96, 40, 28}, {.hidden = 4, .out = 96})).compiled({.inference = true});
    EXPECT_EQ(kernels_named(few, "squeeze:"), 1) << few.explain_plan();
    if (kernels_named(few, "direct:AVX3") + kernels_named(few, "depthwise:AVX3") > 0) {  // AVX-512
        EXPECT_EQ(kernels_named(few, "gated direct:"), 1) << few.explain_plan();
    }
    const Executable many = test::Compared(block_on({16, 96, 40, 28}, {.hidden = 4, .out = 96})).compiled({.inference = true});
    EXPECT_EQ(kernels_named(many, "squeeze:"), 1) << many.explain_plan();
    const test::Compared training(block_on({16, 24, 12, 9}, {.hidden = 4, .out = 24}, true));
    EXPECT_EQ(kernels_named(training.compiled({}), "squeeze:") + kernels_named(training.compiled({}), "gated direct:"), 0);
    test::expect_cpu_equals_loops(block_on({16, 24, 12, 9}, {.hidden = 4, .out = 24}, true));
}

TEST(SqueezeExcite, AGateThatSomethingElseReadsIsMadeAlone) {
    const test::Case c{"a gate read twice", {filled({2, 16, 12, 12}, "x")}, [](Graph&, const Xs& xs) {
                           const Value map = relu(conv2d(xs[0], {.out = 16, .kernel = 3, .pad = 1}, "map"));
                           const Value gate = sigmoid(conv2d(relu(conv2d(mean(map, {.axes = {2, 3}, .keep = true}), {.out = 4, .kernel = 1}, "fc1")), {.out = 16, .kernel = 1}, "fc2"));
                           const Value weighed = map * gate;
                           return conv2d(weighed, {.out = 8, .kernel = 1}, "project") + mean(weighed) + mean(gate);
                       }, false};
    test::expect_cpu_equals_loops(c, test::f32_limit, {.inference = true});
}

}  // namespace
}  // namespace fovea
