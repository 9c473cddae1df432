// Image itself, crops, flips and colour.
#include "fovea/image.h"

#include <cstring>

#include "core/text.h"

namespace fovea {

Image::Image(std::int64_t w, std::int64_t h, int c, std::uint8_t fill) : width(w), height(h), channels(c) {
    require<ArgumentError>(w >= 0 && h >= 0 && (c == 1 || c == 3), "an image has 1 or 3 channels and no negative side, got {}x{} with {}", w, h, c);
    pixels.assign(static_cast<std::size_t>(w * h * c), fill);
}

Image crop(const Image& image, std::int64_t x, std::int64_t y, std::int64_t width, std::int64_t height) {
    require<ArgumentError>(x >= 0 && y >= 0 && width >= 0 && height >= 0 && x + width <= image.width && y + height <= image.height,
                           "crop {}x{} at ({}, {}) leaves the image of {}x{}", width, height, x, y, image.width, image.height);
    Image result(width, height, image.channels);
    const auto row_bytes = static_cast<std::size_t>(width * image.channels);
    for (std::int64_t row = 0; row < height && row_bytes; ++row) std::memcpy(result.row(row), image.row(y + row) + x * image.channels, row_bytes);
    return result;
}

Image pad(const Image& image, std::int64_t left, std::int64_t top, std::int64_t right, std::int64_t bottom, std::uint8_t fill) {
    require<ArgumentError>(left >= 0 && top >= 0 && right >= 0 && bottom >= 0, "padding must not be negative, got {} {} {} {}", left, top, right, bottom);
    Image result(image.width + left + right, image.height + top + bottom, image.channels, fill);
    paste(result, image, left, top);
    return result;
}

namespace {

/// int(round(difference / 2.0)) as Python rounds: halves go to the even neighbour.
std::int64_t half_to_even(std::int64_t difference) {
    const std::int64_t down = difference / 2;
    return difference % 2 == 0 ? down : down + (down & 1);
}

}  // namespace

Image center_crop(const Image& image, std::int64_t width, std::int64_t height) {
    require<ArgumentError>(width > 0 && height > 0, "centre crop: size must be positive, got {}x{}", width, height);
    if (width > image.width || height > image.height) {
        const std::int64_t dx = std::max<std::int64_t>(width - image.width, 0), dy = std::max<std::int64_t>(height - image.height, 0);
        const Image padded = pad(image, dx / 2, dy / 2, (dx + 1) / 2, (dy + 1) / 2);
        return crop(padded, half_to_even(padded.width - width), half_to_even(padded.height - height), width, height);
    }
    return crop(image, half_to_even(image.width - width), half_to_even(image.height - height), width, height);
}

Image mirror(const Image& image) {
    Image result(image.width, image.height, image.channels);
    for (std::int64_t y = 0; y < image.height; ++y)
        for (std::int64_t x = 0; x < image.width; ++x)
            std::memcpy(result.row(y) + x * image.channels, image.row(y) + (image.width - 1 - x) * image.channels, static_cast<std::size_t>(image.channels));
    return result;
}

Image flip_vertical(const Image& image) {
    Image result(image.width, image.height, image.channels);
    const auto row_bytes = static_cast<std::size_t>(image.width * image.channels);
    for (std::int64_t y = 0; y < image.height && row_bytes; ++y) std::memcpy(result.row(y), image.row(image.height - 1 - y), row_bytes);
    return result;
}

Image with_channels(const Image& image, int channels) {
    if (channels == image.channels) return image;
    Image result(image.width, image.height, channels);
    const auto count = static_cast<std::size_t>(image.width * image.height);
    if (channels == 3) {
        for (std::size_t i = 0; i < count; ++i) std::memset(&result.pixels[3 * i], image.pixels[i], 3);
    } else {
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint8_t* p = &image.pixels[3 * i];
            result.pixels[i] = static_cast<std::uint8_t>((p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16);
        }
    }
    return result;
}

}  // namespace fovea
