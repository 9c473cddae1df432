#include "fovea/passes.h"
#include "graph/op.h"

namespace fovea {

Value Rewriter::operator()(const Value& old) const {
    if (old.is_empty()) return {};
    const auto it = values_.find({old.id(), old.output()});
    require(it != values_.end(), "rewrite: '{}' is used but was not copied", old.path());
    return it->second;
}

void Rewriter::set(const Value& old, const Value& replacement) { values_[{old.id(), old.output()}] = replacement; }

Value Rewriter::copy(const Node& node) {
    bool is_set = true;
    for (std::size_t o = 0; o < node.outputs.size(); ++o) is_set &= values_.contains({node.id, static_cast<int>(o)});
    if (is_set) return values_.at({node.id, 0});
    Value made;
    if (node.op->name == "parameter") {
        const ParameterInfo& info = *from_.find_parameter(node.path);
        made = to_.parameter(info.name, info.type.shape, info.init, info.is_trainable, info.type.dtype);
    } else {
        std::vector<Value> inputs;
        for (const Value& input : node.inputs) inputs.push_back((*this)(input));
        made = to_.add(node.op->name, std::move(inputs), node.attrs, node.path);
    }
    for (std::size_t o = 0; o < node.outputs.size(); ++o) {
        const std::pair key{node.id, static_cast<int>(o)};
        if (!values_.contains(key)) values_[key] = made.sibling(static_cast<int>(o));
    }
    return values_.at({node.id, 0});
}

void Rewriter::finish() {
    for (const auto& [name, value] : from_.outputs()) to_.output(name, (*this)(value));
    for (const auto& [parameter, value] : from_.updates()) to_.update((*this)(parameter), (*this)(value));
    for (const auto& [name, value] : from_.modules())
        if (has(value)) to_.module_output(name, (*this)(value));
    to_.copy_fixed_scalars(from_);
}

std::vector<bool> reachable(const Graph& graph, std::span<const Value> roots) {
    std::vector<bool> needed(graph.nodes().size(), false);
    for (const Value& root : roots) needed[static_cast<std::size_t>(root.id())] = true;
    for (auto it = graph.nodes().rbegin(); it != graph.nodes().rend(); ++it) {
        if (!needed[static_cast<std::size_t>(it->id)]) continue;
        for (const Value& input : it->inputs)
            if (!input.is_empty()) needed[static_cast<std::size_t>(input.id())] = true;
    }
    return needed;
}

std::vector<bool> reachable(const Graph& graph) {
    std::vector<Value> roots;
    for (const auto& [name, value] : graph.outputs()) roots.push_back(value);
    for (const auto& [parameter, value] : graph.updates()) roots.push_back(parameter), roots.push_back(value);
    return reachable(graph, roots);
}

Graph remove_dead_code(const Graph& graph, bool keep_parameters) {
    const std::vector<bool> needed = reachable(graph);
    Graph result;
    Rewriter rewrite(graph, result);
    for (const Node& node : graph.nodes())
        if (needed[static_cast<std::size_t>(node.id)] || (keep_parameters && node.op->name == "parameter")) rewrite.copy(node);
    rewrite.finish();
    return result;
}

Graph specialize(const Graph& graph, const std::map<std::string, Shape>& input_shapes) {
    for (const auto& [name, shape] : input_shapes) {
        bool is_known = false;
        for (const Value& input : graph.inputs()) is_known |= input.path() == name;
        require<ArgumentError>(is_known, "there is no input '{}'", name);
    }
    Graph result;
    Rewriter rewrite(graph, result);
    for (const Node& node : graph.nodes()) {
        if (node.op->name != "input") {
            rewrite.copy(node);
            continue;
        }
        const Type& declared = node.outputs[0];
        const auto it = input_shapes.find(node.path);
        const Shape shape = it == input_shapes.end() ? declared.shape : it->second;
        bool fits = shape.rank() == declared.shape.rank();
        for (int i = 0; fits && i < shape.rank(); ++i) fits = declared.shape[i] == dynamic || declared.shape[i] == shape[i];
        require<ShapeError>(fits, "input '{}' is declared as {}, got {}", node.path, declared.shape, shape);
        rewrite.set(Value(const_cast<Graph*>(&graph), node.id, 0), result.input(node.path, shape, declared.dtype));
    }
    rewrite.finish();
    return result;
}

Graph to_inference(const Graph& graph) {
    Graph result;
    Rewriter rewrite(graph, result);
    const auto old = [&](const Node& node, int output) { return Value(const_cast<Graph*>(&graph), node.id, output); };
    for (const Node& node : graph.nodes()) {
        if (node.op->is_identity_at_inference) {
            if (rewrite.has(node.inputs[0])) rewrite.set(old(node, 0), rewrite(node.inputs[0]));  // not in a reverse pass
        } else if (node.op->name == "batch_norm") {
            std::vector<Value> inputs;
            for (const Value& input : node.inputs) inputs.push_back(rewrite(input));
            rewrite.set(old(node, 0), result.add("batch_norm_inference", inputs, {{"eps", node.attrs.real("eps")}}, node.path));
        } else {
            // What only training needs (updates of statistics, their inputs) has lost its sources and is left out.
            bool is_complete = true;
            for (const Value& input : node.inputs) is_complete &= input.is_empty() || rewrite.has(input);
            if (is_complete) rewrite.copy(node);
        }
    }
    for (const auto& [name, value] : graph.outputs())
        if (value.node().op->name != "auxiliary") result.output(name, rewrite(value));
    for (const auto& [name, value] : graph.modules())
        if (rewrite.has(value)) result.module_output(name, rewrite(value));
    result.copy_fixed_scalars(graph);
    return remove_dead_code(result, true);
}

Graph subgraph(const Graph& graph, std::span<const std::string> from, std::span<const std::string> to) {
    Graph result;
    Rewriter rewrite(graph, result);
    std::vector<Value> roots;
    for (const std::string& path : to) roots.push_back(graph.find(path));
    for (const std::string& path : from) {
        const Value cut = graph.find(path);
        rewrite.set(cut, result.input(path, cut.shape(), cut.dtype()));
    }
    // Walk back from the roots, stopping at the cuts.
    std::vector<bool> needed(graph.nodes().size(), false);
    for (const Value& root : roots) needed[static_cast<std::size_t>(root.id())] = !rewrite.has(root);
    for (auto it = graph.nodes().rbegin(); it != graph.nodes().rend(); ++it) {
        if (!needed[static_cast<std::size_t>(it->id)]) continue;
        for (const Value& input : it->inputs)
            if (!input.is_empty() && !rewrite.has(input)) needed[static_cast<std::size_t>(input.id())] = true;
    }
    for (const Node& node : graph.nodes())
        if (needed[static_cast<std::size_t>(node.id)]) rewrite.copy(node);
    for (std::size_t i = 0; i < to.size(); ++i) result.output(to[i], rewrite(roots[i]));
    return result;
}

}  // namespace fovea
