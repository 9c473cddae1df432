// Sums over ranks, in two nodes so that other work fits between them: all_reduce_begin packs values into one vector and starts its sum,
// all_reduce_end waits for it and unpacks. Alone (without a communicator) the values come back as they are.
#include <cstring>

#include "fovea/ops.h"
#include "graph/op.h"

namespace fovea {

namespace {

std::vector<Value> finish(const Value& begun, const std::vector<Value>& like, const Attrs& attrs, std::string_view name) {
    std::vector<Value> inputs{begun};
    inputs.insert(inputs.end(), like.begin(), like.end());
    const Value first = begun.graph().add("all_reduce_end", inputs, attrs, name);
    std::vector<Value> sums;
    for (int i = 0; i < static_cast<int>(like.size()); ++i) sums.push_back(first.sibling(i));
    return sums;
}

}  // namespace

std::vector<Value> all_reduce(const std::vector<Value>& xs, bool late, std::string_view name) {
    require<ArgumentError>(!xs.empty(), "all_reduce '{}': there is nothing to add up", name);
    const Attrs attrs = late ? Attrs{{"late", true}} : Attrs{};
    const std::string_view wanted = name.empty() ? "all_reduce" : name;
    return finish(xs.front().graph().add("all_reduce_begin", xs, attrs, wanted), xs, attrs, wanted);
}

Value all_reduce(const Value& x, std::string_view name) { return all_reduce(std::vector<Value>{x}, false, name).front(); }

Value all_gather_channels(const Value& x, int rank, int ranks, std::string_view name) {
    require<ShapeError>(x.shape().rank() >= 2, "all_gather_channels '{}': the input is [N, C, ...], got {}", name, x.shape());
    require<ArgumentError>(ranks >= 1 && rank >= 0 && rank < ranks, "all_gather_channels '{}': there is no rank {} of {}", name, rank, ranks);
    std::vector<std::int64_t> before(static_cast<std::size_t>(x.shape().rank())), after = before;
    before[1] = x.shape()[1] * rank;
    after[1] = x.shape()[1] * (ranks - 1 - rank);
    return all_reduce(pad(x, before, after), name);
}

namespace {

Types begin_shape(const OpInputs& in) {
    std::int64_t total = 0;
    for (int i = 0; i < in.count(); ++i) {
        in.check(in.has(i) && in.dtype(i) == DType::f32, "input {} is {}; ranks add up real values", i, in.has(i) ? name_of(in.dtype(i)) : "absent");
        total = total == dynamic || in.shape(i).is_dynamic() ? dynamic : total + in.shape(i).elements();
    }
    return Types(Shape{total});
}

Types end_shape(const OpInputs& in) {
    Types types;
    std::int64_t total = 0;
    for (int i = 1; i < in.count(); ++i) {
        types.push_back(in.type(i));
        total = total == dynamic || in.shape(i).is_dynamic() ? dynamic : total + in.shape(i).elements();
    }
    in.check(in.shape(0) == Shape{total}, "the sums are {}, the values they are for have {} elements", in.shape(0), total);
    return types;
}

/// f(number, its bytes, where it lies in the vector) for values of these shapes.
template <class F> void each_piece(const OpRun& run, int first, int count, F&& f) {
    const std::size_t element = size_of(run.real());
    std::size_t at = 0;
    for (int i = 0; i < count; ++i) {
        const auto bytes = static_cast<std::size_t>(run.shape(first + i).elements()) * element;
        f(i, bytes, at);
        at += bytes;
    }
}

void begin_loops(const OpRun& run) {
    auto* sums = run.out<std::byte>();
    each_piece(run, 0, run.inputs(), [&](int i, std::size_t bytes, std::size_t at) { std::memcpy(sums + at, run.in<std::byte>(i), bytes); });
    if (run.place().ranks) run.place().ranks->start_sum({sums, static_cast<std::size_t>(run.out_shape().elements()) * size_of(run.real())}, run.real());
}

void end_loops(const OpRun& run) {
    const auto* sums = run.in<std::byte>(0);
    if (run.place().ranks) run.place().ranks->finish_sum(sums);
    each_piece(run, 1, run.outputs(), [&](int i, std::size_t bytes, std::size_t at) { std::memcpy(run.out<std::byte>(i), sums + at, bytes); });
}

/// What does not depend on a sum has the gradient 0 there, on this rank as on the others.
Values end_gradient(const Grad& g) {
    std::vector<Value> slopes;
    for (int i = 0; i + 1 < g.inputs(); ++i) slopes.push_back(g.dy(i).is_empty() ? expand_to(scalar(g.graph(), 0), g.y(i)) : g.dy(i));
    return g.graph().add("all_reduce_begin", slopes, g.attrs());
}

Values begin_gradient(const Grad& g) {
    const std::vector<Value> xs(g.node().inputs);
    const std::vector<Value> slopes = finish(g.dy(), xs, g.attrs(), "all_reduce");
    return Values(slopes.begin(), slopes.end());
}

}  // namespace

void register_all_reduce(OpRegistry& ops) {
    ops.add({.name = "all_reduce_begin",
             .shape = begin_shape,
             .gradient = begin_gradient,
             .cost = [](const OpInputs& in) { return Cost{0, in.shape(0).elements()}; },
             .reference = begin_loops,
             .is_collective = true});
    ops.add({.name = "all_reduce_end",
             .shape = end_shape,
             .gradient = end_gradient,
             .cost = [](const OpInputs& in) { return Cost{0, in.shape(0).elements()}; },
             .reference = end_loops,
             .shape_only = ~1u,
             .is_collective = true});
}

}  // namespace fovea
