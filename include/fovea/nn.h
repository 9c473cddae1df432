// Starting values of parameters, and the blocks that many networks share.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "fovea/graph.h"
#include "fovea/ops.h"

namespace fovea {

/// Fan in and fan out as PyTorch counts them: dimension 1 (0) times the kernel's area. Throws ArgumentError below rank 2.
struct Fans {
    std::int64_t in = 0, out = 0;
};
[[nodiscard]] Fans fans_of(const ParameterInfo& parameter);

/// The starting value of one parameter: a pure function of its Init, its name and the seed, whatever else the network holds.
///
///   fan_in_uniform   +-1 / sqrt(b)                              PyTorch's biases
///   kaiming_*        variance 2 / ((1 + a^2) fan)               He et al. 2015, arXiv:1502.01852 (also called MSRA)
///   xavier_*         variance 2 a^2 / (fan in + fan out)        Glorot and Bengio 2010; a = 0 stands for gain 1
///   orthogonal       rows (or columns, the fewer) orthonormal, times a; Saxe et al. 2014, arXiv:1312.6120
///   truncated_normal redrawn outside two standard deviations    as TensorFlow does
///   dlib             +-sqrt(6 / (inputs + outputs)) with K outputs, not K times the kernel's area
///   bilinear         the kernel that enlarges each channel for itself; Long et al. 2015, arXiv:1411.4038
[[nodiscard]] Tensor initial_value(const ParameterInfo& parameter, std::uint64_t seed);

/// Sets every parameter and buffer of the graph, in declaration order.
void initialize(Parameters& parameters, const Graph& graph, std::uint64_t seed);
[[nodiscard]] Parameters make_parameters(const Graph& graph, std::uint64_t seed);
/// The same with another start of every weight (rank >= 2) that is trained: one named scheme for a whole network. Biases of trained
/// layers start as PyTorch's do for "torch", at zero otherwise; scales and shifts of norms stay as they are declared.
[[nodiscard]] Parameters make_parameters(const Graph& graph, std::uint64_t seed, std::string_view scheme);
/// "torch", "gaussian:SIGMA", "xavier", "xavier-normal", "he" (also "msra"), "he-uniform", "orthogonal", "truncated:SIGMA", "dlib".
/// Throws ArgumentError naming the nearest.
[[nodiscard]] Init init_of(std::string_view scheme);

// ---- blocks ---------------------------------------------------------------------------------

struct ConvBnSpec {
    std::int64_t out;
    Size2 kernel;
    Size2 stride = 1;
    Pad4 pad = 0;
    std::int64_t groups = 1;
    double eps = 1e-5;
    double momentum = 0.1;
    Init init{Init::Kind::kaiming_normal};
};
/// Convolution without bias, then batch normalisation, as nodes `conv` and `norm`.
Value conv_bn(const Value& x, const ConvBnSpec& spec, std::string_view conv, std::string_view norm);
/// The same and ReLU.
Value conv_bn_relu(const Value& x, const ConvBnSpec& spec, std::string_view conv, std::string_view norm);

/// The same as a module `name` with nodes "conv" and "bn", and an output of that name.
Value conv_bn_relu(const Value& x, const ConvBnSpec& spec, std::string_view name);

/// x as a result that exists in training only (an auxiliary classifier): named as an output its loss counts `weight` times beside that of
/// the main output, and to_inference() leaves it out.
Value auxiliary(const Value& x, double weight, std::string_view name = {});
/// The weight of the loss of an auxiliary result, nothing for any other value.
[[nodiscard]] std::optional<double> auxiliary_weight(const Value& x);

/// Each branch sees x; their results are joined along the channels. Szegedy et al. 2014.
using Branch = std::function<Value(const Value&)>;
Value inception(const Value& x, const std::vector<Branch>& branches, std::string_view name = {});

// ---- what an output is trained with ----------------------------------------------------------

/// What a network's output "out" is trained with, and how it is read.
enum class ModelLoss {
    cross_entropy,   ///< logits [N, classes]: the largest wins
    label_distance,  ///< distances [N, classes]: the mean distance of the label is the loss, the smallest wins (LeNet-5 of 1998)
    bce,             ///< logits of one sigmoid per class, each a question of its own; as PyTorch's BCEWithLogitsLoss, the mean over samples and classes
    focal,           ///< the same with the focal loss (Lin et al. 2017): alpha 0.25, gamma 2, summed over the classes, the mean over samples
    hinge,           ///< scores of a multiclass SVM: svm_loss()
};
[[nodiscard]] std::string_view name_of(ModelLoss loss);
/// Throws ArgumentError naming those there are.
[[nodiscard]] ModelLoss model_loss_named(std::string_view name);
/// Appends the loss between `out` and `labels` [N] (i32; of bce and focal also shares of classes [N, classes]): a scalar, mean over the batch.
[[nodiscard]] Value model_loss(ModelLoss loss, const Value& out, const Value& labels);
/// The class of each row of `out` [N, classes]: the largest or the smallest value, as the loss says.
[[nodiscard]] std::vector<std::int64_t> predicted_classes(ModelLoss loss, const Tensor& out);

}  // namespace fovea
