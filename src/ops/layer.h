// What layers with parameters share: names for unnamed ones, PyTorch's default initialisation.
#pragma once

#include <string>

#include "core/text.h"
#include "fovea/ops.h"

namespace fovea {

/// `name`, or for an unnamed layer the first of "op", "op_1", ... that has no parameters yet: two unnamed layers never share weights.
[[nodiscard]] inline std::string layer_name(const Graph& graph, std::string_view name, std::string_view op) {
    if (!name.empty()) return std::string(name);
    std::string candidate(op);
    for (int i = 1; graph.find_parameter(graph.path_of(candidate + ".weight")) != nullptr; ++i) candidate = fmt::format("{}_{}", op, i);
    return candidate;
}

/// Weights uniform in +-1 / sqrt(fan_in), written as PyTorch does: He's rule with a negative slope of sqrt(5).
[[nodiscard]] inline Init default_weight_init() { return {.kind = Init::Kind::kaiming_uniform, .a = 2.2360679774997896}; }
[[nodiscard]] inline Init default_bias_init(std::int64_t fan_in) { return {.kind = Init::Kind::fan_in_uniform, .b = static_cast<double>(fan_in)}; }

}  // namespace fovea
