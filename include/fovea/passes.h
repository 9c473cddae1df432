// Graph -> Graph: gradients, rewrites and the passes compile() runs. Each pass is one file in src/passes.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "fovea/graph.h"

namespace fovea {

/// Appends the reverse pass to the graph of `y` and returns dL/dx for each x, where L = sum(y * cotangent).
/// `cotangent` is empty (ones) or has y's shape. x may be any value; an x that y does not depend on gives an empty Value.
/// The results are ordinary values: calling gradients() on them gives second derivatives where the ops allow it.
[[nodiscard]] std::vector<Value> gradients(const Value& y, std::span<const Value> xs, const Value& cotangent = {});
/// The same for several outputs at once: L = sum over i of sum(ys[i] * cotangents[i]).
[[nodiscard]] std::vector<Value> gradients(std::span<const Value> ys, std::span<const Value> xs, std::span<const Value> cotangents);

/// Forward mode: the directional derivative of `y` when each x moves along its tangent (same shape as x). One pass per input direction.
/// Built as the transpose of the reverse pass (J v = d/du <J^T u, v>), so an op needs one rule for both modes.
[[nodiscard]] Value jvp(const Value& y, std::span<const Value> xs, std::span<const Value> tangents);
/// The same of several values in one pass, those on the way to others among them; zeros where a value depends on no x.
[[nodiscard]] std::vector<Value> jvp(std::span<const Value> ys, std::span<const Value> xs, std::span<const Value> tangents);

/// Copies nodes of one graph into another, op by op, so that a pass only writes down what it changes.
class Rewriter {
public:
    Rewriter(const Graph& from, Graph& to) : from_(from), to_(to) {}
    /// The value in the new graph; throws Error when its node was not copied.
    [[nodiscard]] Value operator()(const Value& old) const;
    [[nodiscard]] bool has(const Value& old) const { return values_.contains({old.id(), old.output()}); }
    void set(const Value& old, const Value& replacement);
    /// Copies the node with mapped inputs (unless every output is set already).
    Value copy(const Node& node);
    /// Copies the outputs, updates, modules and fixed-scalar counts whose values exist in the new graph.
    void finish();

private:
    const Graph& from_;
    Graph& to_;
    std::map<std::pair<int, int>, Value> values_;
};

/// Nodes that outputs and updates (or the given roots) need, as a flag per node id.
[[nodiscard]] std::vector<bool> reachable(const Graph& graph);
[[nodiscard]] std::vector<bool> reachable(const Graph& graph, std::span<const Value> roots);

/// Removes what no output and no update needs. Inputs and parameters that are still used stay in order; `keep_parameters` keeps all.
[[nodiscard]] Graph remove_dead_code(const Graph& graph, bool keep_parameters = false);
/// The same network for concrete input shapes: dynamic dimensions become numbers and every shape is checked again.
[[nodiscard]] Graph specialize(const Graph& graph, const std::map<std::string, Shape>& input_shapes);
/// What is left for inference: dropout removed, batch norm on running statistics, no updates.
[[nodiscard]] Graph to_inference(const Graph& graph);
/// Inference: a convolution or linear layer followed by batch norm becomes one layer with scaled weights.
/// w' = w gamma / sqrt(var + eps), b' = beta + (b - mean) gamma / sqrt(var + eps).
[[nodiscard]] Graph fold_batch_norm(const Graph& graph);
/// convolution or batch norm (+ add) + ReLU, linear + ReLU, and in the reverse pass the ReLU mask with batch norm's gradient, become one node each.
[[nodiscard]] Graph fuse(const Graph& graph);
/// Starts the sums over all ranks that say they may wait (all_reduce with `late`) as soon as what they add up is there, and finishes them
/// behind everything that does not need them, in the order they were started: they travel while the reverse pass goes on.
[[nodiscard]] Graph overlap_reductions(const Graph& graph);
[[nodiscard]] bool has_reductions(const Graph& graph);
/// Moves parameter updates forward, behind the last reader of the parameter, once enough gradients are waiting: their memory is freed early.
[[nodiscard]] Graph schedule_updates(const Graph& graph);

/// What a training step makes again in the reverse pass instead of keeping it: nothing; what costs about a pass over memory (batch norm
/// from its statistics, activations, sums, concatenations, pooling, dropout); or whole segments between kept values, convolutions too.
enum class Recompute { none, cheap, blocks };
/// "none", "cheap", "blocks". Throws ArgumentError for another name.
[[nodiscard]] Recompute recompute_named(std::string_view name);
[[nodiscard]] std::string_view name_of(Recompute mode);
/// Copies nodes of the forward pass to just before their first reader in the reverse pass where that lowers the peak of live memory.
/// The results are the same to the bit. Wants the graph as it will run, its updates scheduled; one without a reverse pass stays as it is.
[[nodiscard]] Graph recompute(const Graph& graph, Recompute mode);
/// An estimate to compare forms of one program with: bytes read and written, or the arithmetic where that takes longer.
[[nodiscard]] double relative_time(const Graph& graph);

/// The part of the graph between `from` (paths that become inputs; may be empty) and `to` (paths that become outputs).
[[nodiscard]] Graph subgraph(const Graph& graph, std::span<const std::string> from, std::span<const std::string> to);

}  // namespace fovea
