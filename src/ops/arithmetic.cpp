// add, subtract, multiply, divide with numpy's broadcasting, and scale_shift: the closure of most gradients.
#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/broadcast.h"

namespace fovea {

Value scalar(Graph& graph, double value) { return graph.constant(Tensor::scalar(value, DType::f64), "scalar"); }
Value add(const Value& a, const Value& b, std::string_view name) { return a.graph().add("add", {a, b}, {}, name); }
Value subtract(const Value& a, const Value& b, std::string_view name) { return a.graph().add("subtract", {a, b}, {}, name); }
Value multiply(const Value& a, const Value& b, std::string_view name) { return a.graph().add("multiply", {a, b}, {}, name); }
Value divide(const Value& a, const Value& b, std::string_view name) { return a.graph().add("divide", {a, b}, {}, name); }
Value scale_shift(const Value& x, double scale, double shift, std::string_view name) { return x.graph().add("scale_shift", {x}, {{"scale", scale}, {"shift", shift}}, name); }

void register_arithmetic(OpRegistry& ops) {
    ops.add(binary_op("add", [](auto a, auto b) { return a + b; },
                      [](const Grad& g) { return Values{sum_to(g.dy(), g.x(0)), sum_to(g.dy(), g.x(1))}; }));
    ops.add(binary_op("subtract", [](auto a, auto b) { return a - b; },
                      [](const Grad& g) { return Values{sum_to(g.dy(), g.x(0)), sum_to(-g.dy(), g.x(1))}; }));
    ops.add(binary_op("multiply", [](auto a, auto b) { return a * b; },
                      [](const Grad& g) { return Values{sum_to(g.dy() * g.x(1), g.x(0)), sum_to(g.dy() * g.x(0), g.x(1))}; }));
    ops.add(binary_op("divide", [](auto a, auto b) { return a / b; },
                      [](const Grad& g) { return Values{sum_to(g.dy() / g.x(1), g.x(0)), sum_to(-(g.dy() * g.y() / g.x(1)), g.x(1))}; }));
    ops.add({.name = "scale_shift",
             .shape = [](const OpInputs& in) { return Types(in.type(0)); },
             .gradient = [](const Grad& g) -> Values { return scale_shift(g.dy(), g.attrs().real("scale"), 0); },
             .cost = [](const OpInputs& in) { return Cost{0, 2 * in.shape(0).elements()}; },
             .reference =
                 [](const OpRun& run) {
                     run.map([scale = run.attrs().real("scale"), shift = run.attrs().real("shift")](auto v) {
                         using T = decltype(v);
                         return static_cast<T>(scale) * v + static_cast<T>(shift);
                     });
                 },
             .is_elementwise = true});
}

}  // namespace fovea
