// Any pickle inside an intact zip of torch.save, so that no mutation is lost on checksums: parameters or a FormatError.
#include "fovea/io.h"
#include "io/zip.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fovea::ZipWriter zip;
    zip.add("archive/data.pkl", {reinterpret_cast<const char*>(data), size});
    zip.add("archive/data/0", std::string(96, '\1'));
    zip.add("archive/data/1", std::string(8, '\2'));
    const std::string file = zip.finish();
    try {
        (void)fovea::parse_weights(std::as_bytes(std::span(file.data(), file.size())), "fuzz");
    } catch (const fovea::FormatError&) {
    }
    return 0;
}
