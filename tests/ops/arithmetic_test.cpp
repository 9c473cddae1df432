#include "support.h"

namespace fovea {
namespace {

using test::expect_gradients;
using test::filled;

TEST(Arithmetic, BroadcastsAsNumpyDoes) {
    const Tensor a = Tensor::of<double>({1, 2, 3, 4, 5, 6}, {2, 3}), b = Tensor::of<double>({10, 20, 30}, {3});
    const Tensor sum = test::evaluate([](Graph&, const auto& x) { return x[0] + x[1]; }, {a, b});
    EXPECT_EQ(test::values_of(sum), (std::vector<double>{11, 22, 33, 14, 25, 36}));
    const Tensor column = test::evaluate([](Graph&, const auto& x) { return x[0] * x[1]; }, {a, Tensor::of<double>({2, -1}, {2, 1})});
    EXPECT_EQ(test::values_of(column), (std::vector<double>{2, 4, 6, -4, -5, -6}));
}

TEST(Arithmetic, GradientsAgreeWithCentralDifferencesUnderBroadcasting) {
    expect_gradients([](Graph&, const auto& x) { return (x[0] + x[1]) * x[1] - x[0] / x[2]; },
                     {filled({2, 3, 4}, "a"), filled({3, 1}, "b"), filled({1, 4}, "c", 1, 2)});
    expect_gradients([](Graph&, const auto& x) { return 2.0 - 3.0 * x[0] / 4.0; }, {filled({5}, "a")});
}

TEST(Arithmetic, ShapesThatDoNotBroadcastAreNamed) {
    EXPECT_EQ(test::message_of<ShapeError>([] { (void)test::evaluate([](Graph&, const auto& x) { return add(x[0], x[1], "join"); }, {filled({2, 3}, "a"), filled({4}, "b")}); }),
              "add 'join': shapes [2, 3] and [4] do not broadcast: 3 against 4 in dimension 1 from the end");
}

TEST(Reduce, SumsAndMeansOverAxes) {
    const Tensor a = Tensor::of<double>({1, 2, 3, 4, 5, 6}, {2, 3});
    EXPECT_EQ(test::values_of(test::evaluate([](Graph&, const auto& x) { return sum(x[0], {.axes = {0}}); }, {a})), (std::vector<double>{5, 7, 9}));
    EXPECT_EQ(test::values_of(test::evaluate([](Graph&, const auto& x) { return mean(x[0], {.axes = {-1}}); }, {a})), (std::vector<double>{2, 5}));
    EXPECT_EQ(test::values_of(test::evaluate([](Graph&, const auto& x) { return sum(x[0]); }, {a})), (std::vector<double>{21}));
}

TEST(Reduce, GradientsAgreeWithCentralDifferences) {
    const Tensor a = filled({2, 3, 4}, "a");
    expect_gradients([](Graph&, const auto& x) { return sum(x[0] * x[0], {.axes = {1}}); }, {a});
    expect_gradients([](Graph&, const auto& x) { return mean(x[0] * x[0], {.axes = {0, 2}, .keep = true}); }, {a});
    expect_gradients([](Graph&, const auto& x) { return mean(x[0] * x[0]); }, {a});
}

TEST(Gradients, SecondDerivativesAreGradientsOfGradients) {
    // y = sum(x^3) has the Hessian diag(6 x).
    test::Built built([](Graph&, const auto& x) { return sum(x[0] * x[0] * x[0]); }, {Tensor::of<double>({1, -2, 3}, {3})});
    const Value first = gradients(built.y, built.xs).front();
    const Value second = gradients(sum(first), built.xs).front();
    EXPECT_EQ(test::values_of(built.run(first)), (std::vector<double>{3, 12, 27}));
    EXPECT_EQ(test::values_of(built.run(second)), (std::vector<double>{6, -12, 18}));
}

TEST(Relu, DerivativeAtZeroIsZero) {
    test::Built built([](Graph&, const auto& x) { return relu(x[0]); }, {Tensor::of<double>({-1, 0, 2}, {3})});
    EXPECT_EQ(test::values_of(built.run(built.y)), (std::vector<double>{0, 0, 2}));
    EXPECT_EQ(test::values_of(built.run(gradients(built.y, built.xs).front())), (std::vector<double>{0, 0, 1}));
}

}  // namespace
}  // namespace fovea
