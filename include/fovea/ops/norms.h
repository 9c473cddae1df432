// Normalisation, and what drops values in training.
#pragma once

#include <cstdint>
#include <string_view>

#include "fovea/graph.h"

namespace fovea {

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

}  // namespace fovea
