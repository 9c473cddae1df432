#include "runtime/placement.h"

namespace fovea {

namespace {

class Placement {
public:
    Placement(const Graph& graph, const Backend& backend, const PlanContext& context) : graph_(graph), backend_(backend), context_(context) {
        for (const Node& node : graph.nodes())
            for (std::size_t i = 0; i < node.inputs.size(); ++i)
                if (!node.inputs[i].is_empty() && node.op->reads_values_of(i)) readers_[key(node.inputs[i])].emplace_back(&node, static_cast<int>(i));
    }

    /// Outer concats first: they decide where the inner ones lie.
    std::map<ValueKey, Slice> run() {
        const auto& nodes = graph_.nodes();
        for (auto node = nodes.rbegin(); node != nodes.rend(); ++node)
            if (node->op->name == "concat" && node->attrs.integer("axis") == 1 && node->inputs.size() > 1 && !node->attrs.flag("made_again")) place_parts(*node);
        return std::move(homes_);
    }

private:
    static ValueKey key(const Value& value) { return {value.id(), value.output()}; }

    void place_parts(const Node& concat) {
        const auto own = homes_.find({concat.id, 0});
        const int whole = own == homes_.end() ? concat.id : own->second.whole;
        std::int64_t at = own == homes_.end() ? 0 : own->second.first;
        for (const Value& part : concat.inputs) {
            const std::int64_t first = at;
            at += part.shape().rank() == 4 ? part.shape()[1] : 0;
            if (homes_.contains(key(part)) || !is_movable(part, concat)) continue;
            if (const auto layouts = backend_.joined(part.type(), graph_.node(whole).outputs[0], context_)) homes_[key(part)] = {whole, first, at, layouts->part, layouts->whole};
        }
    }

    [[nodiscard]] bool is_movable(const Value& part, const Node& concat) const {
        const std::string& op = part.node().op->name;
        if (op == "input" || op == "parameter" || op == "constant" || part.node().op->is_view) return false;
        return std::ranges::all_of(readers_.at(key(part)), [&](const auto& reader) { return reader.first == &concat || backend_.reads_slice(*reader.first, reader.second); });
    }

    const Graph& graph_;
    const Backend& backend_;
    const PlanContext& context_;
    std::map<ValueKey, std::vector<std::pair<const Node*, int>>> readers_;
    std::map<ValueKey, Slice> homes_;
};

}  // namespace

std::map<ValueKey, Slice> plan_placement(const Graph& graph, const Backend& backend, const PlanContext& context) { return Placement(graph, backend, context).run(); }

}  // namespace fovea
