// Learned filters as a picture.
#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "fovea/explain.h"

namespace fovea {

namespace {

/// Filters side by side: in about twice as many columns as rows over all towers, and no gap in the last row, as 3 rows of 16 in figure 3 of 2012.
std::int64_t columns_of_tower(std::int64_t tiles, std::int64_t towers) {
    auto columns = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(2 * tiles * towers))));
    while (columns < tiles && tiles % columns != 0) ++columns;
    return std::min(columns, tiles);
}

}  // namespace

std::int64_t towers_of(const Parameters& parameters, std::string_view name) {
    std::vector<std::string> convolutions;
    for (const std::string& each : parameters.names())
        if (convolutions.size() < 2 && parameters.at(each).shape().rank() == 4) convolutions.push_back(each);
    if (convolutions.size() < 2 || convolutions[0] != name) return 1;
    return parameters.at(convolutions[1]).shape()[1] * 2 == parameters.at(convolutions[0]).shape()[0] ? 2 : 1;
}

Image filter_grid(const Tensor& weights, const FilterGridSpec& spec) {
    const Shape& shape = weights.shape();
    require<ShapeError>(shape.rank() == 4 && shape.elements() > 0, "filters are [K, C, R, S], got {}", shape);
    require<ArgumentError>(spec.columns >= 0 && spec.scale >= 0 && spec.gap >= 0, "filter_grid: columns, scale and gap must not be negative, got {}, {} and {}", spec.columns, spec.scale, spec.gap);
    const std::int64_t C = shape[1], R = shape[2], S = shape[3];
    const bool is_colour = C == 3;
    const std::int64_t tiles = is_colour ? shape[0] : shape[0] * C, planes = is_colour ? 3 : 1;
    require<ArgumentError>(tiles <= 65'536, "filter_grid: {} filters of {} channels are too many for one picture; the first layers have fewer", shape[0], C);
    require<ArgumentError>(spec.towers >= 1 && shape[0] % spec.towers == 0, "filter_grid: {} filters are no {} equal towers", shape[0], spec.towers);
    const std::int64_t of_tower = tiles / spec.towers;
    const std::int64_t columns = spec.columns > 0              ? spec.columns
                                 : !is_colour && C > 1         ? C
                                 : spec.towers > 1             ? columns_of_tower(of_tower, spec.towers)
                                                               : static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(tiles))));
    const std::int64_t scale = spec.scale > 0 ? spec.scale : std::max<std::int64_t>(1, 32 / std::max(R, S)), gap = spec.gap;
    const std::int64_t rows = (of_tower + columns - 1) / columns, line = std::max<std::int64_t>(gap, 1);
    const std::int64_t tower_height = rows * (R * scale + gap) + gap;
    Image grid(columns * (S * scale + gap) + gap, spec.towers * tower_height + (spec.towers - 1) * line, static_cast<int>(planes), 255);
    for (std::int64_t t = 1; t < spec.towers; ++t) fill_rect(grid, 0, t * (tower_height + line) - line, grid.width, line, {0, 0, 0});
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
        const std::int64_t tower = t / of_tower, place = t % of_tower;
        paste(grid, enlarge(tile, static_cast<int>(scale)), gap + place % columns * (S * scale + gap), tower * (tower_height + line) + gap + place / columns * (R * scale + gap));
    }
    return grid;
}

}  // namespace fovea
