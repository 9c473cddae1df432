#include <algorithm>

#include "fovea/graph.h"

#include "graph/op.h"

namespace fovea {

Graph& Value::graph() const {
    require<ArgumentError>(graph_ != nullptr, "an empty value is used: it belongs to no graph");
    return *graph_;
}
const Node& Value::node() const { return graph().node(node_); }
const Type& Value::type() const { return node().outputs[static_cast<std::size_t>(output_)]; }
const std::string& Value::path() const { return node().path; }

Graph::Graph(Graph&& other) noexcept { *this = std::move(other); }

Graph& Graph::operator=(Graph&& other) noexcept {
    nodes_ = std::move(other.nodes_);
    parameters_ = std::move(other.parameters_);
    parameter_nodes_ = std::move(other.parameter_nodes_);
    fixed_scalars_ = std::move(other.fixed_scalars_);
    outputs_ = std::move(other.outputs_);
    updates_ = std::move(other.updates_);
    modules_ = std::move(other.modules_);
    path_uses_ = std::move(other.path_uses_);
    prefix_ = std::move(other.prefix_);
    rebind();
    return *this;
}

Graph Graph::clone() const {
    Graph copy;
    copy.nodes_ = nodes_;
    copy.parameters_ = parameters_;
    copy.parameter_nodes_ = parameter_nodes_;
    copy.fixed_scalars_ = fixed_scalars_;
    copy.outputs_ = outputs_;
    copy.updates_ = updates_;
    copy.modules_ = modules_;
    copy.path_uses_ = path_uses_;
    copy.prefix_ = prefix_;
    copy.rebind();
    return copy;
}

void Graph::rebind() {
    const auto here = [this](Value& value) {
        if (!value.is_empty()) value = Value(this, value.id(), value.output());
    };
    for (Node& node : nodes_)
        for (Value& input : node.inputs) here(input);
    for (auto& [name, value] : outputs_) here(value);
    for (auto& [parameter, value] : updates_) here(parameter), here(value);
    for (auto& [name, value] : modules_) here(value);
}

Graph::Scope::Scope(Graph& graph, std::string_view name) : graph_(graph), length_(graph.prefix_.size()) {
    if (!name.empty()) graph_.prefix_ += std::string(name) + ".";
}
Graph::Scope::~Scope() { graph_.prefix_.resize(length_); }

std::string Graph::path_of(std::string_view name) const { return prefix_ + std::string(name); }

std::string Graph::next_path(std::string_view name) const {
    const std::string wanted = path_of(name);
    std::string path = wanted;
    const auto taken = path_uses_.find(wanted);
    for (int uses = taken == path_uses_.end() ? 0 : taken->second; uses > 0 && path_uses_.contains(path); ++uses) path = fmt::format("{}_{}", wanted, uses);
    return path;
}

std::string Graph::unique_path(std::string_view name, std::string_view op) {
    const std::string wanted = path_of(name.empty() ? op : name);
    std::string path = wanted;
    // The first keeps its name; further ones (a shared layer, unnamed nodes) are numbered.
    for (int& uses = path_uses_[wanted]; path_uses_.contains(path) && uses > 0; ++uses) {
        path = fmt::format("{}_{}", wanted, uses);
        if (!path_uses_.contains(path)) break;
    }
    ++path_uses_[wanted];
    if (path != wanted) path_uses_[path] = 1;
    return path;
}

Value Graph::input(std::string_view name, const Shape& shape, DType dtype) {
    for (const Value& other : inputs()) require<ArgumentError>(other.path() != name, "input '{}' is declared twice", name);
    const auto dims = shape.dims();
    return add("input", {}, {{"shape", std::vector<std::int64_t>(dims.begin(), dims.end())}, {"dtype", static_cast<std::int64_t>(dtype)}}, name);
}

Value Graph::parameter(std::string_view name, const Shape& shape, const Init& init, bool is_trainable, DType dtype) {
    const std::string path = path_of(name);
    if (const auto it = parameter_nodes_.find(path); it != parameter_nodes_.end()) {
        const Value first(this, it->second, 0);
        require<ArgumentError>(first.type() == Type{shape, dtype}, "parameter '{}' is declared as {} {} and again as {} {}", path, first.dtype(), first.shape(), dtype, shape);
        return first;
    }
    const auto dims = shape.dims();
    const Value value = add("parameter", {}, {{"shape", std::vector<std::int64_t>(dims.begin(), dims.end())}, {"dtype", static_cast<std::int64_t>(dtype)}}, name);
    require<ArgumentError>(value.path() == path, "parameter '{}': a node already has this path", path);
    parameter_nodes_[path] = value.id();
    parameters_.push_back({path, {shape, dtype}, init, is_trainable});
    return value;
}

Value Graph::constant(const Tensor& tensor, std::string_view name) { return add("constant", {}, {{"value", tensor}}, name); }

Value Graph::add(std::string_view op_name, std::vector<Value> inputs, Attrs attrs, std::string_view name) {
    const OpDef& op = OpRegistry::instance().at(op_name);
    while (!inputs.empty() && inputs.back().is_empty()) inputs.pop_back();
    for (const Value& input : inputs) {
        if (!input.is_empty()) require<ArgumentError>(&input.graph() == this, "{} '{}': an input belongs to another graph", op_name, name);
    }
    Node node;
    node.id = static_cast<int>(nodes_.size());
    node.op = &op;
    // Shapes are checked before the path is taken, so that a failed call leaves the graph as it was.
    node.outputs = infer_types(op, path_of(name.empty() ? op_name : name), inputs, attrs);
    node.path = unique_path(name, op_name);
    node.inputs = std::move(inputs);
    node.attrs = std::move(attrs);
    nodes_.push_back(std::move(node));
    return Value(this, nodes_.back().id, 0);
}

void Graph::output(std::string_view name, const Value& value) {
    require<ArgumentError>(&value.graph() == this, "output '{}' belongs to another graph", name);
    for (const auto& [other, v] : outputs_) require<ArgumentError>(other != name, "output '{}' is named twice", name);
    outputs_.emplace_back(name, value);
}

void Graph::update(const Value& parameter, const Value& value) {
    require<ArgumentError>(parameter.node().op->name == "parameter", "update: '{}' is not a parameter", parameter.path());
    require<ShapeError>(parameter.type() == value.type(), "update of '{}': it is {} {}, the new value is {} {}", parameter.path(), parameter.dtype(), parameter.shape(),
                        value.dtype(), value.shape());
    for (const auto& [other, v] : updates_) require<ArgumentError>(other != parameter, "parameter '{}' is updated twice", parameter.path());
    updates_.emplace_back(parameter, value);
}

void Graph::module_output(std::string_view name, const Value& value) {
    std::string path = path_of(name);
    if (!path.empty() && path.back() == '.') path.pop_back();
    modules_.emplace_back(std::move(path), value);
}

const ParameterInfo* Graph::find_parameter(std::string_view name) const {
    const auto it = parameter_nodes_.find(name);
    if (it == parameter_nodes_.end()) return nullptr;
    // Parameters stand in the order of their nodes.
    const auto node_of = [&](const ParameterInfo& info) { return parameter_nodes_.find(info.name)->second; };
    const auto found = std::ranges::lower_bound(parameters_, it->second, {}, node_of);
    return found == parameters_.end() || found->name != name ? nullptr : &*found;
}

std::vector<Value> Graph::inputs() const {
    std::vector<Value> found;
    for (const Node& node : nodes_)
        if (node.op->name == "input") found.emplace_back(const_cast<Graph*>(this), node.id, 0);
    return found;
}

Value Graph::find_output(std::string_view name) const {
    std::vector<std::string> names;
    for (const auto& [other, value] : outputs_) {
        if (other == name) return value;
        names.push_back(other);
    }
    fail<ArgumentError>("no output '{}'; there are: {}", name, fmt::join(names, ", "));
}

Value Graph::find(std::string_view path) const {
    for (const auto& [name, value] : modules_)
        if (name == path) return value;
    for (const auto& [name, value] : outputs_)
        if (name == path) return value;
    if (const auto it = parameter_nodes_.find(path); it != parameter_nodes_.end()) return Value(const_cast<Graph*>(this), it->second, 0);
    for (const Node& node : nodes_)
        if (node.path == path) return Value(const_cast<Graph*>(this), node.id, 0);
    std::vector<std::string> paths;
    for (const Node& node : nodes_) paths.push_back(node.path);
    fail<ArgumentError>("no node '{}'; nearest: {}", path, fmt::join(nearest_names(path, paths), ", "));
}

Cost Graph::cost() const {
    Cost total;
    for (const Node& node : nodes_) {
        const Cost cost = cost_of(node);
        total.macs += cost.macs;
        total.operations += cost.operations;
    }
    return total;
}

std::int64_t Graph::trainable_scalars() const {
    std::int64_t total = 0;
    for (const ParameterInfo& info : parameters_) {
        if (!info.is_trainable) continue;
        total += info.type.shape.elements();
        if (const auto it = fixed_scalars_.find(info.name); it != fixed_scalars_.end()) total -= it->second;
    }
    return total;
}

}  // namespace fovea
