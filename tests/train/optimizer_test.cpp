#include "fovea/train.h"
#include "small_run.h"

namespace fovea {
namespace {

/// loss = sum(w * w) / 2 + sum(w * x): the gradient of w is w + x. Runs whole steps through the plain loops in f64.
class Bowl {
public:
    explicit Bowl(const Optimizer& optimizer, const StepSpec& spec = {}) {
        const Value x = graph_.input("x", {2});
        const Value w = graph_.parameter("w", {2}), b = graph_.parameter("bias", {2});
        const Value loss = sum(w * w) * 0.5 + sum(w * x) + sum(b * x);
        append_optimizer(graph_, loss, optimizer, spec);
        graph_.verify();
        for (const ParameterInfo& info : graph_.parameters()) values_.set(info.name, Tensor(info.type.shape, DType::f64));
        values_.set("w", Tensor::of({1.0, -2.0}, {2}));
        values_.set("bias", Tensor::of({0.5, 0.25}, {2}));
    }

    void step(std::array<double, 2> x, double lr, std::optional<double> momentum = {}) {
        std::map<std::string, Tensor> inputs{{"x", Tensor::of({x[0], x[1]}, {2})}};
        for (const Value& input : graph_.inputs()) {
            if (input.path() == "lr") inputs["lr"] = Tensor::scalar(lr, DType::f64);
            if (input.path() == "t") inputs["t"] = Tensor::scalar(static_cast<double>(++count_), DType::f64);
            if (input.path() == "momentum") inputs["momentum"] = Tensor::scalar(momentum.value(), DType::f64);
        }
        std::vector<Value> wanted;
        for (const auto& [parameter, value] : graph_.updates()) wanted.push_back(value);
        for (const auto& [name, value] : graph_.outputs()) wanted.push_back(value);
        const std::vector<Tensor> results = interpret(graph_, wanted, inputs, values_);
        std::size_t i = 0;
        for (const auto& [parameter, value] : graph_.updates()) values_.set(parameter.path(), results[i++]);
        for (const auto& [name, value] : graph_.outputs()) outputs_[name] = results[i++].at(0);
    }
    [[nodiscard]] double w(std::int64_t i = 0) const { return values_.at("w").at(i); }
    [[nodiscard]] double bias(std::int64_t i = 0) const { return values_.at("bias").at(i); }
    [[nodiscard]] const Parameters& values() const { return values_; }
    [[nodiscard]] double output(const std::string& name) const { return outputs_.at(name); }
    [[nodiscard]] const Graph& graph() const { return graph_; }

private:
    Graph graph_;
    Parameters values_;
    std::map<std::string, double> outputs_;
    int count_ = 0;
};

/// f64 throughout: a few roundings of values of order 1.
constexpr double rounding = 1e-14;

TEST(Optimizer, SgdStepIsTheHandComputedOne) {
    Bowl bowl(Sgd{.lr = 0.1, .momentum = 0.9, .nesterov = true, .weight_decay = 0.01});
    bowl.step({0.5, 0.5}, 0.1);
    const double g = 1.0 + 0.5 + 0.01 * 1.0;  // the first velocity is g; Nesterov steps along g + 0.9 v
    EXPECT_NEAR(bowl.w(), 1.0 - 0.1 * (g + 0.9 * g), rounding);
    EXPECT_NEAR(bowl.values().at("optimizer.momentum.w").at(0), g, rounding);
    const double w1 = bowl.w(), g2 = w1 + 0.5 + 0.01 * w1, v2 = 0.9 * g + g2;
    bowl.step({0.5, 0.5}, 0.1);
    EXPECT_NEAR(bowl.w(), w1 - 0.1 * (g2 + 0.9 * v2), rounding);
}

TEST(Optimizer, MomentumFormsPartWhenTheLearningRateChanges) {
    Bowl torch(Sgd{.lr = 0.1, .momentum = 0.5}), caffe(Sgd{.lr = 0.1, .momentum = 0.5, .form = MomentumForm::caffe}), ema(Sgd{.lr = 0.1, .momentum = 0.5, .form = MomentumForm::ema});
    for (Bowl* bowl : {&torch, &caffe, &ema}) {
        bowl->step({1, 1}, 0.1);
        bowl->step({1, 1}, 0.01);
    }
    // g1 = 2 everywhere. bias has the gradient x = 1 at every step.
    EXPECT_NEAR(torch.bias(), 0.5 - 0.1 * 1 - 0.01 * (0.5 * 1 + 1), rounding);
    EXPECT_NEAR(caffe.bias(), 0.5 - 0.1 * 1 - (0.5 * 0.1 + 0.01), rounding);
    EXPECT_NEAR(ema.bias(), 0.5 - 0.1 * 0.5 - 0.01 * (0.5 * 0.5 + 0.5), rounding);
}

TEST(Optimizer, MomentumIsReadFromAnInputWhereAScheduleMovesIt) {
    Bowl bowl(Sgd{.lr = 0.1, .momentum = 0.9}, {.momentum_input = true});
    bowl.step({1, 1}, 0.1, 0.8);
    bowl.step({1, 1}, 0.1, 0.6);
    EXPECT_NEAR(bowl.bias(), 0.5 - 0.1 * 1 - 0.1 * (0.6 * 1 + 1), rounding);  // not 0.9: v2 = 0.6 v1 + g
    Bowl adam(Adam{.lr = 0.1}, {.momentum_input = true});
    adam.step({1, 1}, 0.1, 0.5);
    adam.step({3, 3}, 0.1, 0.8);
    const double m = 0.8 * (0.5 * 1) + 0.2 * 3, v = 0.999 * 0.001 + 0.001 * 9;
    const double step2 = 0.1 * (m / (1 - 0.8 * 0.8)) / (std::sqrt(v / (1 - 0.999 * 0.999)) + 1e-8);
    EXPECT_NEAR(adam.bias(), 0.5 - 0.1 * 1 / (1 + 1e-8) - step2, 1e-12);  // divides by 1 - 0.999^2: two digits are lost
}

TEST(Optimizer, AdamStepIsTheHandComputedOne) {
    Bowl coupled(Adam{.lr = 0.01, .weight_decay = 0.1}), decoupled(AdamW{.lr = 0.01, .weight_decay = 0.1});
    coupled.step({1, 1}, 0.01);
    decoupled.step({1, 1}, 0.01);
    const double g = 2 + 0.1;  // decay joins the gradient; the first step divides g by |g|
    EXPECT_NEAR(coupled.w(), 1 - 0.01 * g / (g + 1e-8), 1e-12);
    EXPECT_NEAR(decoupled.w(), 1 * (1 - 0.01 * 0.1) - 0.01 * 2 / (2 + 1e-8), 1e-12);
}

TEST(Optimizer, OthersTakeTheirHandComputedStep) {
    Bowl rms(RMSprop{.lr = 0.01}), ada(Adagrad{.lr = 0.1, .initial_accumulator = 0.25}), delta(Adadelta{.lr = 1});
    EXPECT_EQ(ada.graph().find_parameter("optimizer.squares.w")->init.a, 0.25);
    rms.step({1, 1}, 0.01);
    ada.step({1, 1}, 0.1);
    delta.step({1, 1}, 1);
    EXPECT_NEAR(rms.w(), 1 - 0.01 * 2 / (std::sqrt(0.01 * 4) + 1e-8), 1e-12);
    EXPECT_NEAR(ada.w(), 1 - 0.1 * 2 / (std::sqrt(4.0) + 1e-10), 1e-12);  // the state was zero here, the initialiser sets 0.25
    EXPECT_NEAR(delta.w(), 1 - std::sqrt(1e-6) / std::sqrt(0.1 * 4 + 1e-6) * 2, 1e-12);
}

TEST(Optimizer, GradientsAreScaledToTheJointNorm) {
    Bowl bowl(Sgd{.lr = 1}, {.clip_norm = 0.5});
    bowl.step({1, 1}, 1);
    const double norm = std::sqrt(2.0 * 2 + 1 * 1 + 1 + 1);  // w: [2, -1], bias: [1, 1]
    EXPECT_NEAR(bowl.output("gradient_norm"), norm, rounding);
    EXPECT_NEAR(bowl.w(), 1 - 2 * 0.5 / (norm + 1e-6), rounding);
    EXPECT_NEAR(bowl.bias(), 0.5 - 1 * 0.5 / (norm + 1e-6), rounding);
    Bowl loose(Sgd{.lr = 1}, {.clip_norm = 100});
    loose.step({1, 1}, 1);
    EXPECT_EQ(loose.w(), -1);  // below the limit nothing changes
}

TEST(Optimizer, GradientsAreKeptWithinTheValue) {
    Bowl bowl(Sgd{.lr = 1}, {.clip_value = 0.75});
    bowl.step({1, 1}, 1);
    EXPECT_NEAR(bowl.w(0), 1 - 0.75, rounding);
    EXPECT_NEAR(bowl.w(1), -2 + 0.75, rounding);
}

TEST(Optimizer, DecayLeavesOutWhatIsAskedFor) {
    Bowl all(Sgd{.lr = 1, .weight_decay = 0.5}), matrices(Sgd{.lr = 1, .weight_decay = 0.5}, {.decay_norms_and_biases = false}), named(Sgd{.lr = 1, .weight_decay = 0.5}, {.no_decay = {"b*"}});
    for (Bowl* bowl : {&all, &matrices, &named}) bowl->step({0, 0}, 1);
    EXPECT_EQ(all.bias(), 0.5 - 0.25);
    EXPECT_EQ(matrices.bias(), 0.5);
    EXPECT_EQ(named.bias(), 0.5);
    EXPECT_EQ(named.w(), 1 - 1 - 0.5);
}

TEST(Optimizer, FrozenParametersStayAndHaveNoState) {
    Bowl bowl(Sgd{.lr = 1, .momentum = 0.9}, {.frozen = {"w"}});
    bowl.step({1, 1}, 1);
    EXPECT_EQ(bowl.w(), 1);
    EXPECT_FALSE(bowl.values().has("optimizer.momentum.w"));
    EXPECT_EQ(bowl.bias(), -0.5);
}

TEST(Optimizer, SaysWhatIsWrong) {
    EXPECT_EQ(test::message_of<ArgumentError>([] { Bowl bowl(Sgd{.lr = 0.1}, {.frozen = {"conv*"}}); }), "frozen pattern 'conv*' matches no trainable parameter; nearest: w, bias");
    EXPECT_EQ(test::message_of<ArgumentError>([] { Bowl bowl(Sgd{.lr = -1}); }), "optimizer 'sgd': lr must be at least 0, got -1");
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)make_optimizer("adamm"); }).substr(0, 40), "no optimizer 'adamm'; nearest: adam, ada");
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)make_optimizer("adam", {{"momentum", 0.9}}); }),
              "optimizer 'adam' has no option 'momentum'; it has lr, weight_decay, beta1, beta2, eps");
    Graph graph;
    const Value w = graph.parameter("w", {3});
    EXPECT_EQ(test::message_of<ShapeError>([&] { append_optimizer(graph, relu(w, "act"), Sgd{.lr = 1}); }),
              "the loss 'act' is [3]; a training step needs one number: reduce it with mean or sum");
}

TEST(Optimizer, IsMadeByName) {
    EXPECT_EQ(std::get<Sgd>(make_optimizer("sgd", {{"lr", 0.5}, {"momentum", 0.9}, {"nesterov", 1}, {"form", 0}})), (Sgd{.lr = 0.5, .momentum = 0.9, .nesterov = true}));
    EXPECT_EQ(momentum_of(make_optimizer("adam")), 0.9);
    EXPECT_EQ(momentum_of(Sgd{.lr = 0.1}), std::nullopt);
    EXPECT_EQ(learning_rate_of(Adagrad{}), 1e-2);
}

TEST(Glob, MatchesStarsAndQuestionMarks) {
    EXPECT_TRUE(matches_glob("layer*.conv?.weight", "layer1.0.conv2.weight"));
    EXPECT_TRUE(matches_glob("*", ""));
    EXPECT_TRUE(matches_glob("a*b*c", "aXbYbZc"));
    EXPECT_FALSE(matches_glob("conv?", "conv"));
    EXPECT_FALSE(matches_glob("*.bias", "bn1.weight"));
}

}  // namespace
}  // namespace fovea
