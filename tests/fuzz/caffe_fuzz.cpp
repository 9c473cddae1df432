// Any bytes given as a .caffemodel and a .prototxt (16 bits of length, the prototxt, the model) end in parameters or a FormatError.
#include "fovea/io.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::size_t text = std::min<std::size_t>(size - 2, data[0] | data[1] << 8);
    const auto bytes = std::as_bytes(std::span(data + 2, size - 2));
    try {
        (void)fovea::parse_weights(bytes.subspan(text), "fuzz", nullptr, bytes.first(text));
    } catch (const fovea::FormatError&) {
    }
    return 0;
}
