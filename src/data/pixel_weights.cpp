// U-Net's weight for each pixel. Ronneberger et al. 2015, arXiv:1505.04597, eq. 2.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/text.h"
#include "data/distance.h"
#include "fovea/data/segmentation.h"

namespace fovea {

namespace {

/// The cells of a label map: every pixel's, from 1 on, and the rectangle that each takes.
struct Cells {
    std::int64_t width, height;
    std::vector<std::int32_t> of;      ///< 0: background
    std::vector<PixelRect> rectangles;  ///< of cell 1, 2, ...

    [[nodiscard]] std::int32_t at(std::int64_t x, std::int64_t y) const { return of[static_cast<std::size_t>(y * width + x)]; }
    /// Calls action(x, y) for the neighbours along a side.
    void for_neighbours(std::int64_t x, std::int64_t y, auto&& action) const {
        if (x > 0) action(x - 1, y);
        if (x + 1 < width) action(x + 1, y);
        if (y > 0) action(x, y - 1);
        if (y + 1 < height) action(x, y + 1);
    }
};

/// Neighbours along a side only: a membrane of one pixel divides cells also where it runs diagonally.
Cells find_cells(const Image& labels) {
    Cells cells{labels.width, labels.height, std::vector<std::int32_t>(labels.pixels.size()), {}};
    std::vector<std::array<std::int64_t, 2>> waiting;
    for (std::int64_t y = 0; y < labels.height; ++y)
        for (std::int64_t x = 0; x < labels.width; ++x) {
            const std::uint8_t value = labels.at(x, y);
            if (value == 0 || cells.at(x, y) != 0) continue;
            const auto number = static_cast<std::int32_t>(cells.rectangles.size() + 1);
            std::int64_t x0 = x, y0 = y, x1 = x, y1 = y;
            const auto take = [&](std::int64_t px, std::int64_t py) {
                std::int32_t& of = cells.of[static_cast<std::size_t>(py * labels.width + px)];
                if (of != 0 || labels.at(px, py) != value) return;
                of = number;
                waiting.push_back({px, py});
                x0 = std::min(x0, px), x1 = std::max(x1, px), y0 = std::min(y0, py), y1 = std::max(y1, py);
            };
            take(x, y);
            while (!waiting.empty()) {
                const auto [px, py] = waiting.back();
                waiting.pop_back();
                cells.for_neighbours(px, py, take);
            }
            cells.rectangles.push_back({x0, y0, x1 - x0 + 1, y1 - y0 + 1});
        }
    return cells;
}

/// Squared distances of a pixel to the two cells whose borders are nearest.
struct Nearest {
    double first = std::numeric_limits<double>::infinity(), second = first;
    void add(double distance) {
        if (distance < first) second = first, first = distance;
        else second = std::min(second, distance);
    }
};

/// Exact up to `reach`; what is farther away may be infinite.
std::vector<Nearest> nearest_borders(const Cells& cells, std::int64_t reach) {
    std::vector<Nearest> nearest(cells.of.size());
    std::vector<std::uint8_t> is_border;
    for (std::size_t c = 0; c < cells.rectangles.size(); ++c) {
        const auto number = static_cast<std::int32_t>(c + 1);
        const PixelRect& own = cells.rectangles[c];
        const std::int64_t x0 = std::max<std::int64_t>(own.x - reach, 0), x1 = std::min(own.x + own.width + reach, cells.width);
        const std::int64_t y0 = std::max<std::int64_t>(own.y - reach, 0), y1 = std::min(own.y + own.height + reach, cells.height), width = x1 - x0;
        is_border.assign(static_cast<std::size_t>(width * (y1 - y0)), 0);
        for (std::int64_t y = own.y; y < own.y + own.height; ++y)
            for (std::int64_t x = own.x; x < own.x + own.width; ++x)
                if (cells.at(x, y) == number)
                    cells.for_neighbours(x, y, [&](std::int64_t px, std::int64_t py) {
                        if (cells.at(px, py) != number) is_border[static_cast<std::size_t>((y - y0) * width + x - x0)] = 1;
                    });
        const std::vector<double> distances = squared_distances(is_border, width, y1 - y0);
        for (std::int64_t y = y0; y < y1; ++y)
            for (std::int64_t x = x0; x < x1; ++x) nearest[static_cast<std::size_t>(y * cells.width + x)].add(distances[static_cast<std::size_t>((y - y0) * width + x - x0)]);
    }
    return nearest;
}

}  // namespace

Tensor pixel_weights(const Image& labels, const PixelWeightSpec& spec) {
    require<ArgumentError>(!labels.is_empty() && labels.channels == 1, "pixel_weights: labels have one channel and a size, got {}x{} with {}", labels.width, labels.height, labels.channels);
    require<ArgumentError>(spec.border >= 0 && spec.sigma > 0 && spec.background >= 0 && spec.cell >= 0,
                           "pixel_weights: border, background and cell must not be negative and sigma lies above 0, got {}, {}, {} and {}", spec.border, spec.background, spec.cell, spec.sigma);
    const Cells cells = find_cells(labels);
    const auto pixels = static_cast<double>(cells.of.size()), in_cells = static_cast<double>(cells.of.size() - static_cast<std::size_t>(std::ranges::count(cells.of, 0)));
    // Of a picture with one class alone the other's weight is never used.
    const auto balanced = [&](double given, double count) { return given > 0 ? given : count == 0 || count == pixels ? 1 : pixels / (2 * count); };
    const double of_class[] = {balanced(spec.background, pixels - in_cells), balanced(spec.cell, in_cells)};
    // Nine deviations away w0 is multiplied by 3e-18, which an f32 beside a class's weight does not show.
    const auto reach = static_cast<std::int64_t>(std::min(std::ceil(9 * spec.sigma), static_cast<double>(std::max(labels.width, labels.height))));
    const std::vector<Nearest> nearest = nearest_borders(cells, reach);
    Tensor weights(Shape{labels.height, labels.width});
    const auto values = weights.data<float>();
    for (std::size_t i = 0; i < values.size(); ++i) {
        const double apart = std::sqrt(nearest[i].first) + std::sqrt(nearest[i].second);
        values[i] = static_cast<float>(of_class[cells.of[i] != 0 ? 1 : 0] + spec.border * std::exp(-apart * apart / (2 * spec.sigma * spec.sigma)));
    }
    return weights;
}

}  // namespace fovea
