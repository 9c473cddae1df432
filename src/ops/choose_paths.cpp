// Drop-path of fractal networks. Larsson, Maire, Shakhnarovich 2016, arXiv:1605.07648, sec. 3: a join averages the paths that are alive.
// Local: each is dropped by itself, at least one stays. Global: in some steps one column is chosen for the whole network.
#include "ops/choose_paths.h"

#include <algorithm>

#include "graph/op.h"

namespace fovea {

Value choose_paths(Graph& graph, const ChoosePathsSpec& spec, std::string_view name) {
    const auto count = static_cast<std::int64_t>(spec.columns.size());
    const std::string_view wanted = name.empty() ? "choose_paths" : name;
    const std::string path = graph.next_path(wanted);
    require<ArgumentError>(count > 0, "choose_paths '{}': there are no columns to choose from", path);
    require<ArgumentError>(spec.drop >= 0 && spec.drop <= 1 && spec.global >= 0 && spec.global <= 1, "choose_paths '{}': drop and global are probabilities, 0..1, got {} and {}", path,
                           spec.drop, spec.global);
    for (const std::int64_t column : spec.columns)
        require<ArgumentError>(column >= 0 && column < spec.all_columns, "choose_paths '{}': column {} of {}", path, column, spec.all_columns);
    Tensor equal(Shape{count});
    for (std::int64_t i = 0; i < count; ++i) equal.set(i, 1);
    return graph.add("choose_paths", {graph.constant(equal, std::string(wanted) + ".equal")},
                     {{"columns", spec.columns}, {"all_columns", spec.all_columns}, {"drop", spec.drop}, {"global", spec.global}, {"key", path}, {"network", std::string(spec.network)}}, wanted);
}

namespace {

void choose(const OpRun& run) {
    const std::vector<std::int64_t> columns = run.attrs().integers("columns");
    const auto count = columns.size();
    std::vector<bool> is_alive(count, false);
    // One draw for the network, whichever join asks.
    const Rng network(run.seed(), hash_name(run.attrs().text("network")), run.step());
    const bool is_global = network.uniform(0) < run.attrs().real("global");
    const auto chosen = std::ranges::find(columns, network.below(4, run.attrs().integer("all_columns")));
    if (is_global && chosen != columns.end()) {
        is_alive[static_cast<std::size_t>(chosen - columns.begin())] = true;
    } else if (is_global) {
        // The column does not pass here, so nothing of this join reaches the output; batch norms behind it see the usual mean.
        is_alive.assign(count, true);
    } else {
        const Rng join(run.seed(), hash_name(run.attrs().text("key")), run.step());
        for (std::size_t i = 0; i < count; ++i) is_alive[i] = !(join.uniform(i) < run.attrs().real("drop"));
        if (std::ranges::find(is_alive, true) == is_alive.end()) is_alive[static_cast<std::size_t>(join.below(4 * count, static_cast<std::int64_t>(count)))] = true;
    }
    const double share = static_cast<double>(count) / static_cast<double>(std::ranges::count(is_alive, true));
    run.with_real([&](auto tag) {
        using T = decltype(tag);
        for (std::size_t i = 0; i < count; ++i) run.out<T>()[i] = is_alive[i] ? static_cast<T>(share) : T(0);
    });
}

}  // namespace

void register_choose_paths(OpRegistry& ops) {
    ops.add({.name = "choose_paths",
             .shape =
                 [](const OpInputs& in) {
                     in.check(in.shape(0).rank() == 1 && in.shape(0)[0] == static_cast<std::int64_t>(in.attrs().integers("columns").size()), "one weight per column, got {}", in.shape(0));
                     return Types(in.type(0));
                 },
             .gradient = [](const Grad&) { return Values{Value{}}; },
             .cost = [](const OpInputs& in) { return Cost{0, in.shape(0).elements()}; },
             .reference = choose,
             .is_random = true,
             .is_identity_at_inference = true});
}

}  // namespace fovea
