// Learned filters as a picture.
#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "fovea/explain.h"

namespace fovea {

Image filter_grid(const Tensor& weights, const FilterGridSpec& spec) {
    const Shape& shape = weights.shape();
    require<ShapeError>(shape.rank() == 4 && shape.elements() > 0, "filters are [K, C, R, S], got {}", shape);
    require<ArgumentError>(spec.columns >= 0 && spec.scale >= 0 && spec.gap >= 0, "filter_grid: columns, scale and gap must not be negative, got {}, {} and {}", spec.columns, spec.scale, spec.gap);
    const std::int64_t C = shape[1], R = shape[2], S = shape[3];
    const bool is_colour = C == 3;
    const std::int64_t tiles = is_colour ? shape[0] : shape[0] * C, planes = is_colour ? 3 : 1;
    require<ArgumentError>(tiles <= 65'536, "filter_grid: {} filters of {} channels are too many for one picture; the first layers have fewer", shape[0], C);
    const std::int64_t columns = spec.columns > 0 ? spec.columns : is_colour || C == 1 ? static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(tiles)))) : C;
    const std::int64_t scale = spec.scale > 0 ? spec.scale : std::max<std::int64_t>(1, 32 / std::max(R, S)), gap = spec.gap;
    const std::int64_t rows = (tiles + columns - 1) / columns;
    Image grid(columns * (S * scale + gap) + gap, rows * (R * scale + gap) + gap, static_cast<int>(planes), 255);
    for (std::int64_t t = 0; t < tiles; ++t) {
        // One stretch per tile: colours keep their proportion.
        double low = weights.at(t * planes * R * S), high = low;
        for (std::int64_t i = t * planes * R * S; i < (t + 1) * planes * R * S; ++i) low = std::min(low, weights.at(i)), high = std::max(high, weights.at(i));
        Image tile(S, R, static_cast<int>(planes));
        for (std::int64_t y = 0; y < R; ++y)
            for (std::int64_t x = 0; x < S; ++x)
                for (std::int64_t c = 0; c < planes; ++c) {
                    const double v = weights.at(((t * planes + c) * R + y) * S + x);
                    tile.row(y)[x * planes + c] = high > low ? static_cast<std::uint8_t>(std::lround(255 * (v - low) / (high - low))) : 128;
                }
        paste(grid, enlarge(tile, static_cast<int>(scale)), gap + t % columns * (S * scale + gap), gap + t / columns * (R * scale + gap));
    }
    return grid;
}

}  // namespace fovea
