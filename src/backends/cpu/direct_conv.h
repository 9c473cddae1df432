// Convolutions without groups as a sum of matrix products, channels last: x is read where it lies, pixel by pixel, against weights in
// vectors of 16 filters. No copy of x is made, for no stride and for no number of channels, and any piece of the result can be made alone.
#pragma once

#include <cstdint>
#include <vector>

#include "backends/cpu/epilogue.h"

namespace fovea::cpu {

struct DirectConv {
    static constexpr std::int64_t lanes = 16;
    std::int64_t channels, filters, height, width, out_height, out_width, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, before_h, before_w;
    Epilogue epilogue;

    /// A stretch of the sum of one output: taps (r, first_tap ... last_tap) and channels [first_channel, last_channel). All channels of
    /// several taps, or some of one tap: the values lie one after another, in x and in the weight.
    struct Stretch {
        std::int64_t r, first_tap, last_tap, first_channel, last_channel;
    };
    /// The stretches of one pass over the outputs: their weights stay in the second-level cache.
    std::vector<std::vector<Stretch>> passes;
    void cut_into_passes();

    [[nodiscard]] std::int64_t vectors() const { return (filters + lanes - 1) / lanes; }
    [[nodiscard]] std::int64_t taps() const { return kernel_h * kernel_w; }
    /// Outputs are pixels of one line: a kernel of one tap that moves by one.
    [[nodiscard]] bool is_pointwise() const { return taps() == 1 && stride_h == 1 && stride_w == 1 && before_h == 0 && before_w == 0 && out_height == height && out_width == width; }
};

/// What a call makes of one sample: lines [line, line_end), columns [column, column_end), filters from vector to vector_end in units of 16.
struct DirectPiece {
    std::int64_t line, line_end, column, column_end, vector, vector_end;
};

struct DirectConvKernel {
    bool is_supported;  ///< 24 sums of 16 lanes in registers: AVX-512 only
    /// x [H, W, C], y [P, Q, K], weight [K / 16][R][S][C][16], bias [K] or null, residual like y (or y itself) or null.
    void (*run)(float* y, const float* x, const float* weight, const float* bias, const float* residual, const DirectConv& conv, const DirectPiece& piece);
};
[[nodiscard]] const DirectConvKernel& direct_conv();

/// How `lines` of work by `vectors` of filters are cut for a team: each piece a range of both.
struct DirectCut {
    int line_parts, vector_parts;
};
[[nodiscard]] DirectCut cut_direct(std::int64_t lines, std::int64_t vectors, std::int64_t macs);

}  // namespace fovea::cpu
