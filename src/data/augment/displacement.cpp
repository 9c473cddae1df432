#include "data/augment/displacement.h"

#include <algorithm>

#include "image/colour.h"

namespace fovea {

std::array<double, 2> DisplacementField::at(double px, double py) const {
    const double cx = std::clamp(px - 0.5, 0.0, static_cast<double>(width - 1)), cy = std::clamp(py - 0.5, 0.0, static_cast<double>(height - 1));
    const auto x0 = static_cast<std::int64_t>(cx), y0 = static_cast<std::int64_t>(cy), x1 = std::min(x0 + 1, width - 1), y1 = std::min(y0 + 1, height - 1);
    const double fx = cx - static_cast<double>(x0), fy = cy - static_cast<double>(y0);
    const auto mixed = [&](const std::vector<float>& f) {
        const auto v = [&](std::int64_t at_x, std::int64_t at_y) { return static_cast<double>(f[static_cast<std::size_t>(at_y * width + at_x)]); };
        return (v(x0, y0) * (1 - fx) + v(x1, y0) * fx) * (1 - fy) + (v(x0, y1) * (1 - fx) + v(x1, y1) * fx) * fy;
    };
    return {mixed(x), mixed(y)};
}

void make_elastic(DisplacementField& noise, const ElasticTransform& step) {
    const std::int64_t size = static_cast<std::int64_t>(8 * step.sigma + 1) / 2 * 2 + 1;  // torchvision's kernel, made odd
    const std::vector<float> kernel = gaussian_kernel(size, step.sigma);
    for (std::vector<float>* axis : {&noise.x, &noise.y}) {
        blur(*axis, noise.width, noise.height, 1, kernel);
        for (float& v : *axis) v *= static_cast<float>(step.alpha / 2);
    }
}

Image displaced(const Image& image, const DisplacementField& field, const AffineMap& map, std::array<std::uint8_t, 3> fill, bool is_mask) {
    const std::int64_t width = image.width, height = image.height, channels = image.channels;
    // A border of one pixel before and two behind: a position clamped to -1 .. size reads its four neighbours without a test.
    const std::int64_t stride = (width + 3) * channels;
    std::vector<std::uint8_t> bordered(static_cast<std::size_t>(stride * (height + 3)));
    for (std::size_t i = 0; i < bordered.size(); ++i) bordered[i] = fill[i % static_cast<std::size_t>(channels)];
    for (std::int64_t y = 0; y < height; ++y) std::copy_n(image.row(y), width * channels, &bordered[static_cast<std::size_t>((y + 1) * stride + channels)]);
    const auto right = static_cast<float>(width), bottom = static_cast<float>(height);
    Image result(width, height, image.channels);
    std::uint8_t* out = result.pixels.data();
    std::size_t i = 0;
    for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x, ++i) {
            const auto [from_x, from_y] = map(static_cast<double>(x) + 0.5 + static_cast<double>(field.x[i]), static_cast<double>(y) + 0.5 + static_cast<double>(field.y[i]));
            const float sx = std::clamp(static_cast<float>(from_x - 0.5), -1.0f, right) + 1, sy = std::clamp(static_cast<float>(from_y - 0.5), -1.0f, bottom) + 1;
            const float shift = is_mask ? 0.5f : 0.0f;  // the nearest
            const auto x0 = static_cast<std::int64_t>(sx + shift), y0 = static_cast<std::int64_t>(sy + shift);
            const float fx = is_mask ? 0 : sx - static_cast<float>(x0), fy = is_mask ? 0 : sy - static_cast<float>(y0);
            const std::uint8_t* corner = &bordered[static_cast<std::size_t>(y0 * stride + x0 * channels)];
            for (std::int64_t c = 0; c < channels; ++c, ++corner) {
                const float above = static_cast<float>(corner[0]) * (1 - fx) + static_cast<float>(corner[channels]) * fx;
                const float below = static_cast<float>(corner[stride]) * (1 - fx) + static_cast<float>(corner[stride + channels]) * fx;
                *out++ = static_cast<std::uint8_t>(above * (1 - fy) + below * fy + 0.5f);
            }
        }
    return result;
}

}  // namespace fovea
