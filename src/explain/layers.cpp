// One row per node that computes from the image; parameters and operations as the convention counts them.
#include <algorithm>
#include <set>

#include "core/text.h"
#include "explain/conventions.h"
#include "fovea/passes.h"
#include "graph/op.h"

namespace fovea {

LayerKind kind_of(const Node& node) {
    const std::string& op = node.op->name;
    if (op == "conv2d" || op == "conv2d_backward_input" || op == "locally_connected2d") return LayerKind::convolution;
    if (op == "linear") return LayerKind::linear;
    if (op == "lrn") return LayerKind::response_norm;
    if (op == "batch_norm" || op == "batch_norm_inference") return LayerKind::batch_norm;
    if (op == "softmax" || op == "log_softmax") return LayerKind::softmax;
    if (op == "max_pool2d" || op == "avg_pool2d") return LayerKind::pool;
    const bool shrinks = node.inputs.size() == 1 && node.inputs[0].shape().rank() == 4 && node.outputs[0].shape.elements() < node.inputs[0].shape().elements();
    // An adaptive pool that finds the size it wants (VGG at 224) does nothing; a mean over rows and columns is a global pool.
    if (op == "adaptive_avg_pool2d" || op == "adaptive_max_pool2d") return shrinks ? LayerKind::pool : LayerKind::other;
    if (op == "mean" && shrinks && node.outputs[0].shape.elements(0, 2) == node.inputs[0].shape().elements(0, 2)) return LayerKind::pool;
    return LayerKind::other;
}

namespace {

std::string pair_text(std::int64_t h, std::int64_t w) { return h == w ? fmt::format("{}", h) : fmt::format("{}x{}", h, w); }

/// "conv(11, 96, s4)", "pool(3, 2)", "avg(7)", "fc(1000)", "norm"; the op's name for everything else.
std::string title_of(const Node& node, LayerKind kind) {
    const Attrs& attrs = node.attrs;
    const Shape& y = node.outputs[0].shape;
    if (kind == LayerKind::convolution) {
        const auto stride = attrs.integers("stride"), pads = attrs.integers("pad");
        const Shape& w = node.inputs[1].shape();
        const std::string kernel = attrs.has("kernel") ? pair_text(attrs.integers("kernel")[0], attrs.integers("kernel")[1]) : pair_text(w[2], w[3]);
        std::string text = fmt::format("{}({}, {}", node.op->name == "conv2d" ? "conv" : node.op->name == "locally_connected2d" ? "local" : "deconv", kernel, y[1]);
        if (std::ranges::any_of(pads, [](auto p) { return p != 0; })) text += std::ranges::count(pads, pads[0]) == 4 ? fmt::format(", p{}", pads[0]) : fmt::format(", p{}", fmt::join(pads, "/"));
        if (stride[0] != 1 || stride[1] != 1) text += ", s" + pair_text(stride[0], stride[1]);
        if (attrs.integer("groups", 1) != 1) text += fmt::format(", g{}", attrs.integer("groups"));
        return text + ")";
    }
    if (kind == LayerKind::linear) return fmt::format("fc({})", y[-1]);
    if (kind == LayerKind::response_norm) return "norm";
    if (kind == LayerKind::pool) {
        const std::string name = node.op->name.find("max") != std::string::npos ? "pool" : "avg";
        const Shape& x = node.inputs[0].shape();
        if (!attrs.has("kernel")) return y.rank() < 4 || (y[2] == 1 && y[3] == 1) ? fmt::format("{}({})", name, pair_text(x[2], x[3])) : fmt::format("{}(to {})", name, pair_text(y[2], y[3]));
        const auto kernel = attrs.integers("kernel"), stride = attrs.integers("stride");
        return fmt::format("{}({}, {})", name, pair_text(kernel[0], kernel[1]), pair_text(stride[0], stride[1]));
    }
    return kind == LayerKind::batch_norm ? "batch_norm" : node.op->name;
}

class Counter {
public:
    Counter(const Graph& graph, const LayerTableSpec& spec) : graph_(graph), spec_(spec), keras_(keras_form(spec.model)) {
        std::int64_t scalars = 0;
        for (const ParameterInfo& info : graph.parameters()) scalars += info.is_trainable ? info.type.shape.elements() : 0;
        has_fixed_scalars_ = scalars != graph.trainable_scalars();
        depends_.resize(graph.nodes().size());
        weights_.resize(graph.nodes().size());
        is_counted_.resize(graph.nodes().size());
        sampled_twice_.resize(graph.nodes().size());
        for (const Node& node : graph.nodes()) {
            for (const Value& input : node.inputs) {
                if (input.is_empty()) continue;
                depends_[at(node)] = depends_[at(node)] || depends_[at(input)];
                if (is_sampling_slice(node) && is_sampling_slice(input.node())) sampled_twice_[at(input)] = true;
            }
            if (op(node) == "input") depends_[at(node)] = true;
            if (op(node) == "parameter") weights_[at(node)] = {node.id};
            // A weight that is masked or reshaped first belongs to the layer that uses the result.
            if (!depends_[at(node)])
                for (const Value& input : node.inputs)
                    if (!input.is_empty()) weights_[at(node)].insert(weights_[at(node)].end(), weights_[at(input)].begin(), weights_[at(input)].end());
        }
    }

    [[nodiscard]] bool is_layer(const Node& node) const { return depends_[at(node)] && !node.inputs.empty(); }

    /// Whether the convention has a row for it.
    [[nodiscard]] bool is_shown(LayerKind kind, const Layer& layer) const {
        if (spec_.convention != Convention::sifre && spec_.convention != Convention::cs231n) return true;
        return (kind != LayerKind::other && kind != LayerKind::batch_norm) || layer.parameters > 0 || layer.operations > 0;
    }

    [[nodiscard]] std::int64_t parameters(const Node& node, LayerKind kind) {
        std::int64_t total = 0;
        for (std::size_t i = 0; i < node.inputs.size(); ++i) {
            if (node.inputs[i].is_empty() || depends_[at(node.inputs[i])]) continue;
            for (int id : weights_[at(node.inputs[i])]) {
                if (is_counted_[static_cast<std::size_t>(id)]) continue;
                is_counted_[static_cast<std::size_t>(id)] = true;
                total += counted(*graph_.find_parameter(graph_.node(id).path), kind, i);
                if (i == 1 && kind == LayerKind::convolution) total += missing_bias(node);
                if (i == 1 && kind == LayerKind::linear && spec_.convention == Convention::sifre && !has(node, 2)) total += node.outputs[0].shape[-1];
            }
        }
        return total;
    }

    [[nodiscard]] std::int64_t operations(const Node& node, LayerKind kind) {
        const Cost cost = cost_of(node);
        if (spec_.convention != Convention::sifre) return cost.macs;
        const std::int64_t volume = node.outputs[0].shape.elements();
        switch (kind) {
            // Parameters x height x width: the bias counts as one operation per output.
            case LayerKind::convolution: return cost.macs + volume + sampled(node);
            case LayerKind::linear: return cost.macs + volume;
            case LayerKind::pool: return node.inputs[0].shape().elements();
            case LayerKind::response_norm:
            case LayerKind::softmax: return volume;
            case LayerKind::batch_norm:
            case LayerKind::other: break;
        }
        require(cost.macs == 0, "the sifre convention has no rule for {} '{}'", node.op->name, node.path);
        return is_sampling_slice(node) && !sampled_twice_[at(node)] ? volume : 0;
    }

private:
    static std::size_t at(const Node& node) { return static_cast<std::size_t>(node.id); }
    static std::size_t at(const Value& value) { return static_cast<std::size_t>(value.id()); }
    static const std::string& op(const Node& node) { return node.op->name; }
    static bool has(const Node& node, std::size_t input) { return node.inputs.size() > input && !node.inputs[input].is_empty(); }
    static bool is_sampling_slice(const Node& node) { return op(node) == "slice" && node.attrs.integer("step") > 1; }

    /// Scalars of one parameter that the convention counts at input `i` of a layer.
    [[nodiscard]] std::int64_t counted(const ParameterInfo& info, LayerKind kind, std::size_t i) const {
        const std::int64_t trained = !info.is_trainable ? 0 : has_fixed_scalars_ ? trained_alone(info) : info.type.shape.elements();
        switch (spec_.convention) {
            case Convention::torch:
            case Convention::paper: return trained;
            case Convention::keras:
                if (kind == LayerKind::batch_norm && i >= 3) return info.type.shape.elements();
                return kind == LayerKind::batch_norm && i == 1 && !keras_.has_norm_scale ? 0 : trained;
            case Convention::sifre: return kind == LayerKind::batch_norm ? 0 : trained;
            case Convention::cs231n: return i == 1 && (kind == LayerKind::convolution || kind == LayerKind::linear) ? trained : 0;
        }
        return 0;
    }

    /// What is trained of one parameter, without its masked scalars.
    [[nodiscard]] std::int64_t trained_alone(const ParameterInfo& info) const {
        Graph alone;
        (void)alone.parameter(info.name, info.type.shape);
        alone.copy_fixed_scalars(graph_);
        return alone.trainable_scalars();
    }

    [[nodiscard]] std::int64_t missing_bias(const Node& node) const {
        if (has(node, node.op->name == "conv2d_backward_input" ? 3 : 2)) return 0;
        const bool is_added = spec_.convention == Convention::sifre || (spec_.convention == Convention::keras && keras_.adds_conv_bias);
        return is_added ? node.outputs[0].shape[1] : 0;
    }

    /// A 1 x 1 convolution with a stride reads every other position: so many are sampled, once for all that read the same sample.
    [[nodiscard]] std::int64_t sampled(const Node& node) {
        if (op(node) != "conv2d" || node.inputs[1].shape()[2] != 1 || node.inputs[1].shape()[3] != 1) return 0;
        const auto stride = node.attrs.integers("stride");
        if (stride[0] == 1 && stride[1] == 1) return 0;
        const Value& x = node.inputs[0];
        if (!samples_.insert({x.id(), x.output(), stride[0], stride[1]}).second) return 0;
        const Shape& y = node.outputs[0].shape;
        return y[0] * x.shape()[1] * y[2] * y[3];
    }

    const Graph& graph_;
    const LayerTableSpec& spec_;
    KerasForm keras_;
    bool has_fixed_scalars_ = false;
    std::vector<bool> depends_, is_counted_, sampled_twice_;
    std::vector<std::vector<int>> weights_;  // parameter nodes behind a node that does not depend on the image
    std::set<std::array<std::int64_t, 4>> samples_;
};

void add_row(LayerTable& table, Layer layer) {
    table.parameters += layer.parameters;
    table.operations += layer.operations;
    table.volume += layer.volume;
    table.activation_bytes += layer.activation_bytes;
    table.layers.push_back(std::move(layer));
}

/// The nodes to count: those the answer needs; with training those every output needs.
std::vector<bool> wanted_nodes(const Graph& graph, bool is_training) {
    std::vector<Value> roots;
    for (const auto& [name, value] : graph.outputs())
        if (is_training || name == "out") roots.push_back(value);
    if (roots.empty())
        for (const auto& [name, value] : graph.outputs()) roots.push_back(value);
    return reachable(graph, roots);
}

}  // namespace

std::int64_t LayerTable::largest(std::int64_t Layer::*column) const {
    std::int64_t most = 0;
    for (std::size_t i = 1; i < layers.size(); ++i) most = std::max(most, layers[i].*column);
    return most;
}

const Layer& LayerTable::at(std::string_view path) const {
    std::vector<std::string> paths;
    for (const Layer& layer : layers) {
        if (layer.path == path) return layer;
        paths.push_back(layer.path);
    }
    fail<ArgumentError>("the table of '{}' has no layer '{}'; nearest: {}", model, path, fmt::join(nearest_names(path, paths), ", "));
}

std::int64_t LayerTable::sum(std::int64_t Layer::*column, std::string_view prefix) const {
    const std::string below = std::string(prefix) + ".";
    std::int64_t total = 0;
    for (const Layer& layer : layers)
        if (layer.path == prefix || layer.path.starts_with(below)) total += layer.*column;
    return total;
}

LayerTable layer_table(const Graph& graph, const Shape& input, const LayerTableSpec& spec) {
    const std::vector<Value> inputs = graph.inputs();
    require<ArgumentError>(!inputs.empty(), "summary: the network has no input");
    const std::map<std::string, Shape> shapes{{inputs.front().path(), input}};
    const Graph fixed = spec.is_training ? specialize(graph, shapes) : specialize(to_inference(graph), shapes);
    const std::vector<bool> is_wanted = wanted_nodes(fixed, spec.is_training);
    const auto fields = receptive_fields(fixed);
    Counter counter(fixed, spec);
    LayerTable table{.model = spec.model, .convention = spec.convention, .input = input};
    const std::int64_t of_picture = spec.convention == Convention::keras ? keras_form(spec.model).of_picture : 0;
    add_row(table, {.path = inputs.front().path(), .op = "input", .title = "input", .output = input, .parameters = of_picture, .volume = input.elements(), .activation_bytes = input.elements() * 4});
    bool has_softmax = false;
    for (const Node& node : fixed.nodes()) {
        if (!is_wanted[static_cast<std::size_t>(node.id)] || !counter.is_layer(node)) continue;
        const LayerKind kind = kind_of(node);
        Layer layer{.path = node.path, .op = node.op->name, .title = title_of(node, kind), .output = node.outputs[0].shape};
        layer.parameters = counter.parameters(node, kind);
        layer.operations = counter.operations(node, kind);
        layer.volume = layer.output.elements();
        layer.activation_bytes = node.op->is_view ? 0 : layer.volume * static_cast<std::int64_t>(size_of(node.outputs[0].dtype));
        if (const auto& field = fields[static_cast<std::size_t>(node.id)]) layer.field = *field;
        has_softmax |= kind == LayerKind::softmax;
        if (counter.is_shown(kind, layer)) add_row(table, std::move(layer));
    }
    // The convention's tables end with the softmax, which our networks leave to the loss. Its two small-net tables count it as 0.
    const Layer& last = table.layers.back();
    if (spec.convention == Convention::sifre && !has_softmax && last.output.rank() == 2)
        add_row(table, {.path = "softmax", .op = "softmax", .title = "softmax", .output = last.output, .operations = spec.model.starts_with("small_") ? 0 : last.volume, .volume = last.volume,
                        .activation_bytes = last.activation_bytes, .field = last.field});
    return table;
}

LayerTable layer_table(std::string_view model, Convention convention, const ModelOptions& options) {
    const ModelCard& card = find_model(model);
    const Graph graph = build_model(model, options);
    Shape input = graph.inputs().front().shape();
    input[0] = 1;
    return layer_table(graph, input, {.convention = convention, .model = card.name});
}

}  // namespace fovea
