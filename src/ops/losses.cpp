// Losses for classes: log-likelihood, hinges, binary and focal cross-entropy, Dice. Composed, so their derivatives come for free.
#include <cmath>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/labels.h"
#include "ops/loss.h"

namespace fovea {

namespace {

const ReduceSpec over_classes{.axes = {1}};

/// A vector with one number per class (dimension 1) as a constant that broadcasts over x.
Value class_constant(const Value& x, const std::vector<double>& values, std::string_view what) {
    const auto count = static_cast<std::int64_t>(values.size());
    require<ShapeError>(x.shape().rank() >= 2 && x.shape()[1] == count, "{}: {} values for scores {}", what, count, x.shape());
    return per_channel(x.graph().constant(Tensor::of(std::span<const double>(values), {count}), what), x);
}

/// Sum over classes of max(0, margin - x_label + x_c)^p, the label's own class left out.
Value hinge(const Value& x, const Value& labels, double margin, double p) {
    const Value hot = one_hot(labels, x, -100), own = sum(hot * x, {.axes = {1}, .keep = true});
    Value excess = relu((x - own) + margin) * (1.0 - hot);
    if (p != 1) excess = p == 2 ? square(excess) : pow(excess, p);
    return sum(excess, over_classes);
}

}  // namespace

Value reduce(const Value& loss, Reduction reduction, std::string_view name) {
    if (reduction == Reduction::mean) return mean(loss, {}, name);
    if (reduction == Reduction::sum) return sum(loss, {}, name);
    return loss;
}

Value cross_entropy_soft(const Value& logits, const Value& targets, const LossSpec& spec, std::string_view name) {
    require<ShapeError>(targets.shape() == logits.shape(), "cross_entropy_soft '{}': targets are {}, logits {}", name, targets.shape(), logits.shape());
    return reduce(-sum(targets * log_softmax(logits), over_classes), spec.reduction, name);
}

Value nll_loss(const Value& log_probabilities, const Value& labels, const NllSpec& spec, std::string_view name) {
    Value hot = one_hot(labels, log_probabilities, spec.ignore_index);
    if (!spec.class_weights.empty()) hot = hot * class_constant(log_probabilities, spec.class_weights, "class_weights");
    const Value loss = -sum(hot * log_probabilities, over_classes);
    // 1e-30: a loss of 0 when every label is ignored.
    if (spec.reduction == Reduction::mean) return divide(sum(loss), maximum(sum(hot), 1e-30), name.empty() ? "nll_loss" : name);
    return reduce(loss, spec.reduction, name);
}

Value multi_margin_loss(const Value& x, const Value& labels, const MultiMarginSpec& spec, std::string_view name) {
    require<ArgumentError>(spec.p >= 1, "multi_margin_loss '{}': p must be at least 1, got {}", name, spec.p);
    return reduce(hinge(x, labels, spec.margin, spec.p) / static_cast<double>(x.shape()[1]), spec.reduction, name);
}

Value svm_loss(const Value& x, const Value& labels, const MarginSpec& spec, std::string_view name) { return reduce(hinge(x, labels, spec.margin, 1), spec.reduction, name); }

Value bce(const Value& p, const Value& t, const LossSpec& spec, std::string_view name) {
    // Logarithms end at that of 1e-37, the smallest normal f32 rounded up: a certain mistake costs 85, not infinity.
    const Value yes = log(maximum(p, 1e-37)), no = log(maximum(1.0 - p, 1e-37));
    return reduce(-(t * yes + (1.0 - t) * no), spec.reduction, name);
}

namespace {

// (1 - t) x + (1 + (w - 1) t) softplus(-x), which never overflows. An empty w means 1.
Value bce_of_logits(const Value& x, const Value& t, const Value& w) {
    const Value softplus = -log_sigmoid(x);
    return (1.0 - t) * x + (w.is_empty() ? softplus : ((w - 1.0) * t + 1.0) * softplus);
}

}  // namespace

Value bce_with_logits(const Value& x, const Value& t, const BceSpec& spec, std::string_view name) {
    return reduce(bce_of_logits(x, t, spec.pos_weight.empty() ? Value{} : class_constant(x, spec.pos_weight, "pos_weight")), spec.reduction, name);
}
Value bce_with_logits(const Value& x, double t, const BceSpec& spec, std::string_view name) { return bce_with_logits(x, scalar(x.graph(), t), spec, name); }

Value sigmoid_focal_loss(const Value& x, const Value& t, const FocalSpec& spec, std::string_view name) {
    const Value p = sigmoid(x), miss = p * (1.0 - t) + (1.0 - p) * t;  // 1 - p_t
    Value loss = bce_of_logits(x, t, {});
    if (spec.gamma != 0) loss = loss * (spec.gamma == 2 ? square(miss) : spec.gamma == 1 ? miss : pow(miss, spec.gamma));
    if (spec.alpha >= 0) loss = loss * scale_shift(t, 2 * spec.alpha - 1, 1 - spec.alpha);
    return reduce(loss, spec.reduction, name);
}

Value dice_loss(const Value& logits, const Value& labels, const DiceSpec& spec, std::string_view name) {
    const Value hot = one_hot(labels, logits, spec.ignore_index);
    // Ignored pixels leave the probabilities too.
    const Value p = softmax(logits) * sum(hot, {.axes = {1}, .keep = true});
    std::vector<std::int64_t> places;
    for (int i = 2; i < logits.shape().rank(); ++i) places.push_back(i);
    require<ShapeError>(!places.empty(), "dice_loss '{}': logits are [N, L, H, W], got {}", name, logits.shape());
    const Value overlap = sum(p * hot, {.axes = places}), both = sum(p, {.axes = places}) + sum(hot, {.axes = places});
    return subtract(scalar(logits.graph(), 1), mean((2.0 * overlap + spec.eps) / (both + spec.eps)), name.empty() ? "dice_loss" : name);
}

Value binary_dice_loss(const Value& logits, const Value& t, const BinaryDiceSpec& spec, std::string_view name) {
    const Value p = sigmoid(logits);
    return subtract(scalar(logits.graph(), 1), (2.0 * sum(p * t) + spec.eps) / (sum(p) + sum(t) + spec.eps), name.empty() ? "dice_loss" : name);
}

Value weighted_sum(const std::vector<LossPart>& parts, std::string_view name) {
    require<ArgumentError>(!parts.empty(), "weighted_sum '{}': no parts", name);
    Value total;
    for (const LossPart& part : parts) {
        require<ShapeError>(part.loss.shape().rank() == 0, "weighted_sum '{}': part '{}' is {}, not a scalar", name, part.name, part.loss.shape());
        const Value weighted = scale_shift(part.loss, part.weight, 0, part.name);
        part.loss.graph().output(part.name, weighted);
        total = total.is_empty() ? weighted : total + weighted;
    }
    return total;
}

void register_losses(OpRegistry&) {}  // composed

}  // namespace fovea
