// Erased rectangles, and pictures mixed with their neighbours in the batch.
#include <algorithm>
#include <cmath>

#include "data/augment/fields.h"
#include "data/augment/steps.h"

namespace fovea {

std::optional<PixelRect> erased_window(const RandomErasing& step, std::int64_t width, std::int64_t height, Draws& draws) {
    if (!draws.happens(step.p)) return {};
    const Bounds log_ratio{std::log(step.ratio[0]), std::log(step.ratio[1])};
    for (int attempt = 0; attempt < 10; ++attempt) {
        const double area = static_cast<double>(width * height) * draws.uniform(step.scale), ratio = std::exp(draws.uniform(log_ratio));
        const auto h = static_cast<std::int64_t>(std::nearbyint(std::sqrt(area * ratio))), w = static_cast<std::int64_t>(std::nearbyint(std::sqrt(area / ratio)));
        if (h < 1 || w < 1 || h >= height || w >= width) continue;
        const std::int64_t y = draws.below(height - h + 1);
        return PixelRect{draws.below(width - w + 1), y, w, h};
    }
    return {};
}

void erase(const RandomErasing& step, float* planes, std::int64_t channels, std::int64_t height, std::int64_t width, Draws draws) {
    const auto window = erased_window(step, width, height, draws);
    if (!window) return;
    for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t y = window->y; y < window->y + window->height; ++y) {
            float* row = planes + (c * height + y) * width + window->x;
            if (!step.is_random) std::fill_n(row, window->width, 0.0f);
            else
                for (std::int64_t x = 0; x < window->width; ++x) row[x] = static_cast<float>(draws.normal());
        }
}

/// On bytes: the mean, or noise about it with a quarter of the range as deviation.
void apply(const RandomErasing& step, StepRun& s) {
    Image& image = s.picture.image;
    const auto window = erased_window(step, image.width, image.height, s.draws);
    if (!window) return;
    for (std::int64_t y = window->y; y < window->y + window->height; ++y)
        for (std::int64_t i = window->x * image.channels; i < (window->x + window->width) * image.channels; ++i) {
            const double mean = s.frame.mean[static_cast<std::size_t>(i % image.channels)];
            image.row(y)[i] = static_cast<std::uint8_t>(std::clamp(step.is_random ? std::nearbyint(mean + 64 * s.draws.normal()) : mean, 0.0, 255.0));
        }
}

namespace {

/// Gamma(shape, 1). Marsaglia, Tsang 2000, "A simple method for generating gamma variables"; shapes below 1 by their boost.
double gamma(double shape, Draws& draws) {
    if (shape < 1) return gamma(shape + 1, draws) * std::pow(1 - draws.uniform(), 1 / shape);
    const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
    while (true) {
        const double x = draws.normal(), v = std::pow(1 + c * x, 3), u = 1 - draws.uniform();
        if (v > 0 && std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
    }
}

double beta(double alpha, Draws& draws) {
    const double a = gamma(alpha, draws), b = gamma(alpha, draws);
    return a + b > 0 ? a / (a + b) : 0.5;
}

/// out = share * out + (1 - share) * the row before it (the first one's is the last), as torchvision's roll(1).
void blend_with_previous(float* rows, std::int64_t count, std::int64_t values, double share) {
    const auto own = static_cast<float>(share), other = static_cast<float>(1 - share);
    std::vector<float> previous(rows + (count - 1) * values, rows + count * values), now(static_cast<std::size_t>(values));
    for (std::int64_t n = 0; n < count; ++n) {
        float* row = rows + n * values;
        std::copy_n(row, values, now.begin());
        for (std::int64_t i = 0; i < values; ++i) row[i] = own * row[i] + other * previous[static_cast<std::size_t>(i)];
        previous.swap(now);
    }
}

}  // namespace

void mix(const Augment& steps, float* images, std::int64_t count, std::int64_t channels, std::int64_t height, std::int64_t width, float* targets, std::int64_t classes,
         const AugmentAddress& address) {
    std::vector<const AugmentStep*> mixers;
    for (const AugmentStep& step : steps)
        if (is_for_batches(step)) mixers.push_back(&step);
    if (mixers.empty()) return;
    Draws draws(address, "mix");
    const AugmentStep& chosen = *mixers[static_cast<std::size_t>(draws.below(static_cast<std::int64_t>(mixers.size())))];
    if (const auto* mixup = std::get_if<MixUp>(&chosen)) {
        if (!draws.happens(mixup->p)) return;
        const double share = beta(mixup->alpha, draws);
        blend_with_previous(images, count, channels * height * width, share);
        blend_with_previous(targets, count, classes, share);
        return;
    }
    const auto& cutmix = std::get<CutMix>(chosen);
    if (!draws.happens(cutmix.p)) return;
    const double share = beta(cutmix.alpha, draws), half = 0.5 * std::sqrt(1 - share);
    const std::int64_t at_x = draws.below(width), at_y = draws.below(height);
    const auto half_width = static_cast<std::int64_t>(half * static_cast<double>(width)), half_height = static_cast<std::int64_t>(half * static_cast<double>(height));
    const std::int64_t x0 = std::max<std::int64_t>(at_x - half_width, 0), x1 = std::min(at_x + half_width, width), y0 = std::max<std::int64_t>(at_y - half_height, 0), y1 = std::min(at_y + half_height, height);
    const std::int64_t plane = height * width, picture = channels * plane;
    std::vector<float> previous(images + (count - 1) * picture, images + count * picture), now(static_cast<std::size_t>(picture));
    for (std::int64_t n = 0; n < count; ++n) {
        float* image = images + n * picture;
        std::copy_n(image, picture, now.begin());
        for (std::int64_t c = 0; c < channels; ++c)
            for (std::int64_t y = y0; y < y1; ++y) {
                const std::int64_t row = c * plane + y * width;
                std::copy(previous.begin() + row + x0, previous.begin() + row + x1, image + row + x0);
            }
        previous.swap(now);
    }
    blend_with_previous(targets, count, classes, 1 - static_cast<double>((x1 - x0) * (y1 - y0)) / static_cast<double>(plane));
}

}  // namespace fovea
