// Losses: what training makes small.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/graph.h"

namespace fovea {

enum class Reduction { mean, sum, none };
[[nodiscard]] std::string_view name_of(Reduction reduction);

struct CrossEntropySpec {
    double label_smoothing = 0;
    std::vector<double> class_weights{};  ///< one per class; the mean then divides by the summed weights of the labels
    std::int64_t ignore_index = -100;     ///< pixels with this label count for nothing; if all do, the loss is 0
    Reduction reduction = Reduction::mean;
};
/// Softmax cross-entropy of logits [N, L] (or [N, L, H, W]) with labels [N] (or [N, H, W]), i32.
Value cross_entropy(const Value& logits, const Value& labels, const CrossEntropySpec& spec = {}, std::string_view name = {});
/// The same with labels from an input "label" that it declares.
Value cross_entropy(const Value& logits, const CrossEntropySpec& spec = {}, std::string_view name = {});

struct LossSpec {
    Reduction reduction = Reduction::mean;
};
/// Targets are probabilities [N, L, ...] instead of labels; the mean is over samples and places.
Value cross_entropy_soft(const Value& logits, const Value& targets, const LossSpec& spec = {}, std::string_view name = {});
struct NllSpec {
    std::vector<double> class_weights{};
    std::int64_t ignore_index = -100;
    Reduction reduction = Reduction::mean;
};
/// -log p of the label, from log-probabilities.
Value nll_loss(const Value& log_probabilities, const Value& labels, const NllSpec& spec = {}, std::string_view name = {});
struct MultiMarginSpec {
    double margin = 1, p = 1;
    Reduction reduction = Reduction::mean;
};
/// Hinge on every wrong class, max(0, margin - x_label + x_c)^p, summed and divided by the number of classes as PyTorch does.
Value multi_margin_loss(const Value& x, const Value& labels, const MultiMarginSpec& spec = {}, std::string_view name = {});
struct MarginSpec {
    double margin = 1;
    Reduction reduction = Reduction::mean;
};
/// The same without the division: the multiclass SVM of Weston & Watkins as taught in CS231n.
Value svm_loss(const Value& x, const Value& labels, const MarginSpec& spec = {}, std::string_view name = {});
/// Binary cross-entropy of probabilities p with targets in 0..1.
Value bce(const Value& p, const Value& t, const LossSpec& spec = {}, std::string_view name = {});
struct BceSpec {
    std::vector<double> pos_weight{};  ///< one per class (dimension 1): weight of its positive targets
    Reduction reduction = Reduction::mean;
};
Value bce_with_logits(const Value& x, const Value& t, const BceSpec& spec = {}, std::string_view name = {});
/// Every target is t: real or fake in a GAN.
Value bce_with_logits(const Value& x, double t, const BceSpec& spec = {}, std::string_view name = {});
struct FocalSpec {
    double alpha = 0.25;  ///< weight of positive targets; negative: none
    double gamma = 2;
    Reduction reduction = Reduction::sum;  ///< a detector divides by its number of matched anchors
};
/// Lin et al. 2017, arXiv:1708.02002, eq. 5, on logits with targets 0 or 1.
Value sigmoid_focal_loss(const Value& x, const Value& t, const FocalSpec& spec = {}, std::string_view name = {});
struct DiceSpec {
    double eps = 1e-6;
    std::int64_t ignore_index = -100;
};
/// 1 - mean over samples and classes of (2 sum p g + eps) / (sum p + sum g + eps), p the softmax of [N, L, H, W]. Milletari et al. 2016.
Value dice_loss(const Value& logits, const Value& labels, const DiceSpec& spec = {}, std::string_view name = {});
struct BinaryDiceSpec {
    double eps = 1;
};
/// The same with p = sigmoid(logits) and sums over everything.
Value binary_dice_loss(const Value& logits, const Value& t, const BinaryDiceSpec& spec = {}, std::string_view name = {});
Value mse(const Value& x, const Value& t, const LossSpec& spec = {}, std::string_view name = {});
Value mse(const Value& x, double t, const LossSpec& spec = {}, std::string_view name = {});
Value l1(const Value& x, const Value& t, const LossSpec& spec = {}, std::string_view name = {});
struct SmoothL1Spec {
    double beta = 1;   ///< |d| where the parabola becomes a line of slope 1
    double sigma = 0;  ///< if given: beta = 1 / sigma^2 (Fast and Faster R-CNN)
    Reduction reduction = Reduction::mean;
};
Value smooth_l1(const Value& x, const Value& t, const SmoothL1Spec& spec = {}, std::string_view name = {});
struct HuberSpec {
    double delta = 1;  ///< slope of the line, and where it begins
    Reduction reduction = Reduction::mean;
};
Value huber(const Value& x, const Value& t, const HuberSpec& spec = {}, std::string_view name = {});
struct CosineSpec {
    std::int64_t axis = 1;
    double eps = 1e-8;
};
Value cosine_similarity(const Value& a, const Value& b, const CosineSpec& spec = {}, std::string_view name = {});
struct TripletSpec {
    double margin = 1, p = 2, eps = 1e-6;
    Reduction reduction = Reduction::mean;
};
/// max(0, |anchor - positive| - |anchor - negative| + margin), distances over the last dimension.
Value triplet_margin(const Value& anchor, const Value& positive, const Value& negative, const TripletSpec& spec = {}, std::string_view name = {});
struct LossPart {
    std::string name;
    Value loss;
    double weight = 1;
};
/// The weighted sum of several losses. Each weighted part becomes an output of the graph under its name, so that a log can show them
/// apart and they add up to the total.
Value weighted_sum(const std::vector<LossPart>& parts, std::string_view name = {});

}  // namespace fovea
