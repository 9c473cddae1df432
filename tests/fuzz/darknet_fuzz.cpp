// Any .cfg (16 bits of length, the text) with any floats behind a Darknet header ends in parameters or a FormatError.
#include "fovea/io.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::size_t text = std::min<std::size_t>(size - 2, data[0] | data[1] << 8);
    std::string file("\0\0\0\0\2\0\0\0\5\0\0\0\0\0\0\0\0\0\0\0", 20);
    file.append(reinterpret_cast<const char*>(data + 2 + text), size - 2 - text);
    try {
        (void)fovea::parse_weights(std::as_bytes(std::span(file.data(), file.size())), "fuzz", nullptr, std::as_bytes(std::span(data + 2, text)));
    } catch (const fovea::FormatError&) {
    }
    return 0;
}
