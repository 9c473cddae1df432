// Steps by name, and what a list of them must keep to.
#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "data/augment/fields.h"
#include "data/augment/steps.h"

namespace fovea {

namespace {

template <std::size_t... i> AugmentStep step_at(std::size_t index, std::index_sequence<i...>) {
    AugmentStep step;
    ((i == index ? void(step.emplace<i>()) : void()), ...);
    return step;
}

struct Word {
    std::string_view name;
    Augment steps;
};

/// Usual settings; one of a single step is that step's short name too.
const std::vector<Word>& words() {
    static const std::vector<Word> all{
        {"none", {}},
        {"mirror", {RandomHorizontalFlip{}}},
        {"pad_crop", {RandomCrop{.padding = 4, .fill = mean_fill}}},
        {"pad_crop_black", {RandomCrop{.padding = 4}}},
        // Simard et al. 2003: small affine changes and an elastic field, for digits.
        {"distort", {RandomAffine{.degrees = {-10, 10}, .translate = {0.07, 0.07}, .scale = {0.9, 1.1}, .shear = {-5, 5}}, ElasticTransform{.alpha = 68, .sigma = 4}}},
    };
    return all;
}

void check_range(std::string_view step, std::string_view field, const Bounds& range, double least, double most) {
    require<ArgumentError>(range[0] <= range[1] && range[0] >= least && range[1] <= most, "{}.{} is a range within {:g}..{:g}, the smaller first, got {:g}..{:g}", step, field, least, most, range[0],
                           range[1]);
}

void check_value(std::string_view step, std::string_view field, double value, double least, double most) {
    require<ArgumentError>(value >= least && value <= most, "{}.{} lies in {:g}..{:g}, got {:g}", step, field, least, most, value);
}

void check_step(std::string_view name, const AugmentStep& step) {
    const auto sampling = [&](Filter filter) {
        require<ArgumentError>(filter == Filter::nearest || filter == Filter::bilinear, "{}.interpolation is nearest or bilinear, got {}", name, name_of(filter));
    };
    std::visit(
        [&](const auto& s) {
            using T = std::decay_t<decltype(s)>;
            visit_fields(s, [&](std::string_view field, const auto& value) {
                if (field == "p") {
                    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, double>) check_value(name, field, value, 0, 1);
                }
            });
            if constexpr (std::is_same_v<T, RandomCrop>) check_value(name, "padding", static_cast<double>(s.padding), 0, 10'000);
            if constexpr (std::is_same_v<T, RandomResizedCrop>) check_range(name, "scale", s.scale, 1e-6, 1), check_range(name, "ratio", s.ratio, 1e-3, 1e3);
            if constexpr (std::is_same_v<T, RandomRotation>) check_range(name, "degrees", s.degrees, -360, 360), sampling(s.interpolation);
            if constexpr (std::is_same_v<T, RandomAffine>) {
                check_range(name, "degrees", s.degrees, -360, 360), check_range(name, "scale", s.scale, 1e-2, 1e2), check_range(name, "shear", s.shear, -80, 80), sampling(s.interpolation);
                for (const double part : s.translate) check_value(name, "translate", part, 0, 1);
            }
            if constexpr (std::is_same_v<T, ElasticTransform>) check_value(name, "alpha", s.alpha, 0, 1e4), check_value(name, "sigma", s.sigma, 0.1, 100);
            if constexpr (std::is_same_v<T, ColorJitter>) {
                check_value(name, "brightness", s.brightness, 0, 100), check_value(name, "contrast", s.contrast, 0, 100), check_value(name, "saturation", s.saturation, 0, 100);
                check_value(name, "hue", s.hue, 0, 0.5);
            }
            if constexpr (std::is_same_v<T, RandomResize>)
                require<ArgumentError>(s.min_size >= 1 && s.min_size <= s.max_size && s.max_size <= 10'000, "{}: min_size and max_size lie in 1..10,000, the smaller first, got {} and {}", name, s.min_size,
                                       s.max_size);
            if constexpr (std::is_same_v<T, ScaleJitter>) check_range(name, "scale", s.scale, 1e-2, 1e2);
            if constexpr (std::is_same_v<T, GaussianBlur>) {
                require<ArgumentError>(s.kernel_size >= 1 && s.kernel_size <= 999 && s.kernel_size % 2 == 1, "{}.kernel_size is an odd number of 1..999, got {}", name, s.kernel_size);
                check_range(name, "sigma", s.sigma, 1e-3, 1e3);
            }
            if constexpr (std::is_same_v<T, PcaLighting>) check_value(name, "sigma", s.sigma, 0, 10);
            if constexpr (std::is_same_v<T, RandomPosterize>) check_value(name, "bits", static_cast<double>(s.bits), 0, 8);
            if constexpr (std::is_same_v<T, RandomSolarize>) check_value(name, "threshold", s.threshold, 0, 256);
            if constexpr (std::is_same_v<T, RandomAdjustSharpness>) check_value(name, "sharpness_factor", s.sharpness_factor, 0, 100);
            if constexpr (std::is_same_v<T, RandAugment> || std::is_same_v<T, TrivialAugmentWide>) {
                check_value(name, "num_magnitude_bins", static_cast<double>(s.num_magnitude_bins), 2, 1000), sampling(s.interpolation);
            }
            if constexpr (std::is_same_v<T, RandAugment>) {
                check_value(name, "num_ops", static_cast<double>(s.num_ops), 0, 100), check_value(name, "magnitude", static_cast<double>(s.magnitude), 0, static_cast<double>(s.num_magnitude_bins - 1));
            }
            if constexpr (std::is_same_v<T, AutoAugment>) {
                require<ArgumentError>(s.policy == "imagenet" || s.policy == "cifar10" || s.policy == "svhn", "{}.policy is imagenet, cifar10 or svhn, got '{}'", name, s.policy);
                sampling(s.interpolation);
            }
            if constexpr (std::is_same_v<T, RandomErasing>) check_range(name, "scale", s.scale, 1e-6, 1), check_range(name, "ratio", s.ratio, 1e-3, 1e3);
            if constexpr (std::is_same_v<T, MixUp> || std::is_same_v<T, CutMix>) check_value(name, "alpha", s.alpha, 1e-3, 1e3);
        },
        step);
}

}  // namespace

std::string_view name_of(const AugmentStep& step) { return step_names[step.index()]; }

std::vector<std::string> augment_names() {
    std::vector<std::string> names(step_names.begin(), step_names.end());
    for (const Word& word : words()) names.emplace_back(word.name);
    return names;
}

bool is_for_batches(const AugmentStep& step) { return std::holds_alternative<MixUp>(step) || std::holds_alternative<CutMix>(step); }
bool resizes(const AugmentStep& step) { return std::holds_alternative<RandomResizedCrop>(step) || std::holds_alternative<RandomResize>(step) || std::holds_alternative<ScaleJitter>(step); }
bool mixes_labels(const Augment& augment) { return std::ranges::any_of(augment, is_for_batches); }

Augment augment_named(const std::vector<std::string>& given) {
    Augment augment;
    for (const std::string& word : given) {
        std::string name = word;
        std::ranges::replace(name, '-', '_');
        if (const auto step = std::ranges::find(step_names, name); step != step_names.end()) {
            augment.push_back(step_at(static_cast<std::size_t>(step - step_names.begin()), std::make_index_sequence<step_names.size()>()));
        } else if (const auto known = std::ranges::find(words(), name, &Word::name); known != words().end()) {
            augment.insert(augment.end(), known->steps.begin(), known->steps.end());
        } else {
            fail<ArgumentError>("no augmentation '{}'; nearest: {}", word, fmt::join(nearest_names(name, augment_names()), ", "));
        }
    }
    return augment;
}

void check(const Augment& augment) {
    // Pixels move, then normalised values are erased, then batches are mixed.
    const auto stage = [](const AugmentStep& step) { return is_for_batches(step) ? 2 : std::holds_alternative<RandomErasing>(step) ? 1 : 0; };
    const AugmentStep* before = nullptr;
    for (const AugmentStep& step : augment) {
        check_step(name_of(step), step);
        if (before != nullptr)
            require<ArgumentError>(stage(*before) <= stage(step), "{} stands behind {}: {} comes last", name_of(step), name_of(*before),
                                   stage(*before) == 2 ? "what mixes batches" : "random_erasing, of normalised values,");
        before = &step;
    }
}

}  // namespace fovea
