// Squeeze and excitation. Hu et al. 2018, arXiv:1709.01507: each channel is scaled by a gate computed from the means of all.
#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/layer.h"

namespace fovea {

Value squeeze_excite(const Value& x, const SqueezeExciteSpec& spec, std::string_view name) {
    Graph& graph = x.graph();
    require<ShapeError>(x.shape().rank() == 4, "squeeze_excite '{}': the input is [N, C, H, W], got {}", graph.path_of(name), x.shape());
    std::string base(name.empty() ? "squeeze_excite" : name);
    for (int i = 1; name.empty() && graph.find_parameter(graph.path_of(base + ".fc1.weight")) != nullptr; ++i) base = fmt::format("squeeze_excite_{}", i);
    Value gate = global_avg_pool(x, base + ".avgpool");
    gate = conv2d(gate, {.out = spec.squeeze, .kernel = 1, .init = spec.init, .bias_init = spec.bias_init}, base + ".fc1");
    gate = spec.activation == SqueezeExciteSpec::Activation::silu ? silu(gate) : relu(gate);
    gate = conv2d(gate, {.out = x.shape()[1], .kernel = 1, .init = spec.init, .bias_init = spec.bias_init}, base + ".fc2");
    gate = spec.gate == SqueezeExciteSpec::Gate::hard_sigmoid ? hard_sigmoid(gate) : sigmoid(gate);
    return multiply(x, gate, base);
}

void register_squeeze_excite(OpRegistry&) {}  // composed

}  // namespace fovea
