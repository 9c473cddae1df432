// Any bytes given to the ONNX reader end in a network that verifies or a FormatError.
#include "fovea/io.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const fovea::OnnxNetwork network = fovea::parse_onnx(std::as_bytes(std::span(data, size)), "fuzz", {.open_batch = size % 2 == 1});
        network.graph.verify();
    } catch (const fovea::FormatError&) {
    }
    return 0;
}
