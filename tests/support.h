// What the tests share: filled tensors, one-line evaluation, gradient checks against central differences in f64.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "backends/reference/interpreter.h"
#include "fovea/ops.h"
#include "fovea/passes.h"

namespace fovea::test {

/// Uniform in [low, high), a pure function of the name.
inline Tensor filled(const Shape& shape, std::string_view name, double low = -1, double high = 1, DType dtype = DType::f64) {
    Tensor tensor(shape, dtype);
    const Rng rng(0, hash_name(name));
    for (std::int64_t i = 0; i < tensor.elements(); ++i) tensor.set(i, low + (high - low) * rng.uniform(static_cast<std::uint64_t>(i)));
    return tensor;
}

inline std::vector<double> values_of(const Tensor& tensor) {
    std::vector<double> values;
    for (std::int64_t i = 0; i < tensor.elements(); ++i) values.push_back(tensor.at(i));
    return values;
}

inline double relative_l2(const Tensor& got, const Tensor& want) {
    double difference = 0, norm = 0;
    for (std::int64_t i = 0; i < want.elements(); ++i) difference += std::pow(got.at(i) - want.at(i), 2), norm += std::pow(want.at(i), 2);
    return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

/// A function of graph inputs "x0", "x1", ... under test.
using Build = std::function<Value(Graph&, const std::vector<Value>&)>;

struct Built {
    explicit Built(const Build& build, const std::vector<Tensor>& inputs) {
        for (std::size_t i = 0; i < inputs.size(); ++i) {
            const std::string name = "x" + std::to_string(i);
            const DType dtype = inputs[i].dtype() == DType::f64 ? DType::f32 : inputs[i].dtype();
            xs.push_back(graph.input(name, inputs[i].shape(), dtype));
            given[name] = inputs[i];
        }
        y = build(graph, xs);
    }
    [[nodiscard]] Tensor run(const Value& value, DType real = DType::f64) const { return interpret(graph, {&value, 1}, given, {}, {.real = real, .seed = 3, .step = 5}).front(); }
    Graph graph;
    std::vector<Value> xs;
    std::map<std::string, Tensor> given;
    Value y;
};

/// y = build(inputs) by the plain loops.
inline Tensor evaluate(const Build& build, const std::vector<Tensor>& inputs, DType real = DType::f64) {
    const Built built(build, inputs);
    return built.run(built.y, real);
}

/// Checks reverse mode against central differences, and forward mode against reverse mode (<Jv, u> = <v, J'u>) and central
/// differences, in f64 for every real input. `checked` limits which inputs are differentiated (empty: all real ones).
/// Step 1e-5 on values of order 1: truncation about 1e-10, rounding about 1e-11; the limit leaves room for curvature.
inline void expect_gradients(const Build& build, const std::vector<Tensor>& inputs, std::vector<std::size_t> checked = {}, double limit = 2e-7) {
    Built built(build, inputs);
    Graph& graph = built.graph;
    graph.verify();
    if (checked.empty())
        for (std::size_t i = 0; i < inputs.size(); ++i)
            if (inputs[i].dtype() == DType::f64) checked.push_back(i);
    std::vector<Value> xs;
    for (std::size_t i : checked) xs.push_back(built.xs[i]);
    const Value u = graph.input("u", built.y.shape());
    built.given["u"] = filled(built.y.shape(), "cotangent");
    std::vector<Value> tangents;
    for (std::size_t k = 0; k < xs.size(); ++k) {
        const std::string name = "v" + std::to_string(k);
        tangents.push_back(graph.input(name, xs[k].shape()));
        built.given[name] = filled(xs[k].shape(), name);
    }
    const std::vector<Value> gradient = gradients(built.y, xs, u);
    const Value forward = jvp(built.y, xs, tangents);
    graph.verify();
    const auto objective = [&] {
        const Tensor y = built.run(built.y);
        double total = 0;
        for (std::int64_t i = 0; i < y.elements(); ++i) total += y.at(i) * built.given["u"].at(i);
        return total;
    };
    double reverse_product = 0;
    for (std::size_t k = 0; k < xs.size(); ++k) {
        ASSERT_FALSE(gradient[k].is_empty()) << "no gradient for input " << checked[k];
        const Tensor analytic = built.run(gradient[k]);
        Tensor& x = built.given["x" + std::to_string(checked[k])];
        x = x.clone();
        Tensor numeric(x.shape(), DType::f64);
        constexpr double step = 1e-5;
        for (std::int64_t i = 0; i < x.elements(); ++i) {
            const double here = x.at(i);
            x.set(i, here + step);
            const double above = objective();
            x.set(i, here - step);
            const double below = objective();
            x.set(i, here);
            numeric.set(i, (above - below) / (2 * step));
            reverse_product += analytic.at(i) * built.given["v" + std::to_string(k)].at(i);
        }
        EXPECT_LT(relative_l2(analytic, numeric), limit) << "reverse mode, input " << checked[k];
    }
    const Tensor direction = built.run(forward);
    double forward_product = 0;
    for (std::int64_t i = 0; i < direction.elements(); ++i) forward_product += direction.at(i) * built.given["u"].at(i);
    EXPECT_NEAR(forward_product, reverse_product, 1e-9 * std::max(1.0, std::abs(reverse_product))) << "<Jv, u> against <v, J'u>";
    // Forward mode against central differences along v.
    const auto moved = [&](double by) {
        std::map<std::string, Tensor> kept = built.given;
        for (std::size_t k = 0; k < xs.size(); ++k) {
            Tensor& x = built.given["x" + std::to_string(checked[k])];
            x = x.clone();
            for (std::int64_t i = 0; i < x.elements(); ++i) x.set(i, x.at(i) + by * kept["v" + std::to_string(k)].at(i));
        }
        const Tensor y = built.run(built.y);
        built.given = kept;
        return y;
    };
    const Tensor above = moved(1e-5), below = moved(-1e-5);
    Tensor numeric(direction.shape(), DType::f64);
    for (std::int64_t i = 0; i < numeric.elements(); ++i) numeric.set(i, (above.at(i) - below.at(i)) / 2e-5);
    EXPECT_LT(relative_l2(direction, numeric), limit) << "forward mode";
}

/// The message of the E that `f` throws; fails the test when it does not throw.
template <class E, class F> std::string message_of(F&& f) {
    try {
        f();
    } catch (const E& error) {
        return error.what();
    }
    ADD_FAILURE() << "nothing of the expected kind was thrown";
    return {};
}

}  // namespace fovea::test
