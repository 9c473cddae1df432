#include <algorithm>

#include "fovea/passes.h"
#include "graph/op.h"

namespace fovea {

namespace {

bool is_late(const Node& node) { return node.op->name.starts_with("all_reduce_") && node.attrs.flag("late"); }
bool is_begin(const Node& node) { return is_late(node) && node.op->name == "all_reduce_begin"; }
bool is_end(const Node& node) { return is_late(node) && node.op->name == "all_reduce_end"; }

}  // namespace

bool has_reductions(const Graph& graph) { return std::ranges::any_of(graph.nodes(), is_late); }

Graph overlap_reductions(const Graph& graph) {
    const std::size_t count = graph.nodes().size();
    std::vector<bool> waits(count, false);          // an end, or behind one
    std::vector<std::vector<const Node*>> begins(count);  // what may begin when a node is done
    for (const Node& node : graph.nodes()) {
        bool is = is_end(node);
        int last = 0;
        for (const Value& input : node.inputs)
            if (!input.is_empty()) {
                is |= waits[static_cast<std::size_t>(input.id())];
                last = std::max(last, input.id());
            }
        waits[static_cast<std::size_t>(node.id)] = is;
        if (is_begin(node) && !is) begins[static_cast<std::size_t>(last)].push_back(&node);
    }
    Graph result;
    Rewriter rewrite(graph, result);
    std::vector<bool> emitted(count, false);
    const auto emit = [&](const Node& node) {
        rewrite.copy(node);
        emitted[static_cast<std::size_t>(node.id)] = true;
    };
    for (const Node& node : graph.nodes()) {
        if (waits[static_cast<std::size_t>(node.id)] || is_begin(node)) continue;
        emit(node);
        for (const Node* begin : begins[static_cast<std::size_t>(node.id)]) emit(*begin);
    }
    // Behind each end everything that waited for it alone: the next sums still travel meanwhile.
    std::vector<const Node*> ends, others;
    for (const Node& node : graph.nodes())
        if (waits[static_cast<std::size_t>(node.id)]) (is_end(node) ? ends : others).push_back(&node);
    const auto is_ready = [&](const Node* node) {
        return std::ranges::all_of(node->inputs, [&](const Value& input) { return input.is_empty() || emitted[static_cast<std::size_t>(input.id())]; });
    };
    for (const Node* end : ends) {
        emit(*end);
        std::erase_if(others, [&](const Node* node) {
            const bool is = is_ready(node);
            if (is) emit(*node);
            return is;
        });
    }
    require(others.empty(), "overlap: '{}' waits for sums that are not begun", others.empty() ? "" : others.front()->path);
    rewrite.finish();
    return result;
}

}  // namespace fovea
