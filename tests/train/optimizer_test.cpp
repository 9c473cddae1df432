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

/// 2-norm of two numbers.
double norm(double a, double b) { return std::sqrt(a * a + b * b); }

// The layer-wise optimisers: their papers' equations, written out for the vector w seen as a 1 x 2 matrix. Its gradient is w + x.
class Matrix {
public:
    explicit Matrix(const Optimizer& optimizer, const StepSpec& spec = {}, std::vector<double> start = {1, -2}, Shape shape = {1, 2}) {
        const Value x = graph_.input("x", shape), w = graph_.parameter("w", shape);
        append_optimizer(graph_, sum(w * w) * 0.5 + sum(w * x), optimizer, spec);
        graph_.verify();
        for (const ParameterInfo& info : graph_.parameters()) values_.set(info.name, Tensor(info.type.shape, DType::f64));
        values_.set("w", Tensor::of<double>(start, shape));
    }
    void step(const std::vector<double>& x, double lr, std::map<std::string, double> scalars = {}) {
        scalars["lr"] = lr, scalars["t"] = ++count_;
        std::map<std::string, Tensor> inputs{{"x", Tensor::of<double>(x, values_.at("w").shape())}};
        for (const Value& input : graph_.inputs())
            if (const auto it = scalars.find(input.path()); it != scalars.end()) inputs[input.path()] = Tensor::scalar(it->second, DType::f64);
        std::vector<Value> wanted;
        for (const auto& [parameter, value] : graph_.updates()) wanted.push_back(value);
        const std::vector<Tensor> results = interpret(graph_, wanted, inputs, values_);
        for (std::size_t i = 0; i < results.size(); ++i) values_.set(graph_.updates()[i].first.path(), results[i]);
    }
    [[nodiscard]] double w(std::int64_t i = 0) const { return values_.at("w").at(i); }
    [[nodiscard]] double at(std::string_view name, std::int64_t i = 0) const { return values_.at(name).at(i); }

private:
    Graph graph_;
    Parameters values_;
    int count_ = 0;
};

TEST(Optimizer, LarsFollowsItsAlgorithm) {
    const double mu = 0.9, decay = 0.1, trust = 0.02;
    Matrix lars(Lars{.lr = 1, .momentum = mu, .weight_decay = decay, .trust = trust});
    double w0 = 1, w1 = -2, v0 = 0, v1 = 0;
    for (int t = 1; t <= 5; ++t) {
        const double lr = 1.0 / t, x0 = 0.5 * t, x1 = -0.25, g0 = w0 + x0, g1 = w1 + x1;
        const double local = trust * norm(w0, w1) / (norm(g0, g1) + decay * norm(w0, w1));
        v0 = mu * v0 + lr * local * (g0 + decay * w0), v1 = mu * v1 + lr * local * (g1 + decay * w1);
        w0 -= v0, w1 -= v1;
        lars.step({x0, x1}, lr);
        EXPECT_NEAR(lars.w(0), w0, rounding);
        EXPECT_NEAR(lars.w(1), w1, rounding);
    }
    // By hand: |w| = 5, g = w, so the local rate is 0.001 and the step a thousandth of w.
    Matrix first(Lars{.lr = 1, .momentum = 0}, {}, {3, 4});
    first.step({0, 0}, 1);
    EXPECT_NEAR(first.w(0), 3 * 0.999, rounding);
    // A layer that is all zeros has no size to go by: plain SGD.
    Matrix zero(Lars{.lr = 1, .momentum = 0}, {}, {0, 0});
    zero.step({3, 4}, 1);
    EXPECT_NEAR(zero.w(1), -4, rounding);
}

TEST(Optimizer, LambFollowsItsAlgorithm) {
    const double b1 = 0.9, b2 = 0.99, eps = 1e-6, decay = 0.1;
    Matrix lamb(Lamb{.beta1 = b1, .beta2 = b2, .eps = eps, .weight_decay = decay});
    std::array<double, 2> w{1, -2}, m{}, v{};
    for (int t = 1; t <= 5; ++t) {
        const std::array<double, 2> x{0.5 * t, -0.25};
        std::array<double, 2> r{};
        for (std::size_t i = 0; i < 2; ++i) {
            const double g = w[i] + x[i];
            m[i] = b1 * m[i] + (1 - b1) * g, v[i] = b2 * v[i] + (1 - b2) * g * g;
            r[i] = m[i] / (1 - std::pow(b1, t)) / (std::sqrt(v[i] / (1 - std::pow(b2, t))) + eps) + decay * w[i];
        }
        const double trust = norm(w[0], w[1]) / norm(r[0], r[1]);
        for (std::size_t i = 0; i < 2; ++i) w[i] -= 0.01 * trust * r[i];
        lamb.step({x[0], x[1]}, 0.01);
        EXPECT_NEAR(lamb.w(0), w[0], 1e-12);  // 1 - 0.99^t: two digits are lost
        EXPECT_NEAR(lamb.w(1), w[1], 1e-12);
    }
    // By hand: the first direction is (1, 1) of length sqrt 2, |w| = 5.
    Matrix first(Lamb{.eps = 0}, {}, {3, 4});
    first.step({0, 0}, 0.1);
    EXPECT_NEAR(first.w(0), 3 - 0.1 * 5 / std::sqrt(2.0), 1e-12);
}

TEST(Optimizer, LionFollowsItsAlgorithm) {
    Matrix lion(Lion{.lr = 0.1, .weight_decay = 0.5});
    double w = 1, m = 0;
    for (const double x : {0.5, -3.0, 1.0, -0.2}) {
        const double g = w + x, direction = 0.9 * m + 0.1 * g > 0 ? 1 : -1;
        w -= 0.1 * (direction + 0.5 * w), m = 0.99 * m + 0.01 * g;
        lion.step({x, 0}, 0.1);
        EXPECT_NEAR(lion.w(), w, rounding);
        EXPECT_NEAR(lion.at("optimizer.momentum.w"), m, rounding);
    }
    Matrix first(Lion{.lr = 0.1});  // by hand: the sign of the gradient 1.5
    first.step({0.5, 0}, 0.1);
    EXPECT_NEAR(first.w(), 0.9, rounding);
}

/// Keller Jordan's zeropower_via_newtonschulz5 in plain loops: rows x columns, row-major.
std::vector<double> orthogonalised(std::vector<double> x, int rows, int columns, int steps) {
    const auto at = [&](const std::vector<double>& m, int width, int r, int c) { return m[static_cast<std::size_t>(r * width + c)]; };
    double length = 0;
    for (const double v : x) length += v * v;
    for (double& v : x) v /= std::sqrt(length) + 1e-7;
    for (int step = 0; step < steps; ++step) {
        std::vector<double> a(static_cast<std::size_t>(rows * rows)), next(x.size());
        for (int i = 0; i < rows; ++i)
            for (int j = 0; j < rows; ++j)
                for (int k = 0; k < columns; ++k) a[static_cast<std::size_t>(i * rows + j)] += at(x, columns, i, k) * at(x, columns, j, k);
        for (int i = 0; i < rows; ++i)
            for (int k = 0; k < columns; ++k) {
                double total = 3.4445 * at(x, columns, i, k);
                for (int j = 0; j < rows; ++j) {
                    double aa = 0;
                    for (int l = 0; l < rows; ++l) aa += at(a, rows, i, l) * at(a, rows, l, j);
                    total += (-4.7750 * at(a, rows, i, j) + 2.0315 * aa) * at(x, columns, j, k);
                }
                next[static_cast<std::size_t>(i * columns + k)] = total;
            }
        x = next;
    }
    return x;
}

TEST(Optimizer, MuonFollowsItsAlgorithm) {
    // 3 x 2 is tall: the iteration runs on the transpose, and rows / columns scales the step.
    Matrix muon(Muon{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01}, {}, {1, -2, 0.5, 3, -1, 0.25}, {3, 2});
    std::vector<double> w{1, -2, 0.5, 3, -1, 0.25}, v(6, 0.0);
    for (int t = 1; t <= 3; ++t) {
        std::vector<double> x{0.1, 0.2 * t, -0.3, 0.4, 0.5, -0.6}, u(6);
        for (std::size_t i = 0; i < 6; ++i) {
            const double g = w[i] + x[i];
            v[i] = 0.9 * v[i] + g;
            const std::size_t row = i / 2, column = i % 2;
            u[column * 3 + row] = g + 0.9 * v[i];
        }
        const std::vector<double> o = orthogonalised(u, 2, 3, 5);
        for (std::size_t i = 0; i < 6; ++i) w[i] -= 0.1 * (std::sqrt(1.5) * o[i % 2 * 3 + i / 2] + 0.01 * w[i]);
        muon.step(x, 0.1);
        for (std::int64_t i = 0; i < 6; ++i) EXPECT_NEAR(muon.w(i), w[static_cast<std::size_t>(i)], 1e-12);  // 15 products of 3 x 3
    }
    // By hand: of a 1 x 2 matrix x / |x| = u each step leaves u (a + b + c) with a + b + c near 0.7 at 1: one step from |u| = 1.
    Matrix first(Muon{.lr = 1, .momentum = 0, .nesterov = false, .steps = 1}, {}, {3, 4});
    first.step({0, 0}, 1);
    EXPECT_NEAR(first.w(0), 3 - 0.6 * (3.4445 - 4.7750 + 2.0315), 1e-6);  // 1e-7 beside |x| = 5
    // Vectors and the groups told so are AdamW's, at a rate of its own that follows the schedule.
    Bowl adamw(Muon{.lr = 0.02, .adamw_lr = 0.004, .eps = 0});
    adamw.step({1, 1}, 0.01);
    EXPECT_NEAR(adamw.bias(), 0.5 - 0.002, 1e-12);
    Matrix told(Muon{.lr = 0.02, .adamw_lr = 0.004, .eps = 0}, {.groups = {{.name = "head", .parameters = {"w"}, .elementwise = true}}});
    told.step({1, 1}, 0.02);
    EXPECT_NEAR(told.w(), 1 - 0.004, 1e-12);
}

TEST(Optimizer, GroupsHaveTheirOwnRateAndDecay) {
    const StepSpec spec{.groups = {{.name = "biases", .parameters = {"b*"}, .lr = 10, .weight_decay = 0}, {.name = "rest", .parameters = {"*"}, .lr = 0.5}}};
    Bowl bowl(Sgd{.lr = 0.1, .weight_decay = 0.5}, spec);
    bowl.step({1, 1}, 0.1);
    EXPECT_NEAR(bowl.bias(), 0.5 - 0.1 * 10 * 1, rounding);  // the first group that fits
    EXPECT_NEAR(bowl.w(), 1 - 0.1 * 0.5 * (2 + 0.5), rounding);
    EXPECT_EQ(test::message_of<ArgumentError>([] { Bowl wrong(Sgd{.lr = 0.1}, {.groups = {{.name = "head", .parameters = {"fc*"}}}}); }),
              "group 'head': pattern 'fc*' matches no trainable parameter; nearest: w, bias");
}

TEST(Optimizer, LookaheadGoesBackHalfTheWay) {
    Matrix ahead(Sgd{.lr = 0.1}, {.lookahead_every = 2, .lookahead_alpha = 0.5});
    double w = 1, slow = 1;
    for (int t = 1; t <= 4; ++t) {
        w -= 0.1 * (w + 0.5);
        if (t % 2 == 0) w = slow = slow + 0.5 * (w - slow);
        ahead.step({0.5, 0}, 0.1, {{"lookahead", t % 2 == 0}});
        EXPECT_NEAR(ahead.w(), w, rounding);
        EXPECT_NEAR(ahead.at("optimizer.slow.w"), slow, rounding);
    }
}

TEST(Optimizer, TheAverageFollowsTheWeights) {
    Matrix averaged(Sgd{.lr = 0.1}, {.ema = 0.9});
    double w = 1, mean = 0;
    for (const double rate : {1.0, 0.25, 0.1}) {
        w -= 0.1 * (w + 0.5), mean += rate * (w - mean);
        averaged.step({0.5, 0}, 0.1, {{"ema_rate", rate}});
        EXPECT_NEAR(averaged.at("optimizer.average.w"), mean, rounding);
    }
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
              "optimizer 'adam' has no option 'momentum'; it has lr, beta1, beta2, eps, weight_decay");
    Graph graph;
    const Value w = graph.parameter("w", {3});
    EXPECT_EQ(test::message_of<ShapeError>([&] { append_optimizer(graph, relu(w, "act"), Sgd{.lr = 1}); }),
              "the loss 'act' is [3]; a training step needs one number: reduce it with mean or sum");
}

TEST(Optimizer, IsMadeByName) {
    EXPECT_EQ(std::get<Sgd>(make_optimizer("sgd", {{"lr", 0.5}, {"momentum", 0.9}, {"nesterov", 1}, {"form", 0}})), (Sgd{.lr = 0.5, .momentum = 0.9, .nesterov = true}));
    EXPECT_EQ(std::get<Muon>(make_optimizer("muon", {{"steps", 3}})).steps, 3);
    EXPECT_EQ(std::get<Lars>(make_optimizer("lars", {{"trust", 0.02}})).trust, 0.02);
    EXPECT_EQ(name_of(make_optimizer("lamb")), "lamb");
    EXPECT_EQ(std::get<Lion>(make_optimizer("lion", {{"beta2", 0.98}})).beta2, 0.98);
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
