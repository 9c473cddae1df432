// WebP through libwebp: still pictures, lossy and lossless.
#include <cstring>

#include <webp/decode.h>

#include "core/text.h"
#include "image/codecs.h"

namespace fovea {

namespace {

std::string_view reason(VP8StatusCode status) {
    switch (status) {
        case VP8_STATUS_OUT_OF_MEMORY: return "not enough memory";
        case VP8_STATUS_UNSUPPORTED_FEATURE: return "a feature that libwebp does not know";
        case VP8_STATUS_NOT_ENOUGH_DATA: return "it ends before its picture is complete";
        default: return "damaged data";
    }
}

}  // namespace

bool is_webp(std::span<const std::byte> bytes) {
    const auto has = [&](std::size_t at, std::string_view text) { return bytes.size() >= at + text.size() && std::memcmp(bytes.data() + at, text.data(), text.size()) == 0; };
    return has(0, "RIFF") && has(8, "WEBP");
}

Image decode_webp(std::span<const std::byte> bytes, std::string_view name, const DecodeLimits& limits) {
    const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
    WebPBitstreamFeatures features{};
    const VP8StatusCode status = WebPGetFeatures(data, bytes.size(), &features);
    require<FormatError>(status == VP8_STATUS_OK, "decode '{}': bad WebP of {} bytes: {}", name, bytes.size(), reason(status));
    require<FormatError>(!features.has_animation, "decode '{}': an animated WebP; still pictures are read", name);
    check_size(name, features.width, features.height, limits);
    Image image(features.width, features.height, 3);
    WebPDecoderConfig config;
    require<Error>(WebPInitDecoderConfig(&config) != 0, "decode '{}': libwebp of another version than its header", name);
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA = {image.pixels.data(), static_cast<int>(image.width * 3), image.pixels.size()};
    const VP8StatusCode decoded = WebPDecode(data, bytes.size(), &config);
    require<FormatError>(decoded == VP8_STATUS_OK, "decode '{}': bad WebP of {} bytes: {}", name, bytes.size(), reason(decoded));
    return image;
}

}  // namespace fovea
