// Dimensions in another order.
#include "fovea/ops.h"
#include "ops/axis_maps.h"

namespace fovea {

namespace {

Types transpose_shape(const OpInputs& in) {
    const Shape& x = in.shape(0);
    const auto order = in.attrs().integers("order");
    std::vector<bool> seen(order.size(), false);
    bool is_permutation = static_cast<int>(order.size()) == x.rank();
    for (std::int64_t d : order) {
        is_permutation = is_permutation && d >= 0 && d < x.rank() && !seen[static_cast<std::size_t>(d)];
        if (!is_permutation) break;
        seen[static_cast<std::size_t>(d)] = true;
    }
    in.check<ArgumentError>(is_permutation, "order [{}] is not a permutation of the dimensions of {}", fmt::join(order, ", "), x);
    Shape y = x;
    for (int d = 0; d < x.rank(); ++d) y[d] = x[static_cast<int>(order[static_cast<std::size_t>(d)])];
    return Type{y, in.dtype(0)};
}

template <class T> void transpose_loops(const OpRun& run) {
    const Shape &x = run.shape(0), &y = run.out_shape();
    const auto order = run.attrs().integers("order");
    std::int64_t stride_x[Shape::max_rank]{}, stride[Shape::max_rank]{}, index[Shape::max_rank]{};
    std::int64_t step = 1;
    for (int d = x.rank() - 1; d >= 0; --d) stride_x[d] = step, step *= x[d];
    for (int d = 0; d < y.rank(); ++d) stride[d] = stride_x[order[static_cast<std::size_t>(d)]];
    const T* from = run.in<T>(0);
    T* to = run.out<T>();
    for (std::int64_t i = 0, at = 0; i < y.elements(); ++i) {
        to[i] = from[at];
        for (int d = y.rank() - 1; d >= 0; --d) {
            at += stride[d];
            if (++index[d] < y[d]) break;
            index[d] = 0;
            at -= stride[d] * y[d];
        }
    }
}

}  // namespace

Value transpose(const Value& x, const std::vector<std::int64_t>& order, std::string_view name) {
    std::vector<std::int64_t> from_start = order;
    for (std::int64_t& d : from_start) d += d < 0 ? x.shape().rank() : 0;
    return x.graph().add("transpose", {x}, {{"order", from_start}}, name);
}

void register_transpose(OpRegistry& ops) {
    ops.add({.name = "transpose",
             .shape = transpose_shape,
             .gradient =
                 [](const Grad& g) -> Values {
                 const auto order = g.attrs().integers("order");
                 std::vector<std::int64_t> inverse(order.size());
                 for (std::size_t d = 0; d < order.size(); ++d) inverse[static_cast<std::size_t>(order[d])] = static_cast<std::int64_t>(d);
                 return transpose(g.dy(), inverse);
             },
             .cost = [](const OpInputs&) { return Cost{}; },
             .reference = [](const OpRun& run) { with_input_type(run, [&](auto tag) { transpose_loops<decltype(tag)>(run); }); }});
}

}  // namespace fovea
