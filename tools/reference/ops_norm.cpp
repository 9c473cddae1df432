#include "case.h"
#include "fill.h"

namespace fovea::reference {

namespace {

/// Inputs x, gamma, beta; running statistics are described by the attributes. In training the outputs are y and both new statistics.
OpResult batch_normalised(OpCase& op) {
    const Shape channels{op.shape()[1]};
    const Value mean = op.described(op.text("running_mean", "0*s('running_mean')"), channels), var = op.described(op.text("running_var", "1+0*s('running_var')"), channels);
    Graph& graph = op.graph();
    if (!op.flag("training", true)) return graph.add("batch_norm_inference", {op.x(), op.x(1), op.x(2), mean, var}, {{"eps", op.real("eps", 1e-5)}});
    const Value y = graph.add("batch_norm", {op.x(), op.x(1), op.x(2), mean, var}, {{"eps", op.real("eps", 1e-5)}, {"momentum", op.real("momentum", 0.1)}});
    return {{y, y.sibling(3), y.sibling(4)}, 1};
}

/// Dropout under a mask the case gives: `groups` draws u('mask') >= p, each for the elements of one leading index; kept values are
/// divided by 1 - p.
OpResult masked(OpCase& op, int leading) {
    const double p = op.real("p");
    Shape shape = op.shape();
    for (int d = leading; d < shape.rank(); ++d) shape[d] = 1;
    Tensor mask(shape, DType::f64);
    for (std::int64_t i = 0; i < mask.elements(); ++i) mask.set(i, unit("mask", i) >= p ? 1 / (1 - p) : 0);
    return op.x() * op.constant(mask);
}

}  // namespace

void add_norm_ops(OpTable& table) {
    table["batch_norm"] = batch_normalised;
    table["dropout"] = [](OpCase& op) { return masked(op, op.shape().rank()); };
    table["dropout2d"] = [](OpCase& op) { return masked(op, 2); };
    table["stochastic_depth"] = [](OpCase& op) { return masked(op, op.text("mode", "row") == "row" ? 1 : 0); };
}

}  // namespace fovea::reference
