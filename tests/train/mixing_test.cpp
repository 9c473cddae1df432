// Training on mixed pictures: soft labels reach the loss, and a resumed run goes on as if never stopped.
#include <gtest/gtest.h>

#include "train/small_run.h"

namespace fovea::test {
namespace {

FitSpec mixed_fit(const std::filesystem::path& out) {
    FitSpec spec = small_fit(out, 4);
    spec.augment = {RandomCrop{.padding = 1, .fill = mean_fill}, RandomErasing{.p = 0.3}, MixUp{.alpha = 0.2}, CutMix{}};
    return spec;
}

TEST(Mixing, ANetworkLearnsFromMixedPictures) {
    const TemporaryDirectory folder("mixing");
    const FitResult result = fit(small_network(), mixed_fit(folder.path()));
    EXPECT_GT(result.last_evaluation->top1, 0.9);  // quadrants are easy; chance is 0.25
}

TEST(Mixing, AResumedRunEndsWithTheSameBytes) {
    const TemporaryDirectory whole("mixing_whole"), parted("mixing_parted");
    (void)fit(small_network(), mixed_fit(whole.path()));
    FitSpec spec = mixed_fit(parted.path());
    std::int64_t steps = 0;
    spec.callbacks.push_back({.on_step = [&](const StepReport&) { return ++steps < 17; }});
    EXPECT_TRUE(fit(small_network(), spec).is_stopped);
    spec.callbacks.clear();
    spec.resume = true;
    (void)fit(small_network(), spec);
    EXPECT_EQ(bytes_of(whole.path() / "checkpoint-last.safetensors"), bytes_of(parted.path() / "checkpoint-last.safetensors"));
}

TEST(Mixing, ALossOfOneLabelIsRefused) {
    const TemporaryDirectory folder("mixing_refused");
    FitSpec spec = mixed_fit(folder.path());
    spec.loss = [](const Value& x, const Value& labels) { return multi_margin_loss(x, labels); };
    spec.loss_name = "multi_margin";
    EXPECT_EQ(message_of<ArgumentError>([&] { (void)fit(small_network(), spec); }), "fit: mixed pictures have shares of classes, which the loss multi_margin does not take: leave mixup and cutmix out");
}

TEST(Mixing, SharesOfOneClassAreItsLabel) {
    // Cross-entropy of shares that are one-hot, smoothed as a recipe smooths them, equals that of labels.
    Recipe recipe;
    recipe.label_smoothing = 0.1;
    const LossFunction loss = fit_spec(recipe).loss;
    Graph net;
    const Value x = net.input("x", {3, 4}), hard = net.input("hard", {3}, DType::i32), soft = net.input("soft", {3, 4});
    net.output("hard", loss(x, hard));
    net.output("soft", loss(x, soft));
    const std::vector<float> logits{0.3f, -1, 2, 0.5f, 1, 1, 0, -2, 4, 0.25f, -0.5f, 1}, shares{0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1};
    const std::vector<std::int32_t> labels{2, 0, 3};
    Program program(std::move(net), std::make_shared<State>(Parameters{}), {.backend = "reference", .precision = Precision::f32});
    const auto results = program.run({{"x", Tensor::of(std::span<const float>(logits), {3, 4})}, {"hard", Tensor::of(std::span<const std::int32_t>(labels), {3})},
                                      {"soft", Tensor::of(std::span<const float>(shares), {3, 4})}});
    EXPECT_NEAR(results[0].at(0), results[1].at(0), 1e-6);  // f32, sums in another order
}

}  // namespace
}  // namespace fovea::test
