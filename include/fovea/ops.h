// The op catalogue: every layer, activation and loss is a function that appends nodes to the graph of its input.
// Shape letters: N batch, C channels in, K channels out, H W input, P Q output, R S kernel, L classes.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/graph.h"

namespace fovea {

// ---- arithmetic: element by element, shapes broadcast as in numpy -----------------------------------------------------------

/// A scalar constant of shape [].
Value scalar(Graph& graph, double value);
Value add(const Value& a, const Value& b, std::string_view name = {});
Value subtract(const Value& a, const Value& b, std::string_view name = {});
Value multiply(const Value& a, const Value& b, std::string_view name = {});
Value divide(const Value& a, const Value& b, std::string_view name = {});
/// scale * x + shift, both fixed numbers.
Value scale_shift(const Value& x, double scale, double shift, std::string_view name = {});

inline Value operator+(const Value& a, const Value& b) { return add(a, b); }
inline Value operator-(const Value& a, const Value& b) { return subtract(a, b); }
inline Value operator*(const Value& a, const Value& b) { return multiply(a, b); }
inline Value operator/(const Value& a, const Value& b) { return divide(a, b); }
inline Value operator+(const Value& a, double b) { return scale_shift(a, 1, b); }
inline Value operator-(const Value& a, double b) { return scale_shift(a, 1, -b); }
inline Value operator*(const Value& a, double b) { return scale_shift(a, b, 0); }
inline Value operator*(double a, const Value& b) { return scale_shift(b, a, 0); }
inline Value operator+(double a, const Value& b) { return scale_shift(b, 1, a); }
inline Value operator-(double a, const Value& b) { return scale_shift(b, -1, a); }
inline Value operator/(const Value& a, double b) { return scale_shift(a, 1 / b, 0); }
inline Value operator-(const Value& a) { return scale_shift(a, -1, 0); }

// ---- shape and reduction ----------------------------------------------------------------------------------------------------

struct ReduceSpec {
    std::vector<std::int64_t> axes{};  ///< empty: all; negative counts from the end
    bool keep = false;                 ///< reduced dimensions stay, with size 1
};
Value sum(const Value& x, const ReduceSpec& spec = {}, std::string_view name = {});
Value mean(const Value& x, const ReduceSpec& spec = {}, std::string_view name = {});
/// x broadcast to the shape of `like`, whose values are never read.
Value expand_to(const Value& x, const Value& like);
/// x summed over the dimensions in which expand_to(_, x) would repeat `like`: the transpose of expand_to.
Value sum_to(const Value& x, const Value& like);
/// The same elements under the shape of `like`.
Value reshape_to(const Value& x, const Value& like);

// ---- activations ------------------------------------------------------------------------------------------------------------

Value relu(const Value& x, std::string_view name = {});

struct LeakyReluSpec {
    double slope = 0.01;  ///< below zero
};
Value leaky_relu(const Value& x, const LeakyReluSpec& spec = {}, std::string_view name = {});
struct PreluSpec {
    double slope = 0.25;  ///< where training starts
    bool shared = false;  ///< one slope for all channels
};
/// Leaky ReLU with a trained slope per channel: parameter "<name>.weight" [C] ([1] when shared).
Value prelu(const Value& x, const PreluSpec& spec = {}, std::string_view name = {});
/// The same with a slope [C] or [1] that is a value.
Value prelu_with_slope(const Value& x, const Value& slope, std::string_view name = {});
/// min(max(x, 0), 6); the derivative is 0 at 0 and at 6.
Value relu6(const Value& x, std::string_view name = {});
Value sigmoid(const Value& x, std::string_view name = {});
Value log_sigmoid(const Value& x, std::string_view name = {});
/// relu6(x + 3) / 6
Value hard_sigmoid(const Value& x, std::string_view name = {});
Value tanh(const Value& x, std::string_view name = {});
struct ScaledTanhSpec {
    double a = 1.7159, s = 2.0 / 3;  ///< LeCun 1998: f(1) = 1, f(-1) = -1
};
/// a tanh(s x)
Value scaled_tanh(const Value& x, const ScaledTanhSpec& spec = {}, std::string_view name = {});
struct HardTanhSpec {
    double low = -1, high = 1;
};
Value hard_tanh(const Value& x, const HardTanhSpec& spec = {}, std::string_view name = {});
struct EluSpec {
    double alpha = 1;
};
Value elu(const Value& x, const EluSpec& spec = {}, std::string_view name = {});
Value celu(const Value& x, const EluSpec& spec = {}, std::string_view name = {});
Value selu(const Value& x, std::string_view name = {});
struct SiluSpec {
    double beta = 1;
};
/// x sigmoid(beta x), also called swish.
Value silu(const Value& x, const SiluSpec& spec = {}, std::string_view name = {});
/// The same with a beta that is a value, e.g. a parameter.
Value swish(const Value& x, const Value& beta, std::string_view name = {});
/// x relu6(x + 3) / 6
Value hard_swish(const Value& x, std::string_view name = {});
/// x tanh(softplus(x))
Value mish(const Value& x, std::string_view name = {});
struct GeluSpec {
    bool approximate = false;  ///< the tanh formula
};
Value gelu(const Value& x, const GeluSpec& spec = {}, std::string_view name = {});
struct SoftplusSpec {
    double beta = 1, threshold = 20;  ///< x itself above beta x > threshold
};
Value softplus(const Value& x, const SoftplusSpec& spec = {}, std::string_view name = {});
/// x / (1 + |x|)
Value softsign(const Value& x, std::string_view name = {});
struct ShrinkSpec {
    double lambda = 0.5;
};
/// Values within lambda of 0 become 0; the others move towards it by lambda.
Value softshrink(const Value& x, const ShrinkSpec& spec = {}, std::string_view name = {});
/// Values within lambda of 0 become 0; the others stay.
Value hardshrink(const Value& x, const ShrinkSpec& spec = {}, std::string_view name = {});
/// x - tanh(x)
Value tanhshrink(const Value& x, std::string_view name = {});
struct ThresholdSpec {
    double threshold, value;
};
/// x above the threshold, `value` elsewhere.
Value threshold(const Value& x, const ThresholdSpec& spec, std::string_view name = {});

struct MaxoutSpec {
    std::int64_t pieces;
};
/// [N, C pieces, ...] -> [N, C, ...]: the largest of `pieces` neighbouring channels.
Value maxout(const Value& x, const MaxoutSpec& spec, std::string_view name = {});

struct AxisSpec {
    std::int64_t axis = 1;  ///< 1: over the classes of [N, L] or [N, L, H, W]; negative counts from the end
};
Value softmax(const Value& x, const AxisSpec& spec = {}, std::string_view name = {});
Value log_softmax(const Value& x, const AxisSpec& spec = {}, std::string_view name = {});
/// Gated linear unit: the first half along the axis times the sigmoid of the second.
Value glu(const Value& x, const AxisSpec& spec = {}, std::string_view name = {});
struct SqueezeExciteSpec {
    enum class Activation { relu, silu };
    enum class Gate { sigmoid, hard_sigmoid };
    std::int64_t squeeze;  ///< channels in between
    Activation activation = Activation::relu;
    Gate gate = Gate::sigmoid;
    std::optional<Init> init{};       ///< of both convolutions, as conv2d's
    std::optional<Init> bias_init{};
};
/// x times a gate per channel, gate(fc2(activation(fc1(mean over H, W)))): 1x1 convolutions "<name>.fc1" and "<name>.fc2".
Value squeeze_excite(const Value& x, const SqueezeExciteSpec& spec, std::string_view name = {});
struct RbfSpec {
    Tensor codes;            ///< [L, F]
    bool trainable = false;  ///< LeNet-5's are fixed
};
/// Squared distances of features [N, F] to the codes: [N, L]. Parameter "<name>.weight".
Value rbf(const Value& x, const RbfSpec& spec, std::string_view name = {});
Value rbf(const Value& x, const Value& codes, std::string_view name = {});

// ---- elementary functions ---------------------------------------------------------------------------------------------------

Value exp(const Value& x, std::string_view name = {});
Value log(const Value& x, std::string_view name = {});
Value sqrt(const Value& x, std::string_view name = {});
/// 1 / sqrt(x)
Value rsqrt(const Value& x, std::string_view name = {});
Value square(const Value& x, std::string_view name = {});
Value abs(const Value& x, std::string_view name = {});
/// -1, 0 or 1; its derivative is 0.
Value sign(const Value& x, std::string_view name = {});
Value erf(const Value& x, std::string_view name = {});
Value pow(const Value& x, double exponent, std::string_view name = {});
/// Broadcast as numpy does; at a tie each side gets half the gradient.
Value maximum(const Value& a, const Value& b, std::string_view name = {});
Value maximum(const Value& a, double b);
Value minimum(const Value& a, const Value& b, std::string_view name = {});
Value minimum(const Value& a, double b);
/// x limited to [low, high]; the derivative is 1 on the edges.
Value clamp(const Value& x, double low, double high, std::string_view name = {});
/// Comparisons give 1 or 0 as real numbers; no gradient flows through them.
Value greater(const Value& a, const Value& b);
Value greater(const Value& a, double b);
Value greater_equal(const Value& a, const Value& b);
Value greater_equal(const Value& a, double b);
/// 1 where low < x < high (with the edges when closed), else 0.
Value in_range(const Value& x, double low, double high, bool closed = false);
/// condition != 0 ? a : b, element by element; shapes broadcast.
Value where(const Value& condition, const Value& a, const Value& b, std::string_view name = {});
/// A vector [C] as [C, 1, ..., 1], to meet the channels of like [N, C, ...].
Value per_channel(const Value& v, const Value& like);
/// labels [N, ...] (i32) -> [N, L, ...], the shape of `like`: 1 at the label's class. A label outside 0..L-1 gives zeros.
Value one_hot(const Value& labels, const Value& like);
/// The same, where only `ignore_index` may lie outside (zeros); another label fails when it is met.
Value one_hot(const Value& labels, const Value& like, std::int64_t ignore_index);
/// Largest value over axes; equal ones share the gradient.
Value max_over(const Value& x, const ReduceSpec& spec = {}, std::string_view name = {});
/// x + 1 for i64 counts.
Value increment(const Value& x, std::string_view name = {});

// ---- normalisation ----------------------------------------------------------------------------------------------------------

struct BatchNormSpec {
    double eps = 1e-5;
    double momentum = 0.1;  ///< weight of the new batch in the running statistics (PyTorch's sense; dlib and Caffe quote 1 - this)
    bool frozen = false;    ///< normalise with the running statistics in training too, and leave them alone
    bool affine = true;     ///< false: no weight and bias
};
/// Batch normalisation per channel of [N, C, ...]; in training over the batch, in inference over the running statistics.
/// Parameters "<name>.weight", "<name>.bias"; buffers "<name>.running_mean", ".running_var", ".num_batches_tracked" (i64).
Value batch_norm(const Value& x, const BatchNormSpec& spec = {}, std::string_view name = {});

struct InstanceNormSpec {
    double eps = 1e-5;
    bool affine = false;
};
/// Each channel of each sample to mean 0 and variance 1. Parameters (affine) "<name>.weight", "<name>.bias" [C].
Value instance_norm(const Value& x, const InstanceNormSpec& spec = {}, std::string_view name = {});
struct GroupNormSpec {
    std::int64_t groups;
    double eps = 1e-5;
    bool affine = true;
};
Value group_norm(const Value& x, const GroupNormSpec& spec, std::string_view name = {});
struct LayerNormSpec {
    double eps = 1e-5;
    int dims = 1;                 ///< how many of the last dimensions are normalised together
    bool channels_first = false;  ///< over C of [N, C, H, W] instead (ConvNeXt)
    bool affine = true;
};
Value layer_norm(const Value& x, const LayerNormSpec& spec = {}, std::string_view name = {});
struct L2NormalizeSpec {
    std::int64_t axis = 1;
    double eps = 1e-12;
};
/// x / max(|x|, eps) along the axis.
Value l2_normalize(const Value& x, const L2NormalizeSpec& spec = {}, std::string_view name = {});
struct L2NormSpec {
    double scale = 20;  ///< where training starts
    double eps = 1e-12;
};
/// SSD's conv4_3: each position scaled to length 1 over the channels, times a trained "<name>.weight" [C]. Liu et al. 2015, arXiv:1506.04579.
Value l2_norm(const Value& x, const L2NormSpec& spec = {}, std::string_view name = {});
/// Subtractive contrast normalisation: each plane without its mean.
Value subtract_mean(const Value& x, std::string_view name = {});
enum class LrnConvention { torch, caffe, krizhevsky };
struct LrnSpec {
    std::int64_t size = 5;
    double alpha = 1e-4, beta = 0.75;
    double k = 1;  ///< 2 in the paper
    LrnConvention convention = LrnConvention::torch;  ///< torch, caffe: alpha is divided by the window's size; krizhevsky: used as it is
    bool within_channel = false;                      ///< the window is size x size positions of one channel
};
/// Local response normalisation, by default across `size` neighbouring channels.
Value lrn(const Value& x, const LrnSpec& spec = {}, std::string_view name = {});

// ---- regularisation ---------------------------------------------------------------------------------------------------------

/// `drop` is the probability of being dropped (some texts mean the one of being kept); kept values are divided by 1 - drop in
/// training, so inference is the identity. With drop = 0 the functions return x itself. The mask depends on the seed, the step
/// and the node's path only.
struct DropoutSpec {
    double drop;
};
Value dropout(const Value& x, const DropoutSpec& spec, std::string_view name = {});
/// Drops whole channels of [N, C, ...].
Value spatial_dropout(const Value& x, const DropoutSpec& spec, std::string_view name = {});
struct DropPathSpec {
    double drop;
    bool whole_batch = false;  ///< one draw for all samples instead of one per sample
};
/// Stochastic depth: drops whole samples of a residual branch. Huang et al. 2016.
Value drop_path(const Value& x, const DropPathSpec& spec, std::string_view name = {});

// ---- losses -----------------------------------------------------------------------------------------------------------------

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

// ---- optimiser updates --------------------------------------------------------------------------------------------------------
// Each returns p'; the new state follows as siblings 1, 2, ... in the order of the state arguments that are present. The learning
// rate and the step count (1 at the first step) are real scalars [], so that a schedule changes them without compiling again.

struct SgdUpdateSpec {
    double momentum = 0;
    double dampening = 0;  ///< needs step_count: the first step is not damped
    bool nesterov = false;
    double weight_decay = 0;
    bool decoupled = false;      ///< decay shrinks p by lr * weight_decay instead of joining the gradient
    std::string form = "torch";  ///< "torch": v = mu v + g, p -= lr v; "caffe": v = mu v + lr g, p -= v; "ema": v = mu v + (1 - mu) g
};
/// `momentum`, a real scalar [], replaces the spec's: for schedules that move it.
Value sgd_update(const Value& p, const Value& g, const Value& lr, const Value& velocity, const SgdUpdateSpec& spec = {}, const Value& step_count = {}, const Value& momentum = {},
                 std::string_view name = {});

struct AdamUpdateSpec {
    double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
    bool decoupled = false;  ///< AdamW
    bool amsgrad = false;    ///< needs v_max
};
/// `beta1`, a real scalar [], replaces the spec's.
Value adam_update(const Value& p, const Value& g, const Value& lr, const Value& step_count, const Value& m, const Value& v, const AdamUpdateSpec& spec = {}, const Value& v_max = {},
                  const Value& beta1 = {}, std::string_view name = {});

struct RmspropUpdateSpec {
    double alpha = 0.99, eps = 1e-8, momentum = 0, weight_decay = 0;
    bool decoupled = false;
    bool centered = false;    ///< needs the running mean gradient
    bool eps_inside = false;  ///< sqrt(s + eps) instead of sqrt(s) + eps
};
Value rmsprop_update(const Value& p, const Value& g, const Value& lr, const Value& square_mean, const RmspropUpdateSpec& spec = {}, const Value& velocity = {},
                     const Value& mean = {}, std::string_view name = {});

struct AdagradUpdateSpec {
    double lr_decay = 0, eps = 1e-10, weight_decay = 0;
    bool decoupled = false;
};
Value adagrad_update(const Value& p, const Value& g, const Value& lr, const Value& step_count, const Value& squares, const AdagradUpdateSpec& spec = {}, std::string_view name = {});

struct AdadeltaUpdateSpec {
    double rho = 0.9, eps = 1e-6, weight_decay = 0;
    bool decoupled = false;
};
Value adadelta_update(const Value& p, const Value& g, const Value& lr, const Value& square_mean, const Value& step_mean, const AdadeltaUpdateSpec& spec = {},
                      std::string_view name = {});

// ---- convolution ------------------------------------------------------------------------------------------------------------

/// Height and width; one number stands for both.
struct Size2 {
    Size2(std::int64_t both) : h(both), w(both) {}
    Size2(std::int64_t height, std::int64_t width) : h(height), w(width) {}
    std::int64_t h, w;
    friend bool operator==(const Size2&, const Size2&) = default;
};

/// Rows and columns around a plane; one number stands for all four sides, two for {top and bottom, left and right}. Negative crops.
struct Pad4 {
    Pad4(std::int64_t all) : top(all), bottom(all), left(all), right(all) {}
    Pad4(std::int64_t vertical, std::int64_t horizontal) : top(vertical), bottom(vertical), left(horizontal), right(horizontal) {}
    Pad4(std::int64_t top_, std::int64_t bottom_, std::int64_t left_, std::int64_t right_) : top(top_), bottom(bottom_), left(left_), right(right_) {}
    std::int64_t top, bottom, left, right;
    friend bool operator==(const Pad4&, const Pad4&) = default;
};

enum class PadMode {
    given,       ///< `pad` zeros
    valid,       ///< none
    same,        ///< zeros so that P = ceil(H / stride), the odd one at the bottom and right (TensorFlow's SAME)
    same_lower,  ///< the same with the odd one at the top and left
    dlib,        ///< kernel / 2 zeros when the stride is 1, none otherwise
    reflect,     ///< `pad` pixels mirrored at the border, which is not repeated
    replicate,   ///< `pad` copies of the border
};

/// Convolution with weights that exist already.
struct Conv2dGeometry {
    Size2 stride = 1;
    Pad4 pad = 0;
    PadMode pad_mode = PadMode::given;
    Size2 dilation = 1;
    std::int64_t groups = 1;
    bool flip = false;    ///< true convolution: the kernel is rotated by 180 degrees first
    bool strict = false;  ///< refuse a size that the stride does not divide instead of ignoring the last rows and columns
};

struct Conv2dSpec {
    std::int64_t out;
    Size2 kernel;
    Size2 stride = 1;
    Pad4 pad = 0;
    PadMode pad_mode = PadMode::given;
    Size2 dilation = 1;
    std::int64_t groups = 1;
    bool bias = true;
    bool flip = false;
    bool strict = false;
    std::optional<Init> init{};       ///< uniform as in PyTorch: kaiming_uniform with a = sqrt(5)
    std::optional<Init> bias_init{};  ///< uniform in +-1 / sqrt(fan_in)
};

/// 2-D cross-correlation.
///
///   x       [N, C, H, W]
///   weight  [K, C / groups, R, S]     parameter "<name>.weight"
///   bias    [K]                       parameter "<name>.bias"
///   returns [N, K, P, Q],             P = floor((H + pad.top + pad.bottom - dilation.h (R - 1) - 1) / stride.h) + 1
Value conv2d(const Value& x, const Conv2dSpec& spec, std::string_view name = {});
/// The same with given weights; an empty bias means none.
Value conv2d(const Value& x, const Value& weight, const Value& bias, const Conv2dGeometry& spec, std::string_view name = {});

struct ConvTranspose2dGeometry {
    Size2 stride = 1;
    Pad4 pad = 0;         ///< removed from the result, as it would be added to the input of the convolution this transposes
    Size2 output_pad = 0; ///< rows and columns added at the bottom and right
    Size2 dilation = 1;
    std::int64_t groups = 1;
};

struct ConvTranspose2dSpec {
    std::int64_t out;
    Size2 kernel;
    Size2 stride = 1;
    Pad4 pad = 0;
    Size2 output_pad = 0;
    Size2 dilation = 1;
    std::int64_t groups = 1;
    bool bias = true;
    std::optional<Init> init{};
    std::optional<Init> bias_init{};
};

/// The transpose of conv2d: every input pixel adds a scaled copy of the kernel, copies are summed where they overlap.
///
///   x       [N, C, P, Q]
///   weight  [C, out / groups, R, S]
///   returns [N, out, H, W],           H = (P - 1) stride.h - pad.top - pad.bottom + dilation.h (R - 1) + 1 + output_pad.h
Value conv_transpose2d(const Value& x, const ConvTranspose2dSpec& spec, std::string_view name = {});
Value conv_transpose2d(const Value& x, const Value& weight, const Value& bias, const ConvTranspose2dGeometry& spec, std::string_view name = {});

struct Conv1dSpec {
    std::int64_t out, kernel;
    std::int64_t stride = 1, pad = 0, dilation = 1, groups = 1;
    bool bias = true;
    std::optional<Init> init{};
    std::optional<Init> bias_init{};
};
/// x [N, C, W], weight [K, C / groups, S] -> [N, K, Q].
Value conv1d(const Value& x, const Conv1dSpec& spec, std::string_view name = {});

struct UnfoldSpec {
    Size2 kernel;
    Size2 stride = 1;
    Pad4 pad = 0;
    Size2 dilation = 1;
};
/// Every window of x [N, C, H, W] as a column: [N, C R S, P Q].
Value unfold(const Value& x, const UnfoldSpec& spec, std::string_view name = {});

struct LocallyConnected2dSpec {
    std::int64_t out;
    Size2 kernel;
    Size2 stride = 1;
    Pad4 pad = 0;
    bool bias = true;
    std::optional<Init> init{};  ///< uniform in +-1 / sqrt(C R S), as a convolution's
    std::optional<Init> bias_init{};
};
/// A convolution whose weights are not shared: each output pixel has a kernel of its own.
///   weight [P, Q, K, C, R, S]    parameter "<name>.weight"
///   bias   [K, P, Q]             parameter "<name>.bias"
Value locally_connected2d(const Value& x, const LocallyConnected2dSpec& spec, std::string_view name = {});
Value locally_connected2d(const Value& x, const Value& weight, const Value& bias, const UnfoldSpec& spec, std::string_view name = {});
struct LocallyConnected1dSpec {
    std::int64_t out, kernel;
    std::int64_t stride = 1, pad = 0;
    bool bias = true;
    std::optional<Init> init{};
    std::optional<Init> bias_init{};
};
/// x [N, C, W], weight [1, Q, K, C, 1, S] -> [N, K, Q].
Value locally_connected1d(const Value& x, const LocallyConnected1dSpec& spec, std::string_view name = {});

// ---- linear -----------------------------------------------------------------------------------------------------------------

struct LinearSpec {
    std::int64_t out;
    bool bias = true;
    std::optional<Init> init{};
    std::optional<Init> bias_init{};
};
/// y = x W^T + b over the last dimension: x [..., I], weight [out, I], bias [out] -> [..., out].
Value linear(const Value& x, const LinearSpec& spec, std::string_view name = {});
Value linear(const Value& x, const Value& weight, const Value& bias, std::string_view name = {});

struct MatmulSpec {
    bool transpose_a = false;
    bool transpose_b = false;
};
/// a [..., M, K] times b [..., K, N] with equal leading dimensions -> [..., M, N].
Value matmul(const Value& a, const Value& b, const MatmulSpec& spec = {}, std::string_view name = {});

// ---- pooling ----------------------------------------------------------------------------------------------------------------

struct MaxPoolSpec {
    Size2 kernel;
    Size2 stride = 0;  ///< 0: the kernel's size
    Pad4 pad = 0;
    Size2 dilation = 1;
    bool ceil = false;    ///< a last window that hangs over the end is kept when it starts inside the input or its left padding
    bool strict = false;  ///< refuse a size that the stride does not divide
};
/// Output 0: the largest value of each window; NaN wins. Output 1 (sibling(1)): i32, where it was, h * W + w in the unpadded
/// plane, the first of equals; -1 where a window holds only padding.
Value max_pool(const Value& x, const MaxPoolSpec& spec, std::string_view name = {});

struct AvgPoolSpec {
    Size2 kernel;
    Size2 stride = 0;  ///< 0: the kernel's size
    Pad4 pad = 0;
    bool ceil = false;
    bool count_include_pad = true;  ///< the zeros of `pad` count in the mean; what `ceil` adds beyond them never does
    bool strict = false;
};
Value avg_pool(const Value& x, const AvgPoolSpec& spec, std::string_view name = {});
/// Mean over the windows floor(i H / P) .. ceil((i + 1) H / P): any input size gives `size`.
Value adaptive_avg_pool(const Value& x, const Size2& size, std::string_view name = {});
/// Largest value of the same windows; sibling(1) holds the places as max_pool's does.
Value adaptive_max_pool(const Value& x, const Size2& size, std::string_view name = {});
/// [N, C, H, W] -> [N, C, 1, 1]
Value global_avg_pool(const Value& x, std::string_view name = {});
Value global_max_pool(const Value& x, std::string_view name = {});
struct LpPoolSpec {
    double p;
    Size2 kernel;
    Size2 stride = 0;  ///< 0: the kernel's size
    bool ceil = false;
};
/// (sum |x|^p)^(1 / p) over each window.
Value lp_pool(const Value& x, const LpPoolSpec& spec, std::string_view name = {});
/// LeNet-5's subsampling: sum over each window, times a coefficient, plus a bias; both trained, one pair per map.
/// Parameters "<name>.weight" [C] (1 / window at the start) and "<name>.bias" [C]. LeCun et al. 1998, sec. II.B.
Value subsample(const Value& x, const Size2& kernel = 2, std::string_view name = {});
/// Spatial pyramid: adaptive pooling to each level's grid, flattened and joined: [N, C (1 + 4 + 9 + 36)] whatever H and W are.
/// He et al. 2014, arXiv:1406.4729.
struct SpatialPyramidSpec {
    std::vector<std::int64_t> levels{1, 2, 3, 6};
    bool average = false;  ///< mean instead of the paper's maximum
};
Value spatial_pyramid_pool(const Value& x, const SpatialPyramidSpec& spec = {}, std::string_view name = {});

// ---- resampling and padding -------------------------------------------------------------------------------------------------

struct PadSpec {
    PadMode mode = PadMode::given;  ///< given: `value`; reflect; replicate
    double value = 0;
};
/// Rows and columns around each plane of the last two dimensions; negative numbers crop.
Value pad(const Value& x, const Pad4& amounts, const PadSpec& spec = {}, std::string_view name = {});
/// Any dimension: before[i] and after[i] for dimension i of x.
Value pad(const Value& x, const std::vector<std::int64_t>& before, const std::vector<std::int64_t>& after, const PadSpec& spec = {}, std::string_view name = {});
/// Rows [top, top + height) and columns [left, left + width) of each plane.
struct CropSpec {
    std::int64_t top = 0, left = 0;
    Size2 size;
};
Value crop(const Value& x, const CropSpec& spec, std::string_view name = {});
/// The elements in reverse order along the axes.
Value flip(const Value& x, const std::vector<std::int64_t>& axes, std::string_view name = {});

enum class Interpolation { nearest, bilinear };
struct InterpolateSpec {
    std::optional<Size2> size{};  ///< either this
    double scale = 0;             ///< or this: the result has floor(scale H) rows
    Interpolation mode = Interpolation::nearest;
    bool align_corners = false;   ///< bilinear: the corner pixels' centres meet, instead of the corners' edges
};
/// Resamples [N, C, H, W], without a filter when it shrinks, as torch.nn.functional.interpolate.
Value interpolate(const Value& x, const InterpolateSpec& spec, std::string_view name = {});
/// The same to the height and width of `like`, which may not be known yet.
Value interpolate_to(const Value& x, const Value& like, Interpolation mode = Interpolation::nearest, bool align_corners = false, std::string_view name = {});
/// Unpooling: each value repeated factor x factor times.
Value unpool_nearest(const Value& x, const Size2& factor, std::string_view name = {});
/// Unpooling: each value in the top left cell of factor x factor zeros.
Value unpool_bed_of_nails(const Value& x, const Size2& factor, std::string_view name = {});
/// Unpooling: each value where its maximum was found (max_pool's sibling(1)), zeros elsewhere; sized like the pool's input or given.
Value max_unpool(const Value& x, const Value& indices, const Value& like, std::string_view name = {});
Value max_unpool(const Value& x, const Value& indices, const Size2& size, std::string_view name = {});
/// [N, C f f, H, W] -> [N, C, H f, W f]: channel c f f + dy f + dx becomes pixel (dy, dx) of each cell. Shi et al. 2016.
Value pixel_shuffle(const Value& x, std::int64_t factor, std::string_view name = {});
/// The inverse of pixel_shuffle.
Value pixel_unshuffle(const Value& x, std::int64_t factor, std::string_view name = {});
/// Channels of `groups` groups interleaved. Zhang et al. 2018, arXiv:1707.01083.
Value channel_shuffle(const Value& x, std::int64_t groups, std::string_view name = {});

// ---- regions ----------------------------------------------------------------------------------------------------------------

/// Regions are rows [batch index, x0, y0, x1, y1] in pixels of the image; `scale` takes them to pixels of x.
struct RoiPoolSpec {
    Size2 size;
    double scale = 1;
};
/// Maximum over each of size.h x size.w bins of a region rounded to whole pixels: [B, C, size.h, size.w]; an empty bin gives 0.
/// Girshick 2015, arXiv:1504.08083, sec. 2.1. sibling(1): places as max_pool's.
Value roi_pool(const Value& x, const Value& regions, const RoiPoolSpec& spec, std::string_view name = {});
struct RoiAlignSpec {
    Size2 size;
    double scale = 1;
    std::int64_t sampling = 0;  ///< samples per bin and axis; 0: ceil(region / bins)
    bool aligned = false;       ///< pixel centres at .5 and no least size of 1, as later implementations do
};
/// Mean of bilinear samples in each bin, nothing rounded. He et al. 2017, arXiv:1703.06870, sec. 3. No gradient for the regions.
Value roi_align(const Value& x, const Value& regions, const RoiAlignSpec& spec, std::string_view name = {});

// ---- reshaping --------------------------------------------------------------------------------------------------------------

inline constexpr std::int64_t to_end = 0x7fffffffffffffff;
struct SliceSpec {
    std::int64_t axis;
    std::int64_t start = 0;       ///< negative counts from the end
    std::int64_t stop = to_end;   ///< exclusive; negative counts from the end
    std::int64_t step = 1;
};
/// Every step-th element of [start, stop) along one axis, as x[start:stop:step] of numpy.
Value slice(const Value& x, const SliceSpec& spec, std::string_view name = {});
Value concat(const std::vector<Value>& values, std::int64_t axis = 1, std::string_view name = {});
/// Joins along a new axis.
Value stack(const std::vector<Value>& values, std::int64_t axis = 0, std::string_view name = {});
/// Pieces of the given sizes along an axis, which they fill.
std::vector<Value> split(const Value& x, const std::vector<std::int64_t>& sizes, std::int64_t axis = 1, std::string_view name = {});
/// Dimension i of the result is dimension order[i] of x.
Value transpose(const Value& x, const std::vector<std::int64_t>& order, std::string_view name = {});
/// Without the dimension of size 1 at `axis`; with one of size 1 put there.
Value squeeze(const Value& x, std::int64_t axis, std::string_view name = {});
Value unsqueeze(const Value& x, std::int64_t axis, std::string_view name = {});

/// The same elements under another shape. 0 keeps the dimension of x at that place (a batch that is not known yet), one -1 takes the rest.
Value reshape(const Value& x, const std::vector<std::int64_t>& shape, std::string_view name = {});
/// Dimensions start_dim and after become one.
Value flatten(const Value& x, int start_dim = 1, std::string_view name = {});

}  // namespace fovea
