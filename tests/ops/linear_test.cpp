#include "support.h"

namespace fovea {
namespace {

using test::evaluate;
using test::expect_gradients;
using test::filled;
using test::values_of;

TEST(Linear, EqualsAHandComputedExample) {
    const Tensor x = Tensor::of<double>({1, 2, 3, 4, 5, 6}, {2, 3}), w = Tensor::of<double>({1, 0, -1, 2, 1, 0}, {2, 3}), b = Tensor::of<double>({10, 20}, {2});
    EXPECT_EQ(values_of(evaluate([](Graph&, const auto& v) { return linear(v[0], v[1], v[2]); }, {x, w, b})), (std::vector<double>{8, 24, 8, 33}));
}

TEST(Linear, GradientsAgreeWithCentralDifferences) {
    expect_gradients([](Graph&, const auto& v) { return linear(v[0], v[1], v[2]); }, {filled({3, 5}, "x"), filled({4, 5}, "w"), filled({4}, "b")});
    expect_gradients([](Graph&, const auto& v) { return linear(v[0], v[1], Value{}); }, {filled({2, 3, 5}, "x"), filled({4, 5}, "w")});
    expect_gradients([](Graph&, const auto& v) { return linear(v[0], v[1], v[2]); }, {filled({5}, "x"), filled({4, 5}, "w"), filled({4}, "b")});
}

TEST(Linear, CountsMultiplyAddsWithoutBias) {
    Graph graph;
    (void)linear(graph.input("x", {2, 10}), {.out = 7});
    EXPECT_EQ(graph.cost().macs, 140);
    EXPECT_EQ(graph.trainable_scalars(), 77);
}

TEST(Linear, NamesTheFeaturesThatDoNotFit) {
    EXPECT_EQ(test::message_of<ShapeError>([] {
                  Graph graph;
                  (void)linear(graph.input("x", {dynamic, 512}), graph.input("w", {1000, 2048}), Value{}, "fc");
              }),
              "linear 'fc': input has 512 features, weight takes 2048; input [N, 512], weight [1000, 2048]");
}

TEST(Matmul, TransposesEitherSide) {
    const Tensor a = Tensor::of<double>({1, 2, 3, 4, 5, 6}, {2, 3}), b = Tensor::of<double>({1, 0, 2, -1, 0, 1}, {3, 2});
    EXPECT_EQ(values_of(evaluate([](Graph&, const auto& v) { return matmul(v[0], v[1]); }, {a, b})), (std::vector<double>{5, 1, 14, 1}));
    for (const bool ta : {false, true})
        for (const bool tb : {false, true}) {
            const Shape left = ta ? Shape{2, 4, 3} : Shape{2, 3, 4}, right = tb ? Shape{2, 5, 4} : Shape{2, 4, 5};
            expect_gradients([&](Graph&, const auto& v) { return matmul(v[0], v[1], {.transpose_a = ta, .transpose_b = tb}); }, {filled(left, "a"), filled(right, "b")});
        }
}

TEST(Reshape, KeepsWhatIsNotKnownYet) {
    Graph graph;
    const Value x = graph.input("x", {dynamic, 3, 4, 5});
    EXPECT_EQ(flatten(x).shape(), (Shape{dynamic, 60}));
    EXPECT_EQ(reshape(x, {0, -1, 10}).shape(), (Shape{dynamic, 6, 10}));
    EXPECT_EQ(reshape(x, {-1, 5}).shape(), (Shape{dynamic, 5}));
    EXPECT_EQ(flatten(graph.input("v", {2, 3})).shape(), (Shape{2, 3}));
    EXPECT_EQ(test::message_of<ShapeError>([&] { (void)reshape(graph.input("y", {4, 3}), {2, 5}, "view"); }), "reshape 'view': [4, 3] has 12 elements, [2, 5] takes 10");
    expect_gradients([](Graph&, const auto& v) { return reshape(v[0] * v[0], {3, -1}); }, {filled({2, 3, 2}, "x")});
}

}  // namespace
}  // namespace fovea
