#include <limits>

#include "support.h"

namespace fovea {
namespace {

using test::evaluate;
using test::expect_gradients;
using test::filled;
using test::values_of;

TEST(MaxPool, KeepsTheFirstOfEqualsAndItsPlace) {
    const Tensor x = Tensor::of<double>({1, 5, 2, 5, 3, 3, 4, 4, 0, 4, 4, -1}, {1, 1, 3, 4});
    const auto pool = [](Graph&, const auto& v) { return max_pool(v[0], {.kernel = 2, .stride = 1}); };
    EXPECT_EQ(values_of(evaluate(pool, {x})), (std::vector<double>{5, 5, 5, 4, 4, 4}));
    EXPECT_EQ(values_of(evaluate([&](Graph& g, const auto& v) { return pool(g, v).sibling(1); }, {x})), (std::vector<double>{1, 1, 3, 9, 6, 6}));
    test::Built built(pool, {x});
    EXPECT_EQ(values_of(built.run(gradients(built.y, built.xs).front())), (std::vector<double>{0, 2, 0, 1, 0, 0, 2, 0, 0, 1, 0, 0}));
}

TEST(MaxPool, NanWins) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const Tensor y = evaluate([](Graph&, const auto& v) { return max_pool(v[0], {.kernel = 2}); }, {Tensor::of<double>({1, nan, 7, 2, 0, 0, 3, 9}, {1, 1, 2, 4})});
    EXPECT_TRUE(std::isnan(y.at(0)));
    EXPECT_EQ(y.at(1), 9);
}

TEST(MaxPool, SizesOfAlexNetAndOfCeiling) {
    Graph graph;
    const auto size = [&](std::int64_t in, const MaxPoolSpec& spec) { return max_pool(graph.input("x" + std::to_string(graph.nodes().size()), {dynamic, 1, in, in}), spec).shape()[3]; };
    EXPECT_EQ(size(55, {.kernel = 3, .stride = 2}), 27);
    EXPECT_EQ(size(27, {.kernel = 3, .stride = 2}), 13);
    EXPECT_EQ(size(13, {.kernel = 3, .stride = 2}), 6);
    EXPECT_EQ(size(112, {.kernel = 3, .stride = 2, .ceil = true}), 56);
    EXPECT_EQ(size(112, {.kernel = 3, .stride = 2, .pad = 1}), 56);
    EXPECT_EQ(size(5, {.kernel = 2, .ceil = true}), 3);
    EXPECT_EQ(size(5, {.kernel = 1, .stride = 3, .ceil = true}), 2);  // a third window would start at 6, past the input
}

TEST(MaxPool, GradientsAgreeWithCentralDifferences) {
    expect_gradients([](Graph&, const auto& v) { return max_pool(v[0], {.kernel = 3, .stride = 2, .pad = 1}); }, {filled({2, 3, 7, 6}, "x")});
    expect_gradients([](Graph&, const auto& v) { return max_pool(v[0], {.kernel = {2, 3}, .stride = {1, 2}, .pad = {0, 1, 2, 0}, .ceil = true}); }, {filled({1, 2, 5, 8}, "x")});
    expect_gradients([](Graph&, const auto& v) { return max_pool(v[0] * v[0], {.kernel = 3, .stride = 2, .pad = 1, .dilation = 2}); }, {filled({1, 2, 9, 9}, "x")});
}

TEST(MaxPool, RefusesPaddingAsLargeAsTheKernel) {
    EXPECT_EQ(test::message_of<ArgumentError>([] {
                  Graph graph;
                  (void)max_pool(graph.input("x", {1, 1, 8, 8}), {.kernel = 2, .pad = 2}, "pool1");
              }),
              "max_pool2d 'pool1': pad [2, 2, 2, 2] must be smaller than the kernel 2x2 and not negative");
}

}  // namespace
}  // namespace fovea
