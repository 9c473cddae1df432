#include "support.h"

namespace fovea {
namespace {

using test::expect_gradients;
using test::filled;
using test::values_of;

Tensor labels(std::initializer_list<std::int32_t> values, const Shape& shape) { return Tensor::of<std::int32_t>(values, shape); }

TEST(CrossEntropy, EqualsTheFormulaByHand) {
    const Tensor logits = Tensor::of<double>({0, std::log(2.0), std::log(5.0), 0, 0, 0}, {2, 3});
    const auto loss = [&](const CrossEntropySpec& spec) {
        return values_of(test::evaluate([&](Graph&, const auto& x) { return cross_entropy(x[0], x[1], spec); }, {logits, labels({1, 2}, {2})}));
    };
    const double a = std::log(4.0), b = std::log(3.0);  // -log(2/8), -log(1/3)
    EXPECT_NEAR(loss({})[0], (a + b) / 2, 1e-14);
    EXPECT_NEAR(loss({.reduction = Reduction::sum})[0], a + b, 1e-14);
    EXPECT_NEAR(loss({.reduction = Reduction::none})[1], b, 1e-14);
    EXPECT_NEAR(loss({.class_weights = {1, 3, 0.5}})[0], (3 * a + 0.5 * b) / 3.5, 1e-14);
    EXPECT_NEAR(loss({.ignore_index = 2})[0], a, 1e-14);
    const double mean_a = (std::log(8.0) + std::log(4.0) + std::log(8.0 / 5)) / 3;
    EXPECT_NEAR(loss({.label_smoothing = 0.1})[0], (0.9 * a + 0.1 * mean_a + b) / 2, 1e-14);
}

TEST(CrossEntropy, GradientIsProbabilityMinusTarget) {
    test::Built built([](Graph&, const auto& x) { return cross_entropy(x[0], x[1], {.reduction = Reduction::sum}); }, {filled({3, 4}, "x", -3, 3), labels({0, 3, 2}, {3})});
    const Tensor gradient = built.run(gradients(built.y, std::vector<Value>{built.xs[0]}).front()), p = built.run(softmax(built.xs[0]));
    for (int i = 0; i < 12; ++i) EXPECT_NEAR(gradient.at(i), p.at(i) - (i == 0 || i == 7 || i == 10 ? 1 : 0), 1e-15);
}

TEST(CrossEntropy, StaysFiniteForLogitsOfTenThousand) {
    for (const DType real : {DType::f32, DType::f64}) {
        const Tensor logits = Tensor::of<double>({1e4, -1e4, 0, -1e4, 1e4, 1e4}, {2, 3});
        test::Built built([](Graph&, const auto& x) { return cross_entropy(x[0], x[1], {.label_smoothing = 0.1}); }, {logits, labels({1, 2}, {2})});
        EXPECT_TRUE(std::isfinite(built.run(built.y, real).at(0)));
        for (double v : values_of(built.run(gradients(built.y, std::vector<Value>{built.xs[0]}).front(), real))) EXPECT_TRUE(std::isfinite(v));
        for (double v : values_of(built.run(log_softmax(built.xs[0]), real))) EXPECT_TRUE(std::isfinite(v));
        EXPECT_NEAR(built.run(softmax(built.xs[0]), real).at(4), 0.5, 1e-7);
    }
}

TEST(CrossEntropy, GradientsAgreeWithCentralDifferences) {
    const Tensor rows = filled({4, 5}, "rows", -2, 2), maps = filled({2, 3, 2, 3}, "maps", -2, 2);
    const Tensor row_labels = labels({0, 4, 255, 2}, {4}), map_labels = labels({0, 1, 2, 255, 1, 0, 2, 2, 1, 0, 0, 1}, {2, 2, 3});
    for (const Reduction reduction : {Reduction::mean, Reduction::sum, Reduction::none})
        for (const double smoothing : {0.0, 0.2}) {
            expect_gradients([&](Graph&, const auto& x) { return cross_entropy(x[0], x[1], {.label_smoothing = smoothing, .ignore_index = 255, .reduction = reduction}); }, {maps, map_labels});
            expect_gradients(
                [&](Graph&, const auto& x) {
                    return cross_entropy(x[0], x[1], {.label_smoothing = smoothing, .class_weights = {1, 0.5, 2, 3, 0.1}, .ignore_index = 255, .reduction = reduction});
                },
                {rows, row_labels});
            // Second derivatives, through the expansion of the backward op.
            expect_gradients(
                [&](Graph&, const auto& x) {
                    const Value loss = cross_entropy(x[0], x[1], {.label_smoothing = smoothing, .class_weights = {1, 0.5, 2, 3, 0.1}, .ignore_index = 255, .reduction = reduction});
                    return sum(square(gradients(loss, std::vector<Value>{x[0]}).front()));
                },
                {rows, row_labels});
        }
}

TEST(CrossEntropy, IsZeroWhenEveryLabelIsIgnored) {
    test::Built built([](Graph&, const auto& x) { return cross_entropy(x[0], x[1], {.ignore_index = 255}); }, {filled({2, 3}, "x"), labels({255, 255}, {2})});
    EXPECT_EQ(built.run(built.y).at(0), 0);
    for (double v : values_of(built.run(gradients(built.y, std::vector<Value>{built.xs[0]}).front()))) EXPECT_EQ(v, 0);
}

TEST(CrossEntropy, DeclaresItsLabelInput) {
    Graph graph;
    (void)cross_entropy(graph.input("image", {dynamic, 10}));
    EXPECT_EQ(graph.find("label").type(), (Type{{dynamic}, DType::i32}));
    Graph maps;
    (void)cross_entropy(maps.input("image", {dynamic, 10, 4, 5}));
    EXPECT_EQ(maps.find("label").shape(), (Shape{dynamic, 4, 5}));
}

TEST(CrossEntropy, LabelsOutsideTheClassesAreNamed) {
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)test::evaluate([](Graph&, const auto& x) { return cross_entropy(x[0], x[1]); }, {filled({2, 3}, "x"), labels({0, 7}, {2})}); }),
              "softmax_cross_entropy: label 7 at position 1 is outside 0..2 and is not ignore_index -100");
    EXPECT_EQ(test::message_of<ShapeError>([] { (void)test::evaluate([](Graph&, const auto& x) { return cross_entropy(x[0], x[1], {}, "loss"); }, {filled({2, 3}, "x"), labels({0}, {1})}); }),
              "softmax_cross_entropy 'loss': scores [2, 3] go with labels [2], got [1]");
}

TEST(Softmax, GradientsAgreeWithCentralDifferencesAlongEveryAxis) {
    const Tensor x = filled({2, 3, 4}, "x", -2, 2);
    for (const std::int64_t axis : {0, 1, 2, -1}) {
        expect_gradients([axis](Graph&, const auto& v) { return softmax(v[0], {.axis = axis}); }, {x});
        expect_gradients([axis](Graph&, const auto& v) { return log_softmax(v[0], {.axis = axis}); }, {x});
    }
    const Tensor y = test::evaluate([](Graph&, const auto& v) { return sum(softmax(v[0], {.axis = -1}), {.axes = {-1}}); }, {x});
    for (double total : values_of(y)) EXPECT_NEAR(total, 1, 1e-14);
}

}  // namespace
}  // namespace fovea
