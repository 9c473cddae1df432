#include "backends/reference/interpreter.h"

#include "fovea/passes.h"

namespace fovea {

namespace {

DType stored(DType dtype, DType real) { return dtype == DType::f32 ? real : dtype; }

/// A given tensor brought to the type a node promises; throws ShapeError otherwise.
Tensor as_declared(const Tensor& given, const Node& node, DType real) {
    const Type& type = node.outputs[0];
    require<ShapeError>(given.shape() == type.shape, "{} '{}' is {}, got {}", node.op->name, node.path, type.shape, given.shape());
    return given.to(stored(type.dtype, real));
}

}  // namespace

std::vector<Tensor> run_node(const Node& node, std::span<const Tensor> inputs, const Interpretation& how) {
    require<BackendError>(node.op->reference != nullptr, "reference backend: op '{}' ('{}') has no plain loops", node.op->name, node.path);
    std::vector<Type> in_types, out_types = node.outputs;
    std::vector<const void*> in;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        in_types.push_back({inputs[i].shape(), inputs[i].dtype()});
        in.push_back(inputs[i].is_empty() ? nullptr : inputs[i].raw());
    }
    std::vector<Tensor> outputs;
    std::vector<void*> out;
    for (const Type& type : node.outputs) {
        outputs.emplace_back(type.shape, stored(type.dtype, how.real));
        out.push_back(outputs.back().raw());
    }
    node.op->reference(OpRun(node.attrs, in_types, out_types, in, out, how.real, how.seed, how.step));
    return outputs;
}

std::vector<Tensor> interpret(const Graph& graph, std::span<const Value> wanted, const std::map<std::string, Tensor>& inputs, const Parameters& parameters,
                              const Interpretation& how) {
    // An input read for its shape alone is not computed: it may depend on values that are not given.
    std::vector<bool> needed(graph.nodes().size(), false);
    for (const Value& value : wanted) needed[static_cast<std::size_t>(value.id())] = true;
    for (auto node = graph.nodes().rbegin(); node != graph.nodes().rend(); ++node)
        for (std::size_t i = 0; needed[static_cast<std::size_t>(node->id)] && i < node->inputs.size(); ++i)
            if (!node->inputs[i].is_empty() && node->op->reads_values_of(i)) needed[static_cast<std::size_t>(node->inputs[i].id())] = true;
    std::vector<std::vector<Tensor>> results(graph.nodes().size());
    std::vector<int> last_use(graph.nodes().size(), -1);
    for (const Node& node : graph.nodes())
        for (const Value& input : node.inputs)
            if (!input.is_empty() && needed[static_cast<std::size_t>(node.id)]) last_use[static_cast<std::size_t>(input.id())] = node.id;
    for (const Value& value : wanted) last_use[static_cast<std::size_t>(value.id())] = static_cast<int>(graph.nodes().size());
    for (const Node& node : graph.nodes()) {
        if (!needed[static_cast<std::size_t>(node.id)]) continue;
        auto& result = results[static_cast<std::size_t>(node.id)];
        if (node.op->name == "input") {
            const auto it = inputs.find(node.path);
            require<ArgumentError>(it != inputs.end(), "input '{}' is missing", node.path);
            result = {as_declared(it->second, node, how.real)};
        } else if (node.op->name == "parameter") {
            result = {as_declared(parameters.at(node.path), node, how.real)};
        } else if (node.op->name == "constant") {
            result = {node.attrs.tensor("value").to(stored(node.outputs[0].dtype, how.real))};
        } else {
            std::vector<Tensor> given;
            for (const Value& input : node.inputs) {
                if (input.is_empty())
                    given.emplace_back();
                else if (!needed[static_cast<std::size_t>(input.id())])
                    given.emplace_back(input.shape(), stored(input.dtype(), how.real));
                else
                    given.push_back(results[static_cast<std::size_t>(input.id())][static_cast<std::size_t>(input.output())]);
            }
            result = run_node(node, given, how);
            for (const Value& input : node.inputs)
                if (!input.is_empty() && last_use[static_cast<std::size_t>(input.id())] == node.id) results[static_cast<std::size_t>(input.id())].clear();
        }
    }
    std::vector<Tensor> values;
    for (const Value& value : wanted) values.push_back(results[static_cast<std::size_t>(value.id())][static_cast<std::size_t>(value.output())]);
    return values;
}

}  // namespace fovea
