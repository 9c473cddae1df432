// Any text as a listing: a network that verifies, or one sentence.
#include "fovea/models.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace fovea;
    try {
        const Listing listing = read_listing({reinterpret_cast<const char*>(data), size}, "fuzz", {.channels = 3, .height = 32, .width = 32});
        listing.graph.verify();
        if (listing.graph.find_output("out").is_empty()) __builtin_trap();
    } catch (const FormatError&) {
    }
    return 0;
}
