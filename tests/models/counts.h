// Counts in conventions other than the card's, from the graph itself.
#pragma once

#include "fovea/graph.h"
#include "fovea/models.h"
#include "fovea/passes.h"

namespace fovea::test {

/// The network for one picture.
inline Graph for_one_picture(const Graph& net) {
    Shape shape = net.find("image").shape();
    shape[0] = 1;
    return specialize(to_inference(net), {{"image", shape}});
}

/// What Keras prints as "total params": running statistics count too; some of its networks give convolutions before a norm a bias,
/// others leave the norm's scale out.
struct Keras {
    bool biased = false, unscaled = false;
};
inline std::int64_t keras_parameters(const Graph& net, Keras form) {
    const Graph used = remove_dead_code(to_inference(net));
    std::int64_t count = used.trainable_scalars();
    for (const Node& node : used.nodes()) {
        if (op_name(node) == "conv2d" && form.biased && node.inputs.size() < 3) count += node.inputs[1].shape()[0];
        if (op_name(node) == "batch_norm_inference") count += (form.unscaled ? 1 : 2) * node.outputs[0].shape[1];
    }
    return count;
}

/// Parameters and operations of the convolutions and linear layers below `path`, every convolution with a bias and no norms:
/// an operation for each weight and each bias at each place of the result.
struct Count {
    std::int64_t parameters = 0, operations = 0;
    friend bool operator==(const Count&, const Count&) = default;
};
inline Count biased_count(const Graph& net, std::string_view path) {
    Count count;
    for (const Node& node : net.nodes()) {
        if (!std::string_view(node.path).starts_with(path) || (op_name(node) != "conv2d" && op_name(node) != "linear")) continue;
        const Shape& weight = node.inputs[1].shape();
        const std::int64_t parameters = weight.elements() + weight[0];
        count.parameters += parameters;
        count.operations += parameters * (op_name(node) == "linear" ? 1 : node.outputs[0].shape[2] * node.outputs[0].shape[3]);
    }
    return count;
}

}  // namespace fovea::test
