#include <set>

#include "graph/op.h"

namespace fovea {

void Graph::verify() const {
    const auto known = [&](const Value& value, int before, std::string_view who) {
        require(&value.graph() == this, "{}: a value of another graph", who);
        require(value.id() >= 0 && value.id() < before, "{}: uses node {} that does not come before it", who, value.id());
        require(value.output() >= 0 && value.output() < static_cast<int>(node(value.id()).outputs.size()), "{}: uses output {} of '{}', which has {}", who, value.output(),
                value.path(), value.node().outputs.size());
    };
    std::set<std::string_view> paths;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        const Node& node = nodes_[i];
        require(node.id == static_cast<int>(i), "node '{}' has id {} at position {}", node.path, node.id, i);
        require(paths.insert(node.path).second, "two nodes have the path '{}'", node.path);
        for (const Value& input : node.inputs)
            if (!input.is_empty()) known(input, node.id, node.path);
        const auto types = infer_types(*node.op, node.path, node.inputs, node.attrs);
        require(types == node.outputs, "node '{}' ({}) carries other types than its rule gives", node.path, node.op->name);
    }
    const int count = static_cast<int>(nodes_.size());
    for (const auto& [name, value] : outputs_) known(value, count, "output '" + name + "'");
    for (const auto& [parameter, value] : updates_) {
        known(parameter, count, "update");
        known(value, count, "update of '" + parameter.path() + "'");
        require(parameter.type() == value.type(), "update of '{}' changes its type", parameter.path());
    }
    for (const ParameterInfo& info : parameters_) require(parameter_nodes_.contains(info.name), "parameter '{}' has no node", info.name);
}

namespace {
std::string reference(const Value& value) {
    if (value.is_empty()) return "-";
    return value.output() ? fmt::format("%{}.{}", value.id(), value.output()) : fmt::format("%{}", value.id());
}
}  // namespace

std::string Graph::print() const {
    std::string text;
    for (const Node& node : nodes_) {
        std::vector<std::string> inputs, types;
        for (const Value& input : node.inputs) inputs.push_back(reference(input));
        for (const Type& type : node.outputs) types.push_back(fmt::format("{}{}", type.dtype, type.shape));
        const bool is_source = node.op->name == "input" || node.op->name == "parameter";
        const std::string attrs = is_source ? "" : node.attrs.str();
        text += fmt::format("%{:<4} {:<28} {}({}){}{} -> {}\n", node.id, node.path, node.op->name, fmt::join(inputs, ", "), attrs.empty() ? "" : " ", attrs,
                            fmt::join(types, ", "));
    }
    for (const auto& [name, value] : outputs_) text += fmt::format("output {} = {}\n", name, reference(value));
    for (const auto& [parameter, value] : updates_) text += fmt::format("update {} = {}\n", parameter.path(), reference(value));
    return text;
}

}  // namespace fovea
