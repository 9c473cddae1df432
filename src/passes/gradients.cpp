// Reverse mode: one sweep from the outputs to the inputs, appending the gradient nodes each op's rule asks for.
#include <algorithm>
#include <map>
#include <set>

#include "fovea/ops.h"
#include "fovea/passes.h"
#include "graph/op.h"

namespace fovea {

namespace {

using Key = std::pair<int, int>;  // (node, output)
Key key_of(const Value& value) { return {value.id(), value.output()}; }

bool is_real(const Value& value) { return value.dtype() == DType::f32; }

/// Nodes on a path from some x to some y: only they get gradients.
std::vector<bool> nodes_between(const Graph& graph, std::span<const Value> xs, std::span<const Value> ys) {
    const std::vector<bool> needed = reachable(graph, ys);
    std::vector<bool> moves(graph.nodes().size(), false), between(graph.nodes().size(), false);
    for (const Value& x : xs) moves[static_cast<std::size_t>(x.id())] = true;
    for (const Node& node : graph.nodes()) {
        const auto id = static_cast<std::size_t>(node.id);
        for (std::size_t i = 0; i < node.inputs.size(); ++i) {
            const Value& input = node.inputs[i];
            if (input.is_empty() || !node.op->reads_values_of(i) || !is_real(input)) continue;
            if (moves[static_cast<std::size_t>(input.id())]) moves[id] = true;
        }
        between[id] = moves[id] && needed[id];
    }
    return between;
}

/// Gradients of values, summed as they arrive.
class Sums {
public:
    void add(const Value& of, const Value& gradient) {
        if (gradient.is_empty()) return;
        require<ShapeError>(gradient.shape() == of.shape(), "gradient of '{}': its shape is {}, the value's {}", of.path(), gradient.shape(), of.shape());
        Value& sum = sums_[key_of(of)];
        sum = sum.is_empty() ? gradient : fovea::add(sum, gradient);
    }
    [[nodiscard]] Value at(const Value& of) const {
        const auto it = sums_.find(key_of(of));
        return it == sums_.end() ? Value{} : it->second;
    }

private:
    std::map<Key, Value> sums_;
};

/// The reverse sweep. Partial: every x is held fixed while another moves, even when one is computed from the other.
std::vector<Value> sweep(std::span<const Value> ys, std::span<const Value> xs, std::span<const Value> cotangents, bool is_partial);

/// The gradients of one node's inputs by its rule or, where it has none, through its expansion into simpler ops.
std::vector<Value> input_gradients(Graph& graph, const Node& node, std::span<const Value> dy) {
    if (node.op->gradient) {
        Values result = node.op->gradient(Grad(node, dy, graph));
        while (result.size() > node.inputs.size() && result.back().is_empty()) result.pop_back();  // optional inputs that are absent
        require(result.size() <= node.inputs.size(), "gradient rule of '{}' gives {} values for {} inputs", node.op->name, result.size(), node.inputs.size());
        result.resize(node.inputs.size());
        return result;
    }
    require<ArgumentError>(node.op->expand != nullptr, "'{}' has no derivative: op '{}' has neither a gradient rule nor an expansion", node.path, node.op->name);
    const std::vector<Value> inputs = node.inputs;  // by value: the expansion appends nodes
    const Values expanded = node.op->expand(node);
    std::vector<Value> ys, cotangents, xs;
    for (std::size_t i = 0; i < expanded.size() && i < dy.size(); ++i) {
        if (dy[i].is_empty() || expanded[i].is_empty()) continue;
        ys.push_back(expanded[i]);
        cotangents.push_back(dy[i]);
    }
    for (const Value& input : inputs)
        if (!input.is_empty() && is_real(input)) xs.push_back(input);
    const std::vector<Value> dx = sweep(ys, xs, cotangents, true);
    std::vector<Value> result(inputs.size());
    for (std::size_t i = 0, next = 0; i < inputs.size(); ++i) {
        if (inputs[i].is_empty() || !is_real(inputs[i])) continue;
        // A value given twice gets its whole gradient once.
        if (std::find(inputs.begin(), inputs.begin() + static_cast<std::ptrdiff_t>(i), inputs[i]) == inputs.begin() + static_cast<std::ptrdiff_t>(i)) result[i] = dx[next];
        ++next;
    }
    return result;
}

std::vector<Value> sweep(std::span<const Value> ys, std::span<const Value> xs, std::span<const Value> cotangents, bool is_partial) {
    require<ArgumentError>(ys.size() == cotangents.size(), "gradients: {} outputs but {} cotangents", ys.size(), cotangents.size());
    if (ys.empty()) return std::vector<Value>(xs.size());
    Graph& graph = ys.front().graph();
    const std::vector<bool> between = nodes_between(graph, xs, ys);
    std::set<Key> stops;  // a partial sweep does not go past an x
    for (const Value& x : xs)
        if (is_partial) stops.insert(key_of(x));
    Sums sums;
    int last = 0;
    for (std::size_t i = 0; i < ys.size(); ++i) {
        Value seed = cotangents[i];
        if (seed.is_empty()) seed = expand_to(scalar(graph, 1.0), ys[i]);
        sums.add(ys[i], seed);
        last = std::max(last, ys[i].id());
    }
    for (int id = last; id >= 0; --id) {
        if (!between[static_cast<std::size_t>(id)]) continue;
        const Node node = graph.node(id);  // by value: rules append nodes
        if (node.inputs.empty()) continue;
        std::vector<Value> dy;
        bool is_wanted = false;
        for (std::size_t o = 0; o < node.outputs.size(); ++o) {
            const Value y(&graph, id, static_cast<int>(o));
            dy.push_back(stops.contains(key_of(y)) ? Value{} : sums.at(y));
            is_wanted |= !dy.back().is_empty();
        }
        bool has_moving_input = false;
        for (const Value& input : node.inputs) has_moving_input |= !input.is_empty() && between[static_cast<std::size_t>(input.id())];
        if (!is_wanted || !has_moving_input) continue;
        const std::vector<Value> dx = input_gradients(graph, node, dy);
        for (std::size_t i = 0; i < dx.size(); ++i) {
            const Value& input = node.inputs[i];
            if (!input.is_empty() && between[static_cast<std::size_t>(input.id())]) sums.add(input, dx[i]);
        }
    }
    std::vector<Value> result;
    for (const Value& x : xs) result.push_back(sums.at(x));
    return result;
}

}  // namespace

std::vector<Value> gradients(std::span<const Value> ys, std::span<const Value> xs, std::span<const Value> cotangents) { return sweep(ys, xs, cotangents, false); }

std::vector<Value> gradients(const Value& y, std::span<const Value> xs, const Value& cotangent) { return gradients({&y, 1}, xs, {&cotangent, 1}); }

std::vector<Value> jvp(std::span<const Value> ys, std::span<const Value> xs, std::span<const Value> tangents) {
    require<ArgumentError>(xs.size() == tangents.size(), "jvp: {} inputs but {} tangents", xs.size(), tangents.size());
    if (ys.empty()) return {};
    Graph& graph = ys.front().graph();
    const auto zero_like = [&](const Value& y) { return expand_to(scalar(graph, 0.0), y); };
    // g(u) = J^T u is linear in u whatever u is: zeros will do as the point at which it is differentiated again.
    std::vector<Value> us;
    for (const Value& y : ys) us.push_back(zero_like(y));
    const std::vector<Value> g = gradients(ys, xs, us);
    std::vector<Value> outputs, directions;
    for (std::size_t i = 0; i < g.size(); ++i) {
        if (g[i].is_empty()) continue;
        outputs.push_back(g[i]);
        directions.push_back(tangents[i]);
    }
    std::vector<Value> result = outputs.empty() ? std::vector<Value>(ys.size()) : gradients(outputs, us, directions);
    for (std::size_t i = 0; i < ys.size(); ++i)
        if (result[i].is_empty()) result[i] = zero_like(ys[i]);
    return result;
}

Value jvp(const Value& y, std::span<const Value> xs, std::span<const Value> tangents) { return jvp(std::span(&y, 1), xs, tangents).front(); }

}  // namespace fovea
