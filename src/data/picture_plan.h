// One picture's way from the data set to normalised planes: decode, resize, augment, crop, normalise.
#pragma once

#include "data/augment/steps.h"
#include "fovea/data.h"

namespace fovea {

class PicturePlan {
public:
    /// Throws ArgumentError when pictures of different sizes would meet in a batch, or for steps that have no meaning.
    PicturePlan(const Dataset& dataset, const LoaderSpec& spec);

    /// [C, H, W] that every picture will have.
    [[nodiscard]] const Shape& image_shape() const { return shape_; }
    /// Memory that one thread uses again from picture to picture.
    struct Scratch {
        Annotated picture;
    };
    /// Picture `sample` into `planes`; false when it is damaged (it is noted in the data set then).
    bool prepare(const AugmentAddress& address, Scratch& scratch, float* planes, std::int32_t& label) const;

private:
    /// u8 HWC owned by someone else.
    struct View {
        const std::uint8_t* pixels;
        std::int64_t width, height;
    };
    /// The target's pixel (x, y) is the view's (x + dx, y + dy); then it is mirrored.
    struct Placement {
        std::int64_t dx = 0, dy = 0;
        bool is_mirrored = false;
        std::array<float, 3> border{};  ///< by channel of the network
    };
    /// Of a picture of this size.
    [[nodiscard]] Placement placement(std::int64_t width, std::int64_t height, const AugmentAddress& address) const;
    /// Decoded and resized as the steps from `body_begin_` on want it; `at` is moved by what was left out.
    [[nodiscard]] Image decoded(const AugmentAddress& address, std::int64_t& label, Placement& at) const;
    void check_size(std::int64_t width, std::int64_t height, std::int64_t sample) const;
    [[nodiscard]] std::array<std::int64_t, 2> resized(std::int64_t width, std::int64_t height) const;
    template <int channels> void place(const View& view, const Placement& at, float* planes) const;

    const Dataset& dataset_;
    const LoaderSpec& spec_;
    NormaliseTable table_;
    Shape shape_;
    AugmentFrame frame_;
    bool is_in_memory_ = false;       ///< the data set's bytes are what the steps start from
    bool is_resized_by_step_ = false;
    /// Steps [body_begin_, body_end_) change a picture; a resized crop before them is done while decoding, a crop and a mirror behind them
    /// while normalising, up to moving_end_; then come those on normalised values.
    std::size_t body_begin_ = 0, body_end_ = 0, moving_end_ = 0;
};

}  // namespace fovea
