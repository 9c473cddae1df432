#include "image/affine.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "core/text.h"

namespace fovea {

AffineMap AffineMap::inverse() const {
    const double determinant = a * e - b * d;
    return {e / determinant, -b / determinant, (b * f - c * e) / determinant, -d / determinant, a / determinant, (c * d - a * f) / determinant};
}

AffineMap AffineMap::after(const AffineMap& inner) const {
    return {a * inner.a + b * inner.d, a * inner.b + b * inner.e, a * inner.c + b * inner.f + c, d * inner.a + e * inner.d, d * inner.b + e * inner.e, d * inner.c + e * inner.f + f};
}

namespace {

double radians(double degrees) { return degrees * (std::numbers::pi / 180); }
/// Python's round(value, 15) for values of at most 1.
double rounded15(double value) { return std::nearbyint(value * 1e15) / 1e15; }

Image filled(std::int64_t width, std::int64_t height, int channels, std::array<std::uint8_t, 3> fill) {
    Image image(width, height, channels, fill[0]);
    if (channels == 3 && (fill[1] != fill[0] || fill[2] != fill[0]))
        for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = fill[i % 3];
    return image;
}

void copy_pixel(const Image& from, std::int64_t x, std::int64_t y, std::uint8_t* to) { std::memcpy(to, from.row(y) + x * from.channels, static_cast<std::size_t>(from.channels)); }

/// Pillow's way for maps that only scale and shift: positions added up in f64.
void sample_scaled(const Image& image, const AffineMap& m, Image& result) {
    const auto position = [](double v) { return v < 0 ? std::int64_t{-1} : static_cast<std::int64_t>(v); };
    std::vector<std::int64_t> columns;
    double at_x = m.c + m.a * 0.5, at_y = m.f + m.e * 0.5;
    for (std::int64_t x = 0; x < result.width; ++x, at_x += m.a) columns.push_back(position(at_x));
    for (std::int64_t y = 0; y < result.height; ++y, at_y += m.e) {
        const std::int64_t from_y = position(at_y);
        if (from_y < 0 || from_y >= image.height) continue;
        for (std::int64_t x = 0; x < result.width; ++x)
            if (const std::int64_t from_x = columns[static_cast<std::size_t>(x)]; from_x >= 0 && from_x < image.width)
                copy_pixel(image, from_x, from_y, result.row(y) + x * result.channels);
    }
}

/// Pillow's 16.16 fixed point, in 64 bits so that no size overflows.
void sample_nearest(const Image& image, const AffineMap& m, Image& result) {
    const auto fixed = [](double v) { return static_cast<std::int64_t>(std::floor(v * 65536 + 0.5)); };
    const std::int64_t a = fixed(m.a), b = fixed(m.b), d = fixed(m.d), e = fixed(m.e);
    std::int64_t row_x = fixed(m.c + m.a * 0.5 + m.b * 0.5), row_y = fixed(m.f + m.d * 0.5 + m.e * 0.5);
    for (std::int64_t y = 0; y < result.height; ++y, row_x += b, row_y += e) {
        std::int64_t at_x = row_x, at_y = row_y;
        std::uint8_t* target = result.row(y);
        for (std::int64_t x = 0; x < result.width; ++x, at_x += a, at_y += d, target += result.channels) {
            const std::int64_t from_x = at_x >> 16, from_y = at_y >> 16;
            if (from_x >= 0 && from_x < image.width && from_y >= 0 && from_y < image.height) copy_pixel(image, from_x, from_y, target);
        }
    }
}

template <int channels> void sample_bilinear(const Image& image, const AffineMap& m, Image& result) {
    const auto right = static_cast<double>(image.width), bottom = static_cast<double>(image.height);
    for (std::int64_t y = 0; y < result.height; ++y) {
        std::uint8_t* target = result.row(y);
        for (std::int64_t x = 0; x < result.width; ++x, target += channels) {
            const auto [from_x, from_y] = m(static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5);
            if (!(from_x >= 0 && from_x < right && from_y >= 0 && from_y < bottom)) continue;
            const double at_x = from_x - 0.5, at_y = from_y - 0.5, floor_x = std::floor(at_x), floor_y = std::floor(at_y), dx = at_x - floor_x, dy = at_y - floor_y;
            const auto left = static_cast<std::int64_t>(floor_x), top = static_cast<std::int64_t>(floor_y);
            const std::int64_t x0 = std::max<std::int64_t>(left, 0) * channels, x1 = std::min(left + 1, image.width - 1) * channels;
            const std::uint8_t *above = image.row(std::max<std::int64_t>(top, 0)), *below = image.row(std::min(top + 1, image.height - 1));
            for (int c = 0; c < channels; ++c) {
                const double v0 = above[x0 + c] + (above[x1 + c] - above[x0 + c]) * dx, v1 = below[x0 + c] + (below[x1 + c] - below[x0 + c]) * dx;
                target[c] = static_cast<std::uint8_t>(v0 + (v1 - v0) * dy);
            }
        }
    }
}

}  // namespace

AffineMap rotation_map(std::int64_t width, std::int64_t height, double degrees) {
    const double turn = std::fmod(degrees, 360.0), angle = -radians(turn < 0 ? turn + 360 : turn), cx = static_cast<double>(width) / 2, cy = static_cast<double>(height) / 2;
    AffineMap m{rounded15(std::cos(angle)), rounded15(std::sin(angle)), 0, rounded15(-std::sin(angle)), rounded15(std::cos(angle)), 0};
    const auto [x, y] = m(-cx, -cy);
    m.c = x + cx, m.f = y + cy;
    return m;
}

AffineMap affine_map(std::int64_t width, std::int64_t height, double degrees, double shift_x, double shift_y, double scale, double shear_x_deg, double shear_y_deg) {
    const double rot = radians(degrees), sx = radians(shear_x_deg), sy = radians(shear_y_deg), cx = static_cast<double>(width) * 0.5, cy = static_cast<double>(height) * 0.5;
    const double a = std::cos(rot - sy) / std::cos(sy), b = -std::cos(rot - sy) * std::tan(sx) / std::cos(sy) - std::sin(rot);
    const double c = std::sin(rot - sy) / std::cos(sy), d = -std::sin(rot - sy) * std::tan(sx) / std::cos(sy) + std::cos(rot);
    AffineMap m{d / scale, -b / scale, 0, -c / scale, a / scale, 0};
    m.c += m.a * (-cx - shift_x) + m.b * (-cy - shift_y);
    m.f += m.d * (-cx - shift_x) + m.e * (-cy - shift_y);
    m.c += cx, m.f += cy;
    return m;
}

Image transform(const Image& image, std::int64_t width, std::int64_t height, const AffineMap& map, Filter filter, std::array<std::uint8_t, 3> fill) {
    require<ArgumentError>(filter == Filter::nearest || filter == Filter::bilinear, "an affine map samples by nearest or bilinear, got {}", name_of(filter));
    require<ArgumentError>(width > 0 && height > 0 && !image.is_empty(), "an affine map from {}x{} to {}x{}: no side may be 0", image.width, image.height, width, height);
    Image result = filled(width, height, image.channels, fill);
    if (filter == Filter::bilinear) image.channels == 3 ? sample_bilinear<3>(image, map, result) : sample_bilinear<1>(image, map, result);
    else if (map.b == 0 && map.d == 0) sample_scaled(image, map, result);
    else sample_nearest(image, map, result);
    return result;
}

}  // namespace fovea
