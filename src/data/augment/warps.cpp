// Rotation, affine maps and elastic fields.
#include <algorithm>
#include <cmath>

#include "data/augment/steps.h"

namespace fovea {

std::optional<AffineMap> random_map(const RandomRotation& step, std::int64_t width, std::int64_t height, Draws& draws) {
    if (!draws.happens(step.p)) return {};
    const double degrees = draws.uniform(step.degrees);
    AffineMap map = rotation_map(width, height, degrees);
    if (!step.inscribed) return map;
    // The turned picture, enlarged about its centre until the frame lies inside: each half side of the frame reaches that far along both
    // axes of the source.
    const auto w = static_cast<double>(width), h = static_cast<double>(height);
    const double zoom = std::max((std::abs(map.a) * w + std::abs(map.b) * h) / w, (std::abs(map.d) * w + std::abs(map.e) * h) / h);
    return map.after({1 / zoom, 0, w / 2 * (1 - 1 / zoom), 0, 1 / zoom, h / 2 * (1 - 1 / zoom)});
}

std::optional<AffineMap> random_map(const RandomAffine& step, std::int64_t width, std::int64_t height, Draws& draws) {
    if (!draws.happens(step.p)) return {};
    const double degrees = draws.uniform(step.degrees);
    const double most_x = step.translate[0] * static_cast<double>(width), most_y = step.translate[1] * static_cast<double>(height);
    const double shift_x = std::nearbyint(draws.uniform(-most_x, most_x)), shift_y = std::nearbyint(draws.uniform(-most_y, most_y));
    const double scale = draws.uniform(step.scale), shear = draws.uniform(step.shear);
    return affine_map(width, height, degrees, shift_x, shift_y, scale, shear, 0);
}

void apply(const RandomRotation& step, StepRun& s) {
    if (const auto map = random_map(step, s.picture.image.width, s.picture.image.height, s.draws)) warp(s.picture, *map, step.interpolation, colour_of(step.fill, s.frame));
}

void apply(const RandomAffine& step, StepRun& s) {
    if (const auto map = random_map(step, s.picture.image.width, s.picture.image.height, s.draws)) warp(s.picture, *map, step.interpolation, colour_of(step.fill, s.frame));
}

namespace {

/// Index `i` mirrored at the edges of [0, size), which are not repeated.
std::int64_t reflected(std::int64_t i, std::int64_t size) {
    if (size == 1) return 0;
    const std::int64_t period = 2 * (size - 1), at = ((i % period) + period) % period;
    return at < size ? at : period - at;
}

/// torchvision's gaussian_blur: both axes by the same kernel, mirrored at the edges. The inner loops run along rows, where the compiler can use vectors.
void blur(std::vector<float>& field, std::int64_t width, std::int64_t height, const std::vector<float>& kernel) {
    const auto radius = static_cast<std::int64_t>(kernel.size() / 2);
    std::vector<float> padded(static_cast<std::size_t>(width + 2 * radius)), rows(field.size());
    for (std::int64_t y = 0; y < height; ++y) {
        const float* line = &field[static_cast<std::size_t>(y * width)];
        for (std::int64_t x = -radius; x < width + radius; ++x) padded[static_cast<std::size_t>(x + radius)] = line[reflected(x, width)];
        float* target = &rows[static_cast<std::size_t>(y * width)];
        for (std::int64_t k = 0; k <= 2 * radius; ++k)
            for (std::int64_t x = 0; x < width; ++x) target[x] += kernel[static_cast<std::size_t>(k)] * padded[static_cast<std::size_t>(x + k)];
    }
    std::ranges::fill(field, 0.0f);
    for (std::int64_t y = 0; y < height; ++y) {
        float* target = &field[static_cast<std::size_t>(y * width)];
        for (std::int64_t k = -radius; k <= radius; ++k) {
            const float* source = &rows[static_cast<std::size_t>(reflected(y + k, height) * width)];
            for (std::int64_t x = 0; x < width; ++x) target[x] += kernel[static_cast<std::size_t>(k + radius)] * source[x];
        }
    }
}

std::vector<float> gaussian(double sigma) {
    const auto radius = static_cast<int>(8 * sigma + 1) / 2;  // torchvision's kernel of 8 sigma + 1, made odd
    std::vector<float> kernel;
    double sum = 0;
    for (int i = -radius; i <= radius; ++i) sum += std::exp(-i * i / (2 * sigma * sigma));
    for (int i = -radius; i <= radius; ++i) kernel.push_back(static_cast<float>(std::exp(-i * i / (2 * sigma * sigma)) / sum));
    return kernel;
}

/// Displacements in pixels along x and y, one per pixel.
struct Field {
    std::int64_t width, height;
    std::vector<float> x, y;

    Field(std::int64_t w, std::int64_t h, const ElasticTransform& step, const Draws& draws) : width(w), height(h), x(static_cast<std::size_t>(w * h)), y(x.size()) {
        for (std::size_t i = 0; i < x.size(); i += 4) {
            // One block is four words; each makes both directions of one pixel, 16 bits each.
            const auto words = draws.block(static_cast<std::uint32_t>(i / 4));
            for (std::size_t j = i; j < std::min(i + 4, x.size()); ++j) {
                x[j] = static_cast<float>(words[j - i] >> 16) * (2.0f / 65535) - 1;
                y[j] = static_cast<float>(words[j - i] & 0xFFFF) * (2.0f / 65535) - 1;
            }
        }
        const auto kernel = gaussian(step.sigma);
        for (auto* axis : {&x, &y}) {
            blur(*axis, w, h, kernel);
            for (float& v : *axis) v *= static_cast<float>(step.alpha / 2);
        }
    }

    /// Between the middles of pixels, bilinearly.
    [[nodiscard]] std::array<double, 2> at(double px, double py) const {
        const double cx = std::clamp(px - 0.5, 0.0, static_cast<double>(width - 1)), cy = std::clamp(py - 0.5, 0.0, static_cast<double>(height - 1));
        const auto x0 = static_cast<std::int64_t>(cx), y0 = static_cast<std::int64_t>(cy), x1 = std::min(x0 + 1, width - 1), y1 = std::min(y0 + 1, height - 1);
        const double fx = cx - static_cast<double>(x0), fy = cy - static_cast<double>(y0);
        const auto mixed = [&](const std::vector<float>& f) {
            const auto v = [&](std::int64_t at_x, std::int64_t at_y) { return static_cast<double>(f[static_cast<std::size_t>(at_y * width + at_x)]); };
            return (v(x0, y0) * (1 - fx) + v(x1, y0) * fx) * (1 - fy) + (v(x0, y1) * (1 - fx) + v(x1, y1) * fx) * fy;
        };
        return {mixed(x), mixed(y)};
    }
};

/// Bilinear, the border a pixel of `fill` like any other: torchvision's grid_sample with zero padding and fill.
Image displaced(const Image& image, const Field& field, const AffineMap& map, std::array<std::uint8_t, 3> fill, bool is_mask) {
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

/// Where a position of the source comes to lie: target + field(target) = map's inverse of it, by fixed-point iteration.
std::array<double, 2> moved(const Field& field, const AffineMap& forward, double x, double y) {
    const auto [goal_x, goal_y] = forward(x, y);
    double at_x = goal_x, at_y = goal_y;
    for (int i = 0; i < 20; ++i) {
        const auto [dx, dy] = field.at(at_x, at_y);
        at_x = goal_x - dx, at_y = goal_y - dy;
    }
    return {at_x, at_y};
}

}  // namespace

void apply(const ElasticTransform& step, StepRun& s) {
    Annotated& picture = s.picture;
    if (!s.draws.happens(step.p)) {
        if (s.pending) warp(picture, *s.pending, Filter::bilinear, colour_of(step.fill, s.frame));
        return;
    }
    const Field field(picture.image.width, picture.image.height, step, s.draws);
    const AffineMap map = s.pending ? *s.pending : AffineMap{}, forward = map.inverse();
    picture.image = displaced(picture.image, field, map, colour_of(step.fill, s.frame), false);
    if (!picture.mask.is_empty()) picture.mask = displaced(picture.mask, field, map, {picture.mask_fill, 0, 0}, true);
    for (Box& box : picture.boxes) {
        // A side bends: its bounds come from nine positions along it.
        Box bounds{1e18, 1e18, -1e18, -1e18};
        for (int i = 0; i <= 8; ++i) {
            const double part = i / 8.0, x = box.x0 + part * (box.x1 - box.x0), y = box.y0 + part * (box.y1 - box.y0);
            for (const auto& [px, py] : {moved(field, forward, x, box.y0), moved(field, forward, x, box.y1), moved(field, forward, box.x0, y), moved(field, forward, box.x1, y)})
                bounds = {std::min(bounds.x0, px), std::min(bounds.y0, py), std::max(bounds.x1, px), std::max(bounds.y1, py)};
        }
        box = bounds;
    }
    for (Point& point : picture.points) {
        const auto [x, y] = moved(field, forward, point.x, point.y);
        point.x = x, point.y = y;
    }
    drop_what_left(picture);
}

}  // namespace fovea
