// One table-driven check for every kernel: a small graph with all its gradients, compiled for the CPU in f32 and for the plain loops in f64.
#pragma once

#include <cstring>

#include "fovea/runtime.h"
#include "support.h"

namespace fovea::test {

/// Single-precision kernels sum in another order than the loops, which accumulate in double. Rounding is 6e-8 per operation; sums here have
/// up to a few thousand terms whose errors mostly cancel, which leaves about 1e-6 in the norm. A wrong element shows at 1e-3 and above.
constexpr double f32_limit = 1e-5;

struct Case {
    std::string name;
    std::vector<Tensor> inputs;
    Build build;
    bool differentiates = true;
};

/// y, dL/dx for each real input, dL/dp for each parameter, and the updates that the graph itself makes.
struct Compared {
    explicit Compared(const Case& c) : built(c.build, c.inputs) {
        Graph& graph = built.graph;
        graph.output("y", built.y);
        given = built.given;
        for (auto& [name, tensor] : given)
            if (tensor.dtype() == DType::f64) tensor = tensor.to(DType::f32);  // both sides start from the same numbers
        for (const ParameterInfo& info : graph.parameters())
            parameters.set(info.name, info.type.dtype == DType::f32 ? filled(info.type.shape, info.name, info.name.ends_with("var") ? 0.5 : -1, 1.5).to(DType::f32) : Tensor(info.type.shape, info.type.dtype));
        if (!c.differentiates) return;
        std::vector<Value> xs;
        std::vector<std::string> names;
        for (const Value& x : built.xs)
            if (x.dtype() == DType::f32) xs.push_back(x), names.push_back("d" + x.path());
        for (const ParameterInfo& info : graph.parameters())
            if (info.is_trainable) xs.push_back(graph.find(info.name)), names.push_back("d" + info.name);
        const Value u = graph.input("u", built.y.shape());
        given["u"] = filled(built.y.shape(), "cotangent").to(DType::f32);
        const std::vector<Value> dx = gradients(built.y, xs, u);
        for (std::size_t i = 0; i < dx.size(); ++i)
            if (!dx[i].is_empty()) graph.output(names[i], dx[i]);
    }

    struct Outcome {
        std::vector<Tensor> outputs;
        Parameters parameters;
    };
    [[nodiscard]] Executable compiled(const CompileOptions& options) const {
        std::map<std::string, Shape> shapes;
        for (const auto& [name, tensor] : given) shapes[name] = tensor.shape();
        return compile(built.graph, shapes, options);
    }
    [[nodiscard]] Outcome run(const CompileOptions& options) const {
        auto state = std::make_shared<State>(parameters);
        Session session(compiled(options), state);
        Outcome outcome{session.run(given, {.seed = 3, .step = 5}), {}};
        outcome.parameters = state->read();
        return outcome;
    }

    Built built;
    std::map<std::string, Tensor> given;
    Parameters parameters;
};

inline void expect_close(const Compared& c, const Compared::Outcome& got, const Compared::Outcome& want, double limit) {
    for (std::size_t o = 0; o < want.outputs.size(); ++o) {
        ASSERT_EQ(got.outputs[o].shape(), want.outputs[o].shape());
        EXPECT_LT(relative_l2(got.outputs[o], want.outputs[o]), limit) << c.built.graph.outputs()[o].first;
    }
    for (const auto& [parameter, value] : c.built.graph.updates())
        EXPECT_LT(relative_l2(got.parameters.at(parameter.path()), want.parameters.at(parameter.path())), limit) << "updated " << parameter.path();
}

inline void expect_same_bytes(const Compared& c, const Compared::Outcome& got, const Compared::Outcome& want, std::string_view what) {
    for (std::size_t o = 0; o < want.outputs.size(); ++o)
        EXPECT_EQ(std::memcmp(got.outputs[o].raw(), want.outputs[o].raw(), want.outputs[o].bytes()), 0) << c.built.graph.outputs()[o].first << ": " << what;
    for (const auto& [parameter, value] : c.built.graph.updates())
        EXPECT_EQ(std::memcmp(got.parameters.at(parameter.path()).raw(), want.parameters.at(parameter.path()).raw(), want.parameters.at(parameter.path()).bytes()), 0)
            << "updated " << parameter.path() << ": " << what;
}

/// The CPU backend, fused and not, against the plain loops in f64; the same bytes for 1, 2 and 3 threads.
inline void expect_cpu_equals_loops(const Case& c, double limit = f32_limit, CompileOptions options = {}) {
    SCOPED_TRACE(c.name);
    const Compared compared(c);
    const auto want = compared.run({.backend = "reference", .precision = Precision::f64, .fuse = false});
    const int before = threads();
    for (bool fuse : {true, false}) {
        SCOPED_TRACE(fuse ? "fused" : "not fused");
        set_threads(1);
        options.fuse = fuse;
        const auto got = compared.run(options);
        expect_close(compared, got, want, limit);
        for (int count : {2, 3}) {
            set_threads(count);
            expect_same_bytes(compared, compared.run(options), got, std::to_string(count) + " threads");
        }
    }
    set_threads(before);
}

struct NamedActivation {
    std::string name;
    std::function<Value(const Value&)> f;
};
/// Everything a convolution may end in, and forms of it that oneDNN has no post-op for.
inline const std::vector<NamedActivation>& every_activation() {
    static const std::vector<NamedActivation> all{
        {"relu", [](const Value& x) { return relu(x); }},
        {"relu6", [](const Value& x) { return relu6(x); }},
        {"leaky relu", [](const Value& x) { return leaky_relu(x, {.slope = 0.1}); }},
        {"falling leaky relu", [](const Value& x) { return leaky_relu(x, {.slope = -0.5}); }},
        {"elu", [](const Value& x) { return elu(x, {.alpha = 0.7}); }},
        {"celu", [](const Value& x) { return celu(x, {.alpha = 1.5}); }},
        {"selu", [](const Value& x) { return selu(x); }},
        {"sigmoid", [](const Value& x) { return sigmoid(x); }},
        {"hard sigmoid", [](const Value& x) { return hard_sigmoid(x); }},
        {"silu", [](const Value& x) { return silu(x); }},
        {"swish", [](const Value& x) { return silu(x, {.beta = 1.5}); }},
        {"hard swish", [](const Value& x) { return hard_swish(x); }},
        {"tanh", [](const Value& x) { return tanh(x); }},
        {"gelu", [](const Value& x) { return gelu(x); }},
        {"approximate gelu", [](const Value& x) { return gelu(x, {.approximate = true}); }},
    };
    return all;
}

}  // namespace fovea::test
