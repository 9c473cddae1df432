// The oracle: walks a graph node by node through the plain loops. No layouts, no fusion, no reuse of memory.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "graph/op.h"

namespace fovea {

struct Interpretation {
    DType real = DType::f64;  ///< f32 or f64: what "real" values are computed in
    std::uint64_t seed = 0;
    std::uint64_t step = 0;
};

/// Runs one node's plain loops on row-major tensors; empty tensors mark absent inputs.
[[nodiscard]] std::vector<Tensor> run_node(const Node& node, std::span<const Tensor> inputs, const Interpretation& how);

/// Values of `wanted` for the given inputs and parameters (converted to `how.real` where real). The graph may be dynamic:
/// `inputs` decide its shapes when `wanted` come from specialize().
[[nodiscard]] std::vector<Tensor> interpret(const Graph& graph, std::span<const Value> wanted, const std::map<std::string, Tensor>& inputs, const Parameters& parameters,
                                            const Interpretation& how = {});

}  // namespace fovea
