// A vector [C] seen as [C, 1, ..., 1], so that it broadcasts over the channels of [N, C, ...].
#include "fovea/ops.h"
#include "graph/op.h"

namespace fovea {

Value per_channel(const Value& v, const Value& like) {
    if (like.shape().rank() == 2) return v;
    return v.graph().add("per_channel", {v, like});
}

void register_per_channel(OpRegistry& ops) {
    ops.add({.name = "per_channel",
             .shape =
                 [](const OpInputs& in) {
                     in.check(in.shape(0).rank() == 1 && in.shape(1).rank() >= 2 && in.shape(0)[0] == in.shape(1)[1], "a vector [C] goes with [N, C, ...]; got {} and {}", in.shape(0),
                              in.shape(1));
                     Shape shape = in.shape(0);
                     for (int i = 2; i < in.shape(1).rank(); ++i) shape.push_back(1);
                     return Types(Type{shape, in.dtype(0)});
                 },
             .gradient = [](const Grad& g) -> Values { return reshape_to(g.dy(), g.x()); },
             .cost = [](const OpInputs&) { return Cost{}; },
             .reference = [](const OpRun& run) { run.map([](auto v) { return v; }); },
             .shape_only = 0b10,
             .is_view = true});
}

}  // namespace fovea
