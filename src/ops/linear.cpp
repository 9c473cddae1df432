// linear: y = x W^T + b over the last dimension. Its gradients are matrix products.
#include "core/team.h"
#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/activation.h"
#include "ops/layer.h"

namespace fovea {

namespace {

Types linear_shape(const OpInputs& in) {
    const Shape &x = in.shape(0), &w = in.shape(1);
    in.check(x.rank() >= 1 && w.rank() == 2, "takes an input [..., I] and a weight [O, I], got {} and {}", x, w);
    in.check(x[-1] == w[1], "input has {} features, weight takes {}; input {}, weight {}", x[-1], w[1], x, w);
    if (in.has(2)) in.check(in.shape(2) == Shape{w[0]}, "bias must be [{}], got {}", w[0], in.shape(2));
    Shape y = x;
    y[-1] = w[0];
    return y;
}

/// All dimensions but the last as one.
Value as_rows(const Value& x) { return x.shape().rank() == 2 ? x : reshape(x, {-1, x.shape()[-1]}); }

Values linear_gradient(const Grad& g) {
    require<ArgumentError>(g.attrs().text("activation").empty(), "linear '{}': a fused node has no gradient; take gradients before fusing", g.node().path);
    const Value dy = as_rows(g.dy()), x = as_rows(g.x());
    return Values{reshape_to(matmul(dy, g.x(1)), g.x()), matmul(dy, x, {.transpose_a = true}), g.has(2) ? sum(dy, {.axes = {0}}) : Value{}};
}

template <class T> void linear_loops(const OpRun& run) {
    const std::int64_t inputs = run.shape(1)[1], outputs = run.shape(1)[0], rows = run.out_shape().elements() / outputs;
    const T *x = run.in<T>(0), *w = run.in<T>(1), *bias = run.has(2) ? run.in<T>(2) : nullptr;
    T* y = run.out<T>();
    parallel_for(outputs, [&](std::int64_t o) {  // a row of weights is read once for the whole batch
        for (std::int64_t n = 0; n < rows; ++n) {
            double total = bias ? static_cast<double>(bias[o]) : 0.0;
            for (std::int64_t i = 0; i < inputs; ++i) total += static_cast<double>(x[n * inputs + i]) * static_cast<double>(w[o * inputs + i]);
            y[n * outputs + o] = static_cast<T>(total);
        }
    });
    activate(run);
}

}  // namespace

Value linear(const Value& x, const Value& weight, const Value& bias, std::string_view name) { return x.graph().add("linear", {x, weight, bias}, {}, name); }

Value linear(const Value& x, const LinearSpec& spec, std::string_view name) {
    Graph& graph = x.graph();
    const std::string path = layer_name(graph, name, "linear");
    require<ShapeError>(x.shape().rank() >= 1 && x.shape()[-1] != dynamic, "linear '{}': the last dimension of the input must be known, got {}", graph.path_of(path), x.shape());
    require<ArgumentError>(spec.out >= 1, "linear '{}': out must be at least 1, got {}", graph.path_of(path), spec.out);
    const std::int64_t inputs = x.shape()[-1];
    const Value weight = graph.parameter(path + ".weight", {spec.out, inputs}, spec.init.value_or(default_weight_init()));
    const Value bias = spec.bias ? graph.parameter(path + ".bias", {spec.out}, spec.bias_init.value_or(default_bias_init(inputs))) : Value{};
    return linear(x, weight, bias, path);
}

void register_linear(OpRegistry& ops) {
    ops.add({.name = "linear",
             .shape = linear_shape,
             .gradient = linear_gradient,
             .cost =
                 [](const OpInputs& in) {
                     const Shape y = linear_shape(in).front().shape;
                     const std::int64_t macs = y.elements() * in.shape(1)[1];
                     return Cost{macs, 2 * macs + (in.has(2) + !in.attrs().text("activation").empty()) * y.elements()};
                 },
             .reference = [](const OpRun& run) { run.with_real([&](auto tag) { linear_loops<decltype(tag)>(run); }); }});
}

}  // namespace fovea
