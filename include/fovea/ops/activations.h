// Activations, gates, and what a classifier ends in.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "fovea/graph.h"

namespace fovea {

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
    bool bias = false;       ///< a trained number per unit is added to its distance; it starts at 0
};
/// Squared distances of features [N, F] to the codes: [N, L]. Parameters "<name>.weight" [L, F] and, with a bias, "<name>.bias" [L].
/// LeNet-5's units are 10 codes of 84 fixed numbers without bias: 840, none of them trained (LeCun et al. 1998). Tables that list the layer
/// with 850 count a bias for each unit as well.
Value rbf(const Value& x, const RbfSpec& spec, std::string_view name = {});
Value rbf(const Value& x, const Value& codes, std::string_view name = {});
Value rbf(const Value& x, const Value& codes, const Value& bias, std::string_view name = {});

}  // namespace fovea
