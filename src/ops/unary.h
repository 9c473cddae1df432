// Ops of one input, element by element: a value, a slope, and the slope as a graph for second derivatives.
#pragma once

#include <string>

#include "fovea/ops.h"
#include "graph/op.h"

namespace fovea {

/// y = f(x) with f generic over float and double; `operations` per element.
template <class F> OpDef unary_op(std::string name, F f, std::function<Values(const Grad&)> gradient, int operations = 1) {
    OpDef op;
    op.name = std::move(name);
    op.shape = [](const OpInputs& in) { return Types(in.type(0)); };
    op.gradient = std::move(gradient);
    op.cost = [operations](const OpInputs& in) { return Cost{0, operations * in.shape(0).elements()}; };
    op.reference = [f](const OpRun& run) { run.map(f); };
    op.is_elementwise = true;
    return op;
}

/// Registers y = A(attrs).value(x) and "<name>_backward": dx = dy * A(attrs).slope(x), both generic over float and double.
/// Where A(attrs).keeps_side() the slope at y is the slope at x: the gradient reads y then, so that x need not be kept.
/// A(attrs).slope(Value) is the same slope composed of ops that have gradients, so that second derivatives exist.
template <class A> void add_activation(OpRegistry& ops, const std::string& name, int operations) {
    const auto cost = [operations](const OpInputs& in) { return Cost{0, operations * in.shape(0).elements()}; };
    const auto first = [](const OpInputs& in) { return Types(in.type(0)); };
    ops.add({.name = name,
             .shape = first,
             .gradient = [backward = name + "_backward"](const Grad& g) -> Values {
                 bool reads_output = false;
                 if constexpr (requires(const A& a) { a.keeps_side(); }) reads_output = A(g.attrs()).keeps_side();
                 return g.graph().add(backward, {g.dy(), reads_output ? g.y() : g.x()}, g.attrs());
             },
             .cost = cost,
             .reference = [](const OpRun& run) { run.map([a = A(run.attrs())](auto x) { return a.value(x); }); },
             .is_elementwise = true});
    ops.add({.name = name + "_backward",
             .shape = first,
             .expand = [](const Node& node) -> Values { return node.inputs[0] * A(node.attrs).slope(node.inputs[1]); },
             .cost = cost,
             .reference = [](const OpRun& run) { run.zip([a = A(run.attrs())](auto dy, auto x) { return dy * a.slope(x); }); },
             .is_elementwise = true});
}

}  // namespace fovea
