// Steps that change colours and leave boxes, masks and points alone.
#include <algorithm>

#include "data/augment/steps.h"
#include "image/colour.h"

namespace fovea {

void apply(const ColorJitter& step, StepRun& s) {
    if (!s.draws.happens(step.p)) return;
    std::array<int, 4> order{0, 1, 2, 3};
    for (std::int64_t i = 3; i > 0; --i) std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(s.draws.below(i + 1))]);
    const auto factor = [&](double b) { return s.draws.uniform(std::max(0.0, 1 - b), 1 + b); };
    const double brightness = factor(step.brightness), contrast = factor(step.contrast), saturation = factor(step.saturation), hue = s.draws.uniform(-step.hue, step.hue);
    Image& image = s.picture.image;
    for (const int which : order) {
        if (which == 0 && step.brightness > 0) adjust_brightness(image, brightness);
        if (which == 1 && step.contrast > 0) adjust_contrast(image, contrast);
        if (which == 2 && step.saturation > 0) adjust_saturation(image, saturation);
        if (which == 3 && step.hue > 0) adjust_hue(image, hue);
    }
}

void apply(const RandomGrayscale& step, StepRun& s) {
    if (s.draws.happens(step.p)) to_grey(s.picture.image);
}

void apply(const GaussianBlur& step, StepRun& s) {
    if (s.draws.happens(step.p)) s.picture.image = gaussian_blur(s.picture.image, step.kernel_size, s.draws.uniform(step.sigma));
}

void apply(const PcaLighting& step, StepRun& s) {
    if (!s.draws.happens(step.p) || s.picture.image.channels == 1) return;
    // Eigenvalues and eigenvectors (columns) of ImageNet's RGB covariance, pixels in 0..1: facebook/fb.resnet.torch, datasets/imagenet.lua.
    constexpr double values[] = {0.2175, 0.0188, 0.0045};
    constexpr double vectors[3][3] = {{-0.5675, 0.7192, 0.4009}, {-0.5808, -0.0045, -0.8140}, {-0.5836, -0.6948, 0.4203}};
    double along[3], shift[3] = {0, 0, 0};
    for (int i = 0; i < 3; ++i) along[i] = s.draws.normal() * step.sigma * values[i];
    for (int c = 0; c < 3; ++c)
        for (int i = 0; i < 3; ++i) shift[c] += 255 * vectors[c][i] * along[i];
    std::vector<std::uint8_t>& pixels = s.picture.image.pixels;
    for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(std::clamp(pixels[i] + shift[i % 3] + 0.5, 0.0, 255.0));
}

void apply(const RandomInvert& step, StepRun& s) {
    if (s.draws.happens(step.p)) invert(s.picture.image);
}

void apply(const RandomPosterize& step, StepRun& s) {
    if (s.draws.happens(step.p)) posterize(s.picture.image, static_cast<int>(step.bits));
}

void apply(const RandomSolarize& step, StepRun& s) {
    if (s.draws.happens(step.p)) solarize(s.picture.image, step.threshold);
}

void apply(const RandomAdjustSharpness& step, StepRun& s) {
    if (s.draws.happens(step.p)) adjust_sharpness(s.picture.image, step.sharpness_factor);
}

void apply(const RandomAutocontrast& step, StepRun& s) {
    if (s.draws.happens(step.p)) autocontrast(s.picture.image);
}

void apply(const RandomEqualize& step, StepRun& s) {
    if (s.draws.happens(step.p)) equalize(s.picture.image);
}

}  // namespace fovea
