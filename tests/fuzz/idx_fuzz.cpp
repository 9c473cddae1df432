// Any bytes as an IDX file, plain or gzip.
#include "data/formats.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace fovea;
    for (const int rank : {1, 3}) {
        try {
            const Idx idx = parse_idx({reinterpret_cast<const std::byte*>(data), size}, "fuzz", rank);
            std::int64_t count = 1;
            for (const auto dim : idx.dims) count *= dim;
            if (count != static_cast<std::int64_t>(idx.values.size())) __builtin_trap();
        } catch (const FormatError&) {
        }
    }
    return 0;
}
