// A box of a picture at a network's input size. Girshick et al. 2014, arXiv:1311.2524, sec. 2.1 and appendix A, with the arithmetic of its
// code (rcnn_im_crop.m, the same in Caffe's window data layer). Resized as everything here is: smoothed when it shrinks, which theirs is not.
#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "fovea/image.h"

namespace fovea {

namespace {

/// Pixels first..last of a row or column, both counted: they may lie beyond the picture.
struct Extent {
    std::int64_t first, last;
    [[nodiscard]] std::int64_t count() const { return last - first + 1; }
};

/// `half` times `factor` to either side of `middle`. Both ends are rounded and counted, one pixel more than the width says: the published
/// networks were trained so.
Extent dilated(double middle, double half, double factor) {
    return {static_cast<std::int64_t>(std::round(middle - half * factor)), static_cast<std::int64_t>(std::round(middle + half * factor))};
}

/// One axis: which pixels of the picture are read, and which of the result they become.
struct Axis {
    std::int64_t from = 0, count = 0, to = 0, size = 0;
};

/// `frame` becomes all `size` pixels of the result; of it only what `shown` and the picture have is read.
Axis axis_of(const Extent& frame, const Extent& shown, std::int64_t picture, std::int64_t size) {
    const Extent inside{std::max<std::int64_t>(shown.first, 0), std::min(shown.last, picture - 1)};
    const double scale = static_cast<double>(size) / static_cast<double>(frame.count());
    const auto scaled = [&](std::int64_t pixels) { return static_cast<std::int64_t>(std::round(static_cast<double>(pixels) * scale)); };
    const std::int64_t to = scaled(inside.first - frame.first);
    return {inside.first, inside.count(), to, std::min(scaled(inside.count()), size - to)};
}

}  // namespace

Image warp_box(const Image& image, const PixelRect& box, const WarpBoxSpec& spec) {
    require<ArgumentError>(spec.context >= 0 && spec.size > 2 * spec.context, "warp_box: {} pixels of context on each side leave nothing of {}", spec.context, spec.size);
    constexpr std::int64_t most = std::int64_t{1} << 40;  // sums and products stay exact
    require<ArgumentError>(box.width > 0 && box.height > 0 && box.x < image.width && box.y < image.height && box.x > -most && box.y > -most && box.width < most && box.height < most &&
                               box.x + box.width > 0 && box.y + box.height > 0,
                           "warp_box: the box {}x{} at ({}, {}) has no pixel of the image of {}x{}", box.width, box.height, box.x, box.y, image.width, image.height);
    const double half_width = static_cast<double>(box.width) / 2, half_height = static_cast<double>(box.height) / 2;
    const double middle_x = static_cast<double>(box.x) + half_width, middle_y = static_cast<double>(box.y) + half_height;
    const double factor = static_cast<double>(spec.size) / static_cast<double>(spec.size - 2 * spec.context);
    Extent shown_x{box.x, box.x + box.width - 1}, shown_y{box.y, box.y + box.height - 1};
    if (spec.context > 0) shown_x = dilated(middle_x, half_width, factor), shown_y = dilated(middle_y, half_height, factor);
    Extent frame_x = shown_x, frame_y = shown_y;
    if (spec.shape != BoxShape::warp) {
        const double half = std::max(half_width, half_height);
        frame_x = dilated(middle_x, half, factor), frame_y = dilated(middle_y, half, factor);
        if (spec.shape == BoxShape::square) shown_x = frame_x, shown_y = frame_y;
    }
    const Axis x = axis_of(frame_x, shown_x, image.width, spec.size), y = axis_of(frame_y, shown_y, image.height, spec.size);
    Image result(spec.size, spec.size, image.channels);
    fill_rect(result, 0, 0, spec.size, spec.size, spec.mean);
    // A sliver of a wide box may round to nothing.
    if (x.size > 0 && y.size > 0) paste(result, resize(crop(image, x.from, y.from, x.count, y.count), x.size, y.size, spec.filter), x.to, y.to);
    return result;
}

}  // namespace fovea
