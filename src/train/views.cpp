// Crops, mirror images and scales of one picture.
#include "fovea/train.h"

#include <algorithm>
#include <cmath>

#include "core/text.h"

namespace fovea {

namespace {

/// At least width x height, with black borders where it was smaller: a crop always fits.
Image large_enough(Image image, std::int64_t width, std::int64_t height) {
    if (image.width >= width && image.height >= height) return image;
    return center_crop(image, std::max(image.width, width), std::max(image.height, height));
}

/// The four corners, then the centre.
void five_crops(const Image& image, std::int64_t width, std::int64_t height, std::vector<Image>& out) {
    const std::int64_t right = image.width - width, bottom = image.height - height;
    for (const auto& [x, y] : {std::pair{std::int64_t{0}, std::int64_t{0}}, {right, std::int64_t{0}}, {std::int64_t{0}, bottom}, {right, bottom}}) out.push_back(crop(image, x, y, width, height));
    out.push_back(center_crop(image, width, height));
}

/// Left, middle and right of a wide picture; top, middle and bottom of a high one.
std::vector<Image> three_squares(const Image& image) {
    const std::int64_t side = std::min(image.width, image.height), spare = std::max(image.width, image.height) - side;
    std::vector<Image> squares;
    for (const std::int64_t at : {std::int64_t{0}, spare / 2, spare})
        squares.push_back(image.width >= image.height ? crop(image, at, 0, side, side) : crop(image, 0, at, side, side));
    return squares;
}

}  // namespace

std::vector<Image> views_of(const Image& image, const Preprocess& preprocess, const Views& views, std::int64_t width, std::int64_t height) {
    require<ArgumentError>(views.crops >= 0 && (views.crops <= 2 || views.crops == 10 || views.crops == 144), "views: 1, 2, 10 or 144 crops, or 0 for a dense evaluation, got {}", views.crops);
    std::vector<std::int64_t> scales = views.scales;
    if (scales.empty() && views.crops == 144)
        for (const double scale : {256.0, 288.0, 320.0, 352.0}) scales.push_back(std::llround(scale * static_cast<double>(std::min(width, height)) / 224));
    if (scales.empty()) scales.push_back(0);
    std::vector<Image> result;
    for (const std::int64_t scale : scales) {
        Preprocess p = preprocess;
        p.crop_width = p.crop_height = 0;
        if (scale > 0) {
            require<ArgumentError>(views.crops == 0 || scale >= std::min(width, height), "views: a scale of {} is smaller than the network's {} x {}", scale, height, width);
            p.resize_width = p.resize_height = 0;
            p.resize_shorter = scale;
        }
        const Image resized = apply_geometry(image, p);
        const Image around = large_enough(resized, width, height);
        const std::size_t first = result.size();
        if (views.crops == 0) result.push_back(around);
        else if (views.crops <= 2) result.push_back(center_crop(around, width, height));
        else if (views.crops == 10) five_crops(around, width, height, result);
        else
            for (const Image& square : three_squares(around)) {
                five_crops(large_enough(square, width, height), width, height, result);
                result.push_back(resize(square, width, height, p.filter));
            }
        if (views.crops == 1) continue;
        const std::size_t end = result.size();
        for (std::size_t i = first; i < end; ++i) result.push_back(mirror(result[i]));
    }
    return result;
}

}  // namespace fovea
