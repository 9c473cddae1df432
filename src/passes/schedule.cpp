#include <algorithm>
#include <set>

#include "fovea/passes.h"
#include "graph/op.h"

namespace fovea {

namespace {
// Gradients of small networks may wait: one pass over all parameters at the end costs fewer barriers than it saves memory.
constexpr std::int64_t waiting_bytes_limit = std::int64_t{4} << 20;
}  // namespace

Graph schedule_updates(const Graph& graph) {
    const std::size_t count = graph.nodes().size();
    // An update node: everything it makes goes into parameters and nowhere else.
    std::vector<bool> is_read(count, false), makes_update(count, false);
    std::vector<std::vector<int>> readers(count);
    for (const Node& node : graph.nodes())
        for (const Value& input : node.inputs)
            if (!input.is_empty()) {
                is_read[static_cast<std::size_t>(input.id())] = true;
                readers[static_cast<std::size_t>(input.id())].push_back(node.id);
            }
    for (const auto& [name, value] : graph.outputs()) is_read[static_cast<std::size_t>(value.id())] = true;
    for (const auto& [parameter, value] : graph.updates()) makes_update[static_cast<std::size_t>(value.id())] = true;
    const auto is_update = [&](const Node& node) {
        const auto id = static_cast<std::size_t>(node.id);
        return makes_update[id] && !is_read[id] && !node.inputs.empty();
    };

    Graph result;
    Rewriter rewrite(graph, result);
    std::vector<bool> emitted(count, false);
    std::vector<const Node*> waiting;
    std::int64_t waiting_bytes = 0;
    const auto emit = [&](const Node& node) {
        rewrite.copy(node);
        emitted[static_cast<std::size_t>(node.id)] = true;
    };
    const auto is_ready = [&](const Node& node) {
        for (const Value& input : node.inputs) {
            if (input.is_empty()) continue;
            if (!emitted[static_cast<std::size_t>(input.id())]) return false;
            if (input.node().op->name != "parameter") continue;
            for (int reader : readers[static_cast<std::size_t>(input.id())])
                if (reader != node.id && !emitted[static_cast<std::size_t>(reader)]) return false;
        }
        return true;
    };
    // What the caller gives, and numbers made of that (a learning rate), is there from the start: an optimiser is added last.
    const auto is_early = [&](const Node& node) {
        if (node.op->name == "input" || node.op->name == "parameter" || node.op->name == "constant") return true;
        return !node.inputs.empty() && !node.op->is_random && !is_update(node) && std::ranges::all_of(node.outputs, [](const Type& type) { return type.shape.rank() == 0; }) &&
               std::ranges::all_of(node.inputs, [&](const Value& input) { return input.is_empty() || (emitted[static_cast<std::size_t>(input.id())] && input.shape().rank() == 0); });
    };
    for (const Node& node : graph.nodes())
        if (is_early(node)) emit(node);
    // Updates wait from the start; those whose gradient exists count towards the limit.
    for (const Node& node : graph.nodes())
        if (is_update(node)) waiting.push_back(&node);
    for (const Node& node : graph.nodes()) {
        if (is_update(node) || emitted[static_cast<std::size_t>(node.id)]) continue;
        emit(node);
        for (int reader : readers[static_cast<std::size_t>(node.id)])
            if (is_update(graph.node(reader)) && !node.inputs.empty())
                for (const Type& type : node.outputs) waiting_bytes += type.shape.elements() * 4;
        if (waiting_bytes < waiting_bytes_limit) continue;
        // What the node made is used first: a kernel may do both at once.
        std::stable_partition(waiting.begin(), waiting.end(), [&](const Node* update) { return std::ranges::find(readers[static_cast<std::size_t>(node.id)], update->id) != readers[static_cast<std::size_t>(node.id)].end(); });
        std::erase_if(waiting, [&](const Node* update) {
            if (!is_ready(*update)) return false;
            emit(*update);
            return true;
        });
        waiting_bytes = 0;
    }
    for (const Node* update : waiting) emit(*update);
    rewrite.finish();
    return result;
}

}  // namespace fovea
