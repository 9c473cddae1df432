#include "support.h"

namespace fovea {
namespace {

using test::evaluate;
using test::expect_gradients;
using test::filled;
using test::values_of;

Tensor counted(const Shape& shape) {
    Tensor x(shape, DType::f64);
    for (std::int64_t i = 0; i < x.elements(); ++i) x.set(i, static_cast<double>(i));
    return x;
}

TEST(AvgPool, CountsTheZerosOfPaddingOnRequest) {
    // Top left window of 2x2 with pad 1 holds only x[0][0] = 4.
    const Tensor x = Tensor::of<double>({4, 8, 12, 16}, {1, 1, 2, 2});
    const auto pool = [](bool include) { return [include](Graph&, const auto& v) { return avg_pool(v[0], {.kernel = 2, .pad = 1, .count_include_pad = include}); }; };
    EXPECT_EQ(values_of(evaluate(pool(true), {x})), (std::vector<double>{1, 2, 3, 4}));
    EXPECT_EQ(values_of(evaluate(pool(false), {x})), (std::vector<double>{4, 8, 12, 16}));
}

TEST(AvgPool, DoesNotCountWhatCeilAdds) {
    const Tensor y = evaluate([](Graph&, const auto& v) { return avg_pool(v[0], {.kernel = {1, 2}, .ceil = true}); }, {Tensor::of<double>({1, 3, 5}, {1, 1, 1, 3})});
    EXPECT_EQ(values_of(y), (std::vector<double>{2, 5}));
}

TEST(AvgPool, GradientsAgreeWithCentralDifferences) {
    expect_gradients([](Graph&, const auto& v) { return avg_pool(v[0] * v[0], {.kernel = {3, 2}, .stride = 2, .pad = {1, 1, 0, 1}, .ceil = true}); }, {filled({2, 3, 6, 5}, "x")});
    expect_gradients([](Graph&, const auto& v) { return avg_pool(v[0], {.kernel = 3, .stride = 1, .pad = 1, .count_include_pad = false}); }, {filled({1, 2, 4, 5}, "x")});
}

TEST(AdaptivePool, WindowsMayOverlap) {
    // 5 -> 3: windows [0, 2), [1, 4), [3, 5).
    const Tensor x = Tensor::of<double>({1, 2, 3, 4, 5}, {1, 1, 1, 5});
    EXPECT_EQ(values_of(evaluate([](Graph&, const auto& v) { return adaptive_avg_pool(v[0], {1, 3}); }, {x})), (std::vector<double>{1.5, 3, 4.5}));
    EXPECT_EQ(values_of(evaluate([](Graph&, const auto& v) { return adaptive_max_pool(v[0], {1, 3}); }, {x})), (std::vector<double>{2, 4, 5}));
    EXPECT_EQ(values_of(evaluate([](Graph&, const auto& v) { return adaptive_max_pool(v[0], {1, 3}).sibling(1); }, {x})), (std::vector<double>{1, 3, 4}));
}

TEST(AdaptivePool, GradientsAgreeWithCentralDifferences) {
    const Tensor x = filled({2, 3, 7, 5}, "x");
    for (const Size2 size : {Size2(1), Size2(3), Size2(2, 5), Size2(8, 6)}) {
        expect_gradients([&](Graph&, const auto& v) { return adaptive_avg_pool(v[0] * v[0], size); }, {x});
        expect_gradients([&](Graph&, const auto& v) { return adaptive_max_pool(v[0], size); }, {x});
    }
    expect_gradients([](Graph&, const auto& v) { return global_avg_pool(v[0]); }, {x});
    expect_gradients([](Graph&, const auto& v) { return global_max_pool(v[0]); }, {x});
}

TEST(SpatialPyramid, LengthDoesNotDependOnTheInput) {
    Graph graph;
    EXPECT_EQ(spatial_pyramid_pool(graph.input("a", {dynamic, 4, 13, 13})).shape(), (Shape{dynamic, 200}));
    EXPECT_EQ(spatial_pyramid_pool(graph.input("b", {dynamic, 4, 9, 17})).shape(), (Shape{dynamic, 200}));
    expect_gradients([](Graph&, const auto& v) { return spatial_pyramid_pool(v[0], {.levels = {1, 3}}); }, {filled({1, 2, 5, 4}, "x")});
    expect_gradients([](Graph&, const auto& v) { return spatial_pyramid_pool(v[0], {.levels = {2, 3}, .average = true}); }, {filled({1, 2, 5, 4}, "x")});
}

TEST(Subsample, TrainsTwoScalarsPerMap) {
    Graph graph;
    const Value s2 = subsample(graph.input("c1", {1, 6, 28, 28}), 2, "s2");
    EXPECT_EQ(s2.shape(), (Shape{1, 6, 14, 14}));
    EXPECT_EQ(graph.trainable_scalars(), 12);
    (void)subsample(graph.input("c3", {1, 16, 10, 10}), 2, "s4");
    EXPECT_EQ(graph.trainable_scalars(), 12 + 32);
    Parameters parameters;
    parameters.set("s2.weight", Tensor::of<float>({1, 2, 3, 4, 5, 6}, {6}));
    parameters.set("s2.bias", Tensor::of<float>({10, 20, 30, 40, 50, 60}, {6}));
    const Tensor y = interpret(graph, {&s2, 1}, {{"c1", counted({1, 6, 28, 28})}}, parameters).front();
    EXPECT_DOUBLE_EQ(y.at(0), (0 + 1 + 28 + 29) + 10);
    EXPECT_DOUBLE_EQ(y.at(196), 2 * (784 + 785 + 812 + 813) + 20);
}

TEST(AvgPool, NamesAGradientOfAnotherShape) {
    EXPECT_EQ(test::message_of<ShapeError>([] {
                  Graph graph;
                  (void)avg_pool(graph.input("x", {1, 3, 4, 2}), {.kernel = {2, 3}}, "pool");
              }),
              "avg_pool2d 'pool': kernel of width 3 does not fit into 2 padded by 0 and 0; input [1, 3, 4, 2]");
}

}  // namespace
}  // namespace fovea
