// Depthwise convolutions, channels last: one filter per channel, the channels in the lanes of a vector.
#pragma once

#include <cstdint>

#include "backends/cpu/epilogue.h"

namespace fovea::cpu {

struct DepthwiseGeometry {
    std::int64_t channels, height, width, out_height, out_width, kernel_h, kernel_w, stride_h, stride_w, before_h, before_w, dilation_h, dilation_w;
    std::int64_t x_pixel = channels, y_pixel = channels, tap = channels;  ///< floats from a pixel, or a tap of the weight, to the next
    /// Floats of working memory a call takes.
    [[nodiscard]] std::int64_t work() const { return 2 * channels; }
};

/// The output lines [begin, end) of one sample; x, y [H, W, C], weight [R, S, C], bias [C] or null. Only the input lines that those read are touched.
using Depthwise = void (*)(float* y, const float* x, const float* weight, const float* bias, float* work, const DepthwiseGeometry& geometry, const Epilogue& epilogue, std::int64_t begin,
                           std::int64_t end);
[[nodiscard]] Depthwise depthwise();

}  // namespace fovea::cpu
