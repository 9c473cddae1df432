// Which values of a network lie on grids of integers, and the network with them. A value is rounded where it is made; pooling, concat and
// other moves keep it on its grid. Every quantised convolution gives a quantised value as long as another one comes after it, so that maps
// are kept as bytes throughout; the exact sum of its products, its residual and its activation lie before the rounding.
#include <algorithm>
#include <numeric>
#include <set>

#include "core/text.h"
#include "fovea/passes.h"
#include "fovea/quantize.h"
#include "graph/op.h"

namespace fovea {

namespace {

/// The spec in a node's attributes.
Attrs attrs_of(const QuantizeSpec& spec) {
    std::vector<std::int64_t> zero_point = spec.zero_point;
    if (zero_point.empty()) zero_point.assign(spec.scale.size(), 0);
    return {{"scale", spec.scale}, {"zero_point", zero_point}, {"axis", spec.axis}, {"low", spec.low}, {"high", spec.high}};
}

bool is_layer(const Node& node) {
    if (node.op->name == "linear") return true;
    // Convolutions of one pixel (squeeze-and-excitation) are little work and gate whole channels.
    return node.op->name == "conv2d" && (node.outputs[0].shape[2] != 1 || node.outputs[0].shape[3] != 1);
}

/// Ops whose results are some of the elements of their inputs: they stay on the grid of the inputs.
bool is_move(const Node& node) {
    static const std::set<std::string, std::less<>> moves{"max_pool2d", "adaptive_max_pool2d", "concat", "slice", "channel_shuffle", "pixel_shuffle", "pixel_unshuffle", "flip", "transpose"};
    return node.op->is_view || moves.contains(node.op->name);
}

bool matches(std::string_view text, std::string_view pattern) {
    if (pattern.empty()) return text.empty();
    if (pattern[0] == '*') return matches(text, pattern.substr(1)) || (!text.empty() && matches(text.substr(1), pattern));
    return !text.empty() && text[0] == pattern[0] && matches(text.substr(1), pattern.substr(1));
}

/// Layers of the graph without those to keep.
std::vector<int> chosen_layers(const Graph& graph, const std::vector<std::string>& keep) {
    std::vector<int> layers;
    std::vector<std::string> paths;
    for (const Node& node : graph.nodes())
        if (is_layer(node)) layers.push_back(node.id), paths.push_back(node.path);
    require<ArgumentError>(!layers.empty(), "quantise: the network has neither convolutions nor linear layers");
    std::set<int> kept;
    for (const std::string& pattern : keep) {
        if (pattern == "first") kept.insert(layers.front());
        else if (pattern == "last") kept.insert(layers.back());
        else {
            const std::size_t before = kept.size();
            bool is_known = false;
            for (const int id : layers)
                if (matches(graph.node(id).path, pattern)) kept.insert(id), is_known = true;
            require<ArgumentError>(is_known || kept.size() > before, "quantise: no layer '{}' to keep; nearest: {}", pattern, fmt::join(nearest_names(pattern, paths), ", "));
        }
    }
    std::erase_if(layers, [&](int id) { return kept.contains(id); });
    require<ArgumentError>(!layers.empty(), "quantise: every layer is kept in f32, nothing is left to quantise");
    return layers;
}

class Points {
public:
    explicit Points(const Graph& graph) : graph_(graph), parent_(graph.nodes().size()), is_output_(graph.nodes().size(), false), is_marked_(graph.nodes().size(), false), is_visited_(is_marked_) {
        std::iota(parent_.begin(), parent_.end(), 0);
        for (const auto& [name, value] : graph.outputs()) is_output_[static_cast<std::size_t>(value.id())] = true;
    }

    /// Output 0 of the node is to lie on a grid, wherever it is made.
    void need(const Value& value) {
        const Node& node = value.node();
        const auto id = static_cast<std::size_t>(node.id);
        if (value.output() != 0 || node.outputs[0].dtype != DType::f32 || is_visited_[id] || node.op->name == "parameter" || node.op->name == "constant") return;
        is_visited_[id] = true;
        if (!is_move(node)) {
            is_marked_[id] = !is_output_[id];
            return;
        }
        // The bytes of a view are row-major: what reads it is given the grid again.
        is_marked_[id] = node.op->is_view && !is_output_[id];
        for (std::size_t i = 0; i < node.inputs.size(); ++i) {
            if (node.inputs[i].is_empty() || !node.op->reads_values_of(i)) continue;
            join(node.id, node.inputs[i].id());
            need(node.inputs[i]);
        }
    }

    /// Maps that meet in a concat go on one grid where some of them are on one already.
    void join_concats() {
        for (bool has_changed = true; has_changed;) {
            has_changed = false;
            for (const Node& node : graph_.nodes()) {
                if (node.op->name != "concat" || is_visited_[static_cast<std::size_t>(node.id)]) continue;
                if (std::ranges::none_of(node.inputs, [&](const Value& v) { return is_on_grid(v); })) continue;
                need(Value(const_cast<Graph*>(&graph_), node.id, 0));
                has_changed = true;
            }
        }
    }

    [[nodiscard]] std::vector<std::vector<std::string>> groups() {
        std::map<int, std::vector<std::string>> by_root;
        std::vector<int> order;
        for (const Node& node : graph_.nodes()) {
            if (!is_marked_[static_cast<std::size_t>(node.id)]) continue;
            auto& group = by_root[root(node.id)];
            if (group.empty()) order.push_back(root(node.id));
            group.push_back(node.path);
        }
        std::vector<std::vector<std::string>> result;
        for (const int r : order) result.push_back(by_root[r]);
        return result;
    }

private:
    [[nodiscard]] bool is_on_grid(const Value& v) const {
        const Node& node = v.node();
        if (is_visited_[static_cast<std::size_t>(node.id)]) return true;
        return is_move(node) && node.op->name != "concat" && is_on_grid(node.inputs[0]);
    }
    int root(int id) {
        while (parent_[static_cast<std::size_t>(id)] != id) id = parent_[static_cast<std::size_t>(id)] = parent_[static_cast<std::size_t>(parent_[static_cast<std::size_t>(id)])];
        return id;
    }
    void join(int a, int b) { parent_[static_cast<std::size_t>(root(a))] = root(b); }

    const Graph& graph_;
    std::vector<int> parent_;
    std::vector<bool> is_output_, is_marked_, is_visited_;
};

/// Whether one of the layers comes after each node.
std::vector<bool> before_layers(const Graph& graph, const std::vector<int>& layers) {
    std::vector<bool> flags(graph.nodes().size(), false);
    const std::set<int> wanted(layers.begin(), layers.end());
    for (auto node = graph.nodes().rbegin(); node != graph.nodes().rend(); ++node) {
        if (!wanted.contains(node->id) && !flags[static_cast<std::size_t>(node->id)]) continue;
        for (const Value& input : node->inputs)
            if (!input.is_empty()) flags[static_cast<std::size_t>(input.id())] = true;
    }
    return flags;
}

QuantizeSpec spec_of(const Grid& grid) { return {.scale = {grid.scale}, .zero_point = {grid.zero_point}, .low = grid.low, .high = grid.high}; }

}  // namespace

Value quantize(const Value& x, const QuantizeSpec& spec, std::string_view name) { return x.graph().add("quantize", {x}, attrs_of(spec), name); }
Value dequantize(const Value& x, const QuantizeSpec& spec, std::string_view name) { return x.graph().add("dequantize", {x}, attrs_of(spec), name); }
Value fake_quantize(const Value& x, const QuantizeSpec& spec, std::string_view name) { return x.graph().add("fake_quantize", {x}, attrs_of(spec), name); }

QuantizationPlan plan_quantization(const Graph& fused, const std::vector<std::string>& keep) {
    for (const Node& node : fused.nodes())
        require<ArgumentError>(node.op->name != "fake_quantize", "quantise: the network is on grids already, from '{}' on; quantise the one in f32", node.path);
    const std::vector<int> layers = chosen_layers(fused, keep);
    const std::vector<bool> goes_on = before_layers(fused, layers);
    QuantizationPlan plan;
    Points points(fused);
    for (const int id : layers) {
        const Node& node = fused.node(id);
        plan.layers.push_back(node.path);
        points.need(node.inputs[0]);
        if (node.op->name != "conv2d") continue;
        if (node.inputs.size() > 3 && !node.inputs[3].is_empty()) points.need(node.inputs[3]);
        if (goes_on[static_cast<std::size_t>(id)]) points.need(Value(const_cast<Graph*>(&fused), id, 0));
    }
    points.join_concats();
    plan.groups = points.groups();
    return plan;
}

Graph put_on_grids(const Graph& fused, const QuantizationTable& table) {
    Graph result;
    Rewriter rewrite(fused, result);
    std::set<std::string, std::less<>> missing;
    for (const auto& [path, grid] : table.values) missing.insert(path);
    for (const auto& [path, scale] : table.weights) missing.insert(path);
    for (const Node& node : fused.nodes()) {
        const auto weights = table.weights.find(node.path);
        if (weights != table.weights.end() && (node.op->name == "conv2d" || node.op->name == "linear")) {
            missing.erase(node.path);
            require<ArgumentError>(static_cast<std::int64_t>(weights->second.size()) == node.inputs[1].shape()[0], "quantisation table: {} scales for the weight {} of '{}': it is of another network",
                                   weights->second.size(), node.inputs[1].shape(), node.path);
            std::vector<Value> inputs;
            for (const Value& input : node.inputs) inputs.push_back(rewrite(input));
            inputs[1] = fake_quantize(inputs[1], {.scale = weights->second, .axis = 0, .low = -127, .high = 127}, node.path + ".weight.quantized");
            rewrite.set(Value(const_cast<Graph*>(&fused), node.id, 0), result.add(node.op->name, inputs, node.attrs, node.path));
        } else {
            rewrite.copy(node);
        }
        const auto grid = table.values.find(node.path);
        if (grid == table.values.end() || node.op->name == "parameter") continue;
        missing.erase(node.path);
        const Value value(const_cast<Graph*>(&fused), node.id, 0);
        rewrite.set(value, fake_quantize(rewrite(value), spec_of(grid->second), node.path + ".quantized"));
    }
    require<ArgumentError>(missing.empty(), "quantisation table: the network has no '{}' ({} of the table's paths are missing): it is of another network", *missing.begin(), missing.size());
    rewrite.finish();
    return remove_dead_code(result);
}

Graph fused_for_inference(const Graph& network) { return fuse(fold_batch_norm(remove_dead_code(to_inference(network)))); }

Graph quantized(const Graph& network, const QuantizationTable& table) { return unfuse(put_on_grids(fused_for_inference(network), table)); }

Graph mark_weight_grids(const Graph& graph) {
    Graph result;
    Rewriter rewrite(graph, result);
    for (const Node& node : graph.nodes()) {
        const bool is_weighted = node.op->name == "conv2d" || node.op->name == "linear";
        const Node* grid = is_weighted ? &node.inputs[1].node() : nullptr;
        const bool is_known = grid && (grid->op->name == "fake_quantize" || grid->op->name == "dequantize") && (grid->attrs.reals("scale").size() == 1 || grid->attrs.integer("axis") == 0);
        const bool is_symmetric = is_known && std::ranges::all_of(grid->attrs.integers("zero_point"), [](auto z) { return z == 0; }) && grid->attrs.integer("low") >= -128 && grid->attrs.integer("high") <= 127;
        if (!is_symmetric || node.attrs.has("weight_scale")) {
            rewrite.copy(node);
            continue;
        }
        std::vector<double> scale = grid->attrs.reals("scale");
        scale.resize(static_cast<std::size_t>(node.inputs[1].shape()[0]), scale[0]);
        std::vector<Value> inputs;
        for (const Value& input : node.inputs) inputs.push_back(rewrite(input));
        Attrs attrs = node.attrs;
        attrs.set("weight_scale", scale);
        rewrite.set(Value(const_cast<Graph*>(&graph), node.id, 0), result.add(node.op->name, inputs, attrs, node.path));
    }
    rewrite.finish();
    return result;
}

}  // namespace fovea
