// Largest value over axes, and what is built on it: maxout. Goodfellow et al. 2013, arXiv:1302.4389.
#include <algorithm>
#include <limits>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/broadcast.h"

namespace fovea {

Value max_over(const Value& x, const ReduceSpec& spec, std::string_view name) {
    const Value y = x.graph().add("max_over", {x, mean(x, {.axes = spec.axes, .keep = true})}, {}, name);
    return spec.keep ? y : reshape_to(y, mean(x, spec));
}

Value maxout(const Value& x, const MaxoutSpec& spec, std::string_view name) {
    Graph& graph = x.graph();
    const std::string base(name.empty() ? "maxout" : name);
    require<ShapeError>(x.shape().rank() >= 2 && spec.pieces > 0 && x.shape()[1] % spec.pieces == 0, "maxout '{}': the channels of {} do not divide into {} pieces each",
                        graph.path_of(base), x.shape(), spec.pieces);
    std::vector<std::int64_t> grouped{0, x.shape()[1] / spec.pieces, spec.pieces, -1}, plain{0, x.shape()[1] / spec.pieces};
    const Value y = max_over(reshape(x, grouped), {.axes = {2}});
    // The places behind the channels come back one by one; at most one of them may be unknown.
    for (int i = 2; i < x.shape().rank(); ++i) plain.push_back(x.shape()[i]);
    return reshape(y, plain, base);
}

Value glu(const Value& x, const AxisSpec& spec, std::string_view name) {
    const int rank = x.shape().rank(), axis = static_cast<int>(spec.axis < 0 ? spec.axis + rank : spec.axis);
    require<ShapeError>(axis >= 0 && axis < rank && x.shape()[axis] % 2 == 0, "glu '{}': dimension {} of {} must be even", x.graph().path_of(name), spec.axis, x.shape());
    const std::int64_t half = x.shape()[axis] / 2;
    return multiply(slice(x, {.axis = axis, .stop = half}), sigmoid(slice(x, {.axis = axis, .start = half})), name.empty() ? "glu" : name);
}

void register_max_over(OpRegistry& ops) {
    // x, like -> the largest of x over the dimensions in which `like` has size 1. Only the shape of `like` matters.
    ops.add({.name = "max_over",
             .shape =
                 [](const OpInputs& in) {
                     in.check(broadcast_shape(in, in.shape(1), in.shape(0)) == in.shape(0), "{} does not reduce to {}", in.shape(0), in.shape(1));
                     return Types(Type{in.shape(1), in.dtype(0)});
                 },
             // Equal largest values share the gradient.
             .gradient =
                 [](const Grad& g) {
                     const Value is_largest = greater_equal(g.x(0), g.y());
                     return Values{is_largest * (g.dy() / sum_to(is_largest, g.y())), Value{}};
                 },
             .cost = [](const OpInputs& in) { return Cost{0, in.shape(0).elements()}; },
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         std::fill_n(run.out<T>(), run.out_shape().elements(), -std::numeric_limits<T>::infinity());
                         for_each_broadcast(run.shape(0), run.out_shape(), run.out_shape(), [&](auto i, auto s, auto) { run.out<T>()[s] = std::max(run.out<T>()[s], run.in<T>(0)[i]); });
                     });
                 },
             .shape_only = 0b10});
}

}  // namespace fovea
