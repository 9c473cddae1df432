// What decode_image chooses from; each wraps one library and gives RGB or grey as the file has it.
#pragma once

#include "fovea/image.h"

namespace fovea {

[[nodiscard]] bool is_jpeg(std::span<const std::byte> bytes);
[[nodiscard]] bool is_png(std::span<const std::byte> bytes);
[[nodiscard]] bool is_webp(std::span<const std::byte> bytes);
[[nodiscard]] bool is_bmp(std::span<const std::byte> bytes);
[[nodiscard]] bool is_netpbm(std::span<const std::byte> bytes);
[[nodiscard]] Image decode_jpeg(std::span<const std::byte> bytes, std::string_view name, const DecodeLimits& limits);
[[nodiscard]] Image decode_png(std::span<const std::byte> bytes, std::string_view name, const DecodeLimits& limits);
[[nodiscard]] Image decode_webp(std::span<const std::byte> bytes, std::string_view name, const DecodeLimits& limits);
/// 1, 4, 8 (palette), 24 and 32 bits, uncompressed; alpha is dropped.
[[nodiscard]] Image decode_bmp(std::span<const std::byte> bytes, std::string_view name, const DecodeLimits& limits);
/// PGM and PPM, text and binary; values become value * 255 / largest, rounded.
[[nodiscard]] Image decode_netpbm(std::span<const std::byte> bytes, std::string_view name, const DecodeLimits& limits);
/// EXIF orientation 1..8 of a JPEG; 1 when there is none or when the tag is damaged.
[[nodiscard]] int exif_orientation(std::span<const std::byte> jpeg);
/// The picture as it was seen: orientation k of the EXIF standard undone.
[[nodiscard]] Image upright(Image image, int orientation);
/// Throws FormatError when a picture of this size is beyond the limits.
void check_size(std::string_view name, std::int64_t width, std::int64_t height, const DecodeLimits& limits);

}  // namespace fovea
