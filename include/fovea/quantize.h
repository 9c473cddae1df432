// Values on grids of integers: what int8 inference rounds, and to what.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/graph.h"

namespace fovea {

/// Which real numbers the integers low .. high stand for: (q - zero_point) * scale.
struct QuantizeSpec {
    std::vector<double> scale;                 ///< one for all, or one per index along `axis`
    std::vector<std::int64_t> zero_point{};    ///< as many; empty: zeros
    std::int64_t axis = 1;
    std::int64_t low = 0, high = 255;          ///< 0 .. 255 is u8, -128 .. 127 s8; -127 .. 127 for weights
};
/// The integers, as real values: x / scale rounded half to even, plus zero_point, saturated. ONNX's QuantizeLinear.
/// The gradient passes through the rounding and is zero where x saturates.
Value quantize(const Value& x, const QuantizeSpec& spec, std::string_view name = {});
/// (x - zero_point) * scale. ONNX's DequantizeLinear.
Value dequantize(const Value& x, const QuantizeSpec& spec, std::string_view name = {});
/// dequantize(quantize(x)): the value of the grid nearest to x.
Value fake_quantize(const Value& x, const QuantizeSpec& spec, std::string_view name = {});

/// The grid of one value; 0 .. 255 is kept as u8, -128 .. 127 as s8.
struct Grid {
    double scale = 1;
    std::int64_t zero_point = 0;
    std::int64_t low = 0, high = 255;
    friend bool operator==(const Grid&, const Grid&) = default;
};

/// How a network runs in int8: what calibrate() finds. Paths are those of the network after fold_batch_norm and
/// fuse: a convolution's value is what comes after its sum and activation.
struct QuantizationTable {
    std::map<std::string, Grid> values;                   ///< of inputs and node outputs
    std::map<std::string, std::vector<double>> weights;   ///< of convolutions and linear layers: a scale per output channel, -127 .. 127
    std::string method{};                                 ///< how ranges were chosen
    std::int64_t images = 0;                              ///< they were measured on
    std::vector<std::string> notes{};                     ///< what calibration met that the user should know; not stored
};

/// What runs in int8, and which values lie on one grid together.
struct QuantizationPlan {
    std::vector<std::string> layers;               ///< convolutions and linear layers, in order
    std::vector<std::vector<std::string>> groups;  ///< values; those that meet in a concat share a grid
};
/// `fused` is a network after fuse(). Quantised are the convolutions over maps and the linear layers except those that `keep` names:
/// "first", "last", or paths with * for any text. Throws ArgumentError for a name in `keep` that no layer has, and when nothing is left.
[[nodiscard]] QuantizationPlan plan_quantization(const Graph& fused, const std::vector<std::string>& keep = {});
/// The network for inference (folded) on the table's grids: compiled, it runs in int8 where the processor can, on the same grids in f32 elsewhere.
[[nodiscard]] Graph quantized(const Graph& network, const QuantizationTable& table);
/// What plan_quantization() takes: the network for inference, folded and fused.
[[nodiscard]] Graph fused_for_inference(const Graph& network);
/// `fused` on the table's grids: fake_quantize nodes behind the table's values and weights. Throws ArgumentError when the table is of
/// another network.
[[nodiscard]] Graph put_on_grids(const Graph& fused, const QuantizationTable& table);
/// Layers whose weights lie on a grid per output channel carry its scales as attribute "weight_scale", so that they are known when the
/// weights themselves are computed beforehand.
[[nodiscard]] Graph mark_weight_grids(const Graph& graph);

/// The inverse of fuse for inference: the sum and the activation that a node ends in become nodes of their own again.
[[nodiscard]] Graph unfuse(const Graph& graph);

}  // namespace fovea
