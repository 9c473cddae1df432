#include "fovea/passes.h"
#include "graph/op.h"

namespace fovea {

Graph fold_batch_norm(const Graph& graph) {
    std::vector<int> uses(graph.nodes().size(), 0);
    for (const Node& node : graph.nodes())
        for (const Value& input : node.inputs)
            if (!input.is_empty()) ++uses[static_cast<std::size_t>(input.id())];
    for (const auto& [name, value] : graph.outputs()) ++uses[static_cast<std::size_t>(value.id())];

    Graph result;
    Rewriter rewrite(graph, result);
    std::vector<bool> is_folded(graph.nodes().size(), false);
    const auto layer_below = [&](const Node& norm) -> const Node* {
        const Node& below = norm.inputs[0].node();
        const bool is_layer = below.op->name == "conv2d" || below.op->name == "linear";
        const bool is_plain = below.attrs.text("activation").empty() && below.inputs.size() <= 3 && below.outputs[0].shape.rank() == (below.op->name == "linear" ? 2 : 4);
        return is_layer && is_plain && uses[static_cast<std::size_t>(below.id)] == 1 ? &below : nullptr;
    };
    for (const Node& node : graph.nodes())
        if (node.op->name == "batch_norm_inference")
            if (const Node* below = layer_below(node)) is_folded[static_cast<std::size_t>(below->id)] = true;
    for (const Node& node : graph.nodes()) {
        if (is_folded[static_cast<std::size_t>(node.id)]) continue;
        const Node* below = node.op->name == "batch_norm_inference" ? layer_below(node) : nullptr;
        if (!below) {
            rewrite.copy(node);
            continue;
        }
        const auto norm = [&](std::size_t i) { return rewrite(node.inputs[i]); };
        const Value weight = rewrite(below->inputs[1]), bias = below->inputs.size() > 2 ? rewrite(below->inputs[2]) : Value{};
        const Attrs eps{{"eps", node.attrs.real("eps")}};
        const Value folded_weight = result.add("fold_weight", {weight, norm(1), norm(4)}, eps, below->path + ".folded_weight");
        const Value folded_bias = result.add("fold_bias", {norm(1), norm(2), norm(3), norm(4), bias}, eps, below->path + ".folded_bias");
        Attrs attrs = below->attrs;
        attrs.set("fused_batch_norm", true);
        rewrite.set(Value(const_cast<Graph*>(&graph), node.id, 0), result.add(below->op->name, {rewrite(below->inputs[0]), folded_weight, folded_bias}, attrs, below->path));
    }
    for (const auto& [name, value] : graph.outputs()) result.output(name, rewrite(value));
    for (const auto& [name, value] : graph.modules())
        if (rewrite.has(value)) result.module_output(name, rewrite(value));
    return remove_dead_code(result);
}

}  // namespace fovea
