// Auxiliary outputs: their loss counts in training and is absent from inference.
#include "fovea/nn.h"
#include "fovea/passes.h"
#include "support.h"
#include "train/with_loss.h"

namespace fovea {
namespace {

/// Two classifiers on one input, the second for training only.
Graph two_headed() {
    Graph net;
    const Value x = net.input("image", {dynamic, 3});
    net.output("out", linear(x, {.out = 4}, "main"));
    net.output("side", auxiliary(linear(x, {.out = 4}, "side"), 0.3));
    return net;
}

TEST(AuxiliaryOutputs, AddTheirWeightedLossInTraining) {
    const Graph net = two_headed();
    const WithLoss training = with_loss(net, {}, false, true), evaluation = with_loss(net, {}, false, false);
    const std::map<std::string, Tensor> inputs{{"image", test::filled({2, 3}, "picture")}, {"label", Tensor::of({1, 3}, {2})}};
    const Parameters parameters = make_parameters(net, 1);
    const auto value = [&](Graph& graph, const Value& wanted) {
        graph.output("wanted", wanted);
        const Graph fixed = specialize(graph, {{"image", {2, 3}}, {"label", {2}}});
        const Value result = fixed.find_output("wanted");
        return interpret(fixed, {&result, 1}, inputs, parameters).front().at(0);
    };
    Graph side = net.clone();
    const Value of_side = cross_entropy(side.find_output("side"), side.input("label", {dynamic}, DType::i32));
    const double main_loss = value(*evaluation.graph, evaluation.loss), side_loss = value(side, of_side);
    EXPECT_GT(side_loss, 0);
    EXPECT_NEAR(value(*training.graph, training.loss), main_loss + 0.3 * side_loss, 1e-6);  // f32 parameters, f64 sums
}

TEST(AuxiliaryOutputs, SurvivePassesUntilInference) {
    const Graph net = two_headed();
    EXPECT_EQ(auxiliary_weight(specialize(net, {{"image", {2, 3}}}).find_output("side")), 0.3);
    EXPECT_FALSE(auxiliary_weight(net.find_output("out")));
    EXPECT_EQ(to_inference(net).outputs().size(), 1U);
}

}  // namespace
}  // namespace fovea
