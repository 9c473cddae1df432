#include "fovea/passes.h"
#include "fovea/quantize.h"
#include "graph/op.h"
#include "ops/activation.h"

namespace fovea {

Graph unfuse(const Graph& graph) {
    Graph result;
    Rewriter rewrite(graph, result);
    for (const Node& node : graph.nodes()) {
        const std::string activation = node.attrs.text("activation");
        const bool has_residual = node.op->name == "conv2d" && node.inputs.size() > 3 && !node.inputs[3].is_empty();
        if (activation.empty() && !has_residual) {
            rewrite.copy(node);
            continue;
        }
        std::vector<Value> inputs;
        for (const Value& input : node.inputs) inputs.push_back(rewrite(input));
        if (has_residual) inputs.resize(inputs[2].is_empty() ? 2 : 3);
        Attrs attrs = node.attrs;
        for (const auto& [name, value] : node.attrs.items())
            if (name.starts_with("activation")) attrs.erase(name);
        Value y = result.add(node.op->name, inputs, attrs, node.path);
        if (has_residual) y = result.add("add", {y, rewrite(node.inputs[3])}, {}, node.path + ".add");
        if (!activation.empty()) y = result.add(activation, {y}, activation_attrs(node.attrs), node.path + "." + activation);
        rewrite.set(Value(const_cast<Graph*>(&graph), node.id, 0), y);
    }
    rewrite.finish();
    return remove_dead_code(result);
}

}  // namespace fovea
