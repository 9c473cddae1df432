// The steps' names and fields: the one list that recipes, run records and checks share.
#pragma once

#include <type_traits>

#include "fovea/data/augment.h"

namespace fovea {

/// In the order of AugmentStep.
inline constexpr std::array<std::string_view, std::variant_size_v<AugmentStep>> step_names{
    "random_crop", "random_resized_crop", "random_horizontal_flip", "random_vertical_flip", "random_rotation", "random_affine", "elastic_transform", "color_jitter", "random_resize", "scale_jitter",
    "random_grayscale", "gaussian_blur", "pca_lighting", "random_invert", "random_posterize", "random_solarize", "random_adjust_sharpness", "random_autocontrast", "random_equalize", "rand_augment",
    "trivial_augment_wide", "auto_augment", "random_erasing", "mixup", "cutmix"};

/// visit(name, field) for every field of a step.
template <class S, class V> void visit_fields(S& s, V&& visit) {
    using T = std::remove_const_t<S>;
    if constexpr (std::is_same_v<T, RandomCrop>) {
        visit("padding", s.padding), visit("fill", s.fill);
    } else if constexpr (std::is_same_v<T, RandomResizedCrop>) {
        visit("scale", s.scale), visit("ratio", s.ratio), visit("interpolation", s.interpolation);
    } else if constexpr (std::is_same_v<T, RandomHorizontalFlip>) {
        visit("p", s.p), visit("alternating", s.alternating);
    } else if constexpr (std::is_same_v<T, RandomRotation>) {
        visit("degrees", s.degrees), visit("interpolation", s.interpolation), visit("fill", s.fill), visit("inscribed", s.inscribed), visit("p", s.p);
    } else if constexpr (std::is_same_v<T, RandomAffine>) {
        visit("degrees", s.degrees), visit("translate", s.translate), visit("scale", s.scale), visit("shear", s.shear), visit("interpolation", s.interpolation), visit("fill", s.fill), visit("p", s.p);
    } else if constexpr (std::is_same_v<T, ElasticTransform>) {
        visit("alpha", s.alpha), visit("sigma", s.sigma), visit("fill", s.fill), visit("p", s.p);
    } else if constexpr (std::is_same_v<T, ColorJitter>) {
        visit("brightness", s.brightness), visit("contrast", s.contrast), visit("saturation", s.saturation), visit("hue", s.hue), visit("p", s.p);
    } else if constexpr (std::is_same_v<T, RandomResize>) {
        visit("min_size", s.min_size), visit("max_size", s.max_size), visit("interpolation", s.interpolation);
    } else if constexpr (std::is_same_v<T, ScaleJitter>) {
        visit("scale", s.scale), visit("interpolation", s.interpolation);
    } else if constexpr (std::is_same_v<T, GaussianBlur>) {
        visit("kernel_size", s.kernel_size), visit("sigma", s.sigma), visit("p", s.p);
    } else if constexpr (std::is_same_v<T, PcaLighting>) {
        visit("sigma", s.sigma), visit("p", s.p);
    } else if constexpr (std::is_same_v<T, RandomPosterize>) {
        visit("bits", s.bits), visit("p", s.p);
    } else if constexpr (std::is_same_v<T, RandomSolarize>) {
        visit("threshold", s.threshold), visit("p", s.p);
    } else if constexpr (std::is_same_v<T, RandomAdjustSharpness>) {
        visit("sharpness_factor", s.sharpness_factor), visit("p", s.p);
    } else if constexpr (std::is_same_v<T, RandAugment>) {
        visit("num_ops", s.num_ops), visit("magnitude", s.magnitude), visit("num_magnitude_bins", s.num_magnitude_bins), visit("interpolation", s.interpolation), visit("fill", s.fill);
    } else if constexpr (std::is_same_v<T, TrivialAugmentWide>) {
        visit("num_magnitude_bins", s.num_magnitude_bins), visit("interpolation", s.interpolation), visit("fill", s.fill);
    } else if constexpr (std::is_same_v<T, AutoAugment>) {
        visit("policy", s.policy), visit("interpolation", s.interpolation), visit("fill", s.fill);
    } else if constexpr (std::is_same_v<T, RandomErasing>) {
        visit("p", s.p), visit("scale", s.scale), visit("ratio", s.ratio), visit("is_random", s.is_random);
    } else if constexpr (std::is_same_v<T, MixUp> || std::is_same_v<T, CutMix>) {
        visit("alpha", s.alpha), visit("p", s.p);
    } else {
        visit("p", s.p);
    }
}

}  // namespace fovea
