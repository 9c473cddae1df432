// Elastic displacement: a field of pixel shifts, and a picture seen through it.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "fovea/data/augment.h"
#include "image/affine.h"

namespace fovea {

/// Displacements in pixels along x and y, one per pixel.
struct DisplacementField {
    std::int64_t width, height;
    std::vector<float> x, y;

    DisplacementField(std::int64_t w, std::int64_t h) : width(w), height(h), x(static_cast<std::size_t>(w * h)), y(x.size()) {}
    /// Between the middles of pixels, bilinearly.
    [[nodiscard]] std::array<double, 2> at(double px, double py) const;
};

/// Noise of -1..1 becomes torchvision's ElasticTransform field: smoothed by a Gaussian of sigma, alpha / 2 pixels for 1.
void make_elastic(DisplacementField& noise, const ElasticTransform& step);

/// The picture under `map`, each target pixel moved by `field` first. Bilinear (a mask: the nearest); what lies outside counts as pixels of
/// `fill`. torchvision's elastic_transform but where a pixel is read from half inside: it takes the inner part's weight twice there.
[[nodiscard]] Image displaced(const Image& image, const DisplacementField& field, const AffineMap& map, std::array<std::uint8_t, 3> fill, bool is_mask);

}  // namespace fovea
