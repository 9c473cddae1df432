// Any bytes given to the PyTorch reader (zip, pickle stream) end in parameters or a FormatError.
#include "fovea/io.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        (void)fovea::parse_pytorch(std::as_bytes(std::span(data, size)), "fuzz");
    } catch (const fovea::FormatError&) {
    }
    return 0;
}
