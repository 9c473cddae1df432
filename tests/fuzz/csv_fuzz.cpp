// Any bytes as a CSV of pictures: files with labels that name a class, or one sentence.
#include <algorithm>

#include "data/formats.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace fovea;
    try {
        const PictureList list = parse_picture_list({reinterpret_cast<const std::byte*>(data), size}, "fuzz", size % 2 ? Split::train : Split::test);
        const auto is_class = [&](std::int64_t label) { return label >= 0 && label < static_cast<std::int64_t>(list.classes.size()); };
        for (const PictureFile& file : list.files)
            if (file.path.empty() || !is_class(file.label) || !(file.weight >= 0) || !std::ranges::all_of(file.tags, is_class)) __builtin_trap();
    } catch (const FormatError&) {
    }
    return 0;
}
