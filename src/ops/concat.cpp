// Values side by side along an axis. The gradient takes each its part back.
#include <cstring>

#include "fovea/ops.h"
#include "graph/op.h"

namespace fovea {

namespace {

int axis_of(const OpInputs& in, const Shape& x) {
    const std::int64_t axis = in.attrs().integer("axis");
    in.check<ArgumentError>(axis >= 0 && axis < x.rank(), "axis {} is outside a shape {}", axis, x);
    return static_cast<int>(axis);
}

/// The joined shape of inputs first .. count - 1.
Shape joined(const OpInputs& in, int first) {
    in.check<ArgumentError>(in.count() > first, "nothing is given to join");
    Shape y = in.shape(first);
    const int axis = axis_of(in, y);
    for (int i = first + 1; i < in.count(); ++i) {
        const Shape& x = in.shape(i);
        bool fits = x.rank() == y.rank();
        for (int d = 0; fits && d < x.rank(); ++d) fits = d == axis || x[d] == y[d];
        in.check(fits, "{} does not join {} along axis {}", x, in.shape(first), axis);
        y[axis] = y[axis] == dynamic || x[axis] == dynamic ? dynamic : y[axis] + x[axis];
    }
    return y;
}

/// Bytes of one element of input i in this run.
std::size_t width_of(const OpRun& run, int i) { return run.dtype(i) == DType::f32 || run.dtype(i) == DType::f64 ? size_of(run.real()) : size_of(run.dtype(i)); }

void concat_loops(const OpRun& run) {
    const int axis = static_cast<int>(run.attrs().integer("axis"));
    const Shape& y = run.out_shape();
    const std::size_t width = width_of(run, 0);
    const std::size_t row = static_cast<std::size_t>(y.elements(axis, y.rank())) * width;
    std::size_t at = 0;
    for (int i = 0; i < run.inputs(); ++i) {
        const Shape& x = run.shape(i);
        const std::size_t piece = static_cast<std::size_t>(x.elements(axis, x.rank())) * width;
        for (std::int64_t o = 0; o < y.elements(0, axis); ++o)
            std::memcpy(run.out<std::byte>() + static_cast<std::size_t>(o) * row + at, run.in<std::byte>(i) + static_cast<std::size_t>(o) * piece, piece);
        at += piece;
    }
}

Values concat_gradient(const Grad& g) {
    const std::int64_t axis = g.attrs().integer("axis");
    const int d = static_cast<int>(axis);
    Values result;
    std::int64_t start = 0;
    for (int i = 0; i < g.inputs(); ++i) {
        if (g.y().shape()[d] != dynamic) {
            result.push_back(g.inputs() == 1 ? g.dy() : slice(g.dy(), {.axis = axis, .start = start, .stop = start + g.x(i).shape()[d]}));
            start += g.x(i).shape()[d];
            continue;
        }
        std::vector<Value> inputs{g.dy()};
        for (int k = 0; k < g.inputs(); ++k) inputs.push_back(g.x(k));
        result.push_back(g.graph().add("concat_part", inputs, {{"axis", axis}, {"index", static_cast<std::int64_t>(i)}}));
    }
    return result;
}

}  // namespace

Value concat(const std::vector<Value>& values, std::int64_t axis, std::string_view name) {
    require<ArgumentError>(!values.empty(), "concat '{}': nothing is given to join", name);
    for (const Value& v : values)
        require<ArgumentError>(v.dtype() == values.front().dtype(), "concat '{}': {} and {} do not mix", values.front().graph().path_of(name), v.dtype(), values.front().dtype());
    return values.front().graph().add("concat", values, {{"axis", axis < 0 ? axis + values.front().shape().rank() : axis}}, name);
}

Value stack(const std::vector<Value>& values, std::int64_t axis, std::string_view name) {
    require<ArgumentError>(!values.empty(), "stack '{}': nothing is given to join", name);
    const std::int64_t place = axis < 0 ? axis + values.front().shape().rank() + 1 : axis;
    std::vector<Value> rows;
    for (const Value& v : values) rows.push_back(unsqueeze(v, place));
    return concat(rows, place, name.empty() ? "stack" : name);
}

void register_concat(OpRegistry& ops) {
    const auto no_cost = [](const OpInputs&) { return Cost{}; };
    ops.add({.name = "concat",
             .shape = [](const OpInputs& in) { return Types(Type{joined(in, 0), in.dtype(0)}); },
             .gradient = concat_gradient,
             .cost = no_cost,
             .reference = concat_loops});
    // dy, like x0, x1, ... -> the part of dy that came from input `index`: for sizes along the axis that are not known yet.
    ops.add({.name = "concat_part",
             .shape =
                 [](const OpInputs& in) {
                     const Shape y = joined(in, 1);
                     in.check(in.shape(0) == y, "the whole must be {}, got {}", y, in.shape(0));
                     return Types(in.shape(static_cast<int>(in.attrs().integer("index")) + 1));
                 },
             .gradient =
                 [](const Grad& g) -> Values {
                 std::vector<Value> parts;
                 for (int i = 1; i < g.inputs(); ++i) parts.push_back(i - 1 == g.attrs().integer("index") ? g.dy() : expand_to(scalar(g.graph(), 0), g.x(i)));
                 return concat(parts, g.attrs().integer("axis"));
             },
             .cost = no_cost,
             .reference =
                 [](const OpRun& run) {
                     const int axis = static_cast<int>(run.attrs().integer("axis")), index = static_cast<int>(run.attrs().integer("index"));
                     const Shape& x = run.out_shape();
                     std::int64_t before = 0;
                     for (int i = 1; i <= index; ++i) before += run.shape(i).elements(axis, x.rank());
                     const std::size_t width = width_of(run, 0), piece = static_cast<std::size_t>(x.elements(axis, x.rank())) * width;
                     const std::size_t row = static_cast<std::size_t>(run.shape(0).elements(axis, x.rank())) * width, at = static_cast<std::size_t>(before) * width;
                     for (std::int64_t o = 0; o < x.elements(0, axis); ++o)
                         std::memcpy(run.out<std::byte>() + static_cast<std::size_t>(o) * piece, run.in<std::byte>(0) + static_cast<std::size_t>(o) * row + at, piece);
                 },
             .shape_only = ~1U});
}

}  // namespace fovea
