#include "graph/op.h"

namespace fovea {

std::string OpInputs::who() const { return fmt::format("{} '{}'", op_, path_); }

void OpRegistry::add(OpDef op) {
    require<ArgumentError>(!ops_.contains(op.name), "op '{}' is registered twice", op.name);
    require<ArgumentError>(op.shape != nullptr, "op '{}' has no shape rule", op.name);
    const std::string name = op.name;
    ops_.emplace(name, std::make_unique<const OpDef>(std::move(op)));
}

const OpDef& OpRegistry::at(std::string_view name) const {
    const auto it = ops_.find(name);
    if (it == ops_.end()) fail<ArgumentError>("no op '{}'; nearest: {}", name, fmt::join(nearest_names(name, names()), ", "));
    return *it->second;
}

std::vector<std::string> OpRegistry::names() const {
    std::vector<std::string> names;
    for (const auto& [name, op] : ops_) names.push_back(name);
    return names;
}

namespace {

/// The nodes that have no inputs: what a run supplies, what lives beside the graph, what is written down.
void register_sources(OpRegistry& ops) {
    const auto typed = [](const OpInputs& in) -> Types {
        const auto dims = in.attrs().integers("shape");
        return Types(Type{Shape(std::span<const std::int64_t>(dims)), static_cast<DType>(in.attrs().integer("dtype"))});
    };
    const auto free_of_charge = [](const OpInputs&) { return Cost{}; };
    ops.add({.name = "input", .shape = typed, .cost = free_of_charge});
    ops.add({.name = "parameter", .shape = typed, .cost = free_of_charge});
    ops.add({.name = "constant",
             .shape = [](const OpInputs& in) -> Types {
                 const Tensor& value = in.attrs().tensor("value");
                 return Types(Type{value.shape(), value.dtype() == DType::f64 ? DType::f32 : value.dtype()});
             },
             .cost = free_of_charge});
}

}  // namespace

const OpRegistry& OpRegistry::instance() {
    static const OpRegistry registry = [] {
        OpRegistry ops;
        register_sources(ops);
        register_all_ops(ops);
        return ops;
    }();
    return registry;
}

namespace {

/// The inputs of a node as its shape and cost rules see them.
struct Seen {
    explicit Seen(std::span<const Value> inputs) : present(std::make_unique<bool[]>(inputs.size() + 1)), count(inputs.size()) {
        for (std::size_t i = 0; i < count; ++i) {
            present[i] = !inputs[i].is_empty();
            types.push_back(present[i] ? inputs[i].type() : Type{});
        }
    }
    std::unique_ptr<bool[]> present;
    std::size_t count;
    std::vector<Type> types;
};

}  // namespace

std::vector<Type> infer_types(const OpDef& op, std::string_view path, std::span<const Value> inputs, const Attrs& attrs) {
    const Seen seen(inputs);
    return op.shape(OpInputs(op.name, path, seen.types, {seen.present.get(), seen.count}, attrs));
}

std::string_view op_name(const Node& node) { return node.op->name; }

Cost cost_of(const Node& node) {
    require(node.op->cost != nullptr, "op '{}' ('{}') has no cost rule", node.op->name, node.path);
    const Seen seen(node.inputs);
    return node.op->cost(OpInputs(node.op->name, node.path, seen.types, {seen.present.get(), seen.count}, node.attrs));
}

}  // namespace fovea
