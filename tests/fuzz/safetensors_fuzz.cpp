// Any bytes given to the safetensors reader end in parameters or a FormatError.
#include "fovea/io.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const fovea::Parameters p = fovea::parse_safetensors(std::as_bytes(std::span(data, size)), "fuzz");
        const std::string again = fovea::to_safetensors(p);
        (void)fovea::parse_safetensors(std::as_bytes(std::span(again.data(), again.size())), "again");
    } catch (const fovea::FormatError&) {
    }
    return 0;
}
