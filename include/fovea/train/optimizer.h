// Optimisers, and what else a training step does with a gradient.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "fovea/graph.h"

namespace fovea {

// g is the gradient after coupled decay (g + weight_decay * p); p the parameter; defaults are PyTorch's.

/// Where the learning rate stands in the momentum buffer v. The three agree only while the learning rate stays the same;
/// He et al. warn of it: github.com/KaimingHe/deep-residual-networks, "Notes".
enum class MomentumForm : std::uint8_t {
    torch,  ///< v = momentum v + (1 - dampening) g,   p -= lr v      (the first v is g)
    caffe,  ///< v = momentum v + lr g,                p -= v
    ema,    ///< v = momentum v + (1 - momentum) g,    p -= lr v
};
[[nodiscard]] std::string_view name_of(MomentumForm form);

struct Sgd {
    double lr;
    double momentum = 0;
    double dampening = 0;
    bool nesterov = false;
    double weight_decay = 0;
    bool decoupled = false;  ///< p *= 1 - lr * weight_decay, the gradient stays as it is
    MomentumForm form = MomentumForm::torch;
    friend bool operator==(const Sgd&, const Sgd&) = default;
};
/// Kingma and Ba 2015, arXiv:1412.6980; decay is added to the gradient.
struct Adam {
    double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
    friend bool operator==(const Adam&, const Adam&) = default;
};
/// Loshchilov and Hutter 2019, arXiv:1711.05101: Adam with decoupled decay.
struct AdamW {
    double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 1e-2;
    friend bool operator==(const AdamW&, const AdamW&) = default;
};
struct RMSprop {
    double lr = 1e-2, alpha = 0.99, eps = 1e-8, weight_decay = 0, momentum = 0;
    bool centered = false;
    friend bool operator==(const RMSprop&, const RMSprop&) = default;
};
struct Adagrad {
    double lr = 1e-2, lr_decay = 0, eps = 1e-10, weight_decay = 0, initial_accumulator = 0;
    friend bool operator==(const Adagrad&, const Adagrad&) = default;
};
struct Adadelta {
    double lr = 1.0, rho = 0.9, eps = 1e-6, weight_decay = 0;
    friend bool operator==(const Adadelta&, const Adadelta&) = default;
};
/// You, Gitman, Ginsburg 2017, arXiv:1708.03888, alg. 1: each layer's rate is lr trust |p| / (|g| + weight_decay |p|), momentum in Caffe's
/// form. Parameters of rank 0 and 1 and `elementwise` groups are plain SGD.
struct Lars {
    double lr, momentum = 0.9, weight_decay = 0, trust = 1e-3;
    friend bool operator==(const Lars&, const Lars&) = default;
};
/// You et al. 2020, arXiv:1904.00962, alg. 2: Adam's direction (and decoupled decay) scaled per layer to the norm of p. Parameters of rank
/// 0 and 1 and `elementwise` groups are not scaled.
struct Lamb {
    double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-6, weight_decay = 0;
    friend bool operator==(const Lamb&, const Lamb&) = default;
};
/// Chen et al. 2023, arXiv:2302.06675: p -= lr (sign(beta1 m + (1 - beta1) g) + weight_decay p), m = beta2 m + (1 - beta2) g.
struct Lion {
    double lr = 1e-4, beta1 = 0.9, beta2 = 0.99, weight_decay = 0;
    friend bool operator==(const Lion&, const Lion&) = default;
};
/// Jordan et al. 2024, kellerjordan.github.io/posts/muon: the momentum of a matrix (a convolution's weight is [K, C R S]) made orthogonal
/// by Newton-Schulz steps, times sqrt(max(1, rows / columns)); decay decoupled. Parameters of rank 0 and 1 and `elementwise` groups are
/// AdamW's, whose rate follows the schedule too.
struct Muon {
    double lr = 0.02, momentum = 0.95, weight_decay = 0;
    bool nesterov = true;
    int steps = 5;
    double adamw_lr = 3e-4, beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
    friend bool operator==(const Muon&, const Muon&) = default;
};
using Optimizer = std::variant<Sgd, Adam, AdamW, RMSprop, Adagrad, Adadelta, Lars, Lamb, Lion, Muon>;

/// "sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta", "lars", "lamb", "lion", "muon".
[[nodiscard]] std::string_view name_of(const Optimizer& optimizer);
[[nodiscard]] double learning_rate_of(const Optimizer& optimizer);
/// Momentum of Sgd (where it has one) and Lars, beta1 of Adam, AdamW and Lamb: what a one-cycle schedule moves; nothing for the others.
[[nodiscard]] std::optional<double> momentum_of(const Optimizer& optimizer);
/// By name, with options by field name (flags are 0 or 1; form is 0, 1, 2 in the order of MomentumForm). Throws ArgumentError naming the
/// nearest for an unknown name or option, and for a value outside its domain.
[[nodiscard]] Optimizer make_optimizer(std::string_view name, const std::map<std::string, double>& options = {});

/// Parameters that are trained otherwise than the rest, by glob patterns; the first group that fits a parameter counts.
struct ParameterGroup {
    std::string name{};                     ///< for messages
    std::vector<std::string> parameters{};
    double lr = 1, weight_decay = 1;        ///< factors of the optimiser's
    bool elementwise = false;               ///< without the per-layer rule of Lars, Lamb and Muon
    friend bool operator==(const ParameterGroup&, const ParameterGroup&) = default;
};

/// What one training step does around the optimiser.
struct StepSpec {
    double clip_norm = 0;               ///< gradients scaled so that their joint L2 norm is at most this (PyTorch's clip_grad_norm_); 0: off
    double clip_value = 0;              ///< each gradient element kept within plus or minus this; 0: off
    bool decay_norms_and_biases = true; ///< false: parameters of rank 0 and 1 (biases, norm scales and shifts) are not decayed
    std::vector<std::string> no_decay{};///< glob patterns of further parameters that are not decayed: "conv1.*"
    /// Glob patterns of parameters that are not trained. A batch norm whose scale is frozen uses its running statistics and leaves them.
    std::vector<std::string> frozen{};
    std::vector<ParameterGroup> groups{};
    /// Batches whose mean gradient makes one update (the last update of an epoch may have fewer).
    std::int64_t accumulate = 1;
    /// Running mean of the weights and of batch norm's statistics: a = d a + (1 - d) p with d = min(ema, (1 + t) / (10 + t)); 0: off.
    double ema = 0;
    /// Every so many updates the weights go back to slow + alpha (p - slow), which becomes slow. Zhang et al. 2019, arXiv:1907.08610; 0: off.
    std::int64_t lookahead_every = 0;
    double lookahead_alpha = 0.5;
    bool log_gradient_norm = false;     ///< adds the output "gradient_norm" (there anyway when clip_norm is on)
    /// Several ranks run this step: gradients are summed over them in buckets of about so many bytes, each rank's loss counting by the input
    /// "share" (its part of the batch's rows); the loss is a mean over rows. 0: one rank.
    std::int64_t bucket_bytes = 0;
    bool momentum_input = false;        ///< momentum (beta1) is read from the input "momentum", so that a schedule can move it
};

/// '*' stands for any run of characters, '?' for one.
[[nodiscard]] bool matches_glob(std::string_view pattern, std::string_view name);

/// Appends gradients, clipping and updates for every trainable parameter `loss` depends on: with them the graph is a whole training
/// step. Declares the inputs "lr" and, where they are needed, "t" (the number of this update, from 1), "momentum", "batches" (how many
/// are accumulated with this one), "ema_rate" and "lookahead" (1 when it is due), of rank 0; and the state "optimizer.<slot>.<parameter>"
/// (not trainable). Throws ArgumentError when a pattern matches nothing or nothing is trained.
void append_optimizer(Graph& graph, const Value& loss, const Optimizer& optimizer, const StepSpec& spec = {});
/// The step that only adds its gradients to those waiting for the update, with the state of append_optimizer().
void append_accumulation(Graph& graph, const Value& loss, const StepSpec& spec);
/// The graph of `loss` with batch norms whose scale (or, without one, whose running mean) a pattern names on their running statistics,
/// which are no longer updated; `loss` becomes the value there.
[[nodiscard]] Graph with_frozen_norms(const Graph& graph, const std::vector<std::string>& frozen, Value& loss);
inline constexpr std::string_view optimizer_prefix = "optimizer.";

}  // namespace fovea
