// Kernels on bytes against the plain loops of the same grids.
#include "compare.h"
#include "fovea/nn.h"
#include "fovea/quantize.h"

namespace fovea {
namespace {

using test::filled;
using Xs = std::vector<Value>;

bool has_kernels() {
    Graph graph;
    graph.output("y", fake_quantize(graph.input("x", {1, 4, 2, 2}), {.scale = {0.1}}));
    const Executable program = compile(graph, {}, {.inference = true});
    for (const PlanLine& line : program.plan())
        if (line.layout == "nhwc u8") return true;
    return false;
}
#define SKIP_WITHOUT_KERNELS() \
    if (!has_kernels()) GTEST_SKIP() << "no AVX512-VNNI: values on grids stay f32"

const QuantizeSpec narrow{.scale = {static_cast<double>(0.011f)}}, shifted{.scale = {static_cast<double>(0.0123f)}, .zero_point = {101}},
    with_sign{.scale = {static_cast<double>(0.017f)}, .zero_point = {-5}, .low = -128, .high = 127};

/// Weights on a grid with a scale per output.
Value weights(Graph& graph, std::string_view name, const Shape& shape) {
    std::vector<double> scale;
    for (std::int64_t k = 0; k < shape[0]; ++k) scale.push_back(static_cast<double>(static_cast<float>(0.004 + 0.001 * static_cast<double>(k % 5))));
    return fake_quantize(graph.parameter(name, shape), {.scale = scale, .axis = 0, .low = -127, .high = 127});
}

struct Case {
    std::string name;
    std::vector<Tensor> inputs;
    test::Build build;
    double step = 0;              ///< of the grid the result lies on; 0: none
    std::string kernel{};         ///< some line of the plan runs it
};

/// The loops run in f32, so that both sides round the same quotients; sums of products of integers are exact in bytes, and to 1e-7 in the loops. What is left is the order in which scales, bias, residual and activation are
/// applied in f32: some 1e-6 of the values. Where such a value lies within that of the middle between two steps it may be rounded to
/// either, so a result on a grid is the same or one step away, and one step is rare.
void expect_bytes_equal_loops(const Case& c) {
    SCOPED_TRACE(c.name);
    test::Built built(c.build, c.inputs);
    built.graph.output("y", built.y);
    Parameters parameters;
    for (const ParameterInfo& info : built.graph.parameters()) parameters.set(info.name, filled(info.type.shape, info.name, -0.6, 0.6).to(DType::f32));
    std::map<std::string, Tensor> given;
    std::map<std::string, Shape> shapes;
    for (const auto& [name, tensor] : built.given) given[name] = tensor.to(DType::f32), shapes[name] = tensor.shape();
    const auto run = [&](const CompileOptions& options) { return Session(compile(built.graph, shapes, options), std::make_shared<State>(parameters)).run(given)[0]; };
    const Tensor want = run({.backend = "reference", .inference = true});
    if (!c.kernel.empty()) {
        const Executable program = compile(built.graph, shapes, {.inference = true});
        EXPECT_TRUE(std::ranges::any_of(program.plan(), [&](const PlanLine& line) { return (line.kernel + " " + line.layout).find(c.kernel) != std::string::npos; })) << program.explain_plan();
    }
    const int before = threads();
    Tensor first;
    for (const int count : {1, 2, 3}) {
        set_threads(count);
        const Tensor got = run({.inference = true});
        if (first.is_empty()) first = got;
        EXPECT_EQ(std::memcmp(got.raw(), first.raw(), got.bytes()), 0) << count << " threads";
    }
    set_threads(before);
    if (c.step == 0) {
        EXPECT_LT(test::relative_l2(first, want), 1e-5);
        return;
    }
    std::int64_t differ = 0;
    for (std::int64_t i = 0; i < want.elements(); ++i) {
        const double steps = std::abs(first.at(i) - want.at(i)) / c.step;
        ASSERT_LT(steps, 1.01) << "element " << i << " of " << want.shape().str() << ": " << first.at(i) << " for " << want.at(i);
        differ += steps > 0.5;
    }
    EXPECT_LE(differ, 1 + want.elements() / 500);
}

struct Conv {
    std::string name;
    Shape x, w;
    Conv2dGeometry spec;
};

const std::vector<Conv>& convolutions() {
    static const std::vector<Conv> all{
        {"one sample", {1, 16, 9, 7}, {24, 16, 3, 3}, {.stride = 1, .pad = 1}},
        {"odd channels", {2, 5, 6, 11}, {7, 5, 3, 3}, {.stride = 2, .pad = 1}},
        {"three channels", {1, 3, 20, 18}, {16, 3, 5, 5}, {.stride = 2, .pad = 2}},
        {"one channel", {9, 1, 12, 12}, {6, 1, 5, 5}, {}},
        {"one by one", {9, 32, 5, 6}, {20, 32, 1, 1}, {}},
        {"a batch in parts", {11, 16, 8, 8}, {16, 16, 3, 3}, {.pad = 1}},
        {"groups", {2, 12, 7, 7}, {18, 4, 3, 3}, {.pad = 1, .groups = 3}},
        {"depthwise", {3, 24, 10, 9}, {24, 1, 3, 3}, {.stride = 2, .pad = 1, .groups = 24}},
        {"dilated, padded unevenly", {1, 8, 12, 10}, {16, 8, 3, 3}, {.pad = Pad4(2, 1, 0, 3), .dilation = 2}},
    };
    return all;
}

TEST(Int8, ConvolutionsOnEveryGridEqualTheLoops) {
    SKIP_WITHOUT_KERNELS();
    for (const Conv& c : convolutions())
        for (const auto& [grid, from] : std::vector<std::pair<std::string, QuantizeSpec>>{{"u8", narrow}, {"u8 with a zero point", shifted}, {"s8", with_sign}})
            for (const bool is_rounded : {false, true})
                expect_bytes_equal_loops({c.name + ", " + grid + (is_rounded ? ", rounded" : ""), {filled(c.x, "x", -1, 2)},
                                          [&](Graph& graph, const Xs& xs) {
                                              const Value y = conv2d(fake_quantize(xs[0], from), weights(graph, "w", c.w), graph.parameter("b", {c.w[0]}), c.spec);
                                              return is_rounded ? fake_quantize(relu(y), {.scale = {static_cast<double>(0.03f)}}) : y;
                                          },
                                          is_rounded ? static_cast<double>(0.03f) : 0});
}

TEST(Int8, EveryActivationIsAppliedBeforeRounding) {
    SKIP_WITHOUT_KERNELS();
    const double step = static_cast<double>(0.021f);
    for (const auto& activation : test::every_activation())
        expect_bytes_equal_loops({activation.name, {filled({9, 16, 6, 6}, "x", -1, 2)},
                                  [&](Graph& graph, const Xs& xs) {
                                      return fake_quantize(activation.f(conv2d(fake_quantize(xs[0], shifted), weights(graph, "w", {16, 16, 3, 3}), graph.parameter("b", {16}), {.pad = 1})),
                                                           {.scale = {step}, .zero_point = {60}});
                                  },
                                  step, "u8"});
}

TEST(Int8, TheResidualEntersTheSumOnItsOwnGrid) {
    SKIP_WITHOUT_KERNELS();
    const double step = static_cast<double>(0.027f);
    for (const std::int64_t batch : {1, 9})
        for (const QuantizeSpec& skip : {narrow, shifted, with_sign})
            for (const bool is_read_again : {false, true})
                for (const bool rectifies : {false, true})
                    expect_bytes_equal_loops({"residual", {filled({batch, 16, 7, 5}, "x", -1, 2)},
                                              [&](Graph& graph, const Xs& xs) {
                                                  const Value x = fake_quantize(xs[0], narrow);
                                                  const Value residual = fake_quantize(conv2d(x, weights(graph, "v", {16, 16, 1, 1}), {}, {}), skip);
                                                  const Value sum = conv2d(x, weights(graph, "w", {16, 16, 3, 3}), graph.parameter("b", {16}), {.pad = 1}) + residual;
                                                  const Value y = fake_quantize(rectifies ? relu(sum) : sum, {.scale = {step}, .zero_point = {80}});
                                                  return is_read_again ? y + residual : y;
                                              },
                                              // Read again, a residual that is rounded the other way enters twice.
                                              is_read_again ? step + 2 * skip.scale[0] : step, "u8"});
}

TEST(Int8, LinearLayersEqualTheLoops) {
    SKIP_WITHOUT_KERNELS();
    const double step = static_cast<double>(0.05f);
    for (const std::int64_t rows : {1, 3, 16})
        for (const auto& [in, out] : std::vector<std::pair<std::int64_t, std::int64_t>>{{7, 5}, {120, 84}, {1030, 300}})
            for (const QuantizeSpec& from : {narrow, shifted, with_sign})
                for (const bool is_rounded : {false, true})
                    expect_bytes_equal_loops({"linear", {filled({rows, in}, "x", -1, 2)},
                                              [&](Graph& graph, const Xs& xs) {
                                                  const Value y = linear(fake_quantize(xs[0], from), weights(graph, "w", {out, in}), graph.parameter("b", {out}));
                                                  return is_rounded ? fake_quantize(relu(y), {.scale = {step}}) : y;
                                              },
                                              is_rounded ? step : 0, from.zero_point.empty() ? "brg" : ""});
}

TEST(Int8, PoolingSumsAndMovesStayInBytes) {
    SKIP_WITHOUT_KERNELS();
    const double step = static_cast<double>(0.019f);
    const QuantizeSpec to{.scale = {step}, .zero_point = {70}};
    for (const Shape& shape : {Shape{1, 5, 9, 8}, Shape{2, 70, 7, 7}, Shape{9, 64, 6, 6}})
        for (const QuantizeSpec& from : {shifted, with_sign}) {
            const std::vector<Tensor> x{filled(shape, "x", -1, 1.5)};
            const auto on_grid = [from = from](const Xs& xs) { return fake_quantize(xs[0], from); };
            const std::string bytes = from.low < 0 ? "s8" : "u8";
            expect_bytes_equal_loops({"max pool", x, [&](Graph&, const Xs& v) { return max_pool(on_grid(v), {.kernel = 3, .stride = 2, .pad = 1}); }, from.scale[0], bytes});
            expect_bytes_equal_loops({"average pool", x, [&](Graph&, const Xs& v) { return fake_quantize(avg_pool(on_grid(v), {.kernel = 3, .stride = 1, .pad = 1}), to); }, step, "u8"});
            expect_bytes_equal_loops({"average pool to f32", x, [&](Graph&, const Xs& v) { return avg_pool(on_grid(v), {.kernel = 2}); }});
            expect_bytes_equal_loops({"global pool", x, [&](Graph&, const Xs& v) { return mean(on_grid(v), {.axes = {2, 3}, .keep = true}); }});
            expect_bytes_equal_loops({"concat", x, [&](Graph&, const Xs& v) { return concat({on_grid(v), max_pool(on_grid(v), {.kernel = 3, .stride = 1, .pad = 1})}); }, from.scale[0], bytes});
            expect_bytes_equal_loops({"sum", x, [&](Graph&, const Xs& v) { return fake_quantize(on_grid(v) + max_pool(on_grid(v), {.kernel = 3, .stride = 1, .pad = 1}), to); }, step, "u8"});
            expect_bytes_equal_loops({"silu", x, [&](Graph&, const Xs& v) { return fake_quantize(silu(on_grid(v)), to); }, step, "u8"});
            expect_bytes_equal_loops({"gate", x, [&](Graph&, const Xs& v) { return fake_quantize(on_grid(v) * sigmoid(mean(on_grid(v), {.axes = {2, 3}, .keep = true})), to); }, step, "u8"});
            expect_bytes_equal_loops({"twice the same grid", x, [&](Graph&, const Xs& v) { return fake_quantize(on_grid(v), from); }, from.scale[0], bytes});
            expect_bytes_equal_loops({"another grid", x, [&](Graph&, const Xs& v) { return fake_quantize(on_grid(v), to); }, step, "u8"});
            expect_bytes_equal_loops({"what no kernel reads as bytes", x, [&](Graph&, const Xs& v) { return softmax(on_grid(v), {.axis = 1}) + flip(on_grid(v), {3}); }});
            expect_bytes_equal_loops({"batch norm", x,
                                      [&](Graph& graph, const Xs& v) {
                                          const auto c = [&](const char* name) { return graph.parameter(name, {shape[1]}); };
                                          return fake_quantize(relu(graph.add("batch_norm_inference", {on_grid(v), c("gamma"), c("beta"), c("mean"), square(c("spread")) + 0.5}, {{"eps", 1e-5}})), to);
                                      },
                                      step, "u8"});
        }
}

TEST(Int8, NaNAndInfinityBecomeSomeStepAndDoNotSpread) {
    SKIP_WITHOUT_KERNELS();
    Graph graph;
    graph.output("y", fake_quantize(graph.input("x", {1, 2, 1, 2}), narrow));
    Session session(compile(graph, {}, {.inference = true}), std::make_shared<State>(Parameters{}));
    const float infinity = std::numeric_limits<float>::infinity();
    const Tensor y = session.run({{"x", Tensor::of<float>({infinity, -infinity, 0.011f, std::numeric_limits<float>::quiet_NaN()}, {1, 2, 1, 2})}})[0];
    EXPECT_FLOAT_EQ(static_cast<float>(y.at(0)), 255 * 0.011f);
    EXPECT_EQ(y.at(1), 0);
    EXPECT_FLOAT_EQ(static_cast<float>(y.at(2)), 0.011f);
    EXPECT_TRUE(std::isfinite(y.at(3)));
}

}  // namespace
}  // namespace fovea
