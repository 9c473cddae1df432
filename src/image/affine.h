// Sampling through an affine map, with Pillow's result to the bit.
#pragma once

#include <array>
#include <cstdint>

#include "fovea/image.h"

namespace fovea {

/// (x, y) of the target, in pixels whose first middle is (0.5, 0.5), -> (a x + b y + c, d x + e y + f) of the source.
struct AffineMap {
    double a = 1, b = 0, c = 0, d = 0, e = 1, f = 0;

    [[nodiscard]] std::array<double, 2> operator()(double x, double y) const { return {a * x + b * y + c, d * x + e * y + f}; }
    /// Source -> target. Of a map that keeps an area.
    [[nodiscard]] AffineMap inverse() const;
    /// First `inner`, then this.
    [[nodiscard]] AffineMap after(const AffineMap& inner) const;
};

/// Image.rotate(degrees): counter-clockwise about the centre.
[[nodiscard]] AffineMap rotation_map(std::int64_t width, std::int64_t height, double degrees);
/// torchvision's affine(): scale, shear along x and y and rotation about the centre, then the shift in pixels; clockwise where the y axis points down.
[[nodiscard]] AffineMap affine_map(std::int64_t width, std::int64_t height, double degrees, double shift_x, double shift_y, double scale, double shear_x_deg, double shear_y_deg);

/// Image.transform(size, AFFINE, map, filter, fillcolor): nearest or bilinear; positions outside the source become `fill` (by channel).
[[nodiscard]] Image transform(const Image& image, std::int64_t width, std::int64_t height, const AffineMap& map, Filter filter, std::array<std::uint8_t, 3> fill = {0, 0, 0});

}  // namespace fovea
