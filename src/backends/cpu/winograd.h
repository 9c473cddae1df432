// Winograd's minimal filtering on channels-last maps, F(4x4, 3x3) and F(2x2, 5x5): 4 x 4 outputs of a 3 x 3 kernel take 36 multiplications per
// pair of channels instead of 144, 2 x 2 outputs of a 5 x 5 one 36 instead of 100. Both see pieces of 6 x 6, so that only the weights' and the
// outputs' transforms differ. Lavin and Gray 2016, "Fast Algorithms for Convolutional Neural Networks", arXiv:1509.09308. Three steps over a block of tiles:
//   v[36][C/16][tiles][16] = B' d B      of 6 x 6 pieces of the input that overlap by R - 1
//   m[36][K/16][tiles][16] = v u         one matrix product for each of the 36 points
//   y                      = A' m A      and the bias, the residual and the rectifier on the way out
// The weight gradient is the adjoint: per point, the sums over the tiles of v times z = A dy A', and dw = G' (sums) G.
// The data gradient is the same convolution with the filter turned by 180 degrees and C and K exchanged.
#pragma once

#include <cstdint>

namespace fovea::cpu {

struct Bf16;

struct WinogradGeometry {
    static constexpr std::int64_t points = 36, piece = 6, lanes = 16, panel = 64;
    std::int64_t channels, outputs;                       ///< multiples of 16
    std::int64_t height, width, out_height, out_width;    ///< one map in, one map out
    std::int64_t before_h, before_w;                      ///< padding; what lies past the other edges follows from the sizes
    std::int64_t x_pixel, y_pixel;                        ///< floats from a pixel of a map to the next: more than its channels in a slice
    std::int64_t block;                                   ///< most tiles worked on at a time
    std::int64_t taps = 3;                                ///< along each axis: 3 or 5

    /// Outputs of a piece along each axis.
    [[nodiscard]] std::int64_t tile() const { return piece + 1 - taps; }
    [[nodiscard]] std::int64_t tiles_h() const { return (out_height + tile() - 1) / tile(); }
    [[nodiscard]] std::int64_t tiles_w() const { return (out_width + tile() - 1) / tile(); }
    [[nodiscard]] std::int64_t tiles() const { return tiles_h() * tiles_w(); }
    /// Floats between two points of v or m: an odd number of cache lines, so that the 36 stores of a tile meet different cache sets.
    [[nodiscard]] static std::int64_t point_stride(std::int64_t tiles, std::int64_t channels) { return (tiles * channels / lanes | 1) * lanes; }
    [[nodiscard]] std::int64_t matrix_bytes() const { return points * channels * outputs * 4; }
    /// Floats of working memory: v, m, and a pixel of zeros.
    [[nodiscard]] std::int64_t work() const { return points * (point_stride(block, channels) + point_stride(block, outputs)) + channels; }
    /// The same for the weight gradient: v, z, the sums of 16 channels by a panel of outputs, and a pixel of zeros.
    [[nodiscard]] std::int64_t gradient_work() const { return work() + points * sum_stride; }
    static constexpr std::int64_t sum_stride = lanes * panel + lanes;
};

/// Where the weight w[k, c, r, s] lies, in floats, in blocks of 16 x 16 channels; and which of K and C the product runs over.
struct WinogradWeights {
    std::int64_t contracted, outputs;                     ///< C and K, or K and C for the data gradient
    std::int64_t output_block, contracted_block;          ///< steps from one block of 16 channels to the next
    std::int64_t output_step, contracted_step, tap_step;  ///< steps within a block
    std::int64_t taps;                                    ///< R = S
    bool is_turned;                                       ///< the data gradient's filter
    /// Units of 16 x 16 channels the work can be cut into.
    [[nodiscard]] std::int64_t units() const { return contracted / 16 * (outputs / 16); }
};

/// What reads and writes maps, of f32 or bf16 elements.
template <class Element> struct WinogradMaps {
    /// The tiles [begin, end) of all samples. bias and residual (which may be y) may be null.
    void (*convolve)(Element* y, const Element* x, const float* u, const float* bias, const Element* residual, bool relu, float* work, const WinogradGeometry& geometry, std::int64_t begin,
                     std::int64_t end);
    /// The same in three steps over one block that holds all tiles, so that threads share the matrices out and each is read once:
    /// tiles [begin, end), points [begin, end) (Winograd::multiply), tiles [begin, end). `zeros` is a pixel of working memory.
    void (*input)(float* v, const Element* x, float* zeros, const WinogradGeometry& geometry, std::int64_t begin, std::int64_t end);
    void (*output)(Element* y, const float* m, const float* bias, const Element* residual, bool relu, const WinogradGeometry& geometry, std::int64_t begin, std::int64_t end);
};

struct Winograd {
    WinogradMaps<float> full;
    WinogradMaps<Bf16> half;
    bool is_supported;  ///< the kernels hold 24 sums of 16 lanes in registers: AVX-512 only
    const char* name;
    /// u[36][K / 64][C][64] (the last panel narrower) from the weights, units [begin, end).
    void (*weights)(float* u, const float* w, const WinogradWeights& geometry, std::int64_t begin, std::int64_t end);
    void (*multiply)(float* m, const float* v, const float* u, const WinogradGeometry& geometry, std::int64_t begin, std::int64_t end);

    template <class Element> [[nodiscard]] const WinogradMaps<Element>& maps() const {
        if constexpr (sizeof(Element) == 2) return half;
        else return full;
    }
};
[[nodiscard]] const Winograd& winograd();

/// The tiles' share of the weight gradient, in blocks [K / 16][C / 16][R S][16 c][16 k], and of the bias gradient where that is not null:
/// tiles [begin, end) of all samples. Only where winograd().is_supported.
void winograd_weight_gradient(float* dw, float* db, const float* x, const float* dy, float* work, const WinogradGeometry& geometry, std::int64_t begin, std::int64_t end);
void winograd_weight_gradient(float* dw, float* db, const Bf16* x, const Bf16* dy, float* work, const WinogradGeometry& geometry, std::int64_t begin, std::int64_t end);

}  // namespace fovea::cpu
