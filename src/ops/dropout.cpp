// Dropout. Srivastava et al. 2014. `drop` is the probability of being dropped; kept values are scaled by 1 / (1 - drop) in
// training, so inference is the identity. The mask is a pure function of (seed, step, key, element): it is never stored, and the
// backward pass draws it again.
#include <algorithm>

#include "fovea/ops.h"
#include "graph/op.h"

namespace fovea {

namespace {

Value drop(const Value& x, double probability, std::string_view mode, std::string_view kind, std::string_view name) {
    Graph& graph = x.graph();
    const std::string_view wanted = name.empty() ? kind : name;
    require<ArgumentError>(probability >= 0 && probability <= 1, "{} '{}': drop is the probability of being dropped, 0..1, got {}", kind, graph.path_of(wanted), probability);
    if (probability == 0) return x;
    return graph.add("dropout", {x}, {{"drop", probability}, {"key", graph.next_path(wanted)}, {"mode", std::string(mode)}}, wanted);
}

/// How many neighbouring elements share one draw.
std::int64_t group_size(const Shape& shape, std::string_view mode) {
    if (mode == "channel") return shape.elements(2, shape.rank());
    if (mode == "sample") return shape.elements(1, shape.rank());
    return mode == "batch" ? shape.elements() : 1;
}

}  // namespace

Value dropout(const Value& x, const DropoutSpec& spec, std::string_view name) { return drop(x, spec.drop, "element", "dropout", name); }
Value spatial_dropout(const Value& x, const DropoutSpec& spec, std::string_view name) { return drop(x, spec.drop, "channel", "spatial_dropout", name); }
Value drop_path(const Value& x, const DropPathSpec& spec, std::string_view name) { return drop(x, spec.drop, spec.whole_batch ? "batch" : "sample", "drop_path", name); }

void register_dropout(OpRegistry& ops) {
    ops.add({.name = "dropout",
             .shape =
                 [](const OpInputs& in) {
                     const std::string mode = in.attrs().text("mode", "element");
                     in.check<ArgumentError>(mode == "element" || mode == "channel" || mode == "sample" || mode == "batch", "no mode '{}': element, channel, sample, batch", mode);
                     in.check(mode != "channel" || in.shape(0).rank() >= 2, "channels are dropped from [N, C, ...], got {}", in.shape(0));
                     in.check(mode != "sample" || in.shape(0).rank() >= 1, "samples are dropped from [N, ...], got {}", in.shape(0));
                     return Types(in.type(0));
                 },
             // The same op with the same key: linear, and the mask is the same.
             .gradient = [](const Grad& g) -> Values { return g.graph().add("dropout", {g.dy()}, g.attrs()); },
             .cost = [](const OpInputs& in) { return Cost{0, in.shape(0).elements()}; },
             .reference =
                 [](const OpRun& run) {
                     const double probability = run.attrs().real("drop"), scale = 1 / (1 - probability);
                     const Rng rng(run.seed(), hash_name(run.attrs().text("key")), run.step());
                     const std::string mode = run.attrs().text("mode", "element");
                     const std::int64_t group = group_size(run.shape(0), mode), groups = run.out_shape().elements() / std::max<std::int64_t>(1, group);
                     // The draws of the rows that lie with other ranks come first.
                     const std::int64_t first = mode == "batch" || run.shape(0).rank() == 0 ? 0 : run.place().first_row * (groups / std::max<std::int64_t>(1, run.shape(0)[0]));
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         for (std::int64_t g = 0; g < groups; ++g) {
                             const bool is_kept = !(rng.uniform(static_cast<std::uint64_t>(first + g)) < probability);
                             for (std::int64_t i = g * group; i < (g + 1) * group; ++i) run.out<T>()[i] = is_kept ? static_cast<T>(run.in<T>(0)[i] * scale) : T(0);
                         }
                     });
                 },
             .is_random = true,
             .is_identity_at_inference = true});
}

}  // namespace fovea
