// The mark of a result that exists in training only, such as a classifier half way through a network: the identity. to_inference()
// drops the outputs that are marked; attribute "weight" is what their loss counts beside that of the main output.
#include <algorithm>

#include "graph/op.h"
#include "ops/layer.h"

namespace fovea {

void register_auxiliary(OpRegistry& ops) {
    ops.add({.name = "auxiliary",
             .shape =
                 [](const OpInputs& in) {
                     in.check<ArgumentError>(in.attrs().real("weight") > 0, "the weight of its loss must be positive, got {}", in.attrs().real("weight"));
                     return Types(in.type(0));
                 },
             .gradient = [](const Grad& g) -> Values { return g.dy(); },
             .cost = [](const OpInputs&) { return Cost{}; },
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         std::copy_n(run.in<T>(0), run.out_shape().elements(), run.out<T>());
                     });
                 },
             .is_elementwise = true});
}

}  // namespace fovea
