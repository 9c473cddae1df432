// Any bytes as a CSV of pictures: files with labels that name a class, or one sentence.
#include "data/formats.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace fovea;
    try {
        const PictureList list = parse_picture_list({reinterpret_cast<const std::byte*>(data), size}, "fuzz", size % 2 ? Split::train : Split::test);
        for (const PictureFile& file : list.files)
            if (file.path.empty() || file.label < 0 || file.label >= static_cast<std::int64_t>(list.classes.size())) __builtin_trap();
    } catch (const FormatError&) {
    }
    return 0;
}
