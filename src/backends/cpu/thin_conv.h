// Convolutions with few channels, where a library kernel with channels in its vector lanes leaves most of them empty.
#pragma once

#include <cstdint>

namespace fovea::cpu {

/// A convolution without groups or dilation on one sample, and what follows it in registers.
struct ThinConv {
    std::int64_t channels, height, width, filters, out_height, out_width, kernel_h, kernel_w, stride_h, stride_w, before_h, before_w;
    bool is_planar;       ///< x is [C, H, W], else [H, W, C]
    bool rectifies, pools;  ///< max(., 0); the maximum of 2 x 2 windows afterwards, so y is [out_height / 2, out_width / 2, filters]

    /// Output lines come in pairs: units of one line where windows are pooled, of two lines (the last may be one) otherwise.
    [[nodiscard]] std::int64_t units() const { return pools ? out_height / 2 : (out_height + 1) / 2; }
    [[nodiscard]] std::int64_t taps() const { return channels * kernel_h * kernel_w; }
    [[nodiscard]] bool is_padded() const {
        return before_h > 0 || before_w > 0 || (out_height - 1) * stride_h + kernel_h > height || (out_width - 1) * stride_w + kernel_w > width;
    }
};

struct ThinConvKernels {
    /// Pixels of a line side by side in a vector; y channels last, weight [K, C, R, S]. Units [begin, end) of `samples` samples one after
    /// another in x and y; `has_more` says that memory of x goes on behind the last.
    void (*by_pixels)(float* y, const float* x, const float* weight, const float* bias, float* work, const ThinConv& conv, std::int64_t samples, std::int64_t begin, std::int64_t end, bool has_more);
    /// Filters side by side in a vector; x and y channels last, weight [R, S, C, K].
    void (*by_filters)(float* y, const float* x, const float* weight, const float* bias, float* work, const ThinConv& conv, std::int64_t samples, std::int64_t begin, std::int64_t end);
    /// Sums over `samples`: dw [K, C, R, S] and db [K] (or null) of dy, channels last. x as by_pixels takes it.
    void (*gradient)(float* dw, float* db, const float* x, const float* dy, float* work, const ThinConv& conv, std::int64_t samples);
    std::int64_t (*gradient_work)(const ThinConv& conv);
    /// Floats of working memory of by_pixels and by_filters, for calls of at most `units` units.
    std::int64_t (*pixels_work)(const ThinConv& conv, std::int64_t units);
    std::int64_t (*filters_work)(const ThinConv& conv, std::int64_t units);
    /// out[c, r] = in[r, c]
    void (*transpose)(float* out, std::int64_t out_pitch, const float* in, std::int64_t in_pitch, std::int64_t rows, std::int64_t columns);
};
[[nodiscard]] const ThinConvKernels& thin_conv();

}  // namespace fovea::cpu
