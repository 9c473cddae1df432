// Changes of colour, equal to Pillow's ImageEnhance and ImageOps to the bit; on grey pictures what has a meaning there.
#pragma once

#include "fovea/image.h"

namespace fovea {

/// ImageEnhance: 0 is black, the mean grey, grey; 1 the picture as it is; beyond 1 more of it.
void adjust_brightness(Image& image, double factor);
void adjust_contrast(Image& image, double factor);
void adjust_saturation(Image& image, double factor);
/// By so much of a turn, -0.5 .. 0.5, in HSV of 8 bits.
void adjust_hue(Image& image, double turn);
/// ImageEnhance.Sharpness: 0 is the picture smoothed by [1 1 1; 1 5 1; 1 1 1] / 13.
void adjust_sharpness(Image& image, double factor);
void to_grey(Image& image);  ///< the channels stay, all equal
void invert(Image& image);
/// Keeps the highest bits of each value, 0..8.
void posterize(Image& image, int bits);
/// Values of at least the threshold inverted.
void solarize(Image& image, double threshold);
/// Each channel's darkest and brightest value become 0 and 255.
void autocontrast(Image& image);
/// Each channel's histogram made flat.
void equalize(Image& image);

/// Weights of a Gaussian at `size` (odd) whole numbers about 0; they sum to 1.
[[nodiscard]] std::vector<float> gaussian_kernel(std::int64_t size, double sigma);
/// Rows, then columns of interleaved channels by the same kernel, mirrored at the edges.
void blur(std::vector<float>& values, std::int64_t width, std::int64_t height, std::int64_t channels, const std::vector<float>& kernel);
/// torchvision's gaussian_blur: `size` (odd) weights along each axis, mirrored at the edges, rounded once. Within 1 of it: it sums in f32 in
/// another order.
[[nodiscard]] Image gaussian_blur(const Image& image, std::int64_t size, double sigma);

}  // namespace fovea
