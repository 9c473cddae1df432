// Distances between the pixels of a picture.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace fovea {

/// Squared Euclidean distance from the middle of each pixel to the nearest whose `is_seed` is not 0, exact; infinite where there is none.
/// Felzenszwalb, Huttenlocher 2012, "Distance Transforms of Sampled Functions": the lower envelope of parabolas along columns, then along
/// rows, in time proportional to the pixels.
[[nodiscard]] std::vector<double> squared_distances(std::span<const std::uint8_t> is_seed, std::int64_t width, std::int64_t height);

}  // namespace fovea
