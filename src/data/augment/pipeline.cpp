// The steps of a list, one after the other, each with its own draws.
#include <algorithm>

#include "core/text.h"
#include "data/augment/fields.h"
#include "data/augment/steps.h"

namespace fovea {

std::uint64_t ordinal_of(const Augment& steps, std::size_t i) {
    return static_cast<std::uint64_t>(std::count_if(steps.begin(), steps.begin() + static_cast<std::ptrdiff_t>(i), [&](const AugmentStep& step) { return step.index() == steps[i].index(); }));
}

void run_steps(Annotated& picture, const Augment& steps, std::size_t first, std::size_t last, const AugmentFrame& frame, const AugmentAddress& address) {
    std::optional<AffineMap> pending;
    for (std::size_t i = first; i < last; ++i) {
        const std::uint64_t ordinal = ordinal_of(steps, i);
        StepRun stage{picture, frame, Draws(address, step_names[steps[i].index()], ordinal), pending ? &*pending : nullptr};
        if (const auto* flip = std::get_if<RandomHorizontalFlip>(&steps[i])) {
            if (is_flipped(*flip, address, ordinal)) mirror(picture);
            continue;
        }
        // An affine map right before an elastic field: sampled once, with it.
        if (i + 1 < last && std::holds_alternative<ElasticTransform>(steps[i + 1])) {
            const std::int64_t width = picture.image.width, height = picture.image.height;
            if (const auto* rotation = std::get_if<RandomRotation>(&steps[i])) {
                pending = random_map(*rotation, width, height, stage.draws);
                continue;
            }
            if (const auto* affine = std::get_if<RandomAffine>(&steps[i])) {
                pending = random_map(*affine, width, height, stage.draws);
                continue;
            }
        }
        std::visit(
            [&](const auto& step) {
                using T = std::decay_t<decltype(step)>;
                if constexpr (!std::is_same_v<T, RandomHorizontalFlip> && !std::is_same_v<T, MixUp> && !std::is_same_v<T, CutMix>) apply(step, stage);
            },
            steps[i]);
        pending.reset();
    }
}

void augment(Annotated& picture, const Augment& steps, const AugmentFrame& frame, const AugmentAddress& address) {
    require<ArgumentError>(!picture.image.is_empty(), "augment: the picture is empty");
    require<ArgumentError>(picture.mask.is_empty() || (picture.mask.width == picture.image.width && picture.mask.height == picture.image.height && picture.mask.channels == 1),
                           "augment: the mask is {}x{} with {} channels, the picture {}x{}; a mask has the picture's size and one channel", picture.mask.width, picture.mask.height, picture.mask.channels,
                           picture.image.width, picture.image.height);
    require<ArgumentError>(picture.box_labels.empty() || picture.box_labels.size() == picture.boxes.size(), "augment: {} labels for {} boxes", picture.box_labels.size(), picture.boxes.size());
    require<ArgumentError>(frame.width > 0 && frame.height > 0, "augment: the network's input is {}x{}", frame.width, frame.height);
    for (const auto& [left, right] : picture.point_pairs)
        require<ArgumentError>(left >= 0 && right >= 0 && std::max(left, right) < static_cast<int>(picture.points.size()), "augment: points {} and {} are a pair, there are {}", left, right,
                               picture.points.size());
    run_steps(picture, steps, 0, steps.size(), frame, address);
}

}  // namespace fovea
