// Operations drawn from a list: RandAugment, TrivialAugment, AutoAugment. Lists, strengths and their signs are torchvision's.
#include "data/augment/policies.h"

#include <cmath>
#include <numbers>

#include "core/text.h"
#include "image/colour.h"

namespace fovea {

namespace {

/// torch.linspace(from, to, bins)[bin]: from either end, in f32, since brightness and its kin show the last bit.
double linear(double from, double to, std::int64_t bin, std::int64_t bins) {
    const float step = static_cast<float>(to - from) / static_cast<float>(bins - 1);
    return bin <= (bins - 1) / 2 ? std::fma(step, static_cast<float>(bin), static_cast<float>(from)) : std::fma(-step, static_cast<float>(bins - 1 - bin), static_cast<float>(to));
}

}  // namespace

double magnitude_of(PolicyOp op, std::int64_t bin, std::int64_t bins, const Strengths& most) {
    const auto up_to = [&](double end) { return linear(0, end, bin, bins); };
    switch (op) {
        case PolicyOp::shear_x:
        case PolicyOp::shear_y: return up_to(most.shear);
        case PolicyOp::translate_x: return up_to(most.translate_x);
        case PolicyOp::translate_y: return up_to(most.translate_y);
        case PolicyOp::rotate: return up_to(most.degrees);
        case PolicyOp::brightness:
        case PolicyOp::color:
        case PolicyOp::contrast:
        case PolicyOp::sharpness: return up_to(most.enhance);
        case PolicyOp::posterize: return 8 - std::nearbyint(static_cast<double>(bin) / (static_cast<double>(bins - 1) / most.posterize_steps));
        case PolicyOp::solarize: return linear(255, 0, bin, bins);
        default: return 0;
    }
}

void perform(PolicyOp op, double magnitude, Filter interpolation, std::array<std::uint8_t, 3> fill, Annotated& picture) {
    Image& image = picture.image;
    const std::int64_t width = image.width, height = image.height;
    const auto moved = [&](const AffineMap& map) { warp(picture, map, interpolation, fill); };
    const double slant = std::atan(magnitude) * 180 / std::numbers::pi;
    switch (op) {
        case PolicyOp::identity: break;
        case PolicyOp::shear_x: moved(affine_map(0, 0, 0, 0, 0, 1, slant, 0)); break;  // about the corner
        case PolicyOp::shear_y: moved(affine_map(0, 0, 0, 0, 0, 1, 0, slant)); break;
        case PolicyOp::translate_x: moved(affine_map(width, height, 0, std::trunc(magnitude), 0, 1, 0, 0)); break;
        case PolicyOp::translate_y: moved(affine_map(width, height, 0, 0, std::trunc(magnitude), 1, 0, 0)); break;
        case PolicyOp::rotate: moved(rotation_map(width, height, magnitude)); break;
        case PolicyOp::brightness: adjust_brightness(image, 1 + magnitude); break;
        case PolicyOp::color: adjust_saturation(image, 1 + magnitude); break;
        case PolicyOp::contrast: adjust_contrast(image, 1 + magnitude); break;
        case PolicyOp::sharpness: adjust_sharpness(image, 1 + magnitude); break;
        case PolicyOp::posterize: posterize(image, static_cast<int>(magnitude)); break;
        case PolicyOp::solarize: solarize(image, magnitude); break;
        case PolicyOp::auto_contrast: autocontrast(image); break;
        case PolicyOp::equalize: equalize(image); break;
        case PolicyOp::invert: invert(image); break;
    }
}

Strengths usual_strengths(std::int64_t width, std::int64_t height) { return {0.3, 150.0 / 331 * static_cast<double>(width), 150.0 / 331 * static_cast<double>(height), 30, 0.9, 4}; }

namespace {

using Op = PolicyOp;

/// What RandAugment and TrivialAugment choose from: identity to equalize.
constexpr std::int64_t choices = 14;

constexpr Policy imagenet_policy{{
    {{{Op::posterize, 0.4, 8}, {Op::rotate, 0.6, 9}}}, {{{Op::solarize, 0.6, 5}, {Op::auto_contrast, 0.6, -1}}},
    {{{Op::equalize, 0.8, -1}, {Op::equalize, 0.6, -1}}}, {{{Op::posterize, 0.6, 7}, {Op::posterize, 0.6, 6}}},
    {{{Op::equalize, 0.4, -1}, {Op::solarize, 0.2, 4}}}, {{{Op::equalize, 0.4, -1}, {Op::rotate, 0.8, 8}}},
    {{{Op::solarize, 0.6, 3}, {Op::equalize, 0.6, -1}}}, {{{Op::posterize, 0.8, 5}, {Op::equalize, 1, -1}}},
    {{{Op::rotate, 0.2, 3}, {Op::solarize, 0.6, 8}}}, {{{Op::equalize, 0.6, -1}, {Op::posterize, 0.4, 6}}},
    {{{Op::rotate, 0.8, 8}, {Op::color, 0.4, 0}}}, {{{Op::rotate, 0.4, 9}, {Op::equalize, 0.6, -1}}},
    {{{Op::equalize, 0, -1}, {Op::equalize, 0.8, -1}}}, {{{Op::invert, 0.6, -1}, {Op::equalize, 1, -1}}},
    {{{Op::color, 0.6, 4}, {Op::contrast, 1, 8}}}, {{{Op::rotate, 0.8, 8}, {Op::color, 1, 2}}},
    {{{Op::color, 0.8, 8}, {Op::solarize, 0.8, 7}}}, {{{Op::sharpness, 0.4, 7}, {Op::invert, 0.6, -1}}},
    {{{Op::shear_x, 0.6, 5}, {Op::equalize, 1, -1}}}, {{{Op::color, 0.4, 0}, {Op::equalize, 0.6, -1}}},
    {{{Op::equalize, 0.4, -1}, {Op::solarize, 0.2, 4}}}, {{{Op::solarize, 0.6, 5}, {Op::auto_contrast, 0.6, -1}}},
    {{{Op::invert, 0.6, -1}, {Op::equalize, 1, -1}}}, {{{Op::color, 0.6, 4}, {Op::contrast, 1, 8}}},
    {{{Op::equalize, 0.8, -1}, {Op::equalize, 0.6, -1}}},
}};
constexpr Policy cifar10_policy{{
    {{{Op::invert, 0.1, -1}, {Op::contrast, 0.2, 6}}}, {{{Op::rotate, 0.7, 2}, {Op::translate_x, 0.3, 9}}},
    {{{Op::sharpness, 0.8, 1}, {Op::sharpness, 0.9, 3}}}, {{{Op::shear_y, 0.5, 8}, {Op::translate_y, 0.7, 9}}},
    {{{Op::auto_contrast, 0.5, -1}, {Op::equalize, 0.9, -1}}}, {{{Op::shear_y, 0.2, 7}, {Op::posterize, 0.3, 7}}},
    {{{Op::color, 0.4, 3}, {Op::brightness, 0.6, 7}}}, {{{Op::sharpness, 0.3, 9}, {Op::brightness, 0.7, 9}}},
    {{{Op::equalize, 0.6, -1}, {Op::equalize, 0.5, -1}}}, {{{Op::contrast, 0.6, 7}, {Op::sharpness, 0.6, 5}}},
    {{{Op::color, 0.7, 7}, {Op::translate_x, 0.5, 8}}}, {{{Op::equalize, 0.3, -1}, {Op::auto_contrast, 0.4, -1}}},
    {{{Op::translate_y, 0.4, 3}, {Op::sharpness, 0.2, 6}}}, {{{Op::brightness, 0.9, 6}, {Op::color, 0.2, 8}}},
    {{{Op::solarize, 0.5, 2}, {Op::invert, 0, -1}}}, {{{Op::equalize, 0.2, -1}, {Op::auto_contrast, 0.6, -1}}},
    {{{Op::equalize, 0.2, -1}, {Op::equalize, 0.6, -1}}}, {{{Op::color, 0.9, 9}, {Op::equalize, 0.6, -1}}},
    {{{Op::auto_contrast, 0.8, -1}, {Op::solarize, 0.2, 8}}}, {{{Op::brightness, 0.1, 3}, {Op::color, 0.7, 0}}},
    {{{Op::solarize, 0.4, 5}, {Op::auto_contrast, 0.9, -1}}}, {{{Op::translate_y, 0.9, 9}, {Op::translate_y, 0.7, 9}}},
    {{{Op::auto_contrast, 0.9, -1}, {Op::solarize, 0.8, 3}}}, {{{Op::equalize, 0.8, -1}, {Op::invert, 0.1, -1}}},
    {{{Op::translate_y, 0.7, 9}, {Op::auto_contrast, 0.9, -1}}},
}};
constexpr Policy svhn_policy{{
    {{{Op::shear_x, 0.9, 4}, {Op::invert, 0.2, -1}}}, {{{Op::shear_y, 0.9, 8}, {Op::invert, 0.7, -1}}},
    {{{Op::equalize, 0.6, -1}, {Op::solarize, 0.6, 6}}}, {{{Op::invert, 0.9, -1}, {Op::equalize, 0.6, -1}}},
    {{{Op::equalize, 0.6, -1}, {Op::rotate, 0.9, 3}}}, {{{Op::shear_x, 0.9, 4}, {Op::auto_contrast, 0.8, -1}}},
    {{{Op::shear_y, 0.9, 8}, {Op::invert, 0.4, -1}}}, {{{Op::shear_y, 0.9, 5}, {Op::solarize, 0.2, 6}}},
    {{{Op::invert, 0.9, -1}, {Op::auto_contrast, 0.8, -1}}}, {{{Op::equalize, 0.6, -1}, {Op::rotate, 0.9, 3}}},
    {{{Op::shear_x, 0.9, 4}, {Op::solarize, 0.3, 3}}}, {{{Op::shear_y, 0.8, 8}, {Op::invert, 0.7, -1}}},
    {{{Op::equalize, 0.9, -1}, {Op::translate_y, 0.6, 6}}}, {{{Op::invert, 0.9, -1}, {Op::equalize, 0.6, -1}}},
    {{{Op::contrast, 0.3, 3}, {Op::rotate, 0.8, 4}}}, {{{Op::invert, 0.8, -1}, {Op::translate_y, 0, 2}}},
    {{{Op::shear_y, 0.7, 6}, {Op::solarize, 0.4, 8}}}, {{{Op::invert, 0.6, -1}, {Op::rotate, 0.8, 4}}},
    {{{Op::shear_y, 0.3, 7}, {Op::translate_x, 0.9, 3}}}, {{{Op::shear_x, 0.1, 6}, {Op::invert, 0.6, -1}}},
    {{{Op::solarize, 0.7, 2}, {Op::translate_y, 0.6, 7}}}, {{{Op::shear_y, 0.8, 4}, {Op::invert, 0.8, -1}}},
    {{{Op::shear_x, 0.7, 9}, {Op::translate_y, 0.8, 3}}}, {{{Op::shear_y, 0.8, 5}, {Op::auto_contrast, 0.7, -1}}},
    {{{Op::shear_x, 0.7, 2}, {Op::invert, 0.1, -1}}},
}};

}  // namespace

const Policy& policy_of(std::string_view name) { return name == "imagenet" ? imagenet_policy : name == "cifar10" ? cifar10_policy : svhn_policy; }

void apply(const RandAugment& step, StepRun& s) {
    const Strengths strengths = usual_strengths(s.picture.image.width, s.picture.image.height);
    for (std::int64_t i = 0; i < step.num_ops; ++i) {
        const auto op = static_cast<Op>(s.draws.below(choices));
        const double magnitude = magnitude_of(op, step.magnitude, step.num_magnitude_bins, strengths);
        const bool is_negative = s.draws.happens(0.5) && is_signed(op);
        perform(op, is_negative ? -magnitude : magnitude, step.interpolation, colour_of(step.fill, s.frame), s.picture);
    }
}

void apply(const TrivialAugmentWide& step, StepRun& s) {
    const auto op = static_cast<Op>(s.draws.below(choices));
    const double magnitude = magnitude_of(op, s.draws.below(step.num_magnitude_bins), step.num_magnitude_bins, wide_strengths);
    const bool is_negative = s.draws.happens(0.5) && is_signed(op);
    perform(op, is_negative ? -magnitude : magnitude, step.interpolation, colour_of(step.fill, s.frame), s.picture);
}

void apply(const AutoAugment& step, StepRun& s) {
    const Policy& policy = policy_of(step.policy);
    const Strengths strengths = usual_strengths(s.picture.image.width, s.picture.image.height);
    for (const PolicyRule& rule : policy[static_cast<std::size_t>(s.draws.below(std::ssize(policy)))]) {
        const bool happens = s.draws.happens(rule.p), is_negative = s.draws.happens(0.5) && is_signed(rule.op);
        if (!happens) continue;
        const double magnitude = rule.bin < 0 ? 0 : magnitude_of(rule.op, rule.bin, 10, strengths);
        perform(rule.op, is_negative ? -magnitude : magnitude, step.interpolation, colour_of(step.fill, s.frame), s.picture);
    }
}

}  // namespace fovea
