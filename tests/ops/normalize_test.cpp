#include "support.h"

namespace fovea {
namespace {

using test::expect_gradients;
using test::filled;
using test::values_of;

/// How far the mean of each run of `group` values is from 0, or their mean square from 1.
double worst_moment(const Tensor& y, std::int64_t group) {
    double worst = 0;
    for (std::int64_t first = 0; first < y.elements(); first += group) {
        double mean = 0, square = 0;
        for (std::int64_t i = first; i < first + group; ++i) mean += y.at(i) / static_cast<double>(group), square += y.at(i) * y.at(i) / static_cast<double>(group);
        worst = std::max({worst, std::abs(mean), std::abs(square - 1)});
    }
    return worst;
}

TEST(Normalize, GivesEachGroupMeanZeroAndVarianceOne) {
    const Tensor x = filled({2, 6, 3, 4}, "x", -1, 5);
    EXPECT_LT(worst_moment(test::evaluate([](Graph&, const auto& v) { return instance_norm(v[0], {.eps = 1e-12}); }, {x}), 12), 1e-10);
    EXPECT_LT(worst_moment(test::evaluate([](Graph&, const auto& v) { return group_norm(v[0], {.groups = 3, .eps = 1e-12, .affine = false}); }, {x}), 24), 1e-10);
    EXPECT_LT(worst_moment(test::evaluate([](Graph&, const auto& v) { return layer_norm(v[0], {.eps = 1e-12, .dims = 3, .affine = false}); }, {x}), 72), 1e-10);
    const Tensor channels = test::evaluate([](Graph&, const auto& v) { return layer_norm(v[0], {.eps = 1e-12, .channels_first = true, .affine = false}); }, {filled({2, 6, 1, 1}, "x", -1, 5)});
    EXPECT_LT(worst_moment(channels, 6), 1e-10);
    for (double v : values_of(test::evaluate([](Graph&, const auto& v) { return sum(square(l2_normalize(v[0])), {.axes = {1}}); }, {x}))) EXPECT_NEAR(v, 1, 1e-12);
    for (double v : values_of(test::evaluate([](Graph&, const auto& v) { return mean(subtract_mean(v[0]), {.axes = {2, 3}}); }, {x}))) EXPECT_NEAR(v, 0, 1e-14);
}

TEST(Normalize, GradientsAgreeWithCentralDifferences) {
    // More than two values per group: two always end at -1 and 1, and their gradient is rounding.
    const Tensor x = filled({2, 4, 2, 5}, "x", -1, 2);
    expect_gradients([](Graph&, const auto& v) { return instance_norm(v[0]); }, {x});
    expect_gradients([](Graph&, const auto& v) { return group_norm(v[0], {.groups = 2, .affine = false}); }, {x});
    expect_gradients([](Graph&, const auto& v) { return layer_norm(v[0], {.affine = false}) * layer_norm(v[0], {.channels_first = true, .affine = false}); }, {x});
    expect_gradients([](Graph&, const auto& v) { return l2_normalize(v[0]); }, {x});
}

TEST(Normalize, DeclaresOneWeightAndBiasPerChannel) {
    Graph graph;
    const Value x = graph.input("x", {dynamic, 6, 4, 4});
    (void)group_norm(x, {.groups = 2}, "gn");
    (void)instance_norm(x, {.affine = true});
    (void)instance_norm(x, {.affine = true});
    (void)layer_norm(x, {.channels_first = true}, "ln");
    (void)l2_norm(x, {}, "l2");
    std::vector<std::string> names;
    for (const auto& info : graph.parameters()) names.push_back(info.name);
    EXPECT_EQ(names, (std::vector<std::string>{"gn.weight", "gn.bias", "instance_norm.weight", "instance_norm.bias", "instance_norm_1.weight", "instance_norm_1.bias", "ln.weight", "ln.bias",
                                               "l2.weight"}));
    graph.verify();
    EXPECT_EQ(test::message_of<ArgumentError>([&] { (void)group_norm(x, {.groups = 4}, "gn4"); }), "group_norm 'gn4': 6 channels do not divide into 4 groups");
}

TEST(Lrn, EqualsTheFormulaByHandInEveryConvention) {
    const Tensor x = Tensor::of<double>({1, 2, 3}, {1, 3, 1});
    const auto at = [&](const LrnSpec& spec) { return values_of(test::evaluate([&](Graph&, const auto& v) { return lrn(v[0], spec); }, {x})); };
    EXPECT_NEAR(at({.size = 3, .alpha = 0.6, .beta = 1})[1], 2 / (1 + 0.2 * 14), 1e-14);
    EXPECT_NEAR(at({.size = 3, .alpha = 0.6, .beta = 1, .k = 2, .convention = LrnConvention::krizhevsky})[0], 1 / (2 + 0.6 * 5), 1e-14);
    // An even window reaches one channel further down than up.
    EXPECT_NEAR(at({.size = 2, .alpha = 2, .beta = 1})[1], 2 / (1 + 1.0 * 5), 1e-14);
    EXPECT_NEAR(at({.size = 2, .alpha = 2, .beta = 1})[0], 1 / (1 + 1.0 * 1), 1e-14);
    // Within a channel: the mean of squares over 3 x 3, the padding counted.
    const Tensor plane = Tensor::of<double>({1, 2, 3, 4}, {1, 1, 2, 2});
    EXPECT_NEAR(test::evaluate([](Graph&, const auto& v) { return lrn(v[0], {.size = 3, .alpha = 9, .beta = 1, .within_channel = true}); }, {plane}).at(0), 1 / (1 + 30.0), 1e-14);
}

TEST(Lrn, FirstAndSecondDerivativesAgreeWithCentralDifferences) {
    for (const std::int64_t size : {1, 4, 5}) {
        const LrnSpec spec{.size = size, .alpha = 0.9, .k = 1.5};
        expect_gradients([&](Graph&, const auto& v) { return lrn(v[0], spec); }, {filled({2, 6, 3}, "x", -2, 2)});
        expect_gradients([&](Graph&, const auto& v) { return square(gradients(square(lrn(v[0], spec)), std::vector<Value>{v[0]}).front()); }, {filled({1, 6, 2, 2}, "x", -2, 2)});
    }
    expect_gradients([&](Graph&, const auto& v) { return lrn(v[0], {.size = 3, .alpha = 2, .within_channel = true}); }, {filled({1, 2, 4, 3}, "x", -2, 2)});
}

TEST(Maxout, TakesTheLargestOfItsPieces) {
    const Tensor x = Tensor::of<double>({1, 5, -2, 7, 3, 3, 8, -9}, {1, 4, 2});
    EXPECT_EQ(values_of(test::evaluate([](Graph&, const auto& v) { return maxout(v[0], {.pieces = 2}); }, {x})), (std::vector<double>{1, 7, 8, 3}));
    expect_gradients([](Graph&, const auto& v) { return maxout(v[0], {.pieces = 3}); }, {filled({2, 6, 2, 3}, "x")});
    expect_gradients([](Graph&, const auto& v) { return maxout(v[0], {.pieces = 2}); }, {filled({2, 6}, "x")});
    expect_gradients([](Graph&, const auto& v) { return max_over(v[0], {.axes = {0, 2}}); }, {filled({2, 3, 4}, "x")});
}

TEST(Glu, GatesTheFirstHalfWithTheSecond) {
    const Tensor x = Tensor::of<double>({2, 3, 0, 100}, {1, 4});
    EXPECT_EQ(values_of(test::evaluate([](Graph&, const auto& v) { return glu(v[0]); }, {x})), (std::vector<double>{1, 3}));
    expect_gradients([](Graph&, const auto& v) { return glu(v[0]); }, {filled({2, 6, 3}, "x")});
}

TEST(Rbf, IsTheSquaredDistanceToEachCode) {
    const Tensor x = Tensor::of<double>({1, 2, 0, -1}, {2, 2}), codes = Tensor::of<double>({1, 1, -1, 1, 0, 0}, {3, 2});
    EXPECT_EQ(values_of(test::evaluate([](Graph&, const auto& v) { return rbf(v[0], v[1]); }, {x, codes})), (std::vector<double>{1, 5, 5, 5, 5, 1}));
    expect_gradients([](Graph&, const auto& v) { return rbf(v[0], v[1]); }, {filled({2, 5}, "x"), filled({3, 5}, "codes")});
    // LeNet-5: 10 codes of 84 pixels, fixed or trained.
    for (const bool trainable : {false, true}) {
        Graph graph;
        (void)rbf(graph.input("x", {dynamic, 84}), {.codes = filled({10, 84}, "bitmaps"), .trainable = trainable}, "output");
        EXPECT_EQ(graph.trainable_scalars(), trainable ? 840 : 0);
    }
}

TEST(Rbf, ABiasPerUnitIsAddedToTheDistance) {
    const Tensor x = Tensor::of<double>({1, 2, 0, -1}, {2, 2}), codes = Tensor::of<double>({1, 1, -1, 1, 0, 0}, {3, 2}), bias = Tensor::of<double>({0, -2, 0.5}, {3});
    EXPECT_EQ(values_of(test::evaluate([](Graph&, const auto& v) { return rbf(v[0], v[1], v[2]); }, {x, codes, bias})), (std::vector<double>{1, 3, 5.5, 5, 3, 1.5}));
    expect_gradients([](Graph&, const auto& v) { return rbf(v[0], v[1], v[2]); }, {filled({2, 5}, "x"), filled({3, 5}, "codes"), filled({3}, "bias")});
    // Of LeNet-5's last layer books give 840 or 850 parameters: without biases and with them.
    for (const bool trainable : {false, true}) {
        Graph graph;
        const Value y = rbf(graph.input("x", {dynamic, 84}), {.codes = filled({10, 84}, "bitmaps"), .trainable = trainable, .bias = true}, "output");
        EXPECT_EQ(y.shape(), (Shape{dynamic, 10}));
        EXPECT_EQ(y.path(), "output");
        EXPECT_EQ(graph.trainable_scalars(), trainable ? 850 : 10);
        EXPECT_EQ(graph.find_parameter("output.bias")->type.shape, (Shape{10}));
        EXPECT_EQ(graph.find_parameter("output.bias")->init.kind, Init::Kind::zeros);
        graph.verify();
    }
    Graph graph;
    const Value features = graph.input("x", {dynamic, 5}), three = graph.input("codes", {3, 5}), two = graph.input("bias", {2});
    EXPECT_EQ(test::message_of<ShapeError>([&] { (void)rbf(features, three, two, "units"); }), "rbf 'units': bias must be [3], got [2]");
}

TEST(SqueezeExcite, DeclaresTheTwoConvolutionsOfTorchvision) {
    Graph graph;
    const Value y = squeeze_excite(graph.input("x", {dynamic, 16, 5, 7}), {.squeeze = 4, .gate = SqueezeExciteSpec::Gate::hard_sigmoid}, "block.se");
    EXPECT_EQ(y.shape(), (Shape{dynamic, 16, 5, 7}));
    EXPECT_EQ(graph.find_parameter("block.se.fc1.weight")->type.shape, (Shape{4, 16, 1, 1}));
    EXPECT_EQ(graph.find_parameter("block.se.fc2.weight")->type.shape, (Shape{16, 4, 1, 1}));
    EXPECT_EQ(graph.trainable_scalars(), 2 * 64 + 4 + 16);
    graph.verify();
}

}  // namespace
}  // namespace fovea
