// Random crops and flips.
#include <algorithm>
#include <cmath>

#include "data/augment/steps.h"

namespace fovea {

PixelRect random_window(const RandomCrop& step, std::int64_t width, std::int64_t height, std::int64_t crop_width, std::int64_t crop_height, Draws& draws) {
    const auto offset = [&](std::int64_t size, std::int64_t wanted) {
        // A smaller picture gets what it lacks on each side, as torchvision's pad_if_needed.
        const std::int64_t border = step.padding + std::max<std::int64_t>(0, wanted - (size + 2 * step.padding));
        return draws.below(size + 2 * border - wanted + 1) - border;
    };
    const std::int64_t x = offset(width, crop_width);
    return {x, offset(height, crop_height), crop_width, crop_height};
}

PixelRect random_resized_window(const RandomResizedCrop& step, std::int64_t width, std::int64_t height, Draws& draws) {
    const auto w = static_cast<double>(width), h = static_cast<double>(height);
    const Bounds log_ratio{std::log(step.ratio[0]), std::log(step.ratio[1])};
    for (int attempt = 0; attempt < 10; ++attempt) {
        const double area = w * h * draws.uniform(step.scale), ratio = std::exp(draws.uniform(log_ratio));
        // nearbyint() rounds halves to even, as Python's round().
        const auto part_width = static_cast<std::int64_t>(std::nearbyint(std::sqrt(area * ratio))), part_height = static_cast<std::int64_t>(std::nearbyint(std::sqrt(area / ratio)));
        if (part_width > 0 && part_width <= width && part_height > 0 && part_height <= height) {
            const std::int64_t y = draws.below(height - part_height + 1);
            return {draws.below(width - part_width + 1), y, part_width, part_height};
        }
    }
    // The largest part in the middle whose shape is allowed.
    std::int64_t part_width = width, part_height = height;
    if (w / h < step.ratio[0]) part_height = static_cast<std::int64_t>(std::nearbyint(w / step.ratio[0]));
    else if (w / h > step.ratio[1]) part_width = static_cast<std::int64_t>(std::nearbyint(h * step.ratio[1]));
    part_width = std::clamp<std::int64_t>(part_width, 1, width), part_height = std::clamp<std::int64_t>(part_height, 1, height);
    return {(width - part_width) / 2, (height - part_height) / 2, part_width, part_height};
}

bool is_flipped(const RandomHorizontalFlip& step, const AugmentAddress& address, std::uint64_t ordinal) {
    constexpr std::string_view name = "random_horizontal_flip";
    if (!step.alternating) return Draws(address, name, ordinal).happens(step.p);
    AugmentAddress first = address;
    first.epoch = 0;
    return Draws(first, name, ordinal).happens(step.p) != (address.epoch % 2 == 1);
}

void apply(const RandomCrop& step, StepRun& s) {
    cut(s.picture, random_window(step, s.picture.image.width, s.picture.image.height, s.frame.width, s.frame.height, s.draws), colour_of(step.fill, s.frame));
}

void apply(const RandomResizedCrop& step, StepRun& s) {
    cut(s.picture, random_resized_window(step, s.picture.image.width, s.picture.image.height, s.draws), {});
    resize_to(s.picture, s.frame.width, s.frame.height, step.interpolation);
}

void apply(const RandomResize& step, StepRun& s) {
    const std::int64_t side = step.min_size + s.draws.below(step.max_size - step.min_size + 1);
    const auto [width, height] = shorter_side_size(s.picture.image.width, s.picture.image.height, side);
    resize_to(s.picture, width, height, step.interpolation);
}

void apply(const ScaleJitter& step, StepRun& s) {
    const auto width = static_cast<double>(s.picture.image.width), height = static_cast<double>(s.picture.image.height);
    const double factor = std::min(static_cast<double>(s.frame.height) / height, static_cast<double>(s.frame.width) / width) * s.draws.uniform(step.scale);
    resize_to(s.picture, std::max<std::int64_t>(1, static_cast<std::int64_t>(width * factor)), std::max<std::int64_t>(1, static_cast<std::int64_t>(height * factor)), step.interpolation);
}

void apply(const RandomVerticalFlip& step, StepRun& s) {
    if (s.draws.happens(step.p)) flip_vertical(s.picture);
}

}  // namespace fovea
