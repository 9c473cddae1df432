// The one EXIF tag that changes how a photo is seen. Every read is checked against the segment it lies in.
#include <optional>

#include "image/codecs.h"

namespace fovea {

namespace {

/// Unsigned integers of a TIFF block in its own byte order; nothing outside the block.
struct Tiff {
    std::span<const std::byte> bytes;
    bool is_big_endian = false;

    [[nodiscard]] std::optional<std::uint32_t> read(std::size_t offset, std::size_t width) const {
        if (offset > bytes.size() || bytes.size() - offset < width) return std::nullopt;
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < width; ++i) value = (value << 8) | std::to_integer<std::uint32_t>(bytes[offset + (is_big_endian ? i : width - 1 - i)]);
        return value;
    }
};

/// Orientation in the first image directory. EXIF 2.3, 4.6.4: tag 0x0112, one SHORT.
int orientation_of(Tiff tiff) {
    tiff.is_big_endian = tiff.bytes.size() > 0 && tiff.bytes[0] == std::byte{'M'};
    if (tiff.read(2, 2) != 42u) return 1;
    const auto directory = tiff.read(4, 4);
    const auto entries = directory ? tiff.read(*directory, 2) : std::nullopt;
    for (std::size_t i = 0; entries && i < *entries; ++i) {
        const std::size_t entry = *directory + 2 + 12 * i;
        const auto tag = tiff.read(entry, 2);
        if (!tag) return 1;
        if (*tag != 0x0112) continue;
        const auto value = tiff.read(entry + 8, 2);
        return tiff.read(entry + 2, 2) == 3u && value && *value >= 1 && *value <= 8 ? static_cast<int>(*value) : 1;
    }
    return 1;
}

}  // namespace

int exif_orientation(std::span<const std::byte> jpeg) {
    // Markers in front of the picture: FF, code, then a length that counts itself.
    const Tiff file{jpeg, true};
    for (std::size_t at = 2; file.read(at, 1) == 0xFFu;) {
        const auto code = file.read(at + 1, 1);
        if (!code || *code == 0xDA || *code == 0xD9) return 1;
        if (*code == 0xFF) {  // fill byte
            ++at;
            continue;
        }
        const auto length = file.read(at + 2, 2);
        if (!length || *length < 2 || jpeg.size() - at - 2 < *length) return 1;
        const auto body = jpeg.subspan(at + 4, *length - 2);
        if (*code == 0xE1 && Tiff{body, true}.read(0, 4) == 0x45786966u && Tiff{body, true}.read(4, 2) == 0u) return orientation_of({body.subspan(6)});
        at += 2 + *length;
    }
    return 1;
}

Image upright(Image image, int orientation) {
    if (orientation <= 1 || orientation > 8) return image;
    const bool is_turned = orientation >= 5;  // rows become columns
    Image result(is_turned ? image.height : image.width, is_turned ? image.width : image.height, image.channels);
    const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    for (std::int64_t y = 0; y < result.height; ++y)
        for (std::int64_t x = 0; x < result.width; ++x) {
            const std::int64_t column = is_turned ? y : x, row = is_turned ? x : y;
            const std::uint8_t* source = image.row(from_bottom ? image.height - 1 - row : row) + (from_right ? image.width - 1 - column : column) * image.channels;
            for (int c = 0; c < image.channels; ++c) result.row(y)[x * image.channels + c] = source[c];
        }
    return result;
}

}  // namespace fovea
