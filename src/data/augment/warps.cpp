// Rotation, affine maps and elastic fields.
#include <algorithm>
#include <cmath>

#include "data/augment/displacement.h"
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

DisplacementField random_field(std::int64_t width, std::int64_t height, const ElasticTransform& step, const Draws& draws) {
    DisplacementField field(width, height);
    for (std::size_t i = 0; i < field.x.size(); i += 4) {
        // One block is four words; each makes both directions of one pixel, 16 bits each.
        const auto words = draws.block(static_cast<std::uint32_t>(i / 4));
        for (std::size_t j = i; j < std::min(i + 4, field.x.size()); ++j) {
            field.x[j] = static_cast<float>(words[j - i] >> 16) * (2.0f / 65535) - 1;
            field.y[j] = static_cast<float>(words[j - i] & 0xFFFF) * (2.0f / 65535) - 1;
        }
    }
    make_elastic(field, step);
    return field;
}

/// Where a position of the source comes to lie: target + field(target) = map's inverse of it, by fixed-point iteration.
std::array<double, 2> moved(const DisplacementField& field, const AffineMap& forward, double x, double y) {
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
    const DisplacementField field = random_field(picture.image.width, picture.image.height, step, s.draws);
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
