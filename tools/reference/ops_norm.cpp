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

/// "alpha_divided_by_size": PyTorch's and Caffe's convention, else Krizhevsky's.
OpResult local_response(OpCase& op) {
    return lrn(op.x(), {.size = op.integer("size", 5), .alpha = op.real("alpha", 1e-4), .beta = op.real("beta", 0.75), .k = op.real("k", 1),
                        .convention = op.flag("alpha_divided_by_size", true) ? LrnConvention::torch : LrnConvention::krizhevsky});
}

/// gamma and beta, where the case has them, over dimension `axis` of y.
OpResult affine(OpCase& op, const Value& y, int axis) {
    if (!op.has(1)) return y;
    std::vector<std::int64_t> shape(static_cast<std::size_t>(y.shape().rank()), 1);
    shape[static_cast<std::size_t>(axis)] = y.shape()[axis];
    const Value scaled = y * reshape(op.x(1), shape);
    return op.has(2) ? scaled + reshape(op.x(2), shape) : scaled;
}

/// Over the channels, the last dimension of [N, H, W, C].
OpResult layer_normalised(OpCase& op) { return affine(op, layer_norm(op.x(), {.eps = op.real("eps", 1e-5), .affine = false}), op.shape().rank() - 1); }

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
    table["local_response_norm"] = local_response;
    table["group_norm"] = [](OpCase& op) { return affine(op, group_norm(op.x(), {.groups = op.integer("groups", 1), .eps = op.real("eps", 1e-5), .affine = false}), 1); };
    table["instance_norm"] = [](OpCase& op) { return affine(op, instance_norm(op.x(), {.eps = op.real("eps", 1e-5)}), 1); };
    table["layer_norm"] = layer_normalised;
    table["normalize"] = [](OpCase& op) { return affine(op, l2_normalize(op.x(), {.axis = op.integer("dim", 1), .eps = op.real("eps", 1e-12)}), static_cast<int>(op.integer("dim", 1))); };
    table["mean_subtract"] = [](OpCase& op) -> OpResult { return subtract_mean(op.x()); };
    table["dropout"] = [](OpCase& op) { return masked(op, op.shape().rank()); };
    table["dropout2d"] = [](OpCase& op) { return masked(op, 2); };
    table["stochastic_depth"] = [](OpCase& op) { return masked(op, op.text("mode", "row") == "row" ? 1 : 0); };
}

}  // namespace fovea::reference
