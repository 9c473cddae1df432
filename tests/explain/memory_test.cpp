// Predicted memory against the resident memory of this process. What is not planned (JIT code, stacks, the allocator) is a few
// megabytes whatever the network, so the nets here hold hundreds; 5 % is the promise.
#include <gtest/gtest.h>

#include <fstream>

#include "fovea/explain.h"

namespace fovea {
namespace {

bool can_measure() { return static_cast<bool>(std::ofstream("/proc/self/clear_refs")); }

void expect_within(const Graph& graph, std::int64_t batch, bool is_training, Recompute mode = Recompute::none) {
    const double predicted = static_cast<double>(predict_memory(graph, batch, is_training, mode).total()), measured = static_cast<double>(measure_memory(graph, batch, is_training, mode));
    EXPECT_GT(predicted, 60e6);
    EXPECT_NEAR(measured / predicted, 1, 0.05) << "predicted " << predicted << ", measured " << measured;
}

TEST(Memory, OfInferenceIsPredictedWithinFivePercent) {
    if (!can_measure()) GTEST_SKIP() << "/proc/self/clear_refs cannot be written here";
    expect_within(build_model("five_blocks"), 4, false);
    expect_within(build_model("cifar_resnet20"), 4096, false);
}

TEST(Memory, OfATrainingStepIsPredictedWithinFivePercent) {
    if (!can_measure()) GTEST_SKIP() << "/proc/self/clear_refs cannot be written here";
    expect_within(training_step(build_model("cifar_resnet20")), 64, true);
    expect_within(training_step(build_model("five_blocks")), 4, true);
}

TEST(Memory, TheLargestBatchFitsWhenItRunsAndOneMoreWouldNot) {
    if (!can_measure()) GTEST_SKIP() << "/proc/self/clear_refs cannot be written here";
    const Graph net = build_model("small_cifar"), step = training_step(net);
    constexpr std::size_t budget = 96 << 20;
    for (const bool is_training : {false, true}) {
        const Graph& graph = is_training ? step : net;
        const std::int64_t batch = max_batch(graph, budget, is_training);
        ASSERT_GT(batch, 16);
        EXPECT_LE(predict_memory(graph, batch, is_training).total(), budget);
        EXPECT_GT(predict_memory(graph, batch + 1, is_training).total(), budget);
        EXPECT_LE(static_cast<double>(measure_memory(graph, batch, is_training)), 1.05 * static_cast<double>(budget));
    }
    EXPECT_GT(max_batch(net, budget, false), max_batch(step, budget, true));
}

/// Memory-efficient DenseNets (Pleiss et al. 2017, arXiv:1707.06990): joined and normalised maps are made again, so that what is kept grows
/// with the layers, not with their square. 12 and 32 layers in each block: 2.67 times the layers, 7.1 times the square.
TEST(Memory, OfADenseNetGrowsWithItsDepthWhereJoinedMapsAreMadeAgain) {
    const auto activations = [](const char* model, Recompute mode) { return static_cast<double>(predict_memory(training_step(build_model(model)), 16, true, mode).activations); };
    const double layers = 32.0 / 12;
    EXPECT_GT(activations("cifar_densenet100_k12", Recompute::none) / activations("cifar_densenet40_k12", Recompute::none), 2 * layers);
    for (Recompute mode : {Recompute::cheap, Recompute::blocks})
        EXPECT_LT(activations("cifar_densenet100_k12", mode) / activations("cifar_densenet40_k12", mode), 1.1 * layers) << name_of(mode);  // a tenth for scratch, which has its own rule
}

TEST(Memory, OfATrainingStepThatMakesValuesAgainIsPredictedWithinFivePercent) {
    if (!can_measure()) GTEST_SKIP() << "/proc/self/clear_refs cannot be written here";
    for (Recompute mode : {Recompute::cheap, Recompute::blocks}) expect_within(training_step(build_model("cifar_densenet40_k12")), 32, true, mode);
}

TEST(Memory, NothingFitsIntoLessThanTheParameters) { EXPECT_EQ(max_batch(build_model("five_blocks"), 1 << 20, false), 0); }

TEST(Memory, ATrainingStepHoldsParametersAndMomenta) {
    const Graph net = build_model("five_blocks");
    const std::size_t parameters = 42'778'762 * 4;
    EXPECT_NEAR(static_cast<double>(predict_memory(net, 1, false).state), static_cast<double>(parameters), 0.05 * static_cast<double>(parameters));
    EXPECT_NEAR(static_cast<double>(predict_memory(training_step(net), 1, true).state), 2.0 * static_cast<double>(parameters), 0.1 * static_cast<double>(parameters));
}

}  // namespace
}  // namespace fovea
