#include "data/picture_plan.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>

#include "core/text.h"
#include "data/augment/fields.h"

namespace fovea {

namespace {

/// [C, H, W] that every picture will have.
Shape batch_image_shape(const Dataset& dataset, const Preprocess& p) {
    const Shape shape = dataset.image_shape();
    const std::int64_t channels = p.channels > 0 ? p.channels : shape[2];
    if (p.crop_width > 0) return {channels, p.crop_height, p.crop_width};
    if (p.resize_width > 0) return {channels, p.resize_height, p.resize_width};
    require<ArgumentError>(shape[0] > 0, "loader: pictures of '{}' differ in size; give the preprocessing a crop or an exact resize", dataset.name());
    if (p.resize_shorter == 0) return {channels, shape[0], shape[1]};
    const Image resized = resize_shorter_side(Image(shape[1], shape[0], 1), p.resize_shorter, Filter::nearest);
    return {channels, resized.height, resized.width};
}

/// Where center_crop() begins.
std::int64_t centre_offset(std::int64_t size, std::int64_t wanted) {
    const std::int64_t rest = size - wanted;
    if (rest < 0) return -(-rest / 2);
    return rest % 2 == 0 ? rest / 2 : rest / 2 + (rest / 2 & 1);
}

/// Adds the time it lives to a counter, when there is one.
class Stopwatch {
public:
    explicit Stopwatch(std::atomic<std::int64_t>* counter) : counter_(counter), begin_(counter ? Clock::now() : Clock::time_point{}) {}
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;
    ~Stopwatch() {
        if (counter_) counter_->fetch_add(std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin_).count(), std::memory_order_relaxed);
    }

private:
    using Clock = std::chrono::steady_clock;
    std::atomic<std::int64_t>* counter_;
    Clock::time_point begin_;
};

/// Without resize()'s copy where the size is right already.
Image sized(Image image, std::int64_t width, std::int64_t height, Filter filter) {
    if (image.width == width && image.height == height) return image;
    return resize(image, width, height, filter);
}

}  // namespace

PicturePlan::PicturePlan(const Dataset& dataset, const LoaderSpec& spec) : dataset_(dataset), spec_(spec) {
    const Preprocess& p = spec.preprocess;
    check(spec.augment);
    (void)apply_geometry(Image(64, 64, 3), p);  // contradictions show here, not in a worker
    table_ = normalise_table(p);
    shape_ = batch_image_shape(dataset, p);
    frame_ = {.width = shape_[2], .height = shape_[1]};
    for (std::size_t c = 0; c < 3; ++c) {
        const std::size_t network = p.is_bgr && shape_[0] == 3 ? 2 - c : c;
        frame_.mean[c] = static_cast<std::uint8_t>(std::clamp(std::nearbyint(p.mean[network] / p.scale), 0.0, 255.0));
    }
    is_resized_by_step_ = std::ranges::any_of(spec.augment, resizes);
    const Shape own = dataset.image_shape();
    const bool is_resized = !is_resized_by_step_ && ((p.resize_width > 0 && (p.resize_width != own[1] || p.resize_height != own[0])) ||
                                                     (p.resize_shorter > 0 && p.resize_shorter != std::min(own[0], own[1])));
    is_in_memory_ = dataset.size() > 0 && dataset.pixels(0) && !is_resized && shape_[0] == own[2];
    const Augment& steps = spec.augment;
    moving_end_ = static_cast<std::size_t>(std::ranges::find_if(steps, [](const AugmentStep& step) { return is_for_batches(step) || std::holds_alternative<RandomErasing>(step); }) - steps.begin());
    body_end_ = moving_end_;
    if (body_end_ > 0 && std::holds_alternative<RandomHorizontalFlip>(steps[body_end_ - 1])) --body_end_;
    if (body_end_ > 0 && std::holds_alternative<RandomCrop>(steps[body_end_ - 1])) --body_end_;
    body_begin_ = body_end_ > 0 && std::holds_alternative<RandomResizedCrop>(steps[0]) ? 1 : 0;
}

/// What the card's resize makes of a size.
std::array<std::int64_t, 2> PicturePlan::resized(std::int64_t width, std::int64_t height) const {
    const Preprocess& p = spec_.preprocess;
    if (is_resized_by_step_) return {width, height};
    if (p.resize_shorter > 0) return shorter_side_size(width, height, p.resize_shorter);
    if (p.resize_width > 0) return {p.resize_width, p.resize_height};
    return {width, height};
}

Image PicturePlan::decoded(const AugmentAddress& address, std::int64_t& label, Placement& at) const {
    const Filter filter = spec_.preprocess.filter;
    const auto times = [&](auto LoaderTimes::*which) { return spec_.times ? &(spec_.times->*which) : nullptr; };
    const auto decode = [&](const DecodeLimits& limits) {
        const Stopwatch watch(times(&LoaderTimes::decode));
        Sample sample = dataset_.get_part(address.sample, limits);
        label = sample.label;
        return std::move(sample.image);
    };
    const std::int64_t wanted = std::min(frame_.width, frame_.height), draft_side = spec_.draft ? wanted : 0;
    if (body_begin_ == 1) {
        const auto& step = std::get<RandomResizedCrop>(spec_.augment[0]);
        Image image = decode({.draft_side = draft_side, .part = [&](std::int64_t width, std::int64_t height) {
                                  Draws draws(address, step_names[spec_.augment[0].index()]);
                                  return random_resized_window(step, width, height, draws);
                              }});
        const Stopwatch watch(times(&LoaderTimes::resize));
        if (body_end_ == 1) at = placement(frame_.width, frame_.height, address);
        return sized(std::move(image), frame_.width, frame_.height, step.interpolation);
    }
    if (body_end_ > 0) {
        const Preprocess& p = spec_.preprocess;
        Image image = decode({.draft_side = spec_.draft && !is_resized_by_step_ ? std::max({p.resize_shorter, p.resize_width, p.resize_height}) : 0});
        const Stopwatch watch(times(&LoaderTimes::resize));
        const auto [width, height] = resized(image.width, image.height);
        return sized(std::move(image), width, height, filter);
    }
    // Nothing but a crop and a mirror follows: where they read is known before a pixel is decoded, and nothing else is.
    std::array<std::int64_t, 2> full{}, target{};
    PixelRect needed, source;
    Image image = decode({.draft_side = draft_side, .part = [&](std::int64_t width, std::int64_t height) {
                              full = {width, height};
                              target = resized(width, height);
                              check_size(target[0], target[1], address.sample);
                              at = placement(target[0], target[1], address);
                              const std::int64_t x = std::clamp<std::int64_t>(at.dx, 0, target[0] - 1), y = std::clamp<std::int64_t>(at.dy, 0, target[1] - 1);
                              needed = {x, y, std::clamp<std::int64_t>(at.dx + frame_.width - x, 1, target[0] - x), std::clamp<std::int64_t>(at.dy + frame_.height - y, 1, target[1] - y)};
                              at.dx -= x, at.dy -= y;
                              source = resize_source(full, target[0], target[1], needed, filter);
                              return source;
                          }});
    const Stopwatch watch(times(&LoaderTimes::resize));
    if (image.width == source.width && image.height == source.height) return full == target ? std::move(image) : resize_part(image, source, full, target[0], target[1], needed, filter);
    return resize(image, needed.width, needed.height, filter);  // a draft
}

/// Where nothing cuts a picture to the network's input, it has that size.
void PicturePlan::check_size(std::int64_t width, std::int64_t height, std::int64_t sample) const {
    const bool is_cut = spec_.preprocess.crop_width > 0 || is_resized_by_step_ || (body_end_ < moving_end_ && std::holds_alternative<RandomCrop>(spec_.augment[body_end_]));
    require<ShapeError>(is_cut || (width == frame_.width && height == frame_.height), "loader: picture {} of '{}' is {}x{}, the batch holds {}", sample, dataset_.name(), width, height, shape_);
}

PicturePlan::Placement PicturePlan::placement(std::int64_t width, std::int64_t height, const AugmentAddress& address) const {
    Placement at;
    Fill fill{};
    std::size_t i = body_end_;
    const Augment& steps = spec_.augment;
    if (i < moving_end_ && std::holds_alternative<RandomCrop>(steps[i])) {
        const auto& step = std::get<RandomCrop>(steps[i]);
        Draws draws(address, step_names[steps[i].index()], ordinal_of(steps, i));
        const PixelRect window = random_window(step, width, height, frame_.width, frame_.height, draws);
        at.dx = window.x, at.dy = window.y, fill = step.fill;
        ++i;
    } else {
        at.dx = centre_offset(width, frame_.width), at.dy = centre_offset(height, frame_.height);
    }
    if (i < moving_end_) at.is_mirrored = is_flipped(std::get<RandomHorizontalFlip>(steps[i]), address, ordinal_of(steps, i));
    // Mirrored first, then cut in the middle, whose halves may differ by a pixel.
    if (at.is_mirrored && i == body_end_) at.dx = width - frame_.width - at.dx;
    // The mean is 0 after normalising, without the rounding of a pixel.
    for (std::size_t c = 0; c < 3; ++c) at.border[c] = fill.is_mean ? 0.0f : table_[c][fill.value];
    return at;
}

bool PicturePlan::prepare(const AugmentAddress& address, Scratch& scratch, float* planes, std::int32_t& label) const {
    LoaderTimes* times = spec_.times;
    View view{nullptr, 0, 0};
    Placement at;
    if (is_in_memory_ && body_end_ == 0) {
        const Shape own = dataset_.image_shape();
        view = {dataset_.pixels(address.sample), own[1], own[0]};
        label = static_cast<std::int32_t>(dataset_.label(address.sample));
        at = placement(view.width, view.height, address);
    } else {
        Image& image = scratch.picture.image;
        try {
            std::int64_t wide_label = 0;
            image = decoded(address, wide_label, at);
            label = static_cast<std::int32_t>(wide_label);
            const Stopwatch watch(times ? &times->augment : nullptr);
            if (body_begin_ < body_end_) {
                run_steps(scratch.picture, spec_.augment, body_begin_, body_end_, frame_, address);
                at = placement(image.width, image.height, address);
            }
        } catch (const FormatError& error) {
            dataset_.note_damaged(error.what());
            return false;
        }
        if (image.channels != shape_[0]) image = with_channels(image, static_cast<int>(shape_[0]));
        if (body_begin_ < body_end_) check_size(image.width, image.height, address.sample);
        view = {image.pixels.data(), image.width, image.height};
    }
    const Stopwatch watch(times ? &times->normalise : nullptr);
    shape_[0] == 3 ? place<3>(view, at, planes) : place<1>(view, at, planes);
    for (std::size_t i = moving_end_; i < spec_.augment.size(); ++i)
        if (const auto* erasing = std::get_if<RandomErasing>(&spec_.augment[i]))
            erase(*erasing, planes, shape_[0], shape_[1], shape_[2], Draws(address, step_names[spec_.augment[i].index()], ordinal_of(spec_.augment, i)));
    if (times) times->pictures.fetch_add(1, std::memory_order_relaxed);
    return true;
}

namespace {

/// `count` pixels of one row, from source[0], source[step], ...
template <int channels> void place_run(const std::uint8_t* source, std::ptrdiff_t step, std::int64_t count, const float* const (&tables)[channels], float* const (&targets)[channels]) {
    for (std::int64_t i = 0; i < count; ++i, source += step)
        for (int c = 0; c < channels; ++c) targets[c][i] = tables[c][source[c]];
}

}  // namespace

/// Pad, crop, mirror and normalise in one pass over the picture.
template <int channels> void PicturePlan::place(const View& view, const Placement& at, float* planes) const {
    const std::int64_t width = frame_.width, height = frame_.height;
    // The columns of the target that lie inside the source, before mirroring.
    const std::int64_t first = std::clamp<std::int64_t>(-at.dx, 0, width), last = std::clamp<std::int64_t>(view.width - at.dx, first, width);
    const float* tables[channels];
    std::int64_t plane_of[channels];
    for (int c = 0; c < channels; ++c) {
        plane_of[c] = channels == 3 && spec_.preprocess.is_bgr ? 2 - c : c;
        tables[c] = table_[static_cast<std::size_t>(plane_of[c])].data();
    }
    for (std::int64_t y = 0; y < height; ++y) {
        const std::int64_t from_y = y + at.dy;
        const bool is_inside = from_y >= 0 && from_y < view.height;
        const std::int64_t begin = is_inside ? first : width, end = is_inside ? last : width;
        float* targets[channels];
        for (int c = 0; c < channels; ++c) {
            float* row = planes + (plane_of[c] * height + y) * width;
            const std::int64_t left = at.is_mirrored ? width - end : begin, right = at.is_mirrored ? width - begin : end;
            const float border = at.border[static_cast<std::size_t>(plane_of[c])];
            std::fill(row, row + left, border);
            std::fill(row + right, row + width, border);
            targets[c] = row + left;
        }
        if (begin >= end) continue;
        const std::uint8_t* source_row = view.pixels + (from_y * view.width + at.dx) * channels;
        if (at.is_mirrored) place_run<channels>(source_row + (end - 1) * channels, -channels, end - begin, tables, targets);
        else place_run<channels>(source_row + begin * channels, channels, end - begin, tables, targets);
    }
}

}  // namespace fovea
