// Operations drawn from a list: RandAugment, TrivialAugment, AutoAugment. Lists, strengths and their signs are torchvision's.
#include <cmath>
#include <numbers>

#include "core/text.h"
#include "data/augment/steps.h"
#include "image/colour.h"

namespace fovea {

namespace {

enum class Op : std::uint8_t { identity, shear_x, shear_y, translate_x, translate_y, rotate, brightness, color, contrast, sharpness, posterize, solarize, auto_contrast, equalize, invert };

/// How strong each operation is at most.
struct Strengths {
    double shear, translate_x, translate_y, degrees, enhance, posterize_steps;
};

bool is_signed(Op op) { return op >= Op::shear_x && op <= Op::sharpness; }

/// Strength `bin` of `bins`, from none to the most. In f32, as torch.linspace.
double magnitude_of(Op op, std::int64_t bin, std::int64_t bins, const Strengths& most) {
    const double part = static_cast<double>(bin) / static_cast<double>(bins - 1);
    const auto linear = [&](double end) { return static_cast<double>(static_cast<float>(end * part)); };
    switch (op) {
        case Op::shear_x:
        case Op::shear_y: return linear(most.shear);
        case Op::translate_x: return linear(most.translate_x);
        case Op::translate_y: return linear(most.translate_y);
        case Op::rotate: return linear(most.degrees);
        case Op::brightness:
        case Op::color:
        case Op::contrast:
        case Op::sharpness: return linear(most.enhance);
        case Op::posterize: return 8 - std::nearbyint(static_cast<double>(bin) / (static_cast<double>(bins - 1) / most.posterize_steps));
        case Op::solarize: return static_cast<double>(static_cast<float>(255 * (1 - part)));
        default: return 0;
    }
}

void perform(Op op, double magnitude, Filter interpolation, std::array<std::uint8_t, 3> fill, Annotated& picture) {
    Image& image = picture.image;
    const std::int64_t width = image.width, height = image.height;
    const auto moved = [&](const AffineMap& map) { warp(picture, map, interpolation, fill); };
    const double slant = std::atan(magnitude) * 180 / std::numbers::pi;
    switch (op) {
        case Op::identity: break;
        case Op::shear_x: moved(affine_map(0, 0, 0, 0, 0, 1, slant, 0)); break;  // about the corner
        case Op::shear_y: moved(affine_map(0, 0, 0, 0, 0, 1, 0, slant)); break;
        case Op::translate_x: moved(affine_map(width, height, 0, std::trunc(magnitude), 0, 1, 0, 0)); break;
        case Op::translate_y: moved(affine_map(width, height, 0, 0, std::trunc(magnitude), 1, 0, 0)); break;
        case Op::rotate: moved(rotation_map(width, height, magnitude)); break;
        case Op::brightness: adjust_brightness(image, 1 + magnitude); break;
        case Op::color: adjust_saturation(image, 1 + magnitude); break;
        case Op::contrast: adjust_contrast(image, 1 + magnitude); break;
        case Op::sharpness: adjust_sharpness(image, 1 + magnitude); break;
        case Op::posterize: posterize(image, static_cast<int>(magnitude)); break;
        case Op::solarize: solarize(image, magnitude); break;
        case Op::auto_contrast: autocontrast(image); break;
        case Op::equalize: equalize(image); break;
        case Op::invert: invert(image); break;
    }
}

/// What RandAugment and TrivialAugment choose from: identity to equalize.
constexpr std::int64_t choices = 14;

Strengths usual(const Image& image) { return {0.3, 150.0 / 331 * static_cast<double>(image.width), 150.0 / 331 * static_cast<double>(image.height), 30, 0.9, 4}; }

struct Rule {
    Op op;
    double p;
    int bin;  ///< of 10; -1: the operation has no strength
};
using Policy = std::array<std::array<Rule, 2>, 25>;

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

void apply(const RandAugment& step, StepRun& s) {
    const Strengths strengths = usual(s.picture.image);
    for (std::int64_t i = 0; i < step.num_ops; ++i) {
        const auto op = static_cast<Op>(s.draws.below(choices));
        const double magnitude = magnitude_of(op, step.magnitude, step.num_magnitude_bins, strengths);
        const bool is_negative = s.draws.happens(0.5) && is_signed(op);
        perform(op, is_negative ? -magnitude : magnitude, step.interpolation, colour_of(step.fill, s.frame), s.picture);
    }
}

void apply(const TrivialAugmentWide& step, StepRun& s) {
    const auto op = static_cast<Op>(s.draws.below(choices));
    const double magnitude = magnitude_of(op, s.draws.below(step.num_magnitude_bins), step.num_magnitude_bins, {0.99, 32, 32, 135, 0.99, 6});
    const bool is_negative = s.draws.happens(0.5) && is_signed(op);
    perform(op, is_negative ? -magnitude : magnitude, step.interpolation, colour_of(step.fill, s.frame), s.picture);
}

void apply(const AutoAugment& step, StepRun& s) {
    const Policy& policy = step.policy == "imagenet" ? imagenet_policy : step.policy == "cifar10" ? cifar10_policy : svhn_policy;
    const Strengths strengths = usual(s.picture.image);
    for (const Rule& rule : policy[static_cast<std::size_t>(s.draws.below(std::ssize(policy)))]) {
        const bool happens = s.draws.happens(rule.p), is_negative = s.draws.happens(0.5) && is_signed(rule.op);
        if (!happens) continue;
        const double magnitude = rule.bin < 0 ? 0 : magnitude_of(rule.op, rule.bin, 10, strengths);
        perform(rule.op, is_negative ? -magnitude : magnitude, step.interpolation, colour_of(step.fill, s.frame), s.picture);
    }
}

}  // namespace fovea
