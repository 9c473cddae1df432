// Any bytes given as a dlib network end in parameters or a FormatError. Every input gets the head that tells the format, so that no
// mutation is lost on it.
#include "fovea/io.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string file("\x01\x01\x01\x14loss_multiclass_log_");
    file.append(reinterpret_cast<const char*>(data), size);
    try {
        (void)fovea::parse_weights(std::as_bytes(std::span(file.data(), file.size())), "fuzz");
    } catch (const fovea::FormatError&) {
    }
    return 0;
}
