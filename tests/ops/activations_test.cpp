#include "support.h"

namespace fovea {
namespace {

using test::expect_gradients;
using test::filled;
using test::values_of;

struct Activation {
    const char* name;
    std::function<Value(const Value&)> f;
    std::function<double(double)> value;
    std::function<double(double)> slope;
    std::vector<double> knees{};  ///< where the derivative jumps
};

double logistic(double x) { return 1 / (1 + std::exp(-x)); }
double normal_cdf(double x) { return std::erfc(-x / std::sqrt(2.0)) / 2; }
double normal_density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0)); }

/// Formulas written another way than in the library where there is one.
const std::vector<Activation>& all() {
    static const std::vector<Activation> list{
        {"relu", [](const Value& x) { return relu(x); }, [](double x) { return x > 0 ? x : 0; }, [](double x) { return x > 0 ? 1 : 0; }, {0}},
        {"leaky_relu", [](const Value& x) { return leaky_relu(x, {.slope = 0.1}); }, [](double x) { return std::max(0.1 * x, x); }, [](double x) { return x > 0 ? 1 : 0.1; }, {0}},
        {"relu6", [](const Value& x) { return relu6(x); }, [](double x) { return std::clamp(x, 0.0, 6.0); }, [](double x) { return x > 0 && x < 6 ? 1 : 0; }, {0, 6}},
        {"sigmoid", [](const Value& x) { return sigmoid(x); }, [](double x) { return (1 + std::tanh(x / 2)) / 2; }, [](double x) { return 0.25 / std::pow(std::cosh(x / 2), 2); }},
        {"log_sigmoid", [](const Value& x) { return log_sigmoid(x); }, [](double x) { return std::log(logistic(x)); }, [](double x) { return logistic(-x); }},
        {"hard_sigmoid", [](const Value& x) { return hard_sigmoid(x); }, [](double x) { return std::clamp(x / 6 + 0.5, 0.0, 1.0); },
         // PyTorch's kernel holds the slope in single precision, also for f64.
         [](double x) { return std::abs(x) < 3 ? static_cast<double>(1.0f / 6.0f) : 0; }, {-3, 3}},
        {"tanh", [](const Value& x) { return tanh(x); }, [](double x) { return 2 * logistic(2 * x) - 1; }, [](double x) { return 1 / std::pow(std::cosh(x), 2); }},
        {"scaled_tanh", [](const Value& x) { return scaled_tanh(x); }, [](double x) { return 1.7159 * std::tanh(2 * x / 3); },
         [](double x) { return 1.7159 * 2 / 3 / std::pow(std::cosh(2 * x / 3), 2); }},
        {"hard_tanh", [](const Value& x) { return hard_tanh(x, {.low = -1.5, .high = 1}); }, [](double x) { return std::clamp(x, -1.5, 1.0); },
         [](double x) { return x > -1.5 && x < 1 ? 1 : 0; }, {-1.5, 1}},
        {"elu", [](const Value& x) { return elu(x, {.alpha = 0.5}); }, [](double x) { return x > 0 ? x : 0.5 * std::expm1(x); }, [](double x) { return x > 0 ? 1 : 0.5 * std::exp(x); }, {0}},
        {"celu", [](const Value& x) { return celu(x, {.alpha = 0.5}); }, [](double x) { return x > 0 ? x : 0.5 * std::expm1(2 * x); }, [](double x) { return x > 0 ? 1 : std::exp(2 * x); }, {0}},
        {"selu", [](const Value& x) { return selu(x); }, [](double x) { return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * std::expm1(x)); },
         [](double x) { return 1.0507009873554805 * (x > 0 ? 1 : 1.6732632423543772 * std::exp(x)); }, {0}},
        {"silu", [](const Value& x) { return silu(x); }, [](double x) { return x * logistic(x); }, [](double x) { return logistic(x) + x * logistic(x) * logistic(-x); }},
        {"silu beta", [](const Value& x) { return silu(x, {.beta = 2}); }, [](double x) { return x * logistic(2 * x); },
         [](double x) { return logistic(2 * x) + 2 * x * logistic(2 * x) * logistic(-2 * x); }},
        {"hard_swish", [](const Value& x) { return hard_swish(x); }, [](double x) { return x * std::clamp(x / 6 + 0.5, 0.0, 1.0); },
         [](double x) { return x < -3 ? 0 : x <= 3 ? x / 3 + 0.5 : 1; }, {-3, 3}},
        {"mish", [](const Value& x) { return mish(x); }, [](double x) { return x * std::tanh(std::log(1 + std::exp(x))); },
         [](double x) {
             const double t = std::tanh(std::log(1 + std::exp(x)));
             return t + x * (1 - t * t) * logistic(x);
         }},
        {"gelu", [](const Value& x) { return gelu(x); }, [](double x) { return x * normal_cdf(x); }, [](double x) { return normal_cdf(x) + x * normal_density(x); }},
        {"softplus", [](const Value& x) { return softplus(x, {.beta = 2}); }, [](double x) { return std::log(1 + std::exp(2 * x)) / 2; }, [](double x) { return logistic(2 * x); }},
        {"softsign", [](const Value& x) { return softsign(x); }, [](double x) { return x / (1 + std::abs(x)); }, [](double x) { return std::pow(1 + std::abs(x), -2); }, {0}},
        {"softshrink", [](const Value& x) { return softshrink(x); }, [](double x) { return x - std::clamp(x, -0.5, 0.5); }, [](double x) { return std::abs(x) > 0.5 ? 1 : 0; }, {-0.5, 0.5}},
        {"hardshrink", [](const Value& x) { return hardshrink(x); }, [](double x) { return std::abs(x) > 0.5 ? x : 0; }, [](double x) { return std::abs(x) > 0.5 ? 1 : 0; }, {-0.5, 0.5}},
        {"tanhshrink", [](const Value& x) { return tanhshrink(x); }, [](double x) { return x - std::tanh(x); }, [](double x) { return std::tanh(x) * std::tanh(x); }},
        {"threshold", [](const Value& x) { return threshold(x, {.threshold = 1, .value = -3}); }, [](double x) { return x > 1 ? x : -3; }, [](double x) { return x > 1 ? 1 : 0; }, {1}},
        {"exp", [](const Value& x) { return exp(x); }, [](double x) { return std::exp(x); }, [](double x) { return std::exp(x); }},
        {"sin", [](const Value& x) { return sin(x); }, [](double x) { return 2 * std::sin(x / 2) * std::cos(x / 2); }, [](double x) { return 1 - 2 * std::pow(std::sin(x / 2), 2); }},
        {"cos", [](const Value& x) { return cos(x); }, [](double x) { return 1 - 2 * std::pow(std::sin(x / 2), 2); }, [](double x) { return -2 * std::sin(x / 2) * std::cos(x / 2); }},
        {"square", [](const Value& x) { return square(x); }, [](double x) { return x * x; }, [](double x) { return 2 * x; }},
        {"abs", [](const Value& x) { return abs(x); }, [](double x) { return std::abs(x); }, [](double x) { return (x > 0) - (x < 0); }, {0}},
        {"erf", [](const Value& x) { return erf(x); }, [](double x) { return 2 * normal_cdf(x * std::sqrt(2.0)) - 1; },
         [](double x) { return 2 * std::sqrt(2.0) * normal_density(x * std::sqrt(2.0)); }},
        {"clamp", [](const Value& x) { return clamp(x, -2, 1); }, [](double x) { return std::clamp(x, -2.0, 1.0); }, [](double x) { return x >= -2 && x <= 1 ? 1 : 0; }, {-2, 1}},
        {"pow", [](const Value& x) { return pow(x, 3); }, [](double x) { return x * x * x; }, [](double x) { return 3 * x * x; }},
    };
    return list;
}

TEST(Activations, ValuesAndDerivativesAtTheTellingPoints) {
    const Tensor x = Tensor::of<double>({-2, -0.0, 0, 1e-8, 2, -3, 3, 6, -30, 15}, {10});
    for (const Activation& a : all()) {
        test::Built built([&](Graph&, const auto& v) { return a.f(v[0]); }, {x});
        const Tensor y = built.run(built.y), dx = built.run(gradients(built.y, built.xs).front());
        for (std::int64_t i = 0; i < x.elements(); ++i) {
            // 1e-12: the formulas here cancel a few digits where the library's do not.
            EXPECT_NEAR(y.at(i), a.value(x.at(i)), 1e-12 * std::max(1.0, std::abs(y.at(i)))) << a.name << " at " << x.at(i);
            EXPECT_NEAR(dx.at(i), a.slope(x.at(i)), 1e-12 * std::max(1.0, std::abs(dx.at(i)))) << a.name << "' at " << x.at(i);
        }
        const Tensor single = built.run(built.y, DType::f32);
        for (std::int64_t i = 0; i < 5; ++i) EXPECT_NEAR(single.at(i), y.at(i), 1e-6 * std::max(1.0, std::abs(y.at(i)))) << a.name << " in f32 at " << x.at(i);
    }
}

TEST(Activations, FirstAndSecondDerivativesAgreeWithCentralDifferences) {
    for (const Activation& a : all()) {
        SCOPED_TRACE(a.name);
        Tensor x = filled({3, 7}, a.name, -4, 7);
        for (std::int64_t i = 0; i < x.elements(); ++i)
            for (double knee : a.knees)
                if (std::abs(x.at(i) - knee) < 0.01) x.set(i, x.at(i) + 0.05);
        expect_gradients([&](Graph&, const auto& v) { return a.f(v[0]); }, {x});
        expect_gradients([&](Graph&, const auto& v) { return square(gradients(a.f(v[0]) * v[0], std::vector<Value>{v[0]}).front()); }, {x});
    }
}

TEST(Activations, OfLargeValuesStayFinite) {
    const Tensor x = Tensor::of<double>({-1e4, 1e4, -90, 90}, {4});
    for (const Activation& a : all()) {
        const std::string name = a.name;
        if (name == "exp" || name == "square" || name == "pow") continue;
        test::Built built([&](Graph&, const auto& v) { return a.f(v[0]); }, {x});
        const Value dx = gradients(built.y, built.xs).front();
        for (double v : values_of(built.run(built.y, DType::f32))) EXPECT_TRUE(std::isfinite(v)) << a.name;
        for (double v : values_of(built.run(dx, DType::f32))) EXPECT_TRUE(std::isfinite(v)) << a.name << "'";
    }
}

TEST(Activations, LeCunsTanhMapsOneToOne) {
    const auto y = values_of(test::evaluate([](Graph&, const auto& v) { return scaled_tanh(v[0]); }, {Tensor::of<double>({1, -1}, {2})}));
    EXPECT_NEAR(y[0], 1, 1e-4);  // the published constants are rounded
    EXPECT_NEAR(y[1], -1, 1e-4);
}

TEST(Activations, TanhApproximationOfGeluStaysCloseToIt) {
    const Tensor x = filled({200}, "x", -4, 4);
    const auto difference = [&](bool approximate) { return test::evaluate([=](Graph&, const auto& v) { return gelu(v[0], {.approximate = approximate}); }, {x}); };
    EXPECT_LT(test::relative_l2(difference(true), difference(false)), 1e-3);
    expect_gradients([](Graph&, const auto& v) { return gelu(v[0], {.approximate = true}); }, {x});
    expect_gradients([](Graph&, const auto& v) { return square(gradients(gelu(v[0], {.approximate = true}), std::vector<Value>{v[0]}).front()); }, {x});
}

TEST(Prelu, HasOneSlopePerChannelOrOneForAll) {
    const Tensor x = Tensor::of<double>({-1, 2, -3, -4}, {1, 2, 2}), slope = Tensor::of<double>({0.5, 0.1}, {2});
    EXPECT_EQ(values_of(test::evaluate([](Graph&, const auto& v) { return prelu_with_slope(v[0], v[1]); }, {x, slope})), (std::vector<double>{-0.5, 2, -3 * 0.1, -0.4}));
    EXPECT_EQ(values_of(test::evaluate([](Graph&, const auto& v) { return prelu_with_slope(v[0], v[1]); }, {x, Tensor::of<double>({0.5}, {1})})), (std::vector<double>{-0.5, 2, -1.5, -2}));
    expect_gradients([](Graph&, const auto& v) { return prelu_with_slope(v[0], v[1]); }, {filled({2, 3, 2, 2}, "x"), filled({3}, "a")});
    Graph graph;
    (void)prelu(graph.input("x", {dynamic, 8, 4, 4}), {}, "act");
    EXPECT_EQ(graph.find_parameter("act.weight")->type.shape, (Shape{8}));
}

TEST(Swish, LearnsItsBeta) {
    expect_gradients([](Graph&, const auto& v) { return swish(v[0], v[1]); }, {filled({2, 3}, "x"), filled(Shape{}, "beta", 0.5, 1.5)});
}

TEST(Elementary, GradientsAgreeWithCentralDifferences) {
    const Tensor a = filled({2, 3}, "a", 0.5, 2), b = filled({3}, "b", 0.5, 2);
    expect_gradients([](Graph&, const auto& v) { return log(v[0]) + sqrt(v[0]) * rsqrt(v[1]) + pow(v[0], -1.5); }, {a, b});
    expect_gradients([](Graph&, const auto& v) { return maximum(v[0], v[1]) * minimum(v[0], v[1]); }, {a, b});
    expect_gradients([](Graph&, const auto& v) { return where(greater(v[0], 1), square(v[0]), v[1]); }, {a, b});
    expect_gradients([](Graph&, const auto& v) { return where(v[0], v[1], v[2]); }, {Tensor::of<double>({1, 0, 1}, {3, 1}), filled({4}, "b"), filled({3, 4}, "c")}, {1, 2});
}

TEST(Elementary, TiesShareTheGradient) {
    test::Built built([](Graph&, const auto& v) { return maximum(v[0], v[1]); }, {Tensor::of<double>({1, 2}, {2}), Tensor::of<double>({1, 0}, {2})});
    const auto d = gradients(built.y, built.xs);
    EXPECT_EQ(values_of(built.run(d[0])), (std::vector<double>{0.5, 1}));
    EXPECT_EQ(values_of(built.run(d[1])), (std::vector<double>{0.5, 0}));
}

TEST(Elementary, LimitsInTheWrongOrderAreNamed) {
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)test::evaluate([](Graph&, const auto& v) { return clamp(v[0], 2, 1, "cut"); }, {filled({2}, "x")}); }),
              "clamp 'cut': low 2 is above high 1");
}

}  // namespace
}  // namespace fovea
