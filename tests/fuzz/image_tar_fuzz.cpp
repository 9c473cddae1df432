// Any bytes as a tar of pictures, plain, gzip or xz.
#include "data/formats.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace fovea;
    try {
        std::vector<std::string> damaged;
        const MemoryImages images = parse_image_tar({reinterpret_cast<const std::byte*>(data), size}, "fuzz", {"a", "b"}, 4, damaged);
        if (images.pixels.size() != images.labels.size() * 48) __builtin_trap();
    } catch (const FormatError&) {
    }
    return 0;
}
