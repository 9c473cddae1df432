// Any bytes as a JPEG, PNG, WebP, BMP or PPM: a picture, or a FormatError; never anything else.
#include "image/codecs.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace fovea;
    // Small limits: the fuzzer is to reach code, not to fill memory.
    try {
        const Image image = decode_image({reinterpret_cast<const std::byte*>(data), size}, "fuzz", size % 2 ? 3 : 1, {.max_side = 1024, .max_pixels = 1 << 16});
        if (image.pixels.size() != static_cast<std::size_t>(image.width * image.height * image.channels)) __builtin_trap();
        if (static_cast<int>(image.width) <= 64 && image.height <= 64) (void)resize(image, 7, 5, Filter::bicubic);
    } catch (const FormatError&) {
    }
    (void)exif_orientation({reinterpret_cast<const std::byte*>(data), size});
    return 0;
}
