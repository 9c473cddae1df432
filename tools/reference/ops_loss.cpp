#include "case.h"

namespace fovea::reference {

namespace {

OpResult softmax_loss(OpCase& op) {
    CrossEntropySpec spec{.label_smoothing = op.real("label_smoothing", 0), .ignore_index = op.integer("ignore_index", -100), .reduction = op.reduction()};
    if (op.has_attr("weight")) spec.class_weights = op.attrs()["weight"].get<std::vector<double>>();
    // Soft targets: the second input's softmax is the wanted distribution.
    if (op.x(1).dtype() != DType::i32) return mean(-sum(softmax(op.x(1)) * log_softmax(op.x()), {.axes = {1}}));
    return cross_entropy(op.x(), op.x(1), spec);
}

}  // namespace

void add_loss_ops(OpTable& table) { table["cross_entropy"] = softmax_loss; }

}  // namespace fovea::reference
