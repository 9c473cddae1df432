// Random changes of training pictures as a list of steps: image, boxes, mask and points move together.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "fovea/core.h"
#include "fovea/image.h"

namespace fovea {

// ---- steps ----------------------------------------------------------------------------------
// Names, fields and defaults are torchvision.transforms', on Pillow images; what is ours says so. Every draw is a function of
// (seed, epoch, sample, step). A pair is a range, drawn uniformly. `p` is the probability that a step happens (RandomApply where
// torchvision has none).

/// What comes where no pixel was: a grey level, or the mean that normalising takes off.
struct Fill {
    std::uint8_t value = 0;
    bool is_mean = false;
    friend bool operator==(const Fill&, const Fill&) = default;
};
inline constexpr Fill mean_fill{0, true};
using Bounds = std::array<double, 2>;

/// A part of the network's input size at a uniformly drawn place, after `padding` on each side (4 for CIFAR: He et al. 2015, 4.2);
/// a smaller picture is padded to the size.
struct RandomCrop {
    std::int64_t padding = 0;
    Fill fill{};
    friend bool operator==(const RandomCrop&, const RandomCrop&) = default;
};
/// A part of random area and shape, resized to the network's input size. Szegedy et al. 2014, sec. 6. Takes the place of the card's resize.
struct RandomResizedCrop {
    Bounds scale{0.08, 1}, ratio{3.0 / 4, 4.0 / 3};
    Filter interpolation = Filter::bilinear;
    friend bool operator==(const RandomResizedCrop&, const RandomResizedCrop&) = default;
};
struct RandomHorizontalFlip {
    double p = 0.5;
    bool alternating = false;  ///< ours: half of the pictures in the first epoch, from then on each the other way than before (Jordan 2024, arXiv:2404.00498, 3.2)
    friend bool operator==(const RandomHorizontalFlip&, const RandomHorizontalFlip&) = default;
};
struct RandomVerticalFlip {
    double p = 0.5;
    friend bool operator==(const RandomVerticalFlip&, const RandomVerticalFlip&) = default;
};
/// About the centre, counter-clockwise; the size stays.
struct RandomRotation {
    Bounds degrees{-10, 10};
    Filter interpolation = Filter::nearest;
    Fill fill{};
    bool inscribed = false;  ///< ours: enlarged by as much as leaves no corner outside
    double p = 1;
    friend bool operator==(const RandomRotation&, const RandomRotation&) = default;
};
struct RandomAffine {
    Bounds degrees{0, 0};
    Bounds translate{0, 0};  ///< of width and height: whole pixels in plus or minus
    Bounds scale{1, 1};
    Bounds shear{0, 0};      ///< degrees along x
    Filter interpolation = Filter::nearest;
    Fill fill{};
    double p = 1;
    friend bool operator==(const RandomAffine&, const RandomAffine&) = default;
};
/// Simard et al. 2003, "Best Practices for Convolutional Neural Networks": noise smoothed by a Gaussian of `sigma` pixels moves every pixel
/// by alpha / 2 times its value (theirs, for 29 x 29 digits: 68 and 4). Right behind RandomAffine or RandomRotation both are one bilinear
/// sampling.
struct ElasticTransform {
    double alpha = 50, sigma = 5;
    Fill fill{};
    double p = 1;
    friend bool operator==(const ElasticTransform&, const ElasticTransform&) = default;
};
/// Brightness, contrast, saturation and hue by factors 1 - b .. 1 + b (hue: a turn of -h .. h), in random order.
struct ColorJitter {
    double brightness = 0, contrast = 0, saturation = 0, hue = 0;
    double p = 1;
    friend bool operator==(const ColorJitter&, const ColorJitter&) = default;
};

/// The shorter side becomes a whole number of min_size .. max_size: scale jitter (Simonyan, Zisserman 2014, sec. 3.1). Takes the place of the card's resize.
struct RandomResize {
    std::int64_t min_size = 256, max_size = 512;
    Filter interpolation = Filter::bilinear;
    friend bool operator==(const RandomResize&, const RandomResize&) = default;
};
/// Resized to fit into the network's input, times a random factor. Ghiasi et al. 2021, arXiv:2012.07177. Takes the place of the card's resize.
struct ScaleJitter {
    Bounds scale{0.1, 2};
    Filter interpolation = Filter::bilinear;
    friend bool operator==(const ScaleJitter&, const ScaleJitter&) = default;
};
struct RandomGrayscale {
    double p = 0.1;
    friend bool operator==(const RandomGrayscale&, const RandomGrayscale&) = default;
};
struct GaussianBlur {
    std::int64_t kernel_size = 5;  ///< odd
    Bounds sigma{0.1, 2};
    double p = 1;
    friend bool operator==(const GaussianBlur&, const GaussianBlur&) = default;
};
/// Ours: colours move along the principal components of ImageNet's pixels by normal draws of deviation `sigma`. Krizhevsky et al. 2012, sec. 4.1.
struct PcaLighting {
    double sigma = 0.1;
    double p = 1;
    friend bool operator==(const PcaLighting&, const PcaLighting&) = default;
};
struct RandomInvert {
    double p = 0.5;
    friend bool operator==(const RandomInvert&, const RandomInvert&) = default;
};
struct RandomPosterize {
    std::int64_t bits = 4;
    double p = 0.5;
    friend bool operator==(const RandomPosterize&, const RandomPosterize&) = default;
};
struct RandomSolarize {
    double threshold = 128;
    double p = 0.5;
    friend bool operator==(const RandomSolarize&, const RandomSolarize&) = default;
};
struct RandomAdjustSharpness {
    double sharpness_factor = 2;
    double p = 0.5;
    friend bool operator==(const RandomAdjustSharpness&, const RandomAdjustSharpness&) = default;
};
struct RandomAutocontrast {
    double p = 0.5;
    friend bool operator==(const RandomAutocontrast&, const RandomAutocontrast&) = default;
};
struct RandomEqualize {
    double p = 0.5;
    friend bool operator==(const RandomEqualize&, const RandomEqualize&) = default;
};
/// Cubuk et al. 2019, arXiv:1909.13719: num_ops operations, each of one strength.
struct RandAugment {
    std::int64_t num_ops = 2, magnitude = 9, num_magnitude_bins = 31;
    Filter interpolation = Filter::nearest;
    Fill fill{};
    friend bool operator==(const RandAugment&, const RandAugment&) = default;
};
/// Mueller, Hutter 2021, arXiv:2103.10158: one operation of random strength.
struct TrivialAugmentWide {
    std::int64_t num_magnitude_bins = 31;
    Filter interpolation = Filter::nearest;
    Fill fill{};
    friend bool operator==(const TrivialAugmentWide&, const TrivialAugmentWide&) = default;
};
/// Cubuk et al. 2018, arXiv:1805.09501: one of the 25 pairs of operations that were found on a data set.
struct AutoAugment {
    std::string policy = "imagenet";  ///< or "cifar10", "svhn"
    Filter interpolation = Filter::nearest;
    Fill fill{};
    friend bool operator==(const AutoAugment&, const AutoAugment&) = default;
};
/// A rectangle of random area and shape becomes the mean (0 after normalising) or, with `is_random`, normal noise. Zhong et al. 2017,
/// arXiv:1708.04896. Stands behind the steps that move pixels.
struct RandomErasing {
    double p = 0.5;
    Bounds scale{0.02, 0.33}, ratio{0.3, 3.3};
    bool is_random = false;
    friend bool operator==(const RandomErasing&, const RandomErasing&) = default;
};
/// Batches: each picture and its label mixed with those of the one before, by a Beta(alpha, alpha) draw. Zhang et al. 2018, arXiv:1710.09412.
/// Of several of these a batch takes one, each equally often.
struct MixUp {
    double alpha = 1;
    double p = 1;
    friend bool operator==(const MixUp&, const MixUp&) = default;
};
/// Batches: a rectangle of each picture is that of the one before, labels by area. Yun et al. 2019, arXiv:1905.04899.
struct CutMix {
    double alpha = 1;
    double p = 1;
    friend bool operator==(const CutMix&, const CutMix&) = default;
};

using AugmentStep = std::variant<RandomCrop, RandomResizedCrop, RandomHorizontalFlip, RandomVerticalFlip, RandomRotation, RandomAffine, ElasticTransform, ColorJitter, RandomResize, ScaleJitter,
                                 RandomGrayscale, GaussianBlur, PcaLighting, RandomInvert, RandomPosterize, RandomSolarize, RandomAdjustSharpness, RandomAutocontrast, RandomEqualize, RandAugment,
                                 TrivialAugmentWide, AutoAugment, RandomErasing, MixUp, CutMix>;
using Augment = std::vector<AugmentStep>;
/// Whether batches are mixed: labels are then shares of classes.
[[nodiscard]] bool mixes_labels(const Augment& augment);

/// "random_resized_crop"
[[nodiscard]] std::string_view name_of(const AugmentStep& step);
/// Steps by name with their defaults, and the usual settings by a word: "mirror" (RandomHorizontalFlip), "pad-crop" (RandomCrop, padding 4, mean),
/// "pad-crop-black", "distort" (affine and elastic, for digits), "none". '-' counts as '_'. Throws ArgumentError naming the nearest.
[[nodiscard]] Augment augment_named(const std::vector<std::string>& words);
/// All of them, for a help text.
[[nodiscard]] std::vector<std::string> augment_names();
/// Throws ArgumentError in one sentence for a value outside its domain or steps in an order that has no meaning.
void check(const Augment& augment);

// ---- a picture with what lies on it ---------------------------------------------------------

/// In pixels of the picture, whose left and top edges are 0; far edges exclusive.
struct Box {
    double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
    friend bool operator==(const Box&, const Box&) = default;
};
/// The middle of the first pixel is (0.5, 0.5).
struct Point {
    double x = 0, y = 0;
    bool is_visible = true;  ///< false once it has left the picture; it keeps its number
    friend bool operator==(const Point&, const Point&) = default;
};
struct Annotated {
    Image image;
    std::vector<Box> boxes;                  ///< cut off at the edges; those with less than one pixel left of a side go
    std::vector<std::int64_t> box_labels;    ///< one per box, or none; go with their boxes
    Image mask;                              ///< of the image's size, one channel, or empty; never interpolated
    std::uint8_t mask_fill = 0;              ///< where no mask was
    std::vector<Point> points;
    std::vector<std::pair<int, int>> point_pairs;  ///< "left eye" and "right eye": change places when mirrored
};

/// Where the numbers of a picture's changes come from.
struct AugmentAddress {
    std::uint64_t seed = 0;
    std::int64_t epoch = 0, sample = 0;
    std::int64_t copy = 0;  ///< repeated augmentation: which of the sample's appearances in this epoch
};
/// What the steps need to know of the network.
struct AugmentFrame {
    std::int64_t width = 0, height = 0;           ///< its input
    std::array<std::uint8_t, 3> mean{0, 0, 0};    ///< of the fill "mean"
};
/// The steps of one picture, in order; those for batches are left out.
void augment(Annotated& picture, const Augment& steps, const AugmentFrame& frame, const AugmentAddress& address);

}  // namespace fovea
