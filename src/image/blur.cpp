// Gaussian blur.
#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "image/colour.h"
#include "image/reflect.h"

namespace fovea {

std::vector<float> gaussian_kernel(std::int64_t size, double sigma) {
    const std::int64_t radius = size / 2;
    const auto weight = [&](std::int64_t i) { return std::exp(-0.5 * static_cast<double>(i * i) / (sigma * sigma)); };
    double sum = 0;
    for (std::int64_t i = -radius; i <= radius; ++i) sum += weight(i);
    std::vector<float> kernel;
    for (std::int64_t i = -radius; i <= radius; ++i) kernel.push_back(static_cast<float>(weight(i) / sum));
    return kernel;
}

// The inner loops run along rows, where the compiler can use vectors.
void blur(std::vector<float>& values, std::int64_t width, std::int64_t height, std::int64_t channels, const std::vector<float>& kernel) {
    const std::int64_t size = std::ssize(kernel), radius = size / 2, line = width * channels;
    std::vector<float> rows(values.size()), padded(static_cast<std::size_t>((width + 2 * radius) * channels));
    for (std::int64_t y = 0; y < height; ++y) {
        const float* source = &values[static_cast<std::size_t>(y * line)];
        for (std::int64_t x = -radius; x < width + radius; ++x)
            for (std::int64_t c = 0; c < channels; ++c) padded[static_cast<std::size_t>((x + radius) * channels + c)] = source[reflected(x, width) * channels + c];
        float* target = &rows[static_cast<std::size_t>(y * line)];
        for (std::int64_t k = 0; k < size; ++k)
            for (std::int64_t i = 0; i < line; ++i) target[i] += kernel[static_cast<std::size_t>(k)] * padded[static_cast<std::size_t>(i + k * channels)];
    }
    std::ranges::fill(values, 0.0f);
    for (std::int64_t y = 0; y < height; ++y) {
        float* target = &values[static_cast<std::size_t>(y * line)];
        for (std::int64_t k = -radius; k <= radius; ++k) {
            const float* source = &rows[static_cast<std::size_t>(reflected(y + k, height) * line)];
            for (std::int64_t i = 0; i < line; ++i) target[i] += kernel[static_cast<std::size_t>(k + radius)] * source[i];
        }
    }
}

Image gaussian_blur(const Image& image, std::int64_t size, double sigma) {
    require<ArgumentError>(size > 0 && size % 2 == 1 && sigma > 0, "gaussian blur: the kernel's size is odd and sigma above 0, got {} and {}", size, sigma);
    std::vector<float> values(image.pixels.begin(), image.pixels.end());
    blur(values, image.width, image.height, image.channels, gaussian_kernel(size, sigma));
    Image result(image.width, image.height, image.channels);
    std::ranges::transform(values, result.pixels.begin(), [](float v) { return static_cast<std::uint8_t>(std::clamp(std::nearbyint(v), 0.0f, 255.0f)); });
    return result;
}

}  // namespace fovea
