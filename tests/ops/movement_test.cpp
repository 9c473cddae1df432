// Ops that only move elements: pad, crop, flip, slice, concat, transpose.
#include "support.h"

namespace fovea {
namespace {

using test::evaluate;
using test::expect_gradients;
using test::filled;
using test::values_of;

const Tensor row = Tensor::of<double>({1, 2, 3}, {1, 1, 1, 3});
const Tensor grid = Tensor::of<double>({1, 2, 3, 4, 5, 6}, {2, 3});

TEST(Pad, FillsMirrorsRepeatsAndCrops) {
    const auto with = [](const Pad4& amounts, const PadSpec& spec) { return [=](Graph&, const auto& v) { return pad(v[0], amounts, spec); }; };
    EXPECT_EQ(values_of(evaluate(with({0, 0, 1, 2}, {.value = 9}), {row})), (std::vector<double>{9, 1, 2, 3, 9, 9}));
    EXPECT_EQ(values_of(evaluate(with({0, 0, 2, 1}, {.mode = PadMode::reflect}), {row})), (std::vector<double>{3, 2, 1, 2, 3, 2}));
    EXPECT_EQ(values_of(evaluate(with({0, 0, 2, 1}, {.mode = PadMode::replicate}), {row})), (std::vector<double>{1, 1, 1, 2, 3, 3}));
    EXPECT_EQ(values_of(evaluate(with({0, 0, -1, 1}, {}), {row})), (std::vector<double>{2, 3, 0}));
    EXPECT_EQ(values_of(evaluate(with({1, -1, 0, -1}, {}), {grid})), (std::vector<double>{0, 0, 1, 2}));
}

TEST(Pad, GradientsAgreeWithCentralDifferences) {
    const Tensor x = filled({2, 3, 4, 5}, "x");
    for (const PadMode mode : {PadMode::given, PadMode::reflect, PadMode::replicate})
        expect_gradients([&](Graph&, const auto& v) { return pad(v[0] * v[0], {1, 3, 0, 2}, {.mode = mode, .value = 0.5}); }, {x});
    expect_gradients([](Graph&, const auto& v) { return pad(v[0], {-1, 2, 1, -2}); }, {x});
    expect_gradients([](Graph&, const auto& v) { return pad(v[0], {0, 2, 0, 0}, {0, 1, 0, 0}); }, {x});  // channels of a parameter-free shortcut
    expect_gradients([](Graph&, const auto& v) { return crop(v[0], {.top = 1, .left = 2, .size = {2, 3}}); }, {x});
}

TEST(Pad, NamesWhatReflectCannotMirror) {
    EXPECT_EQ(test::message_of<ShapeError>([] { (void)evaluate([](Graph&, const auto& v) { return pad(v[0], {0, 0, 3, 0}, {.mode = PadMode::reflect}, "border"); }, {row}); }),
              "pad 'border': reflect takes less than the size of dimension 3 of [1, 1, 1, 3], got 3 before and 0 after");
}

TEST(Conv2d, FlipIsTheTrueConvolution) {
    // (x * h)[n] = sum over k of x[k] h[n - k]: the kernel 1..9 is applied as 9..1.
    const Tensor x = filled({1, 1, 5, 5}, "x"), h = Tensor::of<double>({1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 1, 3, 3}), turned = Tensor::of<double>({9, 8, 7, 6, 5, 4, 3, 2, 1}, {1, 1, 3, 3});
    const auto conv = [](bool flipped) { return [flipped](Graph&, const auto& v) { return conv2d(v[0], v[1], Value{}, {.flip = flipped}); }; };
    EXPECT_EQ(values_of(evaluate(conv(true), {x, h})), values_of(evaluate(conv(false), {x, turned})));
    double by_definition = 0;  // output (0, 0) is position (2, 2) of the full convolution
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) by_definition += x.at(i * 5 + j) * h.at((2 - i) * 3 + (2 - j));
    EXPECT_NEAR(evaluate(conv(true), {x, h}).at(0), by_definition, 1e-14);
    expect_gradients(conv(true), {filled({1, 2, 4, 5}, "x"), filled({3, 2, 2, 3}, "w")});
}

TEST(Conv2d, BorderModesAgreeWithCentralDifferences) {
    for (const PadMode mode : {PadMode::reflect, PadMode::replicate})
        expect_gradients([&](Graph&, const auto& v) { return conv2d(v[0], v[1], Value{}, {.stride = 2, .pad = 1, .pad_mode = mode}); }, {filled({1, 2, 4, 5}, "x"), filled({3, 2, 3, 3}, "w")});
    for (const PadMode mode : {PadMode::same, PadMode::same_lower, PadMode::dlib, PadMode::valid})
        expect_gradients([&](Graph&, const auto& v) { return conv2d(v[0], v[1], Value{}, {.pad_mode = mode}); }, {filled({1, 2, 4, 5}, "x"), filled({3, 2, 2, 3}, "w")});
}

TEST(Slice, TakesEveryStepThElement) {
    EXPECT_EQ(values_of(evaluate([](Graph&, const auto& v) { return slice(v[0], {.axis = 1, .step = 2}); }, {grid})), (std::vector<double>{1, 3, 4, 6}));
    EXPECT_EQ(values_of(evaluate([](Graph&, const auto& v) { return slice(v[0], {.axis = -1, .start = -2, .stop = -1}); }, {grid})), (std::vector<double>{2, 5}));
    expect_gradients([](Graph&, const auto& v) { return slice(slice(v[0], {.axis = 2, .step = 2}), {.axis = 3, .start = 1, .step = 3}); }, {filled({2, 2, 5, 7}, "x")});
    EXPECT_EQ(test::message_of<ShapeError>([] { (void)evaluate([](Graph&, const auto& v) { return slice(v[0], {.axis = 1, .start = 2, .stop = 1}, "cut"); }, {grid}); }),
              "slice 'cut': [2, 1) holds nothing of dimension 1 of [2, 3]");
}

TEST(Concat, JoinsAndSplits) {
    const Tensor more = Tensor::of<double>({7, 8}, {2, 1});
    EXPECT_EQ(values_of(evaluate([](Graph&, const auto& v) { return concat({v[0], v[1]}); }, {grid, more})), (std::vector<double>{1, 2, 3, 7, 4, 5, 6, 8}));
    EXPECT_EQ(values_of(evaluate([](Graph&, const auto& v) { return split(v[0], {1, 2})[1]; }, {grid})), (std::vector<double>{2, 3, 5, 6}));
    EXPECT_EQ(values_of(evaluate([](Graph&, const auto& v) { return stack({v[0], v[0] * 10}, 1); }, {grid})), (std::vector<double>{1, 2, 3, 10, 20, 30, 4, 5, 6, 40, 50, 60}));
    expect_gradients([](Graph&, const auto& v) { return concat({v[0] * v[1], v[1], v[2]}, 1) * 2; }, {filled({2, 3, 2}, "a"), filled({2, 3, 2}, "b"), filled({2, 1, 2}, "c")});
    expect_gradients([](Graph&, const auto& v) { return stack({v[0] * v[1], v[1]}, -1); }, {filled({2, 3}, "a"), filled({2, 3}, "b")});
    EXPECT_EQ(test::message_of<ShapeError>([] { (void)evaluate([](Graph&, const auto& v) { return concat({v[0], v[1]}, 0, "join"); }, {row, filled({1, 1, 2, 3}, "a")}); }),
              "concat 'join': [1, 1, 2, 3] does not join [1, 1, 1, 3] along axis 0");
}

// A piece's gradient reads the shapes of all pieces and the values of none, however many they are.
TEST(Concat, GradientsOfManyPiecesReadNoPiece) {
    Graph graph;
    const Value x = graph.input("x", {dynamic, 2});
    std::vector<Value> pieces;
    for (int i = 0; i < 40; ++i) pieces.push_back(x * (1 + 0.1 * i));
    const std::vector<Value> xs{x};
    graph.output("dx", gradients(concat(pieces, 0), xs)[0]);
    int found = 0;
    for (const Node& node : graph.nodes()) {
        if (node.inputs.size() != 41) continue;
        ++found;
        EXPECT_TRUE(node.op->reads_values_of(0));
        for (std::size_t i = 1; i < node.inputs.size(); ++i) EXPECT_FALSE(node.op->reads_values_of(i)) << i;
    }
    EXPECT_EQ(found, 40);
}

TEST(Concat, GradientsAlongABatchThatIsNotKnownYet) {
    Graph graph;
    const Value a = graph.input("a", {dynamic, 2}), b = graph.input("b", {dynamic, 2});
    const Value y = concat({a * a, b}, 0);
    EXPECT_EQ(y.shape(), (Shape{dynamic, 2}));
    const std::vector<Value> xs{a, b};
    graph.output("da", gradients(y, xs)[0]);
    const Graph known = specialize(graph, {{"a", {1, 2}}, {"b", {3, 2}}});
    const Value da = known.find_output("da");
    const Tensor got = interpret(known, {&da, 1}, {{"a", Tensor::of<double>({3, 4}, {1, 2})}, {"b", filled({3, 2}, "b")}}, {}).front();
    EXPECT_EQ(values_of(got), (std::vector<double>{6, 8}));
}

TEST(Transpose, PermutesDimensions) {
    EXPECT_EQ(values_of(evaluate([](Graph&, const auto& v) { return transpose(v[0], {1, 0}); }, {grid})), (std::vector<double>{1, 4, 2, 5, 3, 6}));
    expect_gradients([](Graph&, const auto& v) { return transpose(v[0] * v[0], {2, 0, 3, 1}); }, {filled({2, 3, 4, 5}, "x")});
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)evaluate([](Graph&, const auto& v) { return transpose(v[0], {1, 1}, "turn"); }, {grid}); }),
              "transpose 'turn': order [1, 1] is not a permutation of the dimensions of [2, 3]");
}

TEST(Flip, ReversesAxes) {
    EXPECT_EQ(values_of(evaluate([](Graph&, const auto& v) { return flip(v[0], {0, -1}); }, {grid})), (std::vector<double>{6, 5, 4, 3, 2, 1}));
    expect_gradients([](Graph&, const auto& v) { return flip(v[0] * v[0], {0, 2}); }, {filled({2, 3, 4}, "x")});
}

TEST(Squeeze, KeepsUnknownDimensions) {
    Graph graph;
    const Value x = graph.input("x", {dynamic, 1, dynamic, 4});
    EXPECT_EQ(squeeze(x, 1).shape(), (Shape{dynamic, dynamic, 4}));
    EXPECT_EQ(unsqueeze(x, -1).shape(), (Shape{dynamic, 1, dynamic, 4, 1}));
}

}  // namespace
}  // namespace fovea
