// Any text as formulas: an expression with its derivatives at 1, or one sentence.
#include "fovea/explain/autodiff.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace fovea;
    try {
        const Expression expression = parse_expression({reinterpret_cast<const char*>(data), size});
        if (expression.steps.size() > 20) return 0;  // what is compiled takes milliseconds
        Assignment at;
        for (const std::string& name : expression.variables) at[name] = 1;
        (void)reverse_pass(expression, at, std::vector<double>(expression.outputs.size(), 1.0));
    } catch (const ArgumentError&) {
    }
    return 0;
}
