// The same elements under another shape. Sizes that are not known yet stay so until the graph is specialised.
#include "fovea/ops.h"
#include "graph/op.h"

namespace fovea {

namespace {

Types reshape_shape(const OpInputs& in) {
    const Shape& x = in.shape(0);
    const auto wanted = in.attrs().integers("shape");
    in.check(wanted.size() <= Shape::max_rank, "{} dimensions are too many", wanted.size());
    Shape y{std::span<const std::int64_t>(wanted)};
    int rest = -1;
    for (int i = 0; i < y.rank(); ++i) {
        if (y[i] == 0) {
            in.check<ArgumentError>(i < x.rank(), "0 keeps dimension {} of the input, which is {}", i, x);
            y[i] = x[i];
        } else if (y[i] < 0) {
            in.check<ArgumentError>(y[i] == -1 && rest < 0, "at most one dimension may be -1, got [{}]", fmt::join(wanted, ", "));
            rest = i;
        }
    }
    if (rest >= 0) {
        // A dynamic dimension that is kept by place cancels out of the quotient.
        std::int64_t have = 1, known = 1;
        bool is_known = true;
        for (int i = 0; i < x.rank(); ++i) {
            const bool is_kept = i < y.rank() && wanted[static_cast<std::size_t>(i)] == 0;
            if (!is_kept) have *= x[i], is_known &= x[i] != dynamic;
        }
        for (int i = 0; i < y.rank(); ++i)
            if (i != rest && wanted[static_cast<std::size_t>(i)] != 0) known *= y[i];
        if (!is_known) {
            y[rest] = dynamic;
            return Type{y, in.dtype(0)};
        }
        in.check(known > 0 && have % known == 0, "{} does not reshape to [{}]", x, fmt::join(wanted, ", "));
        y[rest] = have / known;
    }
    in.check(x.is_dynamic() || y.is_dynamic() || x.elements() == y.elements(), "{} has {} elements, {} takes {}", x, x.elements(), y, y.elements());
    return Type{y, in.dtype(0)};
}

}  // namespace

Value reshape(const Value& x, const std::vector<std::int64_t>& shape, std::string_view name) { return x.graph().add("reshape", {x}, {{"shape", shape}}, name); }

Value flatten(const Value& x, int start_dim, std::string_view name) {
    const int rank = x.shape().rank(), start = start_dim < 0 ? start_dim + rank : start_dim;
    require<ArgumentError>(start >= 0 && start <= rank, "flatten '{}': dimension {} is outside {}", x.graph().path_of(name), start_dim, x.shape());
    std::vector<std::int64_t> shape(static_cast<std::size_t>(start), 0);
    shape.push_back(-1);
    return reshape(x, shape, name.empty() ? "flatten" : name);
}

namespace {

/// Dimensions before `axis` by place, those from `first` on by number (one of them may be unknown).
std::vector<std::int64_t> around(const Shape& x, std::int64_t axis, std::int64_t first) {
    std::vector<std::int64_t> shape(static_cast<std::size_t>(axis), 0);
    for (std::int64_t d = first; d < x.rank(); ++d) shape.push_back(x[static_cast<int>(d)]);
    return shape;
}

}  // namespace

Value squeeze(const Value& x, std::int64_t axis, std::string_view name) {
    const std::int64_t place = axis < 0 ? axis + x.shape().rank() : axis;
    require<ShapeError>(place >= 0 && place < x.shape().rank() && x.shape()[static_cast<int>(place)] == 1, "squeeze '{}': dimension {} of {} is not 1", x.graph().path_of(name), axis,
                        x.shape());
    return reshape(x, around(x.shape(), place, place + 1), name.empty() ? "squeeze" : name);
}

Value unsqueeze(const Value& x, std::int64_t axis, std::string_view name) {
    const std::int64_t place = axis < 0 ? axis + x.shape().rank() + 1 : axis;
    require<ShapeError>(place >= 0 && place <= x.shape().rank(), "unsqueeze '{}': dimension {} is outside {}", x.graph().path_of(name), axis, x.shape());
    std::vector<std::int64_t> shape = around(x.shape(), place, place);
    shape.insert(shape.begin() + place, 1);
    return reshape(x, shape, name.empty() ? "unsqueeze" : name);
}

void register_reshape(OpRegistry& ops) {
    ops.add({.name = "reshape",
             .shape = reshape_shape,
             .gradient = [](const Grad& g) -> Values { return reshape_to(g.dy(), g.x()); },
             .cost = [](const OpInputs&) { return Cost{}; },
             .reference =
                 [](const OpRun& run) {
                     const std::size_t width = run.dtype(0) == DType::f32 ? size_of(run.real()) : size_of(run.dtype(0));
                     const auto* from = run.in<std::byte>(0);
                     std::copy_n(from, static_cast<std::size_t>(run.out_shape().elements()) * width, run.out<std::byte>());
                 },
             .is_view = true});
}

}  // namespace fovea
