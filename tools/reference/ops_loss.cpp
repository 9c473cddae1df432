#include "case.h"
#include "core/text.h"

namespace fovea::reference {

namespace {

/// Without "targets" a second input of real numbers is the wanted distribution; "softmax of ..." asks for that of the input. As PyTorch
/// does, class weights multiply each class's share, and the mean is over samples and places.
OpResult distribution_loss(OpCase& op) {
    const std::string targets = op.text("targets", "");
    require<ArgumentError>(targets.empty() || targets.starts_with("softmax of "), "{}: attribute 'targets' must begin with \"softmax of \", got \"{}\"", op.attrs().who(), targets);
    require<ArgumentError>(op.integer("ignore_index", -100) < 0, "{}: attribute 'ignore_index' is for labels, the targets are probabilities", op.attrs().who());
    Value t = targets.empty() ? op.x(1) : softmax(op.x(1));
    if (const double smoothing = op.real("label_smoothing", 0); smoothing != 0) t = t * (1 - smoothing) + smoothing / static_cast<double>(op.shape()[1]);
    if (const auto weight = op.attrs().reals("weight"); !weight.empty()) t = t * per_channel(op.constant(weight), t);
    return cross_entropy_soft(op.x(), t, {.reduction = op.reduction()});
}

OpResult softmax_loss(OpCase& op) {
    if (op.type(1).dtype != DType::i32) return distribution_loss(op);
    return cross_entropy(op.x(), op.x(1),
                         {.label_smoothing = op.real("label_smoothing", 0), .class_weights = op.attrs().reals("weight"), .ignore_index = op.integer("ignore_index", -100),
                          .reduction = op.reduction()});
}

/// Targets are the second input, or one number for all.
Value target(OpCase& op) { return op.has(1) ? op.x(1) : scalar(op.graph(), op.real("target")); }

OpResult logits_loss(OpCase& op) { return bce_with_logits(op.x(), target(op), {.pos_weight = op.attrs().reals("pos_weight"), .reduction = op.reduction()}); }

/// Of labels with the softmax over the classes, of targets 0 or 1 with the sigmoid.
OpResult dice(OpCase& op) {
    if (op.type(1).dtype == DType::i32) {
        op.attrs().says("formula", "1 - mean over (n,c) of (2*sum(p*g)+eps)/(sum p + sum g + eps), p = softmax over c");
        return dice_loss(op.x(), op.x(1), {.eps = op.real("eps", 1e-6), .ignore_index = op.integer("ignore_index", -100)});
    }
    op.attrs().says("formula", "1 - (2*sum(p*g)+eps)/(sum p + sum g + eps), p = sigmoid(x), sums over everything");
    return binary_dice_loss(op.x(), op.x(1), {.eps = op.real("eps", 1)});
}

OpResult critic(OpCase& op) {
    op.attrs().says("formula", "-mean(x)");
    return -mean(op.x());
}

/// Inputs d, fake, real.
OpResult pix2pix(OpCase& op) {
    op.attrs().says("formula", "BCE(D(fake),1) + 100*L1(fake,real)");
    return bce_with_logits(op.x(0), 1.0) + 100.0 * l1(op.x(1), op.x(2));
}

/// Inputs d, rec, idt, real.
OpResult cyclegan(OpCase& op) {
    op.attrs().says("formula", "MSE(D(fake),1) + 10*L1(rec,real) + 10*0.5*L1(idt,real)");
    return mse(op.x(0), 1.0) + 10.0 * l1(op.x(1), op.x(3)) + 5.0 * l1(op.x(2), op.x(3));
}

OpResult triplet(OpCase& op) {
    op.attrs().only("swap", false);
    return triplet_margin(op.x(), op.x(1), op.x(2), {.margin = op.real("margin", 1), .p = op.real("p", 2), .eps = op.real("eps", 1e-6), .reduction = op.reduction()});
}

}  // namespace

void add_loss_ops(OpTable& table) {
    table["cross_entropy"] = softmax_loss;
    // The records give logits: log-probabilities are their log-softmax.
    table["nll_loss"] = [](OpCase& op) -> OpResult {
        return nll_loss(log_softmax(op.x()), op.x(1), {.class_weights = op.attrs().reals("weight"), .ignore_index = op.integer("ignore_index", -100), .reduction = op.reduction()});
    };
    table["multi_margin_loss"] = [](OpCase& op) -> OpResult { return multi_margin_loss(op.x(), op.x(1), {.margin = op.real("margin", 1), .p = op.real("p", 1), .reduction = op.reduction()}); };
    table["svm_loss"] = [](OpCase& op) -> OpResult { return svm_loss(op.x(), op.x(1), {.margin = op.real("margin", 1), .reduction = op.reduction()}); };
    table["bce_with_logits"] = logits_loss;
    table["bce"] = [](OpCase& op) -> OpResult { return bce(sigmoid(op.x()), target(op), {.reduction = op.reduction()}); };  // of sigmoid(x), as the records have it
    table["mse"] = [](OpCase& op) -> OpResult { return mse(op.x(), target(op), {.reduction = op.reduction()}); };
    table["l1"] = [](OpCase& op) -> OpResult { return l1(op.x(), target(op), {.reduction = op.reduction()}); };
    table["smooth_l1"] = [](OpCase& op) -> OpResult { return smooth_l1(op.x(), target(op), {.beta = op.real("beta", 1), .reduction = op.reduction()}); };
    table["huber"] = [](OpCase& op) -> OpResult { return huber(op.x(), target(op), {.delta = op.real("delta", 1), .reduction = op.reduction()}); };
    table["sigmoid_focal_loss"] = [](OpCase& op) -> OpResult {
        return sigmoid_focal_loss(op.x(), target(op), {.alpha = op.real("alpha", 0.25), .gamma = op.real("gamma", 2), .reduction = op.reduction("none")});
    };
    table["dice"] = dice;
    table["wgan"] = critic;
    table["bce_with_logits+l1"] = pix2pix;
    table["mse+l1"] = cyclegan;
    table["cosine_similarity"] = [](OpCase& op) -> OpResult { return cosine_similarity(op.x(), op.x(1), {.axis = op.axis("dim", 1), .eps = op.real("eps", 1e-8)}); };
    table["triplet_margin"] = triplet;
}

}  // namespace fovea::reference
