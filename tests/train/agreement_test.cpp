// Two ways to compute a network, compared picture by picture.
#include "fovea/nn.h"
#include "small_run.h"

namespace fovea {
namespace {

TEST(Agreement, CountsEqualAnswersAndMeasuresTheScores) {
    const Graph net = test::small_network();
    const Parameters parameters = make_parameters(net, 3);
    const DatasetPtr data = test::quadrants(50, "agreement");
    const EvaluateSpec spec{.batch = 16, .preprocess = {.channels = 1}};
    const Agreement same = agreement(net, parameters, data, spec, spec.compile);
    EXPECT_EQ(same.images, 50);
    EXPECT_EQ(same.same_top1, 50);
    EXPECT_EQ(same.relative_l2, 0);
    const Agreement exact = agreement(net, parameters, data, spec, {.backend = "reference", .precision = Precision::f64});
    EXPECT_EQ(exact.same_top1, 50);
    EXPECT_GT(exact.relative_l2, 0);
    EXPECT_LT(exact.worst_l2, 1e-6);  // f32 sums of at most 128 products
    EXPECT_GE(exact.worst_l2, exact.relative_l2 / 2);
    if (!unmet_precision({.precision = Precision::bf16}).empty()) GTEST_SKIP() << unmet_precision({.precision = Precision::bf16});
    const Agreement half = agreement(net, parameters, data, spec, {.precision = Precision::bf16});
    EXPECT_GT(half.relative_l2, 1e-4);
    EXPECT_LT(half.worst_l2, 2e-2);  // 8 bits of a factor, two layers
}

}  // namespace
}  // namespace fovea
