#include "case.h"
#include "core/text.h"

namespace fovea::reference {

namespace {

std::vector<double> weights(const OpCase& op, const char* name) { return op.has_attr(name) ? op.attrs()[name].get<std::vector<double>>() : std::vector<double>{}; }

OpResult softmax_loss(OpCase& op) {
    // Soft targets: the softmax of the second input is the wanted distribution.
    if (op.x(1).dtype() != DType::i32) return cross_entropy_soft(op.x(), softmax(op.x(1)), {.reduction = op.reduction()});
    return cross_entropy(op.x(), op.x(1),
                         {.label_smoothing = op.real("label_smoothing", 0), .class_weights = weights(op, "weight"), .ignore_index = op.integer("ignore_index", -100), .reduction = op.reduction()});
}

/// Targets are the second input, or one number for all.
OpResult logits_loss(OpCase& op) {
    const BceSpec spec{.pos_weight = weights(op, "pos_weight"), .reduction = op.reduction()};
    return op.has(1) ? bce_with_logits(op.x(), op.x(1), spec) : bce_with_logits(op.x(), op.real("target"), spec);
}
OpResult squared(OpCase& op) { return op.has(1) ? mse(op.x(), op.x(1), {.reduction = op.reduction()}) : mse(op.x(), op.real("target"), {.reduction = op.reduction()}); }

OpResult dice(OpCase& op) {
    if (op.x(1).dtype() == DType::i32) return dice_loss(op.x(), op.x(1), {.eps = op.real("eps", 1e-6)});
    return binary_dice_loss(op.x(), op.x(1), {.eps = op.real("eps", 1)});
}

/// BCE(d, 1) + 100 L1(fake, real): inputs d, fake, real.
OpResult pix2pix(OpCase& op) { return bce_with_logits(op.x(0), 1.0) + 100.0 * l1(op.x(1), op.x(2)); }
/// MSE(d, 1) + 10 L1(rec, real) + 5 L1(idt, real): inputs d, rec, idt, real.
OpResult cyclegan(OpCase& op) { return mse(op.x(0), 1.0) + 10.0 * l1(op.x(1), op.x(3)) + 5.0 * l1(op.x(2), op.x(3)); }

}  // namespace

void add_loss_ops(OpTable& table) {
    table["cross_entropy"] = softmax_loss;
    // The records give logits: log-probabilities are their log-softmax.
    table["nll_loss"] = [](OpCase& op) -> OpResult {
        return nll_loss(log_softmax(op.x()), op.x(1), {.class_weights = weights(op, "weight"), .ignore_index = op.integer("ignore_index", -100), .reduction = op.reduction()});
    };
    table["multi_margin_loss"] = [](OpCase& op) -> OpResult { return multi_margin_loss(op.x(), op.x(1), {.margin = op.real("margin", 1), .p = op.real("p", 1), .reduction = op.reduction()}); };
    table["svm_loss"] = [](OpCase& op) -> OpResult { return svm_loss(op.x(), op.x(1), {.margin = op.real("margin", 1), .reduction = op.reduction()}); };
    table["bce_with_logits"] = logits_loss;
    table["bce"] = [](OpCase& op) -> OpResult { return bce(sigmoid(op.x()), op.x(1), {.reduction = op.reduction()}); };  // of sigmoid(x), as the records have it
    table["mse"] = squared;
    table["l1"] = [](OpCase& op) -> OpResult { return l1(op.x(), op.x(1), {.reduction = op.reduction()}); };
    table["smooth_l1"] = [](OpCase& op) -> OpResult { return smooth_l1(op.x(), op.x(1), {.beta = op.real("beta", 1), .reduction = op.reduction()}); };
    table["huber"] = [](OpCase& op) -> OpResult { return huber(op.x(), op.x(1), {.delta = op.real("delta", 1), .reduction = op.reduction()}); };
    table["sigmoid_focal_loss"] = [](OpCase& op) -> OpResult {
        return sigmoid_focal_loss(op.x(), op.x(1), {.alpha = op.real("alpha", 0.25), .gamma = op.real("gamma", 2), .reduction = op.reduction()});
    };
    table["dice"] = dice;
    table["wgan"] = [](OpCase& op) -> OpResult { return -mean(op.x()); };
    table["bce_with_logits+l1"] = pix2pix;
    table["mse+l1"] = cyclegan;
    table["cosine_similarity"] = [](OpCase& op) -> OpResult { return cosine_similarity(op.x(), op.x(1), {.axis = op.integer("dim", 1)}); };
    table["triplet_margin"] = [](OpCase& op) -> OpResult { return triplet_margin(op.x(), op.x(1), op.x(2), {.margin = op.real("margin", 1), .p = op.real("p", 2), .reduction = op.reduction()}); };
}

}  // namespace fovea::reference
