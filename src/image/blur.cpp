// Gaussian blur.
#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "image/colour.h"

namespace fovea {

namespace {

/// Index `i` mirrored at the edges of [0, size), which are not repeated.
std::int64_t reflected(std::int64_t i, std::int64_t size) {
    if (size == 1) return 0;
    const std::int64_t period = 2 * (size - 1), at = ((i % period) + period) % period;
    return at < size ? at : period - at;
}

}  // namespace

Image gaussian_blur(const Image& image, std::int64_t size, double sigma) {
    require<ArgumentError>(size > 0 && size % 2 == 1 && sigma > 0, "gaussian blur: the kernel's size is odd and sigma above 0, got {} and {}", size, sigma);
    const std::int64_t radius = size / 2, channels = image.channels, line = image.width * channels;
    std::vector<float> kernel(static_cast<std::size_t>(size));
    double sum = 0;
    for (std::int64_t i = -radius; i <= radius; ++i) sum += std::exp(-0.5 * static_cast<double>(i * i) / (sigma * sigma));
    for (std::int64_t i = -radius; i <= radius; ++i) kernel[static_cast<std::size_t>(i + radius)] = static_cast<float>(std::exp(-0.5 * static_cast<double>(i * i) / (sigma * sigma)) / sum);
    std::vector<float> rows(image.pixels.size()), padded(static_cast<std::size_t>((image.width + 2 * radius) * channels));
    for (std::int64_t y = 0; y < image.height; ++y) {
        for (std::int64_t x = -radius; x < image.width + radius; ++x)
            for (std::int64_t c = 0; c < channels; ++c) padded[static_cast<std::size_t>((x + radius) * channels + c)] = image.row(y)[reflected(x, image.width) * channels + c];
        float* target = &rows[static_cast<std::size_t>(y * line)];
        for (std::int64_t k = 0; k < size; ++k)
            for (std::int64_t i = 0; i < line; ++i) target[i] += kernel[static_cast<std::size_t>(k)] * padded[static_cast<std::size_t>(i + k * channels)];
    }
    Image result(image.width, image.height, image.channels);
    std::vector<float> sums(static_cast<std::size_t>(line));
    for (std::int64_t y = 0; y < image.height; ++y) {
        std::ranges::fill(sums, 0.0f);
        for (std::int64_t k = -radius; k <= radius; ++k) {
            const float* source = &rows[static_cast<std::size_t>(reflected(y + k, image.height) * line)];
            for (std::int64_t i = 0; i < line; ++i) sums[static_cast<std::size_t>(i)] += kernel[static_cast<std::size_t>(k + radius)] * source[i];
        }
        for (std::int64_t i = 0; i < line; ++i) result.row(y)[i] = static_cast<std::uint8_t>(std::clamp(std::nearbyint(sums[static_cast<std::size_t>(i)]), 0.0f, 255.0f));
    }
    return result;
}

}  // namespace fovea
