// The expansion of an inverted residual and its depthwise convolution in one kernel, where few samples are cut by channels and lines.
#include "compare.h"
#include "fovea/ops.h"

namespace fovea {
namespace {

using test::filled;
using Xs = std::vector<Value>;

struct Half {
    std::int64_t inner, kernel;
    std::int64_t stride = 1, pad = 1, dilation = 1;
    bool expands_with_silu = true, has_bias = true;
};

test::Case half_on(const Shape& x, const Half& h) {
    return {"expanded depthwise on " + x.str() + " to " + std::to_string(h.inner), {filled(x, "x")}, [=](Graph&, const Xs& xs) {
                const Value map = relu(conv2d(xs[0], {.out = x[1], .kernel = 3, .pad = 1}, "stem"));
                Value y = conv2d(map, {.out = h.inner, .kernel = 1, .bias = h.has_bias}, "expand");
                y = h.expands_with_silu ? silu(y) : relu6(y);
                return silu(conv2d(y, {.out = h.inner, .kernel = h.kernel, .stride = h.stride, .pad = h.pad, .dilation = h.dilation, .groups = h.inner, .bias = h.has_bias}, "depthwise"));
            }, false};
}

std::int64_t joined_kernels(const Executable& executable) {
    return std::ranges::count_if(executable.plan(), [](const PlanLine& line) { return line.kernel.starts_with("expanded depthwise:"); });
}

TEST(ExpandedDepthwise, EqualsTheLoopsOnAwkwardShapes) {
    for (const std::int64_t batch : {1, 2, 3}) {
        // Lines in several pieces with edges made twice; strides, a dilation, a kernel larger than the pad; channels that leave lanes empty.
        test::expect_cpu_equals_loops(half_on({batch, 8, 70, 61}, {.inner = 96, .kernel = 3}), test::f32_limit, {.inference = true});
        test::expect_cpu_equals_loops(half_on({batch, 16, 57, 40}, {.inner = 72, .kernel = 3, .stride = 2}), test::f32_limit, {.inference = true});
        test::expect_cpu_equals_loops(half_on({batch, 24, 29, 31}, {.inner = 145, .kernel = 5, .pad = 2, .expands_with_silu = false}), test::f32_limit, {.inference = true});
        test::expect_cpu_equals_loops(half_on({batch, 20, 30, 17}, {.inner = 120, .kernel = 5, .stride = 2, .pad = 2, .has_bias = false}), test::f32_limit, {.inference = true});
        test::expect_cpu_equals_loops(half_on({batch, 40, 15, 14}, {.inner = 250, .kernel = 3, .pad = 0, .dilation = 2}), test::f32_limit, {.inference = true});
        test::expect_cpu_equals_loops(half_on({batch, 16, 23, 19}, {.inner = 80, .kernel = 4, .stride = 3, .pad = 1}), test::f32_limit, {.inference = true});
        test::expect_cpu_equals_loops(half_on({batch, 700, 7, 7}, {.inner = 1100, .kernel = 3}), test::f32_limit, {.inference = true});
    }
}

TEST(ExpandedDepthwise, IsOneKernelWithFewSamplesInInferenceAlone) {
    const test::Compared few(half_on({1, 16, 57, 40}, {.inner = 96, .kernel = 3}));
    const std::int64_t joined = joined_kernels(few.compiled({.inference = true}));
    const Executable apart = few.compiled({.inference = true, .fuse = false});
    if (joined == 0) GTEST_SKIP() << "no AVX-512: there is no direct kernel";
    EXPECT_EQ(joined, 1);
    EXPECT_EQ(joined_kernels(apart), 0);  // activations are nodes of their own there
    EXPECT_EQ(joined_kernels(test::Compared(half_on({16, 16, 57, 40}, {.inner = 96, .kernel = 3})).compiled({.inference = true})), 0);
    test::Case trained = half_on({2, 16, 24, 20}, {.inner = 96, .kernel = 3});
    trained.differentiates = true;
    EXPECT_EQ(joined_kernels(test::Compared(trained).compiled({})), 0);
    test::expect_cpu_equals_loops(trained);
}

}  // namespace
}  // namespace fovea
