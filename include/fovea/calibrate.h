// Post-training quantisation: a trained network and some pictures -> the grids it runs on in int8.
#pragma once

#include <functional>

#include "fovea/data.h"
#include "fovea/quantize.h"

namespace fovea {

/// Which range of a value's elements its 256 steps cover: all, all but some outliers, the one whose quantised distribution diverges least
/// (Migacz 2017, "8-bit Inference with TensorRT"), the one of least squared error.
enum class Calibration : std::uint8_t { minmax, percentile, entropy, mse };
[[nodiscard]] std::string_view name_of(Calibration method);
/// Throws ArgumentError naming those that exist.
[[nodiscard]] Calibration calibration_named(std::string_view name);

struct CalibrateSpec {
    Calibration method = Calibration::percentile;
    double percentile = 99.99;         ///< of elements within the range
    std::int64_t images = 512;
    std::int64_t batch = 16;
    std::vector<std::string> keep{};   ///< layers that stay f32: "first", "last", paths with * for any text
};
/// Calls its argument with batches [N, C, H, W], the same ones each time.
using CalibrationImages = std::function<void(const std::function<void(const Tensor&)>& each)>;
/// Pictures spread over a data set. Throws ArgumentError when there are none.
[[nodiscard]] CalibrationImages calibration_images(DatasetPtr dataset, const Preprocess& preprocess, std::int64_t images, std::int64_t batch = 16);

/// The grids of a trained network: runs it in f32 on the images, twice where the method needs distributions. Throws ArgumentError for no
/// images, for values or weights that are not finite (by name and image), and for a name in `keep` that no layer has.
[[nodiscard]] QuantizationTable calibrate(const Graph& network, const Parameters& parameters, const CalibrationImages& images, const CalibrateSpec& spec = {});
[[nodiscard]] QuantizationTable calibrate(const Graph& network, const Parameters& parameters, DatasetPtr dataset, const Preprocess& preprocess, const CalibrateSpec& spec = {});

/// Relative L2 distance between what a layer gives in f32 and rounded: on the f32 network's values, and at its place in the rounded network.
struct LayerError {
    std::string layer, op;
    Shape weights{};
    double alone = 0, accumulated = 0;
};
/// Of every quantised layer, in order.
[[nodiscard]] std::vector<LayerError> quantization_errors(const Graph& network, const Parameters& parameters, const QuantizationTable& table, const CalibrationImages& images);

/// The table as JSON, for a weights file's metadata under this key, and back. Throws FormatError; `file` stands in the message.
inline constexpr std::string_view quantization_key = "quantization";
[[nodiscard]] std::string to_text(const QuantizationTable& table);
[[nodiscard]] QuantizationTable parse_quantization(std::string_view json, std::string_view file);

}  // namespace fovea
