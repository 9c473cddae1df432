// Any bytes given as a Keras .h5 end in parameters or a FormatError.
#include "fovea/io.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string file("\x89HDF\r\n\x1a\n");
    file.append(reinterpret_cast<const char*>(data), size);
    try {
        (void)fovea::parse_weights(std::as_bytes(std::span(file.data(), file.size())), "fuzz");
    } catch (const fovea::FormatError&) {
    }
    return 0;
}
