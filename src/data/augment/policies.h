// The operations that RandAugment, TrivialAugment and AutoAugment choose from, and AutoAugment's lists.
#pragma once

#include "data/augment/steps.h"

namespace fovea {

enum class PolicyOp : std::uint8_t { identity, shear_x, shear_y, translate_x, translate_y, rotate, brightness, color, contrast, sharpness, posterize, solarize, auto_contrast, equalize, invert };

/// How strong each operation is at most.
struct Strengths {
    double shear, translate_x, translate_y, degrees, enhance, posterize_steps;
};
/// RandAugment's and AutoAugment's for a picture of that size; TrivialAugment's.
[[nodiscard]] Strengths usual_strengths(std::int64_t width, std::int64_t height);
inline constexpr Strengths wide_strengths{0.99, 32, 32, 135, 0.99, 6};

/// Whether half of the time the strength is negative.
[[nodiscard]] constexpr bool is_signed(PolicyOp op) { return op >= PolicyOp::shear_x && op <= PolicyOp::sharpness; }
/// Strength `bin` of `bins`, from none to the most.
[[nodiscard]] double magnitude_of(PolicyOp op, std::int64_t bin, std::int64_t bins, const Strengths& most);
void perform(PolicyOp op, double magnitude, Filter interpolation, std::array<std::uint8_t, 3> fill, Annotated& picture);

struct PolicyRule {
    PolicyOp op;
    double p;
    int bin;  ///< of 10; -1: the operation has no strength
};
using Policy = std::array<std::array<PolicyRule, 2>, 25>;
/// "imagenet", "cifar10" or "svhn".
[[nodiscard]] const Policy& policy_of(std::string_view name);

}  // namespace fovea
