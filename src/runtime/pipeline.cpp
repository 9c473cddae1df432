#include "runtime/pipeline.h"

#include "backends/reference/interpreter.h"
#include "fovea/passes.h"
#include "fovea/quantize.h"

namespace fovea {

namespace {

bool is_source(const Node& node) { return node.op->name == "input" || node.op->name == "parameter" || node.op->name == "constant"; }

/// Flags the nodes whose inputs are all flagged, starting from `is_start`; shape-only inputs do not count.
template <class F> std::vector<bool> depends_only_on(const Graph& graph, F&& is_start) {
    std::vector<bool> flags(graph.nodes().size(), false);
    for (const Node& node : graph.nodes()) {
        bool all = !is_source(node) && !node.op->is_random && !is_collective(node) && node.op->reference != nullptr;
        for (std::size_t i = 0; i < node.inputs.size(); ++i) {
            const Value& input = node.inputs[i];
            if (!input.is_empty() && node.op->reads_values_of(i)) all &= flags[static_cast<std::size_t>(input.id())];
        }
        flags[static_cast<std::size_t>(node.id)] = is_source(node) ? is_start(node) : all;
    }
    return flags;
}

/// Values of flagged nodes that unflagged nodes or outputs read.
std::vector<Value> frontier(const Graph& graph, const std::vector<bool>& flags) {
    std::set<std::pair<int, int>> seen;
    std::vector<Value> values;
    const auto visit = [&](const Value& value) {
        if (flags[static_cast<std::size_t>(value.id())] && !is_source(value.node()) && seen.insert({value.id(), value.output()}).second) values.push_back(value);
    };
    for (const Node& node : graph.nodes()) {
        if (flags[static_cast<std::size_t>(node.id)]) continue;
        for (std::size_t i = 0; i < node.inputs.size(); ++i)
            if (!node.inputs[i].is_empty()) visit(node.inputs[i]);
    }
    for (const auto& [name, value] : graph.outputs()) visit(value);
    for (const auto& [parameter, value] : graph.updates()) visit(value);
    return values;
}

}  // namespace

Graph fold_constants(const Graph& graph) {
    const std::vector<bool> constant = depends_only_on(graph, [](const Node& node) { return node.op->name == "constant"; });
    const std::vector<Value> wanted = frontier(graph, constant);
    if (wanted.empty()) return graph.clone();
    const std::vector<Tensor> values = interpret(graph, wanted, {}, {});  // in f64, rounded once when it is used
    Graph result;
    Rewriter rewrite(graph, result);
    for (std::size_t i = 0; i < wanted.size(); ++i) rewrite.set(wanted[i], result.constant(values[i], wanted[i].path()));
    for (const Node& node : graph.nodes())
        if (!constant[static_cast<std::size_t>(node.id)] || is_source(node)) rewrite.copy(node);
    rewrite.finish();
    return remove_dead_code(result);
}

Graph hoist_prologue(const Graph& graph, Graph& prologue, std::set<std::string>& derived) {
    const std::vector<bool> fixed = depends_only_on(graph, [](const Node& node) { return node.op->name != "input"; });
    const std::vector<Value> wanted = frontier(graph, fixed);
    if (wanted.empty()) return graph.clone();
    prologue = graph.clone();
    prologue.clear_outputs();
    prologue.clear_updates();
    Graph result;
    Rewriter rewrite(graph, result);
    for (const Value& value : wanted) {
        const std::string name = fmt::format("derived:{}.{}", value.path(), value.output());
        prologue.output(name, Value(&prologue, value.id(), value.output()));
        derived.insert(name);
        rewrite.set(value, result.parameter(name, value.shape(), {}, false, value.dtype()));
    }
    prologue = remove_dead_code(prologue);
    for (const Node& node : graph.nodes())
        if (!fixed[static_cast<std::size_t>(node.id)] || is_source(node)) rewrite.copy(node);
    for (const auto& [name, value] : graph.outputs()) result.output(name, rewrite(value));
    return remove_dead_code(result);
}

Graph run_passes(const Graph& graph, const std::map<std::string, Shape>& input_shapes, const CompileOptions& options, Graph& prologue, std::set<std::string>& derived) {
    const auto done = [&](std::string_view name, Graph result) {
        if (options.on_pass) options.on_pass(name, result);
        return result;
    };
    Graph g = done("specialized", specialize(graph, input_shapes));
    if (options.inference) g = done("inference", to_inference(g));
    g = done("live", remove_dead_code(g));
    g = done("constants", fold_constants(g));
    if (options.inference && options.fuse) g = done("folded", fold_batch_norm(g));
    if (options.fuse) g = done("fused", fuse(g));
    if (options.inference) g = mark_weight_grids(g);
    if (has_reductions(g)) g = done("overlapped", overlap_reductions(g));
    if (!g.updates().empty()) g = done("scheduled", schedule_updates(g));
    if (options.inference && g.updates().empty()) g = done("prologue", hoist_prologue(g, prologue, derived));
    return g;
}

}  // namespace fovea
