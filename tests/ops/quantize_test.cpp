#include "fovea/quantize.h"
#include "support.h"

namespace fovea {
namespace {

using Xs = std::vector<Value>;
const QuantizeSpec u8{.scale = {0.5}, .zero_point = {10}};

TEST(Quantize, RoundsHalfToEvenAddsTheZeroPointAndSaturates) {
    // x / 0.5: -30, -0.5, 0.5, 1.5, 2.5, 244.6, 300
    const Tensor x = Tensor::of<double>({-15, -0.25, 0.25, 0.75, 1.25, 122.3, 150}, {7});
    for (const DType real : {DType::f64, DType::f32})
        EXPECT_EQ(test::values_of(test::evaluate([](Graph&, const Xs& v) { return quantize(v[0], u8); }, {x}, real)), (std::vector<double>{0, 10, 10, 12, 12, 255, 255}));
    const Tensor back = test::evaluate([](Graph&, const Xs& v) { return fake_quantize(v[0], u8); }, {x});
    EXPECT_EQ(test::values_of(back), (std::vector<double>{-5, 0, 0, 1, 1, 122.5, 122.5}));
}

TEST(Quantize, HasAScaleForEachIndexAlongAnAxis) {
    const Tensor x = Tensor::of<double>({1, 2, 3, 4}, {2, 2});
    const QuantizeSpec rows{.scale = {1, 0.03}, .axis = 0, .low = -127, .high = 127}, columns{.scale = {1, 0.03}, .axis = 1, .low = -127, .high = 127};
    EXPECT_EQ(test::values_of(test::evaluate([&](Graph&, const Xs& v) { return quantize(v[0], rows); }, {x})), (std::vector<double>{1, 2, 100, 127}));
    EXPECT_EQ(test::values_of(test::evaluate([&](Graph&, const Xs& v) { return quantize(v[0], columns); }, {x})), (std::vector<double>{1, 67, 3, 127}));
}

TEST(Quantize, IsTheInverseOfDequantizeOnTheGrid) {
    Tensor q({256}, DType::f64);
    for (int i = 0; i < 256; ++i) q.set(i, i);
    const QuantizeSpec spec{.scale = {static_cast<double>(0.0371f)}, .zero_point = {77}};
    for (const DType real : {DType::f64, DType::f32})
        EXPECT_EQ(test::values_of(test::evaluate([&](Graph&, const Xs& v) { return quantize(dequantize(v[0], spec), spec); }, {q}, real)), test::values_of(q));
}

TEST(Quantize, PassesTheGradientThroughRoundingAndStopsItWhereItSaturates) {
    // The grid holds -5 .. 122.5.
    const Tensor x = Tensor::of<double>({-6, -5, 0.3, 122.5, 123}, {5}), u = Tensor::of<double>({2, 3, 5, 7, 11}, {5});
    const auto gradient_of = [&](auto f) {
        return test::values_of(test::evaluate([&](Graph&, const Xs& v) { return gradients(f(v[0]), std::vector<Value>{v[0]}, v[1])[0]; }, {x, u}));
    };
    EXPECT_EQ(gradient_of([](const Value& v) { return fake_quantize(v, u8); }), (std::vector<double>{0, 3, 5, 7, 0}));
    EXPECT_EQ(gradient_of([](const Value& v) { return quantize(v, u8); }), (std::vector<double>{0, 6, 10, 14, 0}));
    EXPECT_EQ(gradient_of([](const Value& v) { return fake_quantize(v, {.scale = {0.1, 0.1, 0.1, 100, 100}, .zero_point = {0, 50, 0, 0, 128}, .axis = 0}); }), (std::vector<double>{0, 3, 5, 7, 11}));
}

TEST(Dequantize, GradientsAgreeWithCentralDifferences) {
    test::expect_gradients([](Graph&, const Xs& v) { return dequantize(v[0], {.scale = {0.5, 2}, .zero_point = {3, 4}}); }, {test::filled({3, 2, 2}, "x", 0, 255)});
}

TEST(Quantize, NamesWrongArguments) {
    Graph net;
    const Value x = net.input("x", {4, 3, 2, 2});
    const auto message = [&](const QuantizeSpec& spec) { return test::message_of<Error>([&] { (void)quantize(x, spec, "q"); }); };
    EXPECT_EQ(message({.scale = {0}}), "quantize 'q': scales must be positive, got 0");
    EXPECT_EQ(message({.scale = {1, 1}}), "quantize 'q': 2 scales along axis 1 of [4, 3, 2, 2]");
    EXPECT_EQ(message({.scale = {1}, .zero_point = {256}}), "quantize 'q': zero point 256 is outside 0 to 255");
    EXPECT_EQ(message({.scale = {1, 1}, .axis = 7}), "quantize 'q': axis 7 is outside a shape [4, 3, 2, 2]");
    EXPECT_EQ(message({.scale = {1}, .low = 5, .high = 5}), "quantize 'q': integers 5 to 5 are no range");
}

}  // namespace
}  // namespace fovea
