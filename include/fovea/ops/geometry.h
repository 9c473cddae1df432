// Sizes, padding and how they are meant: the words convolution, pooling and resampling share.
#pragma once

#include <cstdint>

namespace fovea {

/// Height and width; one number stands for both.
struct Size2 {
    Size2(std::int64_t both) : h(both), w(both) {}
    Size2(std::int64_t height, std::int64_t width) : h(height), w(width) {}
    std::int64_t h, w;
    friend bool operator==(const Size2&, const Size2&) = default;
};

/// Rows and columns around a plane; one number stands for all four sides, two for {top and bottom, left and right}. Negative crops.
struct Pad4 {
    Pad4(std::int64_t all) : top(all), bottom(all), left(all), right(all) {}
    Pad4(std::int64_t vertical, std::int64_t horizontal) : top(vertical), bottom(vertical), left(horizontal), right(horizontal) {}
    Pad4(std::int64_t top_, std::int64_t bottom_, std::int64_t left_, std::int64_t right_) : top(top_), bottom(bottom_), left(left_), right(right_) {}
    std::int64_t top, bottom, left, right;
    friend bool operator==(const Pad4&, const Pad4&) = default;
};

enum class PadMode {
    given,       ///< `pad` zeros
    valid,       ///< none
    same,        ///< zeros so that P = ceil(H / stride), the odd one at the bottom and right (TensorFlow's SAME)
    same_lower,  ///< the same with the odd one at the top and left
    dlib,        ///< kernel / 2 zeros when the stride is 1, none otherwise
    reflect,     ///< `pad` pixels mirrored at the border, which is not repeated
    replicate,   ///< `pad` copies of the border
};

}  // namespace fovea
