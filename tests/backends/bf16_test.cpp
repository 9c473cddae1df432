// Precision::bf16 on the CPU backend: kernels against the plain loops on inputs and parameters that bf16 holds exactly, the same bytes for any
// number of threads, and what is reported where the processor lacks it.
#include <bit>

#include "compare.h"

namespace fovea {
namespace {

using test::filled;
using Xs = std::vector<Value>;

bool has_bf16() { return unmet_precision({.precision = Precision::bf16}).empty(); }

/// Products of bf16 numbers are exact in f32 and summed there; every map that a kernel writes is rounded to 8 bits, an error of at most 2^-9
/// of each value and 2^-9 / sqrt 3 = 1.1e-3 of the norm. The graphs here round at most three times between an input and an output.
constexpr double bf16_limit = 3.4e-3;

Tensor rounded(const Tensor& tensor) {
    Tensor result = tensor.to(DType::f32);
    for (std::int64_t i = 0; i < result.elements(); ++i) {
        const auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(result.at(i)));
        result.set(i, std::bit_cast<float>((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000u));
    }
    return result;
}

/// A sum that is rounded before its rectifier changes its sign where it is smaller than the rounding: about 2^-8 of the elements, whose gradient
/// is then wrong altogether, which is sqrt(2^-8) of the norm. Fused, the sum is not rounded.
constexpr double kink_limit = 6.3e-2;

/// All but the gradients of the weights of same(): sums of many terms that may cancel, and those of its convolution, which has tests of its own.
void expect_near(const test::Compared& c, const test::Compared::Outcome& got, const test::Compared::Outcome& want, double limit) {
    for (std::size_t o = 0; o < want.outputs.size(); ++o)
        if (const std::string& name = c.built.graph.outputs()[o].first; !name.starts_with("dsame")) {
            EXPECT_LT(test::relative_l2(got.outputs[o], want.outputs[o]), limit) << name;
        }
    for (const auto& [parameter, value] : c.built.graph.updates())
        EXPECT_LT(test::relative_l2(got.parameters.at(parameter.path()), want.parameters.at(parameter.path())), limit) << "updated " << parameter.path();
}

void expect_bf16_equals_loops(const test::Case& c, double limit = bf16_limit, double unfused_limit = 0, Winograd4x4 winograd = Winograd4x4::by_cost) {
    SCOPED_TRACE(c.name);
    test::Compared compared(c);
    for (auto& [name, tensor] : compared.given)
        if (tensor.dtype() == DType::f32) tensor = rounded(tensor);
    for (const std::string& name : compared.parameters.names()) {
        Tensor value = compared.parameters.at(name);
        if (value.dtype() != DType::f32) continue;
        value = rounded(value);
        if (name.starts_with("same"))
            for (std::int64_t i = 0; i < value.elements(); ++i) value.set(i, i / value.shape()[1] == i % value.shape()[1]);
        compared.parameters.set(name, value);
    }
    const auto want = compared.run({.backend = "reference", .precision = Precision::f64, .fuse = false});
    const int before = threads();
    for (bool fuse : {true, false}) {
        SCOPED_TRACE(fuse ? "fused" : "not fused");
        set_threads(1);
        const auto got = compared.run({.precision = Precision::bf16, .fuse = fuse, .winograd = winograd});
        expect_near(compared, got, want, fuse || unfused_limit == 0 ? limit : unfused_limit);
        for (int count : {2, 3}) {
            set_threads(count);
            expect_same_bytes(compared, compared.run({.precision = Precision::bf16, .fuse = fuse, .winograd = winograd}), got, std::to_string(count) + " threads");
        }
    }
    set_threads(before);
}

/// A convolution that changes no value: what reads it reads bf16, and what it reads gets its gradient in bf16.
Value same(const Value& x) { return conv2d(x, {.out = x.shape()[1], .kernel = 1, .bias = false}, "same" + std::to_string(x.id())); }

struct Named {
    std::string name;
    std::function<Value(const Value&)> f;
};

void on_maps(const std::vector<Named>& ops, bool differentiates = true, double limit = bf16_limit, double unfused_limit = 0,
             const std::vector<Shape>& shapes = {{1, 17, 7, 5}, {3, 3, 6, 9}, {9, 33, 7, 5}, {16, 1, 6, 9}, {16, 48, 4, 6}}) {
    if (!has_bf16()) GTEST_SKIP() << unmet_precision({.precision = Precision::bf16});
    for (const auto& [name, f] : ops)
        for (const Shape& shape : shapes) expect_bf16_equals_loops({name + " on " + shape.str(), {filled(shape, "x")}, [&](Graph&, const Xs& x) { return f(x[0]); }, differentiates}, limit, unfused_limit);
}

TEST(Bf16, ConvolutionsEqualTheLoops) {
    on_maps({{"3x3", [](const Value& x) { return conv2d(x, {.out = 17, .kernel = 3, .pad = 1}); }},
             {"1x1 without bias", [](const Value& x) { return conv2d(x, {.out = 16, .kernel = 1, .bias = false}); }},
             {"1x1 stride 2", [](const Value& x) { return conv2d(x, {.out = 8, .kernel = 1, .stride = 2, .bias = false}); }},
             {"uneven pad and kernel", [](const Value& x) { return conv2d(x, {.out = 5, .kernel = {3, 2}, .stride = {2, 1}, .pad = {1, 2, 0, 1}}); }},
             {"dilated", [](const Value& x) { return conv2d(x, {.out = 6, .kernel = 3, .pad = 2, .dilation = 2}); }},
             {"cropping pad", [](const Value& x) { return conv2d(x, {.out = 4, .kernel = 3, .pad = {-1, 0, 1, 1}}); }},
             {"depthwise", [](const Value& x) { return conv2d(x, {.out = x.shape()[1], .kernel = 3, .pad = 1, .groups = x.shape()[1]}); }},
             {"depthwise, stride 2", [](const Value& x) { return conv2d(x, {.out = x.shape()[1], .kernel = 3, .stride = 2, .pad = 1, .groups = x.shape()[1], .bias = false}); }},
             {"two", [](const Value& x) { return conv2d(relu(conv2d(x, {.out = 32, .kernel = 3, .pad = 1}, "a")), {.out = 16, .kernel = 3, .pad = 1}, "b"); }},
             {"residual and relu", [](const Value& x) { return relu(conv2d(x, {.out = x.shape()[1], .kernel = 3, .pad = 1}) + x); }}},
            true);
}

// Winograd's products stay f32: only the maps are rounded.
TEST(Bf16, WinogradConvolutionsEqualTheLoops) {
    if (!has_bf16()) GTEST_SKIP() << unmet_precision({.precision = Precision::bf16});
    for (const Shape& shape : {Shape{1, 16, 7, 5}, Shape{3, 32, 6, 9}, Shape{9, 48, 7, 5}}) {
        expect_bf16_equals_loops({"3x3 " + shape.str(), {filled(shape, "x")}, [](Graph&, const Xs& x) { return conv2d(x[0], {.out = 32, .kernel = 3, .pad = 1}); }}, bf16_limit, 0,
                                 Winograd4x4::always);
        expect_bf16_equals_loops({"3x3, sum and relu " + shape.str(), {filled(shape, "x")},
                                  [](Graph&, const Xs& x) { return relu(conv2d(x[0], {.out = x[0].shape()[1], .kernel = 3, .pad = 1}) + x[0]); }, false}, bf16_limit, 0, Winograd4x4::always);
        expect_bf16_equals_loops({"3x3, silu " + shape.str(), {filled(shape, "x")}, [](Graph&, const Xs& x) { return silu(conv2d(x[0], {.out = 16, .kernel = 3, .pad = 2})); }, false},
                                 bf16_limit, 0, Winograd4x4::always);
    }
}

TEST(Bf16, ConvolutionsEndInEveryActivation) {
    for (const auto& [name, f] : test::every_activation())
        on_maps({{name, [&](const Value& x) { return f(conv2d(x * 4.0, {.out = 33, .kernel = 3, .stride = 2, .pad = 1})); }},
                 {name + " after a sum", [&](const Value& x) { return f(conv2d(x * 4.0, {.out = x.shape()[1], .kernel = 1, .bias = false}) + x); }},
                 {name + " of fixed statistics", [&](const Value& x) { return f(batch_norm(same(x), {.frozen = true})); }}},
                false, bf16_limit, 0, {{1, 17, 7, 15}, {9, 33, 5, 13}});
}

// The gradient of sigmoid and tanh reads y: near saturation 1 - y keeps fewer digits than y has, and |x| reaches 4.
TEST(Bf16, ElementsEqualTheLoops) {
    for (const auto& [name, f] : test::every_activation())
        on_maps({{name, [&](const Value& x) { return same(f(same(x) * 4.0)); }}}, true, 2 * bf16_limit, 0, {{1, 17, 7, 15}, {9, 33, 5, 13}});
    on_maps({{"sum", [](const Value& x) { return same(x) + x; }},
             {"product", [](const Value& x) { return same(x) * same(relu(x)); }},
             {"loops", [](const Value& x) { return maximum(same(x), x * 0.5); }},
             {"scale and shift", [](const Value& x) { return same(x) * 0.5 + 0.25; }},
             {"value per channel", [](const Value& x) { return same(x) * mean(x, {.axes = {0, 2, 3}, .keep = true}); }},
             {"value per sample and channel", [](const Value& x) { return same(x) * sigmoid(mean(relu(same(x)), {.axes = {2, 3}, .keep = true})); }},
             {"sum per sample and channel", [](const Value& x) { return same(x) + mean(relu(same(x)), {.axes = {2, 3}, .keep = true}); }},
             {"value per pixel", [](const Value& x) { return same(x) * mean(x, {.axes = {1}, .keep = true}); }}});
}

TEST(Bf16, WindowsEqualTheLoops) {
    on_maps({{"max 2", [](const Value& x) { return max_pool(same(x), {.kernel = 2}); }},
             {"max 3, overlapping", [](const Value& x) { return max_pool(same(x), {.kernel = 3, .stride = 2, .pad = 1}); }},
             {"average", [](const Value& x) { return avg_pool(same(x), {.kernel = 2}); }},
             {"average, overlapping", [](const Value& x) { return avg_pool(same(x), {.kernel = 3, .stride = 1, .pad = 1}); }},
             {"average of everything", [](const Value& x) { return global_avg_pool(same(x)); }},
             {"adaptive average", [](const Value& x) { return adaptive_avg_pool(same(x), {3, 2}); }},
             {"slice", [](const Value& x) { return slice(same(x), {.axis = 2, .start = 1, .stop = 4}); }},
             {"pad", [](const Value& x) { return pad(same(x), Pad4{1, 0, 2, 1}, {.value = 0.5}); }},
             {"interpolate", [](const Value& x) { return interpolate(same(x), {.size = Size2{9, 11}, .mode = Interpolation::bilinear}); }},
             {"response norm", [](const Value& x) { return lrn(same(x), {.size = 5, .alpha = 0.5}); }}});
}

TEST(Bf16, JoinedMapsEqualTheLoops) {
    on_maps({{"along channels", [](const Value& x) { return concat({same(x), relu(x)}, 1); }},
             {"along lines", [](const Value& x) { return concat({x, same(x)}, 2); }}});
}

// The gradient of batch norm is a difference of sums: cancellation costs a factor of two.
TEST(Bf16, NormsEqualTheLoops) {
    on_maps({{"norm", [](const Value& x) { return batch_norm(same(x)); }},
             {"fixed statistics", [](const Value& x) { return batch_norm(same(x), {.frozen = true}); }}},
            true, 2 * bf16_limit);
    on_maps({{"norm, relu", [](const Value& x) { return relu(batch_norm(same(x))); }}, {"norm, sum, relu", [](const Value& x) { return relu(batch_norm(same(x)) + x); }}}, true,
            3 * bf16_limit, kink_limit);
}

TEST(Bf16, LinearLayersOfInferenceReadPackedWeights) {
    if (!has_bf16()) GTEST_SKIP() << unmet_precision({.precision = Precision::bf16});
    for (const Shape& shape : {Shape{1, 64}, Shape{3, 37}, Shape{16, 130}, Shape{33, 7}})
        expect_bf16_equals_loops({"linear " + shape.str(), {filled(shape, "x")}, [](Graph&, const Xs& x) { return relu(linear(x[0], {.out = 45})); }, false});
    Graph graph;
    graph.output("y", linear(graph.input("x", {4, 64}), {.out = 32}));
    EXPECT_EQ(compile(graph, {}, {.precision = Precision::bf16, .inference = true}).plan().front().kernel, "simd:bf16");
}

TEST(Bf16, IsAPartOfTheSpellingOfAProblem) {
    const Problem problem = parse_problem("conv2d n2c16h8w8 k32r3s3 pad1 bf16");
    EXPECT_EQ(problem.precision, Precision::bf16);
    if (!has_bf16()) GTEST_SKIP() << unmet_precision({.precision = Precision::bf16});
    EXPECT_EQ(compile(problem.graph, {}, {.precision = Precision::bf16}).plan().at(1).problem, "conv2d n2c16h8w8 k32r3s3 pad1 bf16");
}

TEST(Bf16, IsReportedWhereItCannotBeHad) {
    EXPECT_EQ(unmet_precision({.backend = "reference", .precision = Precision::bf16}), "bf16: the plain loops know f32 and f64; the reference backend runs f32");
    Graph graph;
    graph.output("y", conv2d(graph.input("x", {1, 3, 8, 8}), {.out = 4, .kernel = 3}));
    const Executable program = compile(graph, {}, {.backend = "reference", .precision = Precision::bf16});
    ASSERT_FALSE(program.fallbacks().empty());
    EXPECT_EQ(program.fallbacks()[0], unmet_precision({.backend = "reference", .precision = Precision::bf16}));
    EXPECT_TRUE(program.plan()[0].problem.ends_with(" f32")) << program.plan()[0].problem;
}

}  // namespace
}  // namespace fovea
