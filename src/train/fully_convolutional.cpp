// A classifier on pictures larger than it was made for. Sermanet et al. 2014, arXiv:1312.6229; Long et al. 2015, arXiv:1411.4038, sec. 3.1.
#include <map>
#include <optional>

#include "core/text.h"
#include "fovea/ops.h"
#include "fovea/passes.h"
#include "fovea/train.h"

namespace fovea {

namespace {

/// Height and width of the map that a value [N, features] was before it was flattened; nothing for values that still are maps.
using Flattened = std::map<std::pair<int, int>, Size2>;

bool is_flatten(const Node& node) {
    return op_name(node) == "reshape" && node.inputs[0].shape().rank() == 4 && node.outputs[0].shape.rank() == 2;
}

Flattened flattened_values(const Graph& network) {
    Flattened result;
    for (const Node& node : network.nodes()) {
        std::optional<Size2> size;
        for (const Value& input : node.inputs)
            if (const auto it = input.is_empty() ? result.end() : result.find({input.id(), input.output()}); it != result.end()) size = it->second;
        if (is_flatten(node)) size = Size2{node.inputs[0].shape()[2], node.inputs[0].shape()[3]};
        else if (size && op_name(node) == "linear") size = Size2{1, 1};
        if (size)
            for (std::size_t o = 0; o < node.outputs.size(); ++o) result.insert_or_assign({node.id, static_cast<int>(o)}, *size);
    }
    return result;
}

/// Behind the flattening only layers and functions of single elements have the same meaning on a map.
bool works_on_maps(const Node& node) {
    const std::string_view op = op_name(node);
    return op == "relu" || op == "dropout" || op == "tanh" || op == "sigmoid" || op == "scale_shift" || op == "leaky_relu" || op == "hard_swish" || op == "silu" || op == "gelu";
}

}  // namespace

Graph fully_convolutional(const Graph& network, Parameters& parameters, std::int64_t height, std::int64_t width) {
    const Flattened flattened = flattened_values(network);
    const auto is_flat = [&](const Value& value) { return !value.is_empty() && flattened.contains({value.id(), value.output()}); };
    std::map<std::string, Shape> kernels;  // of the linear layers that become convolutions
    for (const Node& node : network.nodes()) {
        if (op_name(node) != "linear" || !is_flat(node.inputs[0])) continue;
        const Size2 size = flattened.at({node.inputs[0].id(), node.inputs[0].output()});
        const Shape weight = node.inputs[1].shape();
        require<ArgumentError>(network.find_parameter(node.inputs[1].path()) != nullptr, "dense evaluation: the weight of '{}' is computed", node.path);
        kernels[node.inputs[1].path()] = Shape{weight[0], weight[1] / (size.h * size.w), size.h, size.w};
    }
    Graph result;
    Rewriter rewrite(network, result);
    for (const Node& node : network.nodes()) {
        const Value old(const_cast<Graph*>(&network), node.id, 0);
        const std::string_view op = op_name(node);
        if (op == "input" && node.outputs[0].shape.rank() == 4) {
            Shape shape = node.outputs[0].shape;
            shape[2] = height, shape[3] = width;
            rewrite.set(old, result.input(node.path, shape, node.outputs[0].dtype));
        } else if (const auto kernel = kernels.find(node.path); op == "parameter" && kernel != kernels.end()) {
            const ParameterInfo& info = *network.find_parameter(node.path);
            rewrite.set(old, result.parameter(info.name, kernel->second, info.init, info.is_trainable, info.type.dtype));
            if (parameters.at(info.name).shape() != kernel->second) parameters.set(info.name, parameters.at(info.name).reshape(kernel->second));
        } else if (is_flatten(node) || (op == "adaptive_avg_pool2d" && node.inputs[0].shape() == node.outputs[0].shape)) {
            rewrite.set(old, rewrite(node.inputs[0]));
        } else if (op == "linear" && is_flat(node.inputs[0])) {
            rewrite.set(old, conv2d(rewrite(node.inputs[0]), rewrite(node.inputs[1]), rewrite(node.inputs.size() > 2 ? node.inputs[2] : Value{}), Conv2dGeometry{}, node.path));
        } else {
            bool is_behind = false;
            for (const Value& input : node.inputs) is_behind |= is_flat(input);
            require<ArgumentError>(!is_behind || works_on_maps(node), "dense evaluation: {} '{}' behind the flattened map has no convolutional form", op, node.path);
            rewrite.copy(node);
        }
    }
    const Value scores = rewrite(scores_of(network));
    result.output("out", scores.shape().rank() == 4 ? mean(scores, {.axes = {2, 3}}) : scores);
    return remove_dead_code(result);
}

}  // namespace fovea
