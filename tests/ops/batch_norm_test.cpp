#include "support.h"

namespace fovea {
namespace {

using test::expect_gradients;
using test::filled;
using test::values_of;

Value raw_batch_norm(Graph& graph, const std::vector<Value>& x, int output = 0) {
    return graph.add("batch_norm", {x[0], x[1], x[2], x[3], x[4]}, {{"eps", 1e-5}, {"momentum", 0.1}}).sibling(output);
}

std::vector<Tensor> operands(const Shape& shape) {
    const Shape c{shape[1]};
    return {filled(shape, "x"), filled(c, "gamma", 0.5, 1.5), filled(c, "beta"), filled(c, "mean"), filled(c, "var", 0.5, 1.5)};
}

TEST(BatchNorm, StatisticsEqualThoseComputedByHand) {
    // One channel with values 1 2 3 6: mean 3, biased variance 3.5, unbiased 14/3.
    const std::vector<Tensor> inputs{Tensor::of<double>({1, 2, 3, 6}, {2, 1, 2}), Tensor::of<double>({2}, {1}), Tensor::of<double>({0.5}, {1}), Tensor::of<double>({10}, {1}),
                                     Tensor::of<double>({1}, {1})};
    const auto output = [&](int i) { return values_of(test::evaluate([i](Graph& g, const auto& x) { return raw_batch_norm(g, x, i); }, inputs)); };
    const double inv_std = 1 / std::sqrt(3.5 + 1e-5);
    const std::vector<double> y = output(0);
    for (int i = 0; i < 4; ++i) EXPECT_NEAR(y[static_cast<std::size_t>(i)], ((std::vector<double>{1, 2, 3, 6})[static_cast<std::size_t>(i)] - 3) * inv_std * 2 + 0.5, 1e-12);
    EXPECT_DOUBLE_EQ(output(1)[0], 3);
    EXPECT_DOUBLE_EQ(output(2)[0], inv_std);
    EXPECT_DOUBLE_EQ(output(3)[0], 0.9 * 10 + 0.1 * 3);
    EXPECT_DOUBLE_EQ(output(4)[0], 0.9 * 1 + 0.1 * 14 / 3);
}

TEST(BatchNorm, GradientsAgreeWithCentralDifferences) {
    for (const Shape& shape : {Shape{3, 2, 3, 5}, Shape{7, 3}, Shape{1, 4, 2, 1, 3}}) expect_gradients([](Graph& g, const auto& x) { return raw_batch_norm(g, x); }, operands(shape), {0, 1, 2});
    // The statistics themselves can be differentiated too.
    expect_gradients([](Graph& g, const auto& x) { return raw_batch_norm(g, x, 1) * raw_batch_norm(g, x, 2); }, operands({3, 2, 4}), {0});
}

TEST(BatchNorm, GradientsOfGradientsAgreeWithCentralDifferences) {
    expect_gradients(
        [](Graph& g, const auto& x) {
            const Value y = raw_batch_norm(g, x);
            const std::vector<Value> d = gradients(sum(y * square(y)), std::vector<Value>{x[0], x[1]});
            return sum(square(d[0])) + sum(d[1]);
        },
        operands({3, 2, 2, 2}), {0, 1, 2}, 2e-6);  // third derivatives of y^3 are large
}

TEST(BatchNorm, FusedReluAndResidualEqualTheSeparateOps) {
    auto inputs = operands({2, 3, 2, 2});
    inputs.push_back(filled({2, 3, 2, 2}, "residual"));
    const auto fused = [](Graph& g, const auto& x) {
        return g.add("batch_norm", {x[0], x[1], x[2], x[3], x[4], x[5]}, {{"eps", 1e-5}, {"momentum", 0.1}, {"activation", std::string("relu")}});
    };
    const auto apart = [](Graph& g, const auto& x) { return relu(raw_batch_norm(g, x) + x[5]); };
    EXPECT_LT(test::relative_l2(test::evaluate(fused, inputs), test::evaluate(apart, inputs)), 1e-14);
    expect_gradients(fused, inputs, {0, 1, 2, 5});
}

Value applied(Graph& graph, const std::vector<Value>& x, bool has_residual, bool is_relu) {
    const Value mean = raw_batch_norm(graph, x, 1);
    std::vector<Value> inputs{x[0], x[1], x[2], mean, mean.sibling(2)};
    if (has_residual) inputs.push_back(x[5]);
    return graph.add("batch_norm_apply", inputs, {{"eps", 1e-5}, {"activation", std::string(is_relu ? "relu" : "")}});
}

TEST(BatchNorm, MadeAgainFromItsStatisticsEqualsItselfToTheBit) {
    auto inputs = operands({3, 5, 4, 3});
    inputs.push_back(filled({3, 5, 4, 3}, "residual"));
    for (DType real : {DType::f32, DType::f64})
        for (const bool is_relu : {false, true})
            for (const bool has_residual : {false, true}) {
                const auto once = [&](Graph& g, const auto& x) {
                    std::vector<Value> in{x[0], x[1], x[2], x[3], x[4]};
                    if (has_residual) in.push_back(x[5]);
                    return g.add("batch_norm", in, {{"eps", 1e-5}, {"momentum", 0.1}, {"activation", std::string(is_relu ? "relu" : "")}});
                };
                EXPECT_EQ(values_of(test::evaluate(once, inputs, real)), values_of(test::evaluate([&](Graph& g, const auto& x) { return applied(g, x, has_residual, is_relu); }, inputs, real)));
            }
    expect_gradients([](Graph& g, const auto& x) { return applied(g, x, true, true); }, inputs, {0, 1, 2, 5});
}

TEST(BatchNorm, TheReversePassKnowsTheSignOfTheResultFromBeta) {
    auto inputs = operands({3, 4, 2, 5});
    inputs.push_back(filled({3, 4, 2, 5}, "dy"));
    const auto backward = [](Graph& g, const auto& x, bool from_beta) {
        const Value mean = raw_batch_norm(g, x, 1);
        return g.add("batch_norm_backward", {x[0], x[5], x[1], mean, mean.sibling(2), from_beta ? Value{} : relu(mean.sibling(0)), from_beta ? x[2] : Value{}}, {{"eps", 1e-5}});
    };
    for (DType real : {DType::f32, DType::f64})
        for (int output : {0, 1, 2})
            EXPECT_EQ(values_of(test::evaluate([&](Graph& g, const auto& x) { return backward(g, x, true).sibling(output); }, inputs, real)),
                      values_of(test::evaluate([&](Graph& g, const auto& x) { return backward(g, x, false).sibling(output); }, inputs, real)));
}

TEST(BatchNorm, InferenceGradientsAgreeWithCentralDifferencesInEveryOperand) {
    for (const Shape& shape : {Shape{2, 3, 2, 4}, Shape{5, 3}})
        expect_gradients([](Graph& g, const auto& x) { return g.add("batch_norm_inference", {x[0], x[1], x[2], x[3], x[4]}, {{"eps", 1e-3}}); }, operands(shape));
}

TEST(BatchNorm, DeclaresTheStateOfPyTorchInItsOrder) {
    Graph graph;
    const Value x = graph.input("image", {dynamic, 3, 4, 4});
    (void)batch_norm(x, {}, "bn1");
    std::vector<std::string> names;
    for (const auto& info : graph.parameters()) names.push_back(info.name);
    EXPECT_EQ(names, (std::vector<std::string>{"bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var", "bn1.num_batches_tracked"}));
    EXPECT_EQ(graph.trainable_scalars(), 6);
    EXPECT_EQ(graph.updates().size(), 3U);
    (void)batch_norm(x, {.frozen = true, .affine = false}, "bn2");
    EXPECT_EQ(graph.updates().size(), 3U);
    graph.verify();
}

TEST(BatchNorm, CountsTheBatchesItHasSeen) {
    const Tensor next = test::evaluate([](Graph&, const auto& x) { return increment(x[0]); }, {Tensor::of<std::int64_t>({41}, Shape{})});
    EXPECT_EQ(next.dtype(), DType::i64);
    EXPECT_EQ(next.at(0), 42);
}

TEST(BatchNorm, OperandsOfAnotherSizeAreNamed) {
    EXPECT_EQ(test::message_of<ShapeError>([] {
                  Graph graph;
                  const Value x = graph.input("image", {dynamic, 3, 4, 4}), v = graph.input("v", {3}), w = graph.input("w", {5});
                  (void)graph.add("batch_norm", {x, v, w, v, v}, {{"eps", 1e-5}, {"momentum", 0.1}}, "bn1");
              }),
              "batch_norm 'bn1': beta is [5], the input [N, 3, 4, 4] has 3 channels");
}

}  // namespace
}  // namespace fovea
