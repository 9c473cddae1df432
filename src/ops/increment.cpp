// x + 1 on i64: the number of batches seen, the optimiser's step.
#include "graph/op.h"
#include "fovea/ops.h"

namespace fovea {

Value increment(const Value& x, std::string_view name) { return x.graph().add("increment", {x}, {}, name); }

void register_increment(OpRegistry& ops) {
    ops.add({.name = "increment",
             .shape =
                 [](const OpInputs& in) {
                     in.check<ArgumentError>(in.dtype(0) == DType::i64, "counts are i64, got {}", in.dtype(0));
                     return Types(in.type(0));
                 },
             .cost = [](const OpInputs& in) { return Cost{0, in.shape(0).elements()}; },
             .reference =
                 [](const OpRun& run) {
                     for (std::int64_t i = 0; i < run.out_shape().elements(); ++i) run.out<std::int64_t>()[i] = run.in<std::int64_t>(0)[i] + 1;
                 },
             .is_elementwise = true});
}

}  // namespace fovea
