// T21, T22: gradient norms, saturated and dead units on cases worked out by hand.
#include "small_run.h"
#include "train/probe.h"

namespace fovea {
namespace {

/// Ten white pixels of class 0: the network sees x = 1 each time.
FitSpec ones() {
    FitSpec spec;
    spec.train = memory_dataset("ones", {"a", "b"}, MemoryImages{1, 1, 1, std::vector<std::uint8_t>(10, 255), std::vector<std::int32_t>(10, 0)});
    spec.preprocess = {.channels = 1};
    return spec;
}

TEST(Probe, TheNormOfASoftmaxLayersGradient) {
    Graph net;
    net.output("logits", linear(flatten(net.input("image", {dynamic, 1, 1, 1})), {.out = 2}, "fc"));
    Parameters parameters;
    parameters.set("fc.weight", Tensor(Shape{2, 1}));
    parameters.set("fc.bias", Tensor(Shape{2}));
    // Both probabilities are 1/2: dL/db = (-1/2, 1/2), dL/dW the same times x = 1.
    const Json seen = Probe(net, ones()).look(parameters);
    EXPECT_EQ(seen.at("images"), 8);
    EXPECT_NEAR(seen.at("gradient_norms").at("fc").get<double>(), 1, 1e-6);  // a few roundings of f32
    EXPECT_TRUE(seen.at("activations").empty());
}

/// Units whose inputs are `weights`, behind an activation.
Json activation_of(const std::vector<float>& weights, Value (*activation)(const Value&, std::string_view)) {
    const auto count = static_cast<std::int64_t>(weights.size());
    Graph net;
    const Value x = linear(flatten(net.input("image", {dynamic, 1, 1, 1})), {.out = count, .bias = false}, "hidden");
    net.output("logits", linear(activation(x, "act"), {.out = 2, .bias = false}, "fc"));
    Parameters parameters;
    parameters.set("hidden.weight", Tensor::of(std::span<const float>(weights), {count, 1}));
    parameters.set("fc.weight", Tensor::of(std::span<const float>(std::vector<float>(weights.size() * 2, 0.5F)), {2, count}));
    const Json seen = Probe(net, ones()).look(parameters);
    EXPECT_EQ(seen.at("activations").size(), 1U);
    EXPECT_EQ(seen.at("activations").at(0).at("layer"), "act");
    return seen.at("activations").at(0);
}

TEST(Probe, DeadAndSaturatedUnits) {
    const Json relu_units = activation_of({1, -1, 2, -2, 0, 3, 4, 5}, relu);
    EXPECT_EQ(relu_units.at("dead"), 0.375);
    EXPECT_EQ(relu_units.at("zero"), 0.375);
    // 1 - tanh(x)^2 < 1/20 from |x| = 2.18 on.
    EXPECT_NEAR(activation_of({0.1F, 2.1F, -2.1F, 2.3F, -2.3F, 9}, tanh).at("saturated").get<double>(), 0.5, 1e-6);
    // The sigmoid is tanh(x / 2): from |x| = 4.36 on.
    EXPECT_NEAR(activation_of({0.1F, 4.2F, -4.2F, 4.5F}, sigmoid).at("saturated").get<double>(), 0.25, 1e-6);
}

TEST(Probe, AUnitIsAChannelAndIsDeadOnlyIfNoPictureWakesIt) {
    Graph net;
    const Value x = net.input("image", {dynamic, 1, 8, 8});
    const Value y = relu(conv2d(x, {.out = 3, .kernel = 1}, "conv"), "act");
    net.output("logits", linear(flatten(y), {.out = 4, .bias = false}, "fc"));
    FitSpec spec = test::small_fit({});
    spec.preprocess = {.channels = 1};
    Parameters parameters;
    parameters.set("conv.weight", Tensor::of({1.0F, -1.0F, 1.0F}, {3, 1, 1, 1}));
    parameters.set("conv.bias", Tensor::of({0.1F, 0.0F, -0.7F}, {3}));  // awake everywhere; asleep everywhere; awake on bright pixels
    parameters.set("fc.weight", Tensor(Shape{4, 192}));
    const Json seen = Probe(net, spec).look(parameters);
    const Json& act = seen.at("activations").at(0);
    EXPECT_NEAR(act.at("dead").get<double>(), 1.0 / 3, 1e-12);
    EXPECT_GT(act.at("zero").get<double>(), 1.0 / 3);
    EXPECT_LT(act.at("zero").get<double>(), 2.0 / 3);
    EXPECT_EQ(seen.at("gradient_norms").at("conv"), 0);  // nothing comes back through weights of 0
}

TEST(Probe, LeavesTheRunAsItIs) {
    const test::TemporaryDirectory with("probe_on"), without("probe_off");
    FitSpec spec = test::small_fit(with.path(), 2);
    fit(test::small_network(), spec);
    spec.out = without.path();
    spec.probe = 0;
    fit(test::small_network(), spec);
    EXPECT_TRUE(test::bytes_of(with.path() / "checkpoint-last.safetensors") == test::bytes_of(without.path() / "checkpoint-last.safetensors"));
}

}  // namespace
}  // namespace fovea
