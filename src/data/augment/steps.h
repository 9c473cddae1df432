// How each step changes a picture and what lies on it.
#pragma once

#include <optional>

#include "data/augment/draws.h"
#include "image/affine.h"

namespace fovea {

/// What a step works on.
struct StepRun {
    Annotated& picture;
    const AugmentFrame& frame;
    Draws draws;
    /// An affine map of the step before that waits for this one, so that both are one sampling.
    const AffineMap* pending = nullptr;
};

void apply(const RandomCrop& step, StepRun& stage);
void apply(const RandomResizedCrop& step, StepRun& stage);
void apply(const RandomVerticalFlip& step, StepRun& stage);
void apply(const RandomRotation& step, StepRun& stage);
void apply(const RandomAffine& step, StepRun& stage);
void apply(const ElasticTransform& step, StepRun& stage);
void apply(const ColorJitter& step, StepRun& stage);
void apply(const RandomResize& step, StepRun& stage);
void apply(const ScaleJitter& step, StepRun& stage);
void apply(const RandomGrayscale& step, StepRun& stage);
void apply(const GaussianBlur& step, StepRun& stage);
void apply(const PcaLighting& step, StepRun& stage);
void apply(const RandomInvert& step, StepRun& stage);
void apply(const RandomPosterize& step, StepRun& stage);
void apply(const RandomSolarize& step, StepRun& stage);
void apply(const RandomAdjustSharpness& step, StepRun& stage);
void apply(const RandomAutocontrast& step, StepRun& stage);
void apply(const RandomEqualize& step, StepRun& stage);
void apply(const RandAugment& step, StepRun& stage);
void apply(const TrivialAugmentWide& step, StepRun& stage);
void apply(const AutoAugment& step, StepRun& stage);
void apply(const RandomErasing& step, StepRun& stage);

/// Where RandomCrop cuts `crop_width` x `crop_height` out of a picture; outside it there is fill.
[[nodiscard]] PixelRect random_window(const RandomCrop& step, std::int64_t width, std::int64_t height, std::int64_t crop_width, std::int64_t crop_height, Draws& draws);
/// What RandomResizedCrop cuts out, always inside: torchvision's get_params().
[[nodiscard]] PixelRect random_resized_window(const RandomResizedCrop& step, std::int64_t width, std::int64_t height, Draws& draws);
/// The rectangle that RandomErasing takes; nothing when it does not happen or ten tries did not fit.
[[nodiscard]] std::optional<PixelRect> erased_window(const RandomErasing& step, std::int64_t width, std::int64_t height, Draws& draws);
/// RandomErasing of normalised planes [C, H, W].
void erase(const RandomErasing& step, float* planes, std::int64_t channels, std::int64_t height, std::int64_t width, Draws draws);
/// MixUp and CutMix of a batch [N, C, H, W] and its targets [N, L]; the address's sample is the step of the epoch.
void mix(const Augment& steps, float* images, std::int64_t count, std::int64_t channels, std::int64_t height, std::int64_t width, float* targets, std::int64_t classes, const AugmentAddress& address);
/// Whether a step replaces the card's resize; is for whole batches; is done on normalised values.
[[nodiscard]] bool resizes(const AugmentStep& step);
[[nodiscard]] bool is_for_batches(const AugmentStep& step);
[[nodiscard]] bool is_flipped(const RandomHorizontalFlip& step, const AugmentAddress& address, std::uint64_t ordinal);
/// The map that RandomRotation or RandomAffine draws; nothing when it does not happen.
[[nodiscard]] std::optional<AffineMap> random_map(const RandomRotation& step, std::int64_t width, std::int64_t height, Draws& draws);
[[nodiscard]] std::optional<AffineMap> random_map(const RandomAffine& step, std::int64_t width, std::int64_t height, Draws& draws);

// ---- geometry of a picture with what lies on it ----------------------------------------------

[[nodiscard]] std::array<std::uint8_t, 3> colour_of(const Fill& fill, const AugmentFrame& frame);
/// The window becomes the picture; what it holds beyond the edges is `fill`.
void cut(Annotated& picture, const PixelRect& window, std::array<std::uint8_t, 3> fill);
void resize_to(Annotated& picture, std::int64_t width, std::int64_t height, Filter filter);
void mirror(Annotated& picture);
void flip_vertical(Annotated& picture);
/// Target positions are map(target) of the source; boxes become the bounds of their corners.
void warp(Annotated& picture, const AffineMap& map, Filter filter, std::array<std::uint8_t, 3> fill);
/// Steps [first, last) of a list.
void run_steps(Annotated& picture, const Augment& steps, std::size_t first, std::size_t last, const AugmentFrame& frame, const AugmentAddress& address);
/// How many steps of the same name come before step `i`.
[[nodiscard]] std::uint64_t ordinal_of(const Augment& steps, std::size_t i);
/// Boxes cut off at the edges, those with nothing left gone; points outside not visible.
void drop_what_left(Annotated& picture);

}  // namespace fovea
