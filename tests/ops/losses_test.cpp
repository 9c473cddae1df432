#include "support.h"

namespace fovea {
namespace {

using test::expect_gradients;
using test::filled;
using test::values_of;

Tensor labels(std::initializer_list<std::int32_t> values, const Shape& shape) { return Tensor::of<std::int32_t>(values, shape); }
double value(const test::Build& build, const std::vector<Tensor>& inputs) { return test::evaluate(build, inputs).at(0); }

const Tensor two_rows = Tensor::of<double>({1, 2, 0, 3, 1, 2.5}, {2, 3});
const Tensor row_labels = labels({0, 2}, {2});

TEST(HingeLosses, EqualTheFormulasByHand) {
    // Row 0, label 0: max(0, 1 - 1 + 2) + max(0, 1 - 1 + 0) = 2. Row 1, label 2: max(0, 1 - 2.5 + 3) + max(0, 1 - 2.5 + 1) = 1.5.
    EXPECT_NEAR(value([](Graph&, const auto& x) { return svm_loss(x[0], x[1]); }, {two_rows, row_labels}), 1.75, 1e-14);
    EXPECT_NEAR(value([](Graph&, const auto& x) { return multi_margin_loss(x[0], x[1]); }, {two_rows, row_labels}), 1.75 / 3, 1e-14);
    EXPECT_NEAR(value([](Graph&, const auto& x) { return multi_margin_loss(x[0], x[1], {.p = 2}); }, {two_rows, row_labels}), (4 + 2.25) / 2 / 3, 1e-14);
    expect_gradients([](Graph&, const auto& x) { return svm_loss(x[0], x[1]); }, {filled({2, 3}, "x", -2, 2), row_labels});
}

TEST(ProbabilityLosses, EqualTheFormulasByHand) {
    const Tensor p = Tensor::of<double>({0.25, 0.9}, {1, 2}), t = Tensor::of<double>({1, 0}, {1, 2});
    EXPECT_NEAR(value([](Graph&, const auto& x) { return bce(x[0], x[1]); }, {p, t}), -(std::log(0.25) + std::log(0.1)) / 2, 1e-12);
    const Tensor z = Tensor::of<double>({std::log(1.0 / 3), std::log(9.0)}, {1, 2});  // the logits of p
    EXPECT_NEAR(value([](Graph&, const auto& x) { return bce_with_logits(x[0], x[1]); }, {z, t}), -(std::log(0.25) + std::log(0.1)) / 2, 1e-12);
    EXPECT_NEAR(value([](Graph&, const auto& x) { return bce_with_logits(x[0], x[1], {.pos_weight = {3, 7}}); }, {z, t}), -(3 * std::log(0.25) + std::log(0.1)) / 2, 1e-12);
    EXPECT_NEAR(value([](Graph&, const auto& x) { return bce_with_logits(x[0], 1.0); }, {z}), -(std::log(0.25) + std::log(0.9)) / 2, 1e-12);
    EXPECT_NEAR(value([](Graph&, const auto& x) { return sigmoid_focal_loss(x[0], x[1]); }, {z, t}), -(0.25 * 0.75 * 0.75 * std::log(0.25) + 0.75 * 0.81 * std::log(0.1)), 1e-12);
    EXPECT_NEAR(value([](Graph&, const auto& x) { return nll_loss(log(x[0]), x[1]); }, {p, labels({1}, {1})}), -std::log(0.9), 1e-12);
    EXPECT_NEAR(value([](Graph&, const auto& x) { return cross_entropy_soft(x[0], x[1]); }, {Tensor::of<double>({0, std::log(3.0)}, {1, 2}), p}), 0.25 * std::log(4.0) - 0.9 * std::log(0.75), 1e-12);
    EXPECT_NEAR(value([](Graph&, const auto& x) { return binary_dice_loss(x[0], x[1]); }, {z, t}), 1 - (2 * 0.25 + 1) / (1.15 + 1 + 1), 1e-12);
}

TEST(ProbabilityLosses, StayFiniteForCertainMistakes) {
    const Tensor z = Tensor::of<double>({-1e4, 1e4}, {1, 2}), p = Tensor::of<double>({0, 1}, {1, 2}), t = Tensor::of<double>({1, 0}, {1, 2});
    for (const test::Build& loss : {test::Build([](Graph&, const auto& x) { return bce_with_logits(x[0], x[1]); }), test::Build([](Graph&, const auto& x) { return sigmoid_focal_loss(x[0], x[1]); })}) {
        test::Built built(loss, {z, t});
        EXPECT_TRUE(std::isfinite(built.run(built.y, DType::f32).at(0)));
        for (double v : values_of(built.run(gradients(built.y, std::vector<Value>{built.xs[0]}).front(), DType::f32))) EXPECT_TRUE(std::isfinite(v));
    }
    EXPECT_NEAR(test::evaluate([](Graph&, const auto& x) { return bce(x[0], x[1]); }, {p, t}, DType::f32).at(0), 85.2, 0.01);
}

TEST(ProbabilityLosses, GradientsAgreeWithCentralDifferences) {
    const Tensor x = filled({3, 4}, "x", -2, 2), t = filled({3, 4}, "t", 0, 1), maps = filled({2, 3, 2, 2}, "maps", -2, 2);
    const Tensor map_labels = labels({0, 1, 2, 0, 255, 1, 2, 2}, {2, 2, 2}), rows = labels({3, 0, 1}, {3});
    expect_gradients([](Graph&, const auto& v) { return bce_with_logits(v[0], v[1], {.pos_weight = {1, 2, 0.5, 3}}); }, {x, t});
    expect_gradients([](Graph&, const auto& v) { return bce(sigmoid(v[0]), v[1]); }, {x, t});
    expect_gradients([](Graph&, const auto& v) { return sigmoid_focal_loss(v[0], v[1], {.gamma = 1.5}); }, {x, t});
    expect_gradients([](Graph&, const auto& v) { return cross_entropy_soft(v[0], softmax(v[1])); }, {x, t});
    expect_gradients([](Graph&, const auto& v) { return nll_loss(log_softmax(v[0]), v[1], {.class_weights = {1, 2, 3, 4}}); }, {x, rows});
    expect_gradients([](Graph&, const auto& v) { return dice_loss(v[0], v[1], {.ignore_index = 255}); }, {maps, map_labels});
    expect_gradients([](Graph&, const auto& v) { return binary_dice_loss(v[0], v[1]); }, {x, t});
}

TEST(DistanceLosses, EqualTheFormulasOnBothSidesOfTheKnee) {
    const Tensor x = Tensor::of<double>({0.5, -3, 1}, {1, 3}), t = Tensor::of<double>({0, 0, 0}, {1, 3});
    const auto each = [&](auto f) { return values_of(test::evaluate([&](Graph&, const auto& v) { return f(v[0], v[1]); }, {x, t})); };
    EXPECT_EQ(each([](const Value& a, const Value& b) { return mse(a, b, {.reduction = Reduction::none}); }), (std::vector<double>{0.25, 9, 1}));
    EXPECT_EQ(each([](const Value& a, const Value& b) { return l1(a, b, {.reduction = Reduction::none}); }), (std::vector<double>{0.5, 3, 1}));
    EXPECT_EQ(each([](const Value& a, const Value& b) { return smooth_l1(a, b, {.reduction = Reduction::none}); }), (std::vector<double>{0.125, 2.5, 0.5}));
    EXPECT_EQ(each([](const Value& a, const Value& b) { return smooth_l1(a, b, {.sigma = 2, .reduction = Reduction::none}); }), (std::vector<double>{0.375, 2.875, 0.875}));
    EXPECT_EQ(each([](const Value& a, const Value& b) { return huber(a, b, {.delta = 0.5, .reduction = Reduction::none}); }), (std::vector<double>{0.125, 1.375, 0.375}));
    // At the knee itself both pieces have the slope 1.
    test::Built built([](Graph&, const auto& v) { return smooth_l1(v[0], v[1], {.reduction = Reduction::sum}); }, {x, t});
    EXPECT_EQ(values_of(built.run(gradients(built.y, built.xs).front())), (std::vector<double>{0.5, -1, 1}));
    EXPECT_EQ(value([](Graph&, const auto& v) { return mse(v[0], 1.0); }, {x}), (0.25 + 16 + 0) / 3);
}

TEST(DistanceLosses, GradientsAgreeWithCentralDifferences) {
    const Tensor a = filled({3, 4}, "a", -2, 2), b = filled({3, 4}, "b", -2, 2), c = filled({3, 4}, "c", -2, 2);
    expect_gradients([](Graph&, const auto& v) { return mse(v[0], v[1]) + l1(v[0], v[1]) + smooth_l1(v[0], v[1], {.beta = 0.3}) + huber(v[0], v[1], {.delta = 0.7}); }, {a, b});
    expect_gradients([](Graph&, const auto& v) { return cosine_similarity(v[0], v[1]); }, {a, b});
    for (const double p : {1.0, 2.0, 3.0}) expect_gradients([p](Graph&, const auto& v) { return triplet_margin(v[0], v[1], v[2], {.margin = 3, .p = p}); }, {a, b, c});
    EXPECT_NEAR(value([](Graph&, const auto& v) { return cosine_similarity(v[0], 3.0 * v[0]); }, {a}), 1, 1e-14);
}

TEST(WeightedSum, LogsEachPartAndAddsUpToTheTotal) {
    Graph graph;
    const Value x = graph.input("x", {2, 3});
    const Value total = weighted_sum({{"class", sum(x), 1}, {"box", mean(square(x)), 2}, {"mask", mean(abs(x)), 0.5}, {"objectness", sum(square(x)), 0.25}}, "loss");
    std::vector<Value> wanted{total};
    for (const char* name : {"class", "box", "mask", "objectness"}) wanted.push_back(graph.find_output(name));
    const auto values = interpret(graph, wanted, {{"x", filled({2, 3}, "x")}}, {}, {.real = DType::f64});
    EXPECT_DOUBLE_EQ(values[0].at(0), values[1].at(0) + values[2].at(0) + values[3].at(0) + values[4].at(0));
    EXPECT_EQ(test::message_of<ShapeError>([&] { (void)weighted_sum({{"rows", x, 1}}, "loss"); }), "weighted_sum 'loss': part 'rows' is [2, 3], not a scalar");
}

}  // namespace
}  // namespace fovea
