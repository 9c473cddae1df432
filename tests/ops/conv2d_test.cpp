#include "support.h"

namespace fovea {
namespace {

using test::Built;
using test::evaluate;
using test::expect_gradients;
using test::filled;
using test::values_of;

Value zeros_bias() { return {}; }

TEST(Conv2d, EqualsAHandComputedExample) {
    // x = 1..9 in 3x3, w = [[1, 2], [3, 4]], bias 10: top left is 1*1 + 2*2 + 4*3 + 5*4 + 10 = 47.
    const Tensor x = Tensor::of<double>({1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 1, 3, 3}), w = Tensor::of<double>({1, 2, 3, 4}, {1, 1, 2, 2}), b = Tensor::of<double>({10}, {1});
    const auto plain = [](Graph&, const auto& v) { return conv2d(v[0], v[1], v[2], {}); };
    EXPECT_EQ(values_of(evaluate(plain, {x, w, b})), (std::vector<double>{47, 57, 77, 87}));
    EXPECT_EQ(values_of(evaluate(plain, {x, w, b}, DType::f32)), (std::vector<double>{47, 57, 77, 87}));
    const auto strided = [](Graph&, const auto& v) { return conv2d(v[0], v[1], v[2], {.stride = 2, .pad = {1, 0, 1, 0}}); };
    EXPECT_EQ(values_of(evaluate(strided, {x, w, b})), (std::vector<double>{14, 10 + 3 * 2 + 4 * 3, 10 + 2 * 4 + 4 * 7, 87}));
}

TEST(Conv2d, EqualsAHandComputedVolumeWithTwoFiltersAndStride) {
    // 5x5x3 padded to 7x7x3, two 3x3x3 filters, biases 1 and 0, stride 2, as in the usual lecture demo. Channel 0 is the row, 1 the column, 2 is one.
    // Filter 0: centre of channel 0, minus the right neighbour of channel 1, plus all of channel 2 (4, 6 or 9 taps inside), plus 1.
    // Filter 1: twice the upper left neighbour of channel 0, plus the lower neighbour of channel 1.
    Tensor x({1, 3, 5, 5}, DType::f64), w({2, 3, 3, 3}, DType::f64);
    for (int i = 0; i < 25; ++i) x.set(i, i / 5), x.set(25 + i, i % 5), x.set(50 + i, 1);
    w.set(4, 1), w.set(9 + 5, -1), w.set(27, 2), w.set(27 + 9 + 7, 1);
    for (int i = 0; i < 9; ++i) w.set(18 + i, 1);
    const auto conv = [](Graph&, const auto& v) { return conv2d(v[0], v[1], v[2], {.stride = 2, .pad = 1}); };
    const std::vector<double> expected{4, 4, 5, 8, 9, 9, 8, 8, 9, 0, 2, 4, 0, 4, 6, 0, 6, 6};
    EXPECT_EQ(values_of(evaluate(conv, {x, w, Tensor::of<double>({1, 0}, {2})})), expected);
}

TEST(Conv2d, OneByOneWithWeightTwoDoublesEveryEntry) {
    const Tensor x = filled({1, 1, 6, 6}, "x"), y = evaluate([](Graph&, const auto& v) { return conv2d(v[0], v[1], Value{}, {}); }, {x, Tensor::of<double>({2}, {1, 1, 1, 1})});
    for (std::int64_t i = 0; i < 36; ++i) EXPECT_EQ(y.at(i), 2 * x.at(i));
}

TEST(Conv2d, SizesFollowTheFormula) {
    // (W - F + 2P) / S + 1: 7 with F 3 gives 5 at stride 1 and 3 at stride 2; 32 -> 28 -> 24 by 5x5; 227 -> 55 by 11x11 / 4.
    Graph graph;
    const auto size = [&](std::int64_t in, const Conv2dSpec& spec) {
        const Value y = conv2d(graph.input("x" + std::to_string(graph.nodes().size()), {dynamic, 1, in, in}), spec);
        EXPECT_EQ(y.shape()[0], dynamic);
        return y.shape()[2];
    };
    EXPECT_EQ(size(7, {.out = 1, .kernel = 3}), 5);
    EXPECT_EQ(size(7, {.out = 1, .kernel = 3, .stride = 2}), 3);
    EXPECT_EQ(size(7, {.out = 1, .kernel = 3, .stride = 3}), 2);
    EXPECT_EQ(size(32, {.out = 1, .kernel = 5}), 28);
    EXPECT_EQ(size(28, {.out = 1, .kernel = 5}), 24);
    EXPECT_EQ(size(227, {.out = 1, .kernel = 11, .stride = 4}), 55);
    for (std::int64_t f : {3, 5, 7}) EXPECT_EQ(size(16, {.out = 1, .kernel = f, .pad = (f - 1) / 2}), 16);
    EXPECT_EQ(size(10, {.out = 1, .kernel = 3, .stride = 2, .pad_mode = PadMode::same}), 5);
    EXPECT_EQ(size(11, {.out = 1, .kernel = 3, .stride = 2, .pad_mode = PadMode::same}), 6);
    EXPECT_EQ(size(10, {.out = 1, .kernel = 5, .pad_mode = PadMode::dlib}), 10);
    EXPECT_EQ(size(10, {.out = 1, .kernel = 5, .stride = 2, .pad_mode = PadMode::dlib}), 3);
}

TEST(Conv2d, SamePutsTheOddZeroAtTheEndAndSameLowerAtTheStart) {
    const Tensor x = Tensor::of<double>({1, 2, 3, 4}, {1, 1, 1, 4}), w = Tensor::of<double>({1, 10}, {1, 1, 1, 2});
    const auto with = [](PadMode mode) { return [mode](Graph&, const auto& v) { return conv2d(v[0], v[1], zeros_bias(), {.pad_mode = mode}); }; };
    EXPECT_EQ(values_of(evaluate(with(PadMode::same), {x, w})), (std::vector<double>{21, 32, 43, 4}));
    EXPECT_EQ(values_of(evaluate(with(PadMode::same_lower), {x, w})), (std::vector<double>{10, 21, 32, 43}));
}

TEST(Conv2d, GroupsEqualABlockDiagonalKernel) {
    const Tensor x = filled({2, 4, 5, 6}, "x"), w = filled({6, 2, 3, 3}, "w");
    Tensor dense({6, 4, 3, 3}, DType::f64);
    for (std::int64_t k = 0; k < 6; ++k)
        for (std::int64_t i = 0; i < 18; ++i) dense.set(k * 36 + (k / 3) * 18 + i, w.at(k * 18 + i));
    const Tensor grouped = evaluate([](Graph&, const auto& v) { return conv2d(v[0], v[1], zeros_bias(), {.pad = 1, .groups = 2}); }, {x, w});
    const Tensor whole = evaluate([](Graph&, const auto& v) { return conv2d(v[0], v[1], zeros_bias(), {.pad = 1}); }, {x, dense});
    EXPECT_LT(test::relative_l2(grouped, whole), 1e-15);
}

TEST(Conv2d, HonoursResidualAndRelu) {
    const auto fused = [](Graph& g, const auto& v) {
        return g.add("conv2d", {v[0], v[1], Value{}, v[2]},
                     {{"stride", std::vector<std::int64_t>{1, 1}}, {"pad", std::vector<std::int64_t>{0, 0, 0, 0}}, {"dilation", std::vector<std::int64_t>{1, 1}}, {"groups", std::int64_t{1}}, {"activation", "relu"}});
    };
    const Tensor y = evaluate(fused, {Tensor::of<double>({1, -2, 3}, {1, 1, 1, 3}), Tensor::of<double>({2}, {1, 1, 1, 1}), Tensor::of<double>({-1, 5, -7}, {1, 1, 1, 3})});
    EXPECT_EQ(values_of(y), (std::vector<double>{1, 1, 0}));
}

struct Awkward {
    Shape x, w;
    Conv2dGeometry spec;
    bool bias;
};
std::vector<Awkward> awkward_cases() {
    return {{{2, 3, 5, 4}, {2, 3, 3, 3}, {.pad = 1}, true},
            {{1, 2, 7, 5}, {3, 2, 3, 2}, {.stride = {2, 3}, .pad = {1, 0, 0, 2}}, true},
            {{2, 4, 5, 5}, {6, 2, 3, 3}, {.stride = 2, .pad = 1, .groups = 2}, false},
            {{1, 3, 6, 7}, {3, 1, 3, 3}, {.pad = 2, .dilation = 2, .groups = 3}, true},
            {{1, 2, 7, 7}, {2, 2, 2, 2}, {.stride = 3}, false},
            {{1, 1, 4, 9}, {2, 1, 1, 5}, {.pad = {0, 2}, .dilation = {1, 2}}, true}};
}

TEST(Conv2d, GradientsAgreeWithCentralDifferences) {
    for (const Awkward& c : awkward_cases()) {
        std::vector<Tensor> inputs{filled(c.x, "x"), filled(c.w, "w")};
        if (c.bias) inputs.push_back(filled({c.w[0]}, "b"));
        expect_gradients([&](Graph&, const auto& v) { return conv2d(v[0], v[1], c.bias ? v[2] : Value{}, c.spec); }, inputs);
    }
}

TEST(Conv2d, SecondDerivativesAgreeWithCentralDifferences) {
    // The gradient of a function that is quadratic in y touches all three convolutions again.
    for (const Awkward& c : awkward_cases()) {
        for (int which : {0, 1, 2}) {
            if (which == 2 && !c.bias) continue;
            std::vector<Tensor> inputs{filled(c.x, "x"), filled(c.w, "w")};
            if (c.bias) inputs.push_back(filled({c.w[0]}, "b"));
            expect_gradients(
                [&](Graph&, const auto& v) {
                    const Value y = conv2d(v[0], v[1], c.bias ? v[2] : Value{}, c.spec);
                    return gradients(sum(y * y), v)[static_cast<std::size_t>(which)];
                },
                inputs);
        }
    }
}

TEST(ConvTranspose2d, AddsCopiesOfTheFilterWhereTheyOverlap) {
    // x = (a, b), f = (x, y, z), stride 2 -> (ax, ay, az + bx, by, bz) with a = 2, b = 3, f = (5, 7, 11).
    const Tensor y = evaluate([](Graph&, const auto& v) { return conv_transpose2d(v[0], v[1], Value{}, {.stride = {1, 2}}); },
                              {Tensor::of<double>({2, 3}, {1, 1, 1, 2}), Tensor::of<double>({5, 7, 11}, {1, 1, 1, 3})});
    EXPECT_EQ(values_of(y), (std::vector<double>{10, 14, 22 + 15, 21, 33}));
}

TEST(ConvTranspose2d, SizesNeedOutputPaddingToReachFour) {
    Graph graph;
    const Value x = graph.input("x", {dynamic, 3, 2, 2});
    EXPECT_EQ(conv_transpose2d(x, {.out = 5, .kernel = 3, .stride = 2, .pad = 1, .output_pad = 1}).shape(), (Shape{dynamic, 5, 4, 4}));
    EXPECT_EQ(conv_transpose2d(x, {.out = 5, .kernel = 3, .stride = 2, .pad = 1}).shape(), (Shape{dynamic, 5, 3, 3}));
    EXPECT_EQ(graph.find_parameter("conv_transpose2d.weight")->type.shape, (Shape{3, 5, 3, 3}));
    EXPECT_EQ(graph.find_parameter("conv_transpose2d_1.bias")->type.shape, (Shape{5}));
}

TEST(ConvTranspose2d, GradientsAgreeWithCentralDifferences) {
    expect_gradients([](Graph&, const auto& v) { return conv_transpose2d(v[0], v[1], v[2], {.stride = 2, .pad = 1, .output_pad = 1}); },
                     {filled({2, 3, 2, 3}, "x"), filled({3, 2, 3, 3}, "w"), filled({2}, "b")});
    expect_gradients([](Graph&, const auto& v) { return conv_transpose2d(v[0], v[1], v[2], {.stride = {1, 2}, .pad = {0, 1, 1, 0}, .dilation = 2, .groups = 2}); },
                     {filled({1, 4, 3, 2}, "x"), filled({4, 3, 2, 2}, "w"), filled({6}, "b")});
}

TEST(Conv2d, IsAdjointToItsTranspose) {
    const Tensor x = filled({1, 2, 6, 5}, "x"), y = filled({1, 3, 3, 3}, "y"), w = filled({3, 2, 3, 2}, "w");
    const Tensor forward = evaluate([](Graph&, const auto& v) { return sum(conv2d(v[0], v[1], Value{}, {.stride = 2, .pad = 1}) * v[2]); }, {x, w, y});
    const Tensor back = evaluate([](Graph&, const auto& v) { return sum(conv_transpose2d(v[2], v[1], Value{}, {.stride = 2, .pad = 1, .output_pad = {1, 1}}) * v[0]); }, {x, w, y});
    EXPECT_NEAR(forward.at(0), back.at(0), 1e-13);
}

TEST(Conv2d, CountsMultiplyAddsAsPyTorchsConvention) {
    Graph graph;
    const Value x = graph.input("x", {2, 4, 8, 8});
    const Value y = conv2d(x, {.out = 6, .kernel = 3, .stride = 2, .pad = 1, .groups = 2});
    EXPECT_EQ(graph.cost().macs, y.shape().elements() * 2 * 9);
    (void)conv_transpose2d(x, {.out = 5, .kernel = 3});
    EXPECT_EQ(graph.cost().macs, y.shape().elements() * 2 * 9 + x.shape().elements() * 5 * 9);
}

TEST(Conv2d, UnnamedLayersHaveWeightsOfTheirOwnAndNamedOnesShare) {
    Graph graph;
    const Value x = graph.input("x", {1, 4, 8, 8});
    (void)conv2d(conv2d(x, {.out = 4, .kernel = 1}), {.out = 4, .kernel = 1});
    EXPECT_EQ(graph.parameters().size(), 4U);
    (void)conv2d(conv2d(x, {.out = 4, .kernel = 1}, "twice"), {.out = 4, .kernel = 1}, "twice");
    EXPECT_EQ(graph.parameters().size(), 6U);
}

TEST(Conv2d, MessagesNameTheLayerAndBothShapes) {
    EXPECT_EQ(test::message_of<ShapeError>([] {
                  Graph graph;
                  const auto scope = graph.scope("layer2.0");
                  (void)conv2d(graph.input("x", {8, 64, 56, 56}), graph.input("w", {128, 32, 3, 3}), Value{}, {}, "conv1");
              }),
              "conv2d 'layer2.0.conv1': input has 64 channels, weight takes 32 (groups 1); input [8, 64, 56, 56], weight [128, 32, 3, 3]");
    EXPECT_EQ(test::message_of<ShapeError>([] {
                  Graph graph;
                  (void)conv2d(graph.input("x", {1, 1, 7, 7}), {.out = 1, .kernel = 3, .stride = 3, .strict = true}, "stem");
              }),
              "conv2d 'stem': (height 7 + pad 0 + 0 - kernel 3) / stride 3 + 1 = 2.33 is not whole; input [1, 1, 7, 7]");
    EXPECT_EQ(test::message_of<ShapeError>([] {
                  Graph graph;
                  (void)conv2d(graph.input("x", {1, 1, 3, 9}), {.out = 1, .kernel = 5}, "stem");
              }),
              "conv2d 'stem': kernel of height 5 does not fit into 3 padded by 0 and 0; input [1, 1, 3, 9]");
}

}  // namespace
}  // namespace fovea
