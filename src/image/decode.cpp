// Which codec reads these bytes, and the files around them.
#include "core/file.h"
#include "core/text.h"
#include "image/codecs.h"

namespace fovea {

void check_size(std::string_view name, std::int64_t width, std::int64_t height, const DecodeLimits& limits) {
    require<FormatError>(width > 0 && height > 0, "decode '{}': the picture is empty ({}x{})", name, width, height);
    require<FormatError>(width <= limits.max_side && height <= limits.max_side && width * height <= limits.max_pixels,
                         "decode '{}': {}x{} pixels, at most {} a side and {} in all are accepted", name, width, height, limits.max_side, limits.max_pixels);
}

namespace {

Image part_of(Image image, const DecodeLimits& limits) {
    if (!limits.part) return image;
    const PixelRect part = limits.part(image.width, image.height);
    return crop(image, part.x, part.y, part.width, part.height);
}

}  // namespace

Image decode_image(std::span<const std::byte> bytes, std::string_view name, int channels, const DecodeLimits& limits) {
    require<ArgumentError>(channels == 1 || channels == 3, "decode '{}': channels must be 1 or 3, got {}", name, channels);
    require<FormatError>(!bytes.empty(), "decode '{}': the file is empty, expected a picture", name);
    if (is_jpeg(bytes)) {
        const int orientation = exif_orientation(bytes);
        if (orientation <= 1) return with_channels(decode_jpeg(bytes, name, limits), channels);
        // A turned picture: the part counts as it is seen, so all of it is decoded.
        DecodeLimits whole = limits;
        whole.part = nullptr;
        if (limits.part) whole.draft_side = 0;
        return with_channels(part_of(upright(decode_jpeg(bytes, name, whole), orientation), limits), channels);
    }
    const auto decode = is_png(bytes) ? decode_png : is_webp(bytes) ? decode_webp : is_netpbm(bytes) ? decode_netpbm : is_bmp(bytes) ? decode_bmp : nullptr;
    if (decode != nullptr) return with_channels(part_of(decode(bytes, name, limits), limits), channels);
    std::string start;
    for (std::size_t i = 0; i < std::min<std::size_t>(bytes.size(), 4); ++i) start += fmt::format("{}{:02x}", i ? " " : "", static_cast<unsigned>(bytes[i]));
    fail<FormatError>("decode '{}': none of JPEG (ff d8 ff), PNG (89 50 4e 47), WebP, BMP and PPM; the file starts with {}", name, start);
}

Image read_image(const std::filesystem::path& path, int channels, const DecodeLimits& limits) {
    return decode_image(read_file(path), path.string(), channels, limits);
}

void write_png(const std::filesystem::path& path, const Image& image) {
    const auto bytes = encode_png(image);
    write_file_atomically(path.string(), {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace fovea
