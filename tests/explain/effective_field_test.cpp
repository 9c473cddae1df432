// Effective receptive fields against those that can be worked out by hand, and against the growth their paper proves.
#include <gtest/gtest.h>

#include "fovea/explain.h"
#include "fovea/nn.h"
#include "fovea/ops.h"
#include "support.h"

namespace fovea {
namespace {

/// `count` convolutions of 3 x 3 without bias, one channel each, linear.
Graph stack(int count, std::int64_t size) {
    Graph net;
    Value x = net.input("image", {dynamic, 1, size, size});
    for (int i = 0; i < count; ++i) x = conv2d(x, {.out = 1, .kernel = 3, .pad = 1, .bias = false}, "conv" + std::to_string(i + 1));
    net.output("out", flatten(global_avg_pool(x)));
    return net;
}

Parameters ones(const Graph& net) {
    Parameters parameters;
    for (const ParameterInfo& info : net.parameters()) {
        Tensor tensor(info.type.shape);
        for (std::int64_t i = 0; i < tensor.elements(); ++i) tensor.set(i, 1);
        parameters.set(info.name, tensor);
    }
    return parameters;
}

TEST(EffectiveField, OfTwoConvolutionsOfOnesIsTheirProduct) {
    const Graph net = stack(2, 9);
    const EffectiveField field = effective_field(net, ones(net), "conv2", {.images = 2});
    EXPECT_EQ(field.theoretical.size, (std::array<double, 2>{5, 5}));
    // Ones over three pixels, twice: 1 2 3 2 1 along each axis, of which 3 x 3 = 9 is the largest.
    constexpr double row[9] = {0, 0, 1, 2, 3, 2, 1, 0, 0};
    for (int y = 0; y < 9; ++y)
        for (int x = 0; x < 9; ++x) EXPECT_NEAR(field.weight.at(y * 9 + x), row[y] * row[x] / 9, 1e-6) << y << ' ' << x;  // f32
    EXPECT_DOUBLE_EQ(field.side, 5) << "the corners, 1 / 9, are above 4.55 %";
}

TEST(EffectiveField, GrowsWithTheRootOfTheDepthWhereTheTheoreticalGrowsWithTheDepth) {
    const Graph shallow = stack(8, 129), deep = stack(32, 129);
    const EffectiveField few = effective_field(shallow, ones(shallow), "conv8", {.images = 1}), many = effective_field(deep, ones(deep), "conv32", {.images = 1});
    EXPECT_EQ(few.theoretical.size[0], 17);
    EXPECT_EQ(many.theoretical.size[0], 65);
    // Sums of n draws from {-1, 0, 1}: a bell of variance 2 n / 3 whose level set of 4.55 % is a disc; four times the depth, twice its width.
    EXPECT_NEAR(many.side / few.side, 2, 0.1);
    EXPECT_LT(many.side, 0.5 * many.theoretical.size[0]);
}

TEST(EffectiveField, OfANetworkLiesInsideTheTheoreticalOneAndIsAPicture) {
    const Graph net = build_model("small_cifar");
    const EffectiveField field = effective_field(net, make_parameters(net, 1), "conv2", {.images = 4});
    ASSERT_EQ(field.weight.shape(), (Shape{32, 32}));
    EXPECT_EQ(field.theoretical.size[0], 14);
    double most = 0;
    std::int64_t seen = 0;
    for (std::int64_t i = 0; i < field.weight.elements(); ++i) most = std::max(most, field.weight.at(i)), seen += field.weight.at(i) > 0;
    EXPECT_DOUBLE_EQ(most, 1);
    EXPECT_LE(seen, 14 * 14);
    EXPECT_GT(field.side, 3);
    EXPECT_LE(field.side, 14);
    const Image picture = picture_of(field);
    EXPECT_EQ(picture.width, 32 * 14);
    EXPECT_EQ(effective_field(net, make_parameters(net, 1), {}, {.images = 1}).weight.shape(), (Shape{32, 32})) << "the last map where none is named";
    EXPECT_EQ(test::message_of<ArgumentError>([&] { (void)effective_field(net, make_parameters(net, 1), "fc1"); }), "effective field: 'fc1' is no map [N, C, H, W]");
}

}  // namespace
}  // namespace fovea
