// interpolate, unpooling, shuffles.
#include "support.h"

namespace fovea {
namespace {

using test::evaluate;
using test::expect_gradients;
using test::filled;
using test::values_of;

TEST(Interpolate, NearestAndBothKindsOfBilinear) {
    const Tensor x = Tensor::of<double>({0, 4}, {1, 1, 1, 2});
    const auto to = [](const InterpolateSpec& spec) { return [spec](Graph&, const auto& v) { return interpolate(v[0], spec); }; };
    EXPECT_EQ(values_of(evaluate(to({.size = Size2(1, 4)}), {x})), (std::vector<double>{0, 0, 4, 4}));
    EXPECT_EQ(values_of(evaluate(to({.size = Size2(1, 4), .mode = Interpolation::bilinear}), {x})), (std::vector<double>{0, 1, 3, 4}));
    EXPECT_EQ(values_of(evaluate(to({.size = Size2(1, 5), .mode = Interpolation::bilinear, .align_corners = true}), {x})), (std::vector<double>{0, 1, 2, 3, 4}));
    EXPECT_EQ(values_of(evaluate(to({.scale = 2}), {x})), (std::vector<double>{0, 0, 4, 4, 0, 0, 4, 4}));
}

TEST(Interpolate, GradientsAgreeWithCentralDifferences) {
    const Tensor x = filled({2, 2, 3, 4}, "x");
    for (const bool align : {false, true})
        for (const Size2 size : {Size2(7, 5), Size2(2, 3), Size2(1), Size2(3, 9)})
            expect_gradients([&](Graph&, const auto& v) { return interpolate(v[0] * v[0], {.size = size, .mode = Interpolation::bilinear, .align_corners = align}); }, {x});
    expect_gradients([](Graph&, const auto& v) { return interpolate(v[0], {.scale = 1.5, .mode = Interpolation::bilinear}); }, {x});
    expect_gradients([](Graph&, const auto& v) { return interpolate(v[0], {.scale = 2.5}); }, {x});
    expect_gradients([](Graph&, const auto& v) { return interpolate_to(v[0], v[1]) + v[1]; }, {x, filled({2, 2, 5, 7}, "like")});
}

TEST(Interpolate, NeedsASizeOrAScale) {
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)evaluate([](Graph&, const auto& v) { return interpolate(v[0], {}, "up"); }, {filled({1, 1, 2, 2}, "x")}); }),
              "interpolate 'up': takes either a size or a scale above 0");
}

TEST(Unpool, RepeatsOrSetsAmongZeros) {
    const Tensor x = Tensor::of<double>({1, 2, 3, 4}, {1, 1, 2, 2});
    EXPECT_EQ(values_of(evaluate([](Graph&, const auto& v) { return unpool_nearest(v[0], 2); }, {x})), (std::vector<double>{1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4}));
    EXPECT_EQ(values_of(evaluate([](Graph&, const auto& v) { return unpool_bed_of_nails(v[0], 2); }, {x})), (std::vector<double>{1, 0, 2, 0, 0, 0, 0, 0, 3, 0, 4, 0, 0, 0, 0, 0}));
    expect_gradients([](Graph&, const auto& v) { return unpool_nearest(v[0], {3, 2}); }, {filled({2, 2, 3, 2}, "x")});
    expect_gradients([](Graph&, const auto& v) { return unpool_bed_of_nails(v[0], {3, 2}); }, {filled({2, 2, 3, 2}, "x")});
}

TEST(MaxUnpool, PutsMaximaBackWhereTheyWere) {
    const Tensor x = Tensor::of<double>({1, 9, 2, 3, 4, 5, 8, 7, 0, 1, 2, 6, 3, 2, 1, 0}, {1, 1, 4, 4});
    const auto there_and_back = [](Graph&, const auto& v) {
        const Value y = max_pool(v[0], {.kernel = 2});
        return max_unpool(y, y.sibling(1), v[0]);
    };
    const std::vector<double> expected{0, 9, 0, 0, 0, 0, 8, 0, 0, 0, 0, 6, 3, 0, 0, 0};
    EXPECT_EQ(values_of(evaluate(there_and_back, {x})), expected);
    EXPECT_EQ(values_of(evaluate(
                  [](Graph&, const auto& v) {
                      const Value y = max_pool(v[0], {.kernel = 2});
                      return max_unpool(y, y.sibling(1), Size2(4));
                  },
                  {x})),
              expected);
    // Pooling what was unpooled gives the maxima again.
    EXPECT_EQ(values_of(evaluate([&](Graph& g, const auto& v) { return max_pool(there_and_back(g, v), {.kernel = 2}); }, {x})), (std::vector<double>{9, 8, 3, 6}));
    expect_gradients(there_and_back, {filled({2, 2, 5, 4}, "x")});
}

TEST(LpPool, IsTheNormOfEachWindow) {
    const Tensor x = Tensor::of<double>({3, -4, 1, 2}, {1, 1, 1, 4});
    EXPECT_EQ(values_of(evaluate([](Graph&, const auto& v) { return lp_pool(v[0], {.p = 2, .kernel = {1, 2}}); }, {x})), (std::vector<double>{5, std::sqrt(5.0)}));
    EXPECT_NEAR(evaluate([](Graph&, const auto& v) { return lp_pool(v[0], {.p = 3, .kernel = {1, 2}}); }, {x}).at(0), std::cbrt(91.0), 1e-12);
    expect_gradients([](Graph&, const auto& v) { return lp_pool(v[0], {.p = 3, .kernel = 2, .stride = 1}); }, {filled({1, 2, 3, 4}, "x", 0.2, 1)});
}

TEST(PixelShuffle, MovesChannelsIntoCells) {
    const Tensor x = Tensor::of<double>({1, 2, 3, 4, 5, 6, 7, 8}, {1, 4, 1, 2});
    const auto shuffled = evaluate([](Graph&, const auto& v) { return pixel_shuffle(v[0], 2); }, {x});
    EXPECT_EQ(shuffled.shape(), (Shape{1, 1, 2, 4}));
    EXPECT_EQ(values_of(shuffled), (std::vector<double>{1, 3, 2, 4, 5, 7, 6, 8}));
    const Tensor y = filled({2, 8, 3, 2}, "y");
    EXPECT_EQ(values_of(evaluate([](Graph&, const auto& v) { return pixel_unshuffle(pixel_shuffle(v[0], 2), 2); }, {y})), values_of(y));
    expect_gradients([](Graph&, const auto& v) { return pixel_shuffle(v[0] * v[0], 2); }, {y});
    Graph graph;
    EXPECT_EQ(pixel_unshuffle(graph.input("x", {dynamic, 64, 26, 26}), 2).shape(), (Shape{dynamic, 256, 13, 13}));
}

TEST(ChannelShuffle, InterleavesGroups) {
    const Tensor x = Tensor::of<double>({0, 1, 2, 3, 4, 5}, {1, 6, 1, 1});
    EXPECT_EQ(values_of(evaluate([](Graph&, const auto& v) { return channel_shuffle(v[0], 2); }, {x})), (std::vector<double>{0, 3, 1, 4, 2, 5}));
    expect_gradients([](Graph&, const auto& v) { return channel_shuffle(v[0] * v[0], 3); }, {filled({2, 6, 2, 2}, "x")});
}

TEST(RoiPool, RoundsAndKeepsTheFarEdge) {
    // 4x4 plane 0..15; region (0.4, 0.6)..(2.4, 3.2) rounds to columns 0..2, rows 1..3; 2x2 bins of 1.5 pixels overlap in the middle.
    Tensor x({1, 1, 4, 4}, DType::f64);
    for (int i = 0; i < 16; ++i) x.set(i, i);
    const Tensor regions = Tensor::of<double>({0, 0.4, 0.6, 2.4, 3.2}, {1, 5});
    EXPECT_EQ(values_of(evaluate([](Graph&, const auto& v) { return roi_pool(v[0], v[1], {.size = 2}); }, {x, regions})), (std::vector<double>{9, 10, 13, 14}));
    const Tensor many = Tensor::of<double>({1, 0, 0, 5, 4, 0, 1.2, 2.7, 3.6, 4.4, 1, 3, 3, 40, 40, 0, 90, 90, 95, 95}, {4, 5});
    expect_gradients([](Graph&, const auto& v) { return roi_pool(v[0], v[1], {.size = {2, 3}, .scale = 0.8}); }, {filled({2, 3, 5, 6}, "x"), many}, {0});
    EXPECT_EQ(test::message_of<ArgumentError>([&] { (void)evaluate([](Graph&, const auto& v) { return roi_pool(v[0], v[1], {.size = 2}); }, {x, Tensor::of<double>({3, 0, 0, 1, 1}, {1, 5})}); }),
              "region of image 3, the batch has 1");
}

TEST(RoiAlign, SamplesALinearRampExactly) {
    // On the ramp x = column, the mean over a bin inside the plane is the column of its centre, moved by half a pixel when aligned.
    Tensor x({1, 1, 8, 8}, DType::f64);
    for (int i = 0; i < 64; ++i) x.set(i, i % 8);
    const Tensor regions = Tensor::of<double>({0, 2, 2, 6, 6}, {1, 5});
    const auto align = [](bool aligned) { return [aligned](Graph&, const auto& v) { return roi_align(v[0], v[1], {.size = {1, 2}, .sampling = 2, .aligned = aligned}); }; };
    EXPECT_EQ(values_of(evaluate(align(false), {x, regions})), (std::vector<double>{3, 5}));
    EXPECT_EQ(values_of(evaluate(align(true), {x, regions})), (std::vector<double>{2.5, 4.5}));
    const Tensor many = Tensor::of<double>({1, 0, 0, 5, 4, 0, 1.2, 2.7, 3.6, 4.4, 1, -3, 3, 40, 9}, {3, 5});
    for (const bool aligned : {false, true})
        expect_gradients([&](Graph&, const auto& v) { return roi_align(v[0], v[1], {.size = {2, 3}, .scale = 0.7, .aligned = aligned}); }, {filled({2, 3, 5, 6}, "x"), many}, {0});
}

TEST(Unfold, GradientsAgreeWithCentralDifferences) {
    expect_gradients([](Graph&, const auto& v) { return unfold(v[0], {.kernel = {2, 3}, .stride = {1, 2}, .pad = {1, 0, 0, 1}}); }, {filled({2, 2, 4, 5}, "x")});
}

TEST(LocallyConnected, CountsTwentyOneNineAndThreeWeights) {
    // Seven inputs and three hidden units: fully connected, locally connected, shared.
    const auto weights = [](auto&& layer) {
        Graph graph;
        EXPECT_EQ(layer(graph).shape()[-1], 3);
        return graph.trainable_scalars();
    };
    EXPECT_EQ(weights([](Graph& g) { return linear(g.input("x", {1, 7}), {.out = 3, .bias = false}); }), 21);
    EXPECT_EQ(weights([](Graph& g) { return locally_connected1d(g.input("x", {1, 1, 7}), {.out = 1, .kernel = 3, .stride = 2, .bias = false}); }), 9);
    EXPECT_EQ(weights([](Graph& g) { return conv1d(g.input("x", {1, 1, 7}), {.out = 1, .kernel = 3, .stride = 2, .bias = false}); }), 3);
}

TEST(LocallyConnected, EqualsAConvolutionWhenAllKernelsAreTheSame) {
    const Tensor x = filled({2, 3, 5, 6}, "x"), w = filled({4, 3, 3, 2}, "w");
    Tensor repeated({3, 3, 4, 3, 3, 2}, DType::f64);
    for (std::int64_t i = 0; i < repeated.elements(); ++i) repeated.set(i, w.at(i % w.elements()));
    const Tensor local = evaluate([](Graph&, const auto& v) { return locally_connected2d(v[0], v[1], Value{}, {.kernel = {3, 2}, .stride = 2, .pad = {1, 0}}); }, {x, repeated});
    const Tensor shared = evaluate([](Graph&, const auto& v) { return conv2d(v[0], v[1], Value{}, {.stride = 2, .pad = {1, 0}}); }, {x, w});
    EXPECT_LT(test::relative_l2(local, shared), 1e-15);
    Graph graph;
    (void)locally_connected2d(graph.input("x", {2, 3, 5, 6}), {.out = 4, .kernel = {3, 2}, .stride = 2, .pad = {1, 0}});
    EXPECT_EQ(graph.cost().macs, 2 * repeated.elements());
}

TEST(LocallyConnected, GradientsAgreeWithCentralDifferences) {
    expect_gradients([](Graph&, const auto& v) { return locally_connected2d(v[0], v[1], v[2], {.kernel = 2, .stride = {1, 2}, .pad = {1, 0, 0, 1}}); },
                     {filled({2, 2, 2, 4}, "x"), filled({2, 2, 3, 2, 2, 2}, "w"), filled({3, 2, 2}, "b")});
}

}  // namespace
}  // namespace fovea
