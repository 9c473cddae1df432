// relu(x) = max(x, 0). Nair & Hinton 2010. The derivative at 0 is 0, as in the reference implementations.
#include "graph/op.h"
#include "fovea/ops.h"

namespace fovea {

Value relu(const Value& x, std::string_view name) { return x.graph().add("relu", {x}, {}, name); }

void register_relu(OpRegistry& ops) {
    const auto first = [](const OpInputs& in) { return Types(in.type(0)); };
    const auto one_each = [](const OpInputs& in) { return Cost{0, in.shape(0).elements()}; };
    ops.add({.name = "relu",
             .shape = first,
             .gradient = [](const Grad& g) -> Values { return g.graph().add("relu_backward", {g.dy(), g.y()}); },
             .cost = one_each,
             .reference = [](const OpRun& run) { run.map([](auto v) { return v > 0 || v != v ? v : decltype(v)(0); }); },
             .is_elementwise = true});
    // dx = dy where y > 0. Needs only the output, so relu can be fused into what makes its input.
    ops.add({.name = "relu_backward",
             .shape = first,
             .gradient = [](const Grad& g) -> Values { return Values{g.graph().add("relu_backward", {g.dy(), g.x(1)}), Value{}}; },
             .cost = one_each,
             .reference = [](const OpRun& run) { run.zip([](auto dy, auto y) { return y > 0 ? dy : decltype(dy)(0); }); },
             .is_elementwise = true});
}

}  // namespace fovea
