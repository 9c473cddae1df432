// one_hot(labels, like): 1 at the label's class, 0 elsewhere. labels [N, ...] i32, like and the result [N, L, ...].
// A label outside 0..L-1 gives zeros only; with the attribute ignore_index only that one may lie outside.
#include <algorithm>

#include "graph/op.h"
#include "fovea/ops.h"
#include "ops/labels.h"

namespace fovea {

Value one_hot(const Value& labels, const Value& like) { return labels.graph().add("one_hot", {labels, like}); }
Value one_hot(const Value& labels, const Value& like, std::int64_t ignore_index) { return labels.graph().add("one_hot", {labels, like}, {{"ignore_index", ignore_index}}); }

void register_one_hot(OpRegistry& ops) {
    ops.add({.name = "one_hot",
             .shape =
                 [](const OpInputs& in) {
                     check_labels(in, in.type(1), in.type(0));
                     return Types(in.shape(1));
                 },
             .gradient = [](const Grad&) -> Values { return Values(2); },
             .cost = [](const OpInputs&) { return Cost{}; },
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         const Shape& shape = run.out_shape();
                         const std::int64_t classes = shape[1], area = shape.elements(2, shape.rank());
                         const bool is_strict = run.attrs().has("ignore_index");
                         const std::int64_t ignore = run.attrs().integer("ignore_index", 0);
                         std::fill_n(run.out<T>(), shape.elements(), T(0));
                         for (std::int64_t i = 0; i < shape[0] * area; ++i) {
                             const std::int64_t label = label_at(run, 0, i);
                             const bool is_class = label >= 0 && label < classes;
                             require<ArgumentError>(is_class || !is_strict || label == ignore, "one_hot: label {} at position {} is outside 0..{} and is not ignore_index {}", label, i,
                                                    classes - 1, ignore);
                             if (is_class && (!is_strict || label != ignore)) run.out<T>()[(i / area * classes + label) * area + i % area] = 1;
                         }
                     });
                 },
             .shape_only = 0b10});
}

}  // namespace fovea
