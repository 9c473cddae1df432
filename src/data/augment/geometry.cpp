// Cutting, resizing, turning and warping a picture together with its boxes, mask and points.
#include <algorithm>

#include "data/augment/steps.h"

namespace fovea {

namespace {

/// Boxes by two opposite corners, points one by one.
void move(Annotated& picture, auto&& to) {
    for (Box& box : picture.boxes) {
        const auto [x0, y0] = to(box.x0, box.y0);
        const auto [x1, y1] = to(box.x1, box.y1);
        box = {std::min(x0, x1), std::min(y0, y1), std::max(x0, x1), std::max(y0, y1)};
    }
    for (Point& point : picture.points) {
        const auto [x, y] = to(point.x, point.y);
        point.x = x, point.y = y;
    }
}

using Position = std::array<double, 2>;

Image window_of(const Image& image, const PixelRect& w, std::array<std::uint8_t, 3> fill) {
    if (w.x >= 0 && w.y >= 0 && w.x + w.width <= image.width && w.y + w.height <= image.height) return crop(image, w.x, w.y, w.width, w.height);
    Image result(w.width, w.height, image.channels);
    for (std::size_t i = 0; i < result.pixels.size(); ++i) result.pixels[i] = fill[i % static_cast<std::size_t>(image.channels)];
    paste(result, image, -w.x, -w.y);
    return result;
}

}  // namespace

std::array<std::uint8_t, 3> colour_of(const Fill& fill, const AugmentFrame& frame) {
    return fill.is_mean ? frame.mean : std::array<std::uint8_t, 3>{fill.value, fill.value, fill.value};
}

void drop_what_left(Annotated& picture) {
    const auto width = static_cast<double>(picture.image.width), height = static_cast<double>(picture.image.height);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < picture.boxes.size(); ++i) {
        const Box& b = picture.boxes[i];
        const Box inside{std::clamp(b.x0, 0.0, width), std::clamp(b.y0, 0.0, height), std::clamp(b.x1, 0.0, width), std::clamp(b.y1, 0.0, height)};
        if (inside.x1 - inside.x0 < 1 || inside.y1 - inside.y0 < 1) continue;
        picture.boxes[kept] = inside;
        if (!picture.box_labels.empty()) picture.box_labels[kept] = picture.box_labels[i];
        ++kept;
    }
    picture.boxes.resize(kept);
    if (!picture.box_labels.empty()) picture.box_labels.resize(kept);
    for (Point& p : picture.points) p.is_visible = p.is_visible && p.x >= 0 && p.x < width && p.y >= 0 && p.y < height;
}

void cut(Annotated& picture, const PixelRect& window, std::array<std::uint8_t, 3> fill) {
    picture.image = window_of(picture.image, window, fill);
    if (!picture.mask.is_empty()) picture.mask = window_of(picture.mask, window, {picture.mask_fill, 0, 0});
    move(picture, [&](double x, double y) { return Position{x - static_cast<double>(window.x), y - static_cast<double>(window.y)}; });
    drop_what_left(picture);
}

void resize_to(Annotated& picture, std::int64_t width, std::int64_t height, Filter filter) {
    const double x_factor = static_cast<double>(width) / static_cast<double>(picture.image.width), y_factor = static_cast<double>(height) / static_cast<double>(picture.image.height);
    picture.image = resize(picture.image, width, height, filter);
    if (!picture.mask.is_empty()) picture.mask = resize(picture.mask, width, height, Filter::nearest);
    move(picture, [&](double x, double y) { return Position{x * x_factor, y * y_factor}; });
    drop_what_left(picture);
}

void mirror(Annotated& picture) {
    const auto width = static_cast<double>(picture.image.width);
    picture.image = mirror(picture.image);
    if (!picture.mask.is_empty()) picture.mask = mirror(picture.mask);
    move(picture, [&](double x, double y) { return Position{width - x, y}; });
    for (const auto& [left, right] : picture.point_pairs) std::swap(picture.points.at(static_cast<std::size_t>(left)), picture.points.at(static_cast<std::size_t>(right)));
}

void flip_vertical(Annotated& picture) {
    const auto height = static_cast<double>(picture.image.height);
    picture.image = flip_vertical(picture.image);
    if (!picture.mask.is_empty()) picture.mask = flip_vertical(picture.mask);
    move(picture, [&](double x, double y) { return Position{x, height - y}; });
}

void warp(Annotated& picture, const AffineMap& map, Filter filter, std::array<std::uint8_t, 3> fill) {
    picture.image = transform(picture.image, picture.image.width, picture.image.height, map, filter, fill);
    if (!picture.mask.is_empty()) picture.mask = transform(picture.mask, picture.mask.width, picture.mask.height, map, Filter::nearest, {picture.mask_fill, 0, 0});
    const AffineMap forward = map.inverse();
    for (Box& box : picture.boxes) {
        const Position corners[] = {forward(box.x0, box.y0), forward(box.x1, box.y0), forward(box.x0, box.y1), forward(box.x1, box.y1)};
        const auto [left, right] = std::ranges::minmax(corners, {}, [](const Position& p) { return p[0]; });
        const auto [top, bottom] = std::ranges::minmax(corners, {}, [](const Position& p) { return p[1]; });
        box = {left[0], top[1], right[0], bottom[1]};
    }
    for (Point& point : picture.points) {
        const auto [x, y] = forward(point.x, point.y);
        point.x = x, point.y = y;
    }
    drop_what_left(picture);
}

}  // namespace fovea
