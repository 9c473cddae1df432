// Our own vector kernels, compiled for every instruction set Highway knows here and chosen once at run time.
// Activations are seen as rows of `channels` contiguous values (channels last, or [N, C]).
#pragma once

#include <cstdint>

namespace fovea::cpu {

struct Bf16;

struct PoolGeometry {
    static constexpr std::int64_t most_taps = 64;
    std::int64_t channels, height, width, out_height, out_width, kernel_h, kernel_w, stride_h, stride_w, before_h, before_w, dilation_h, dilation_w;
    std::int64_t x_pixel, y_pixel;  ///< elements from a pixel to the next
};

/// Rows of channels for batch norm. What is normalised, what comes out and its gradient may be slices, everything else is without gaps.
struct NormRows {
    std::int64_t rows, channels;
    std::int64_t x_pixel, y_pixel;  ///< elements from a row to the next
    std::int64_t dy_pixel = 0;      ///< of the gradient that comes in
};

/// One axis as a sparse matrix: output o is the weighted sum of the inputs index[k], start[o] <= k < start[o + 1].
struct TapTable {
    const std::int32_t* start;
    const std::int32_t* index;
    const float* weight;
};

/// y[p, q, :] = sum over taps of rows.weight * columns.weight * x[row, column, :], channels last; `value` where there are none.
struct ResampleGeometry {
    TapTable rows, columns;
    std::int64_t out_width, in_width;           ///< pixels
    std::int64_t channels;                      ///< taken
    std::int64_t x_channels, y_channels;        ///< of a whole pixel
    float value;
};

/// y_c = x_c s_c^-beta, s_c = k + a * sum of x_j^2 over c - below <= j <= c + above.
struct LrnGeometry {
    std::int64_t channels, below, above;
    float a, beta, k;
    /// Floats of working memory a call takes.
    [[nodiscard]] std::int64_t work() const { return 2 * (channels + below + above); }
};

/// Where a ReLU behind a batch norm lets gradients through: y > 0, or x * scale[c] + shift[c] > 0; everywhere when all are null.
template <class Element> struct NormMask {
    const Element* y = nullptr;
    const float *scale = nullptr, *shift = nullptr;
};

/// Kernels on maps whose elements are f32 or bf16; what they compute with is f32.
template <class Element> struct MapKernels {
    void (*add)(Element* out, const Element* a, const Element* b, std::int64_t count);
    void (*multiply)(Element* out, const Element* a, const Element* b, std::int64_t count);
    void (*relu)(Element* out, const Element* x, std::int64_t count);
    void (*relu_backward)(Element* out, const Element* dy, const Element* y, std::int64_t count);
    void (*scale_shift)(Element* out, const Element* x, float scale, float shift, std::int64_t count);
    void (*fill)(Element* out, float value, std::int64_t count);
    /// out = x + v[c] or x * v[c] on rows of channels.
    void (*add_channels)(Element* out, const Element* x, const float* v, std::int64_t rows, std::int64_t channels);
    void (*multiply_channels)(Element* out, const Element* x, const float* v, std::int64_t rows, std::int64_t channels);

    /// sums[c] += x - pivot, squares[c] += (x - pivot)^2 over the rows, with pivot = the first row (written to pivot).
    void (*norm_sums)(const Element* x, const NormRows& rows, float* pivot, double* sums, double* squares);
    /// y = x * scale[c] + shift[c] (+ residual) (rectified)
    void (*norm_apply)(Element* y, const Element* x, const Element* residual, const float* scale, const float* shift, const NormRows& rows, bool relu);
    /// d = dy where the mask says so; sums[c] += d, products[c] += d * (x - mean[c])
    void (*norm_backward_sums)(const Element* x, const Element* dy, const NormMask<Element>& mask, const float* mean, const NormRows& rows, double* sums, double* products);
    /// dx = a[c] * (d - d_mean[c]) + b[c] * (x - mean[c]); masked (may be null) = d. Both differences sum to zero over the batch, so that
    /// the rounding of a and b leaves the sum of dx at zero.
    void (*norm_backward_apply)(Element* dx, Element* masked, const Element* x, const Element* dy, const NormMask<Element>& mask, const float* a, const float* b, const float* d_mean, const float* mean,
                                const NormRows& rows);

    /// Max pooling of one sample, channels last: y and the flat place h * W + w of each maximum (where may be null).
    void (*max_pool)(Element* y, std::int32_t* where, const Element* x, const PoolGeometry& geometry);
    /// sums[c] += x over the rows
    void (*column_sums)(const Element* x, std::int64_t rows, std::int64_t channels, float* sums);
    /// The output lines [begin, end) of one sample; x and y point at the first channel taken of the sample.
    void (*resample)(Element* y, const Element* x, const ResampleGeometry& geometry, std::int64_t begin, std::int64_t end);
};

struct Simd : MapKernels<float> {
    const char* name;  ///< the instruction set chosen
    MapKernels<Bf16> half;  ///< null where the processor has no instruction that rounds to bf16
    /// Nearest, ties to even; null likewise.
    void (*to_bf16)(Bf16* out, const float* x, std::int64_t count);
    void (*from_bf16)(float* out, const Bf16* x, std::int64_t count);
    /// out[i] = sum over p < parts of source[p * stride + i], in that order.
    void (*sum_parts)(float* out, const float* source, std::int64_t stride, int parts, std::int64_t count);
    /// scale = gamma * inv_std, shift = beta - mean * scale: the one way in which y is made of what is kept.
    void (*norm_coefficients)(float* scale, float* shift, const float* gamma, const float* beta, const float* mean, const float* inv_std, std::int64_t channels);
    /// scale = gamma / sqrt(var + eps), shift = beta - mean * scale, in doubles: of a norm whose statistics are given.
    void (*inference_coefficients)(float* scale, float* shift, const float* gamma, const float* beta, const float* mean, const float* var, double eps, std::int64_t channels);
    /// Response normalisation across channels of `pixels` pixels, and its gradient.
    void (*lrn)(float* y, const float* x, float* work, const LrnGeometry& geometry, std::int64_t pixels);
    void (*lrn_backward)(float* dx, const float* x, const float* dy, float* work, const LrnGeometry& geometry, std::int64_t pixels);
    float (*largest)(const float* x, std::int64_t count);
    /// out[i] = exp(x[i] - shift) (out may be null); returns the sum. NaN stays NaN.
    double (*exponentials)(float* out, const float* x, float shift, std::int64_t count);
    double (*sum)(const float* x, std::int64_t count);

    /// Those for maps of a kind of element.
    template <class Element> [[nodiscard]] const MapKernels<Element>& maps() const {
        if constexpr (sizeof(Element) == 2) return half;
        else return *this;
    }
};

/// The kernels for this machine.
[[nodiscard]] const Simd& simd();

/// Functions of single elements, and draws.
struct Math {
    using Unary = void (*)(float* out, const float* x, std::int64_t count);
    using Backward = void (*)(float* out, const float* dy, const float* x, std::int64_t count);  ///< x: what the op's gradient reads
    Unary sigmoid, tanh, relu6, hard_sigmoid, hard_swish, gelu, gelu_tanh;
    Backward sigmoid_backward, tanh_backward, relu6_backward, hard_sigmoid_backward, hard_swish_backward, gelu_backward, gelu_tanh_backward;
    void (*silu)(float* out, const float* x, float beta, std::int64_t count);
    void (*silu_backward)(float* out, const float* dy, const float* x, float beta, std::int64_t count);
    void (*leaky_relu)(float* out, const float* x, float slope, std::int64_t count);
    void (*leaky_relu_backward)(float* out, const float* dy, const float* x, float slope, std::int64_t count);
    /// scale * (x > 0 ? x : alpha (exp(x / width) - 1)), and its gradient.
    void (*elu)(float* out, const float* x, float alpha, float width, float scale, std::int64_t count);
    void (*elu_backward)(float* out, const float* dy, const float* x, float alpha, float width, float scale, std::int64_t count);
    /// Philox blocks [block, block + blocks) as Rng draws them, four words each; writes up to 63 blocks more.
    static constexpr std::int64_t spare_blocks = 63;
    void (*draws)(std::uint32_t* words, std::uint64_t block, std::int64_t blocks, std::uint64_t step, std::uint64_t key);
};
[[nodiscard]] const Math& math();

}  // namespace fovea::cpu
