// Any bytes as a tar shard: samples that lie inside it, or one sentence.
#include "data/formats.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace fovea;
    try {
        std::vector<std::string> damaged;
        for (const ShardSample& sample : parse_shard({reinterpret_cast<const std::byte*>(data), size}, "fuzz", damaged))
            if (sample.label < 0 || sample.offset > size || sample.bytes > size - sample.offset) __builtin_trap();
    } catch (const FormatError&) {
    }
    return 0;
}
