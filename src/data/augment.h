// One picture's way from u8 HWC to normalised f32 planes, with the random changes of training.
#pragma once

#include "fovea/data.h"

namespace fovea {

/// The draws of one picture in one epoch: numbered, so that adding one moves no other.
class Draws {
public:
    Draws(std::uint64_t seed, std::int64_t epoch, std::int64_t sample)
        : rng_(seed, hash_name("augment"), static_cast<std::uint64_t>(epoch)), seed_(seed), epoch_(epoch), sample_(sample), first_(static_cast<std::uint64_t>(sample) * 16) {}

    enum Which : std::uint64_t { mirrored, pad_x, pad_y, crop_x, crop_y, rotate, shift_x, shift_y, scale, shear };
    [[nodiscard]] double uniform(Which which) const { return rng_.uniform(first_ + which); }
    /// In [-range, range).
    [[nodiscard]] double around_zero(Which which, double range) const { return (2 * uniform(which) - 1) * range; }
    /// In [0, count).
    [[nodiscard]] std::int64_t below(Which which, std::int64_t count) const { return static_cast<std::int64_t>(uniform(which) * static_cast<double>(count)); }
    [[nodiscard]] std::int64_t epoch() const { return epoch_; }
    [[nodiscard]] std::int64_t sample() const { return sample_; }
    /// Philox key of the elastic field, which needs thousands of draws.
    [[nodiscard]] std::uint64_t field_key() const { return seed_ ^ hash_name("elastic"); }

private:
    Rng rng_;
    std::uint64_t seed_;
    std::int64_t epoch_, sample_;
    std::uint64_t first_;
};

/// u8 HWC owned by someone else.
struct PixelView {
    const std::uint8_t* pixels;
    std::int64_t width, height;
    int channels;
};

[[nodiscard]] bool has_warp(const Augment& augment);
/// Rotation, shift, scale, shear and elastic field in one bilinear sampling; black outside.
void warp(const PixelView& source, const Augment& augment, const Draws& draws, std::vector<std::uint8_t>& target);

/// Where pad-crop reads: target (x, y) is source (x + dx, y + dy), the border outside, then mirrored.
struct Offset {
    std::int64_t dx = 0, dy = 0;
    bool is_mirrored = false;
    PadFill border = PadFill::mean;
};
/// Pad, crop, mirror and normalise in one pass over the picture.
void place(const PixelView& source, const Offset& offset, bool is_bgr, const NormaliseTable& table, float* planes);

}  // namespace fovea
