#include "graph/op.h"
#include "support.h"

namespace fovea {
namespace {

using test::filled;
using test::values_of;

Tensor ones(const Shape& shape) { return filled(shape, "ones", 1, 1); }

TEST(Dropout, MeanEqualsThatOfInferenceWithinOnePercent) {
    for (const double drop : {0.2, 0.5}) {
        const Tensor y = test::evaluate([drop](Graph&, const auto& x) { return dropout(x[0], {.drop = drop}); }, {ones({200, 1000})});
        double mean = 0, zeros = 0;
        for (double v : values_of(y)) mean += v / 2e5, zeros += v == 0 ? 1 / 2e5 : 0;
        EXPECT_NEAR(mean, 1, 0.01);       // standard deviation sqrt(drop / (1 - drop) / 2e5) < 0.0023
        EXPECT_NEAR(zeros, drop, 0.005);  // 0.0011
    }
}

TEST(Dropout, DropsWholeChannelsSamplesOrTheBatch) {
    const Tensor channels = test::evaluate([](Graph&, const auto& x) { return spatial_dropout(x[0], {.drop = 0.5}); }, {ones({8, 16, 3, 5})});
    const Tensor samples = test::evaluate([](Graph&, const auto& x) { return drop_path(x[0], {.drop = 0.25}); }, {ones({64, 4, 3})});
    const Tensor batch = test::evaluate([](Graph&, const auto& x) { return drop_path(x[0], {.drop = 0.5, .whole_batch = true}); }, {ones({64, 4, 3})});
    const auto check = [](const Tensor& y, std::int64_t group, double kept) {
        int dropped = 0;
        for (std::int64_t i = 0; i < y.elements(); ++i) {
            EXPECT_EQ(y.at(i), y.at(i / group * group));
            EXPECT_TRUE(y.at(i) == 0 || std::abs(y.at(i) - kept) < 1e-12);
            dropped += i % group == 0 && y.at(i) == 0;
        }
        return dropped;
    };
    EXPECT_NEAR(check(channels, 15, 2), 64, 25);
    EXPECT_NEAR(check(samples, 12, 4.0 / 3), 16, 12);
    (void)check(batch, 64 * 12, 2);
}

TEST(Dropout, GradientUsesTheSameMask) {
    test::Built built([](Graph&, const auto& x) { return dropout(x[0], {.drop = 0.4}); }, {ones({50})});
    EXPECT_EQ(values_of(built.run(gradients(built.y, built.xs).front())), values_of(built.run(built.y)));
    test::expect_gradients([](Graph&, const auto& x) { return square(dropout(x[0], {.drop = 0.4})); }, {filled({3, 7}, "x")});
}

TEST(Dropout, MaskDependsOnSeedStepAndPathOnlyAndNotOnTheShapeAround) {
    test::Built built([](Graph&, const auto& x) { return dropout(x[0], {.drop = 0.5}, "drop"); }, {ones({100})});
    const auto mask = [&](std::uint64_t seed, std::uint64_t step) { return values_of(interpret(built.graph, {&built.y, 1}, built.given, {}, {.real = DType::f64, .seed = seed, .step = step}).front()); };
    EXPECT_EQ(mask(1, 1), mask(1, 1));
    EXPECT_NE(mask(1, 1), mask(1, 2));
    EXPECT_NE(mask(1, 1), mask(2, 1));
    // The first elements of a longer tensor get the same draws: element i depends on i, not on the tensor's size.
    const auto longer = values_of(test::evaluate([](Graph&, const auto& x) { return dropout(x[0], {.drop = 0.5}, "drop"); }, {ones({3, 70})}));
    const auto shorter = values_of(built.run(built.y));
    EXPECT_TRUE(std::equal(shorter.begin(), shorter.end(), longer.begin()));
    // Two layers of one name draw apart.
    test::Built twice([](Graph&, const auto& x) { return dropout(x[0], {.drop = 0.5}, "drop") - dropout(x[0], {.drop = 0.5}, "drop"); }, {ones({100})});
    EXPECT_NE(values_of(twice.run(twice.y)), std::vector<double>(100, 0.0));
    EXPECT_EQ(twice.graph.find("drop_1").node().attrs.text("key"), "drop_1");
}

TEST(Dropout, OfNothingIsTheInputItself) {
    Graph graph;
    const Value x = graph.input("x", {2, 3});
    EXPECT_EQ(dropout(x, {.drop = 0}), x);
    EXPECT_EQ(values_of(test::evaluate([](Graph&, const auto& v) { return dropout(v[0], {.drop = 1}); }, {ones({4})})), std::vector<double>(4, 0.0));
}

TEST(Dropout, ProbabilitiesOutsideZeroToOneAreNamed) {
    EXPECT_EQ(test::message_of<ArgumentError>([] {
                  Graph graph;
                  (void)dropout(graph.input("x", {2}), {.drop = 1.5}, "drop1");
              }),
              "dropout 'drop1': drop is the probability of being dropped, 0..1, got 1.5");
}

}  // namespace
}  // namespace fovea
