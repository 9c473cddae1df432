#include "graph/op.h"
#include "support.h"

namespace fovea {
namespace {

using test::filled;
using test::values_of;

/// One scalar parameter 1 with gradient 0.5 run for some steps of an update; the state starts at 0 and is carried along.
std::vector<double> trajectory(int steps, int states, const std::function<Value(const std::vector<Value>&)>& update) {
    std::vector<double> p{1}, state(static_cast<std::size_t>(states), 0.0);
    for (int t = 1; t <= steps; ++t) {
        std::vector<Tensor> inputs{Tensor::of<double>({p.back()}, {1}), Tensor::of<double>({0.5}, {1}), Tensor::scalar(0.1, DType::f64), Tensor::scalar(t, DType::f64)};
        for (double s : state) inputs.push_back(Tensor::of<double>({s}, {1}));
        const test::Built built([&](Graph&, const auto& x) { return update(x); }, inputs);
        p.push_back(built.run(built.y).at(0));
        for (int s = 0; s < states; ++s) state[static_cast<std::size_t>(s)] = built.run(built.y.sibling(s + 1)).at(0);
    }
    return p;
}

TEST(SgdUpdate, FormsFollowTheirFormulas) {
    const auto sgd = [](const SgdUpdateSpec& spec) {
        return trajectory(2, spec.momentum > 0, [&](const auto& x) { return sgd_update(x[0], x[1], x[2], spec.momentum > 0 ? x[4] : Value{}, spec, x[3]); });
    };
    EXPECT_NEAR(sgd({})[2], 0.9, 1e-15);
    EXPECT_NEAR(sgd({.momentum = 0.9})[2], 1 - 0.1 * 0.5 - 0.1 * (0.9 * 0.5 + 0.5), 1e-15);
    EXPECT_NEAR(sgd({.momentum = 0.9, .dampening = 0.5})[2], 1 - 0.1 * 0.5 - 0.1 * (0.9 * 0.5 + 0.25), 1e-15);
    EXPECT_NEAR(sgd({.momentum = 0.9, .nesterov = true})[1], 1 - 0.1 * (0.5 + 0.9 * 0.5), 1e-15);
    EXPECT_NEAR(sgd({.momentum = 0.9, .form = "caffe"})[2], 1 - 0.05 - (0.9 * 0.05 + 0.05), 1e-15);
    EXPECT_NEAR(sgd({.momentum = 0.9, .nesterov = true, .form = "caffe"})[1], 1 - 1.9 * 0.05, 1e-15);
    EXPECT_NEAR(sgd({.momentum = 0.9, .form = "ema"})[2], 1 - 0.1 * 0.05 - 0.1 * (0.9 * 0.05 + 0.05), 1e-15);
    EXPECT_NEAR(sgd({.weight_decay = 0.2})[1], 1 - 0.1 * 0.7, 1e-15);
    EXPECT_NEAR(sgd({.weight_decay = 0.2, .decoupled = true})[1], 1 - 0.1 * 0.2 - 0.1 * 0.5, 1e-15);
}

TEST(SgdUpdate, CaffeAndTorchFormsPartWhenTheLearningRateChanges) {
    // Same rate: equal. (With a constant gradient and rate, lr inside or outside the velocity is the same number.)
    const auto run = [](const std::string& form) {
        return trajectory(5, 1, [&](const auto& x) { return sgd_update(x[0], x[1], x[2], x[4], {.momentum = 0.9, .form = form}); });
    };
    for (std::size_t i = 0; i < 6; ++i) EXPECT_NEAR(run("torch")[i], run("caffe")[i], 1e-14);
    const auto falling = [](const std::string& form) {
        return trajectory(2, 1, [&](const auto& x) { return sgd_update(x[0], x[1], x[2] / x[3], x[4], {.momentum = 0.9, .form = form}); });
    };
    EXPECT_NEAR(falling("torch")[2] - falling("caffe")[2], (0.1 - 0.05) * 0.9 * 0.5, 1e-14);
}

TEST(AdamUpdate, FirstStepsEqualTheAlgorithmByHand) {
    const auto adam = [](const AdamUpdateSpec& spec) {
        return trajectory(3, spec.amsgrad ? 3 : 2, [&](const auto& x) { return adam_update(x[0], x[1], x[2], x[3], x[4], x[5], spec, spec.amsgrad ? x[6] : Value{}); });
    };
    // With a constant gradient both corrected moments are exact from the first step: each step is lr g / (|g| + eps).
    EXPECT_NEAR(adam({.eps = 0.5})[3], 1 - 3 * 0.1 * 0.5 / 1.0, 1e-13);
    EXPECT_NEAR(adam({.eps = 0.5, .amsgrad = true})[3], 1 - 3 * 0.1 * 0.5 / 1.0, 1e-13);
    EXPECT_NEAR(adam({.eps = 0.5, .weight_decay = 0.1, .decoupled = true})[1], 1 * (1 - 0.01) - 0.05, 1e-13);
    EXPECT_NEAR(adam({.eps = 0.6, .weight_decay = 0.1})[1], 1 - 0.1 * 0.6 / 1.2, 1e-13);
}

TEST(RmspropUpdate, EpsStandsOutsideTheRootUnlessAsked) {
    const auto rmsprop = [](const RmspropUpdateSpec& spec) {
        return trajectory(1, 1 + (spec.momentum > 0) + spec.centered, [&](const auto& x) {
            const Value v = spec.momentum > 0 ? x[5] : Value{}, a = spec.centered ? x[spec.momentum > 0 ? 6 : 5] : Value{};
            return rmsprop_update(x[0], x[1], x[2], x[4], spec, v, a);
        })[1];
    };
    const double s = 0.01 * 0.25;
    EXPECT_NEAR(rmsprop({.eps = 0.1}), 1 - 0.1 * 0.5 / (std::sqrt(s) + 0.1), 1e-14);
    EXPECT_NEAR(rmsprop({.eps = 0.1, .eps_inside = true}), 1 - 0.1 * 0.5 / std::sqrt(s + 0.1), 1e-14);
    EXPECT_NEAR(rmsprop({.eps = 0.1, .momentum = 0.9, .centered = true}), 1 - 0.1 * 0.5 / (std::sqrt(s - 0.005 * 0.005) + 0.1), 1e-14);
}

TEST(AdagradUpdate, RateFallsWithTheRootOfSummedSquares) {
    const auto p = trajectory(2, 1, [](const auto& x) { return adagrad_update(x[0], x[1], x[2], x[3], x[4], {.lr_decay = 1, .eps = 0}); });
    EXPECT_NEAR(p[1], 1 - 0.1, 1e-14);
    EXPECT_NEAR(p[2], p[1] - 0.05 / std::sqrt(2.0), 1e-14);
}

TEST(AdadeltaUpdate, FirstStepEqualsTheAlgorithmByHand) {
    const auto p = trajectory(1, 2, [](const auto& x) { return adadelta_update(x[0], x[1], x[2], x[4], x[5], {.eps = 0.01}); });
    EXPECT_NEAR(p[1], 1 - 0.1 * std::sqrt(0.01) / std::sqrt(0.025 + 0.01) * 0.5, 1e-14);
}

TEST(Updates, PlainLoopsGiveTheSameOnSlicesAndInPlace) {
    // Backends call elementwise plain loops on ranges, and let an output take its operand's place.
    const std::int64_t n = 13, cut = 5;
    for (const char* name : {"sgd_update", "adam_update", "adadelta_update"}) {
        Graph graph;
        const Value p = graph.input("p", {n}), g = graph.input("g", {n}), a = graph.input("a", {n}), b = graph.input("b", {n}), lr = graph.input("lr", Shape{}), t = graph.input("t", Shape{});
        const std::string op = name;
        const Value y = op == "sgd_update" ? sgd_update(p, g, lr, a, {.momentum = 0.9, .nesterov = true}) : op == "adam_update" ? adam_update(p, g, lr, t, a, b) : adadelta_update(p, g, lr, a, b);
        const std::map<std::string, Tensor> given{{"p", filled({n}, "p")}, {"g", filled({n}, "g")}, {"a", filled({n}, "a", 0, 1)}, {"b", filled({n}, "b", 0, 1)},
                                                  {"lr", Tensor::scalar(0.1, DType::f64)}, {"t", Tensor::scalar(3, DType::f64)}};
        const Tensor whole = interpret(graph, {&y, 1}, given, {}, {.real = DType::f64}).front();
        const Node& node = y.node();
        std::map<std::string, Tensor> own;
        for (const auto& [key, tensor] : given) own[key] = tensor.clone();
        for (const auto& [first, length] : {std::pair{std::int64_t{0}, cut}, std::pair{cut, n - cut}}) {
            std::vector<Type> in_types, out_types(node.outputs.size(), Type{{length}});
            std::vector<const void*> in;
            std::vector<void*> out;
            for (const Value& input : node.inputs) {
                const bool is_scalar = input.shape().rank() == 0;
                in_types.push_back({is_scalar ? Shape{} : Shape{length}});
                in.push_back(own.at(input.path()).data<double>().data() + (is_scalar ? 0 : first));
            }
            std::vector<const char*> places{"p", "a", "b"};
            for (std::size_t o = 0; o < node.outputs.size(); ++o) out.push_back(own.at(places[o]).data<double>().data() + first);
            node.op->reference(OpRun(node.attrs, in_types, out_types, in, out, DType::f64, 0, 0));
        }
        EXPECT_EQ(values_of(own.at("p")), values_of(whole)) << name;
    }
}

TEST(Updates, GradientsOfAnotherShapeAreNamed) {
    EXPECT_EQ(test::message_of<ShapeError>([] {
                  Graph graph;
                  (void)sgd_update(graph.input("p", {3}), graph.input("g", {4}), graph.input("lr", Shape{}), {}, {}, {}, {}, "conv1.weight");
              }),
              "sgd_update 'conv1.weight': the gradient is [4], the parameter [3]");
}

}  // namespace
}  // namespace fovea
