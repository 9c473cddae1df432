// Any bytes as a plan cache end in choices or a FormatError.
#include "runtime/plan_cache.h"

#include "fovea/core.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const fovea::PlanFile file = fovea::parse_plan_file({reinterpret_cast<const char*>(data), size}, "fuzz");
        (void)fovea::parse_plan_file(fovea::to_text(file), "written");
    } catch (const fovea::FormatError&) {
    }
    return 0;
}
