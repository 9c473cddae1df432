// Any bytes given to the safetensors reader end in parameters or a FormatError.
#include "fovea/io.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const fovea::Parameters p = fovea::parse_safetensors(std::as_bytes(std::span(data, size)), "fuzz");
        (void)fovea::parse_safetensors(std::as_bytes(std::span(fovea::to_safetensors(p))), "again");
    } catch (const fovea::FormatError&) {
    }
    return 0;
}
