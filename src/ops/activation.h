// Activations that convolutions, linear layers and fixed batch norms may end in. Attribute "activation" of the fused node names the op,
// "activation_<name>" carries that op's attribute.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "graph/op.h"

namespace fovea {

[[nodiscard]] inline bool is_activation(std::string_view op) {
    static constexpr std::array<std::string_view, 11> all{"relu", "relu6", "leaky_relu", "elu", "sigmoid", "hard_sigmoid", "silu", "hard_swish", "tanh", "gelu", "gelu_tanh"};
    return std::find(all.begin(), all.end(), op) != all.end();
}

/// Writes the activation `op` with its attributes into those of the node that ends in it.
inline void set_activation(Attrs& attrs, const std::string& op, const Attrs& of_op) {
    attrs.set("activation", op);
    for (const auto& [name, value] : of_op.items()) attrs.set("activation_" + name, value);
}

/// The attributes of the activation that a fused node ends in.
[[nodiscard]] inline Attrs activation_attrs(const Attrs& attrs) {
    constexpr std::string_view prefix = "activation_";
    Attrs result;
    for (const auto& [name, value] : attrs.items())
        if (name.starts_with(prefix)) result.set(std::string_view(name).substr(prefix.size()), value);
    return result;
}

/// The plain loops of the activation, on output 0 in place.
inline void activate(const OpRun& run) {
    const std::string op = run.attrs().text("activation");
    if (op.empty()) return;
    const Attrs attrs = activation_attrs(run.attrs());
    const Type type{run.out_shape(), run.real()};
    const void* in = run.out<char>();
    void* out = run.out<char>();
    OpRegistry::instance().at(op).reference(OpRun(attrs, {&type, 1}, {&type, 1}, {&in, 1}, {&out, 1}, run.real(), run.seed(), run.step()));
}

}  // namespace fovea
