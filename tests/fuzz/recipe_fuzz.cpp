// Any text as a recipe: one that is written and read again alike, or one sentence.
#include "fovea/train.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace fovea;
    try {
        const Recipe recipe = parse_recipe({reinterpret_cast<const char*>(data), size}, "fuzz");
        const std::string written = to_toml(recipe);
        if (to_toml(parse_recipe(written, "fuzz")) != written) __builtin_trap();
        (void)fit_spec(recipe);
    } catch (const FormatError&) {
    } catch (const ArgumentError&) {
    }
    return 0;
}
