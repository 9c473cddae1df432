#include "fovea/nn.h"

#include <cmath>

#include "support.h"

namespace fovea {
namespace {

using Kind = Init::Kind;

Tensor drawn(const Shape& shape, const Init& init, std::string_view name = "layer.weight", std::uint64_t seed = 1) {
    return initial_value({.name = std::string(name), .type = {shape}, .init = init}, seed);
}

struct Moments {
    double mean = 0, deviation = 0, largest = 0;
};
Moments moments(const Tensor& t) {
    Moments m;
    for (const double v : test::values_of(t)) m.mean += v / static_cast<double>(t.elements()), m.largest = std::max(m.largest, std::abs(v));
    for (const double v : test::values_of(t)) m.deviation += (v - m.mean) * (v - m.mean) / static_cast<double>(t.elements());
    m.deviation = std::sqrt(m.deviation);
    return m;
}

// 64 x 32 x 3 x 3 has 18,432 values: the mean of a unit deviation is within 0.03 and the deviation within 2 % (four sigma each).
const Shape weight{64, 32, 3, 3};
constexpr double fan_in = 32 * 9, fan_out = 64 * 9;

void expect_moments(const Init& init, double deviation, double bound) {
    const Moments m = moments(drawn(weight, init));
    EXPECT_NEAR(m.mean, 0, 0.03 * deviation);
    EXPECT_NEAR(m.deviation, deviation, 0.02 * deviation);
    if (bound > 0) {
        EXPECT_LE(m.largest, bound * (1 + 1e-6));  // 1e-6: the bound itself is rounded to f32
        EXPECT_GT(m.largest, 0.99 * bound);
    }
}

TEST(Init, UniformKindsFillTheirBoundEvenly) {
    const auto uniform = [](const Init& init, double bound) { expect_moments(init, bound / std::sqrt(3.0), bound); };
    uniform({Kind::xavier_uniform, 1}, std::sqrt(6 / (fan_in + fan_out)));
    uniform({Kind::xavier_uniform}, std::sqrt(6 / (fan_in + fan_out)));
    uniform({Kind::kaiming_uniform, std::sqrt(5.0)}, 1 / std::sqrt(fan_in));
    uniform({Kind::kaiming_uniform, 0, 1}, std::sqrt(6 / fan_out));
    uniform({Kind::fan_in_uniform, 0, 400}, 0.05);
    uniform({Kind::dlib}, std::sqrt(6 / (fan_in + 64)));
    uniform(Init::uniform(-0.25, 0.25), 0.25);
}

// Also where the threads' parts meet within a block of four draws.
TEST(Init, ElementsAreNumberedDraws) {
    const Tensor values = drawn({3, 77'777}, Init::uniform(0, 1));
    const Rng rng(1, hash_name("layer.weight"));
    for (std::int64_t i = 0; i < values.elements(); ++i) ASSERT_EQ(values.at(i), rng.uniform(static_cast<std::uint64_t>(i))) << i;
}

TEST(Init, NormalKindsHaveTheirDeviation) {
    expect_moments({Kind::xavier_normal, 2}, 2 * std::sqrt(2 / (fan_in + fan_out)), 0);
    expect_moments({Kind::kaiming_normal}, std::sqrt(2 / fan_in), 0);
    expect_moments({Kind::kaiming_normal, 0.2, 1}, std::sqrt(2 / (1.04 * fan_out)), 0);
    expect_moments(Init::normal(0, 0.1), 0.1, 0);
    // A normal cut at two deviations has deviation 0.8796.
    expect_moments({Kind::truncated_normal, 0, 0.5}, 0.5 * 0.87963, 1.0);
}

TEST(Init, OrthogonalRowsOrColumnsAreOrthonormal) {
    for (const Shape& shape : {Shape{5, 3, 3, 3}, Shape{12, 7}, Shape{6, 6}}) {
        const Tensor q = drawn(shape, {Kind::orthogonal, 2}).to(DType::f64);
        const std::int64_t rows = shape[0], columns = shape.elements() / rows, few = std::min(rows, columns);
        for (std::int64_t a = 0; a < few; ++a)
            for (std::int64_t b = 0; b < few; ++b) {
                double dot = 0;
                for (std::int64_t k = 0; k < std::max(rows, columns); ++k)
                    dot += rows <= columns ? q.at(a * columns + k) * q.at(b * columns + k) : q.at(k * columns + a) * q.at(k * columns + b);
                EXPECT_NEAR(dot, a == b ? 4 : 0, 1e-6) << shape.str();  // values are rounded to f32
            }
    }
}

TEST(Init, BilinearKernelIsTheTentOfItsSize) {
    const Tensor w = drawn({2, 2, 4, 4}, {Kind::bilinear});
    const double tent[] = {0.25, 0.75, 0.75, 0.25};
    for (std::int64_t c = 0; c < 2; ++c)
        for (std::int64_t k = 0; k < 2; ++k)
            for (std::int64_t r = 0; r < 4; ++r)
                for (std::int64_t s = 0; s < 4; ++s) EXPECT_EQ(w.at(((c * 2 + k) * 4 + r) * 4 + s), c == k ? tent[r] * tent[s] : 0);
}

TEST(Init, DiracHandsOnWhatItCanAndDrawsTheRest) {
    const Init init{Kind::dirac, std::sqrt(5.0)};
    const Tensor w = drawn({5, 3, 3, 3}, init), uniform = drawn({5, 3, 3, 3}, {Kind::kaiming_uniform, std::sqrt(5.0)});
    for (std::int64_t i = 0; i < 3 * 27; ++i) EXPECT_EQ(w.at(i), i % 27 == i / 27 * 9 + 4 ? 1 : 0) << i;
    for (std::int64_t i = 3 * 27; i < 5 * 27; ++i) EXPECT_EQ(w.at(i), uniform.at(i)) << i;
    const Tensor narrow = drawn({2, 4, 2, 2}, init);  // fewer filters than channels; of an even size the tap behind the middle, as in PyTorch
    for (std::int64_t i = 0; i < 2 * 16; ++i) EXPECT_EQ(narrow.at(i), i % 16 == i / 16 * 4 + 3 ? 1 : 0) << i;
    EXPECT_EQ(test::message_of<ArgumentError>([&] { (void)drawn({4, 4}, init); }), "dirac values need a weight [K, C, R, S], got [4, 4]");
}

TEST(Init, AValueDependsOnSeedAndNameOnly) {
    const Init init{Kind::kaiming_normal};
    EXPECT_EQ(test::values_of(drawn(weight, init)), test::values_of(drawn(weight, init)));
    EXPECT_NE(test::values_of(drawn(weight, init)), test::values_of(drawn(weight, init, "other.weight")));
    EXPECT_NE(test::values_of(drawn(weight, init)), test::values_of(drawn(weight, init, "layer.weight", 2)));
}

TEST(Init, FansOfAVectorAreRefusedByName) {
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)drawn({4}, {Kind::kaiming_normal}, "fc.bias"); }),
              "initialise 'fc.bias': fans need a shape of rank 2 or more, got [4]");
}

TEST(Init, ParametersComeInDeclarationOrder) {
    Graph net;
    const Value x = net.input("image", {dynamic, 3, 8, 8});
    net.output("out", conv_bn_relu(x, {.out = 4, .kernel = 3, .pad = 1}, "conv1", "bn1"));
    const Parameters p = make_parameters(net, 7);
    EXPECT_EQ(p.names(), (std::vector<std::string>{"conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var", "bn1.num_batches_tracked"}));
    EXPECT_EQ(p.at("bn1.running_var").at(3), 1);
    EXPECT_EQ(p.at("bn1.num_batches_tracked").dtype(), DType::i64);
}

TEST(Init, ASchemeReplacesTheStartOfEveryWeight) {
    Graph graph;
    const Value x = graph.input("image", {dynamic, 3, 8, 8});
    graph.output("out", linear(flatten(batch_norm(conv2d(x, {.out = 16, .kernel = 3}, "conv"), {}, "bn")), {.out = 10}, "fc"));
    const Parameters gaussian = make_parameters(graph, 1, "gaussian:0.1");
    double square = 0;
    const Tensor& fc_weight = gaussian.at("fc.weight");
    for (std::int64_t i = 0; i < fc_weight.elements(); ++i) square += fc_weight.at(i) * fc_weight.at(i);
    // 5,760 draws: the deviation is within five standard errors, 5 * 0.1 / sqrt(2 * 5760).
    EXPECT_NEAR(std::sqrt(square / static_cast<double>(fc_weight.elements())), 0.1, 0.005);
    EXPECT_EQ(gaussian.at("fc.bias").at(0), 0);
    EXPECT_EQ(gaussian.at("bn.weight").at(0), 1);
    // PyTorch's own: weights and biases within 1 / sqrt(fan in).
    const Parameters torch = make_parameters(graph, 1, "torch");
    const double bound = 1 / std::sqrt(27.0);
    double largest = 0;
    for (const char* name : {"conv.weight", "conv.bias"})
        for (std::int64_t i = 0; i < torch.at(name).elements(); ++i) largest = std::max(largest, std::abs(torch.at(name).at(i)));
    EXPECT_LE(largest, bound);
    EXPECT_GT(largest, 0.9 * bound);
    EXPECT_NE(torch.at("conv.bias").at(0), 0);
}

TEST(Init, UnknownSchemesNameTheNearest) {
    try {
        (void)init_of("xaver");
        FAIL();
    } catch (const ArgumentError& error) {
        EXPECT_EQ(std::string(error.what()).find("no init 'xaver'; nearest: xavier"), 0u) << error.what();
    }
    EXPECT_THROW((void)init_of("gaussian"), ArgumentError);
    EXPECT_THROW((void)init_of("gaussian:-1"), ArgumentError);
    EXPECT_THROW((void)init_of("he:2"), ArgumentError);
}

}  // namespace
}  // namespace fovea
