// Several kernels for one node: what each is expected to cost, and which is taken.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "backends/backend.h"

namespace fovea::cpu {

/// A way to run a node. Times are counted in multiply-adds at the rate of oneDNN's channels-last kernels in f32.
struct Way {
    const char* name;
    double cost;
    std::function<std::optional<Kernel>()> plan;
};

/// The kernel of the way that was measured to be the fastest, or else expected to be; of the next where that has none after all.
[[nodiscard]] std::optional<Kernel> take_best(const Node& node, const PlanContext& context, std::vector<Way> ways);

/// What an element of a weight costs that comes from memory, in multiply-adds; of two bytes half as much. It comes once: with few samples the
/// weights are the work.
[[nodiscard]] double memory_cost(const PlanContext& context);
/// What an element of a map costs that is converted from one precision to another.
constexpr double conversion_cost = 6;

/// A convolution or one of its gradients as a direct sum, in those units.
struct DirectWork {
    double sums = 0, weights = 0, map_elements = 0;  ///< multiply-adds; elements of the weight; of both maps
    [[nodiscard]] double in_f32(const PlanContext& context) const { return sums + weights * memory_cost(context); }
    [[nodiscard]] double in_bf16(const PlanContext& context) const;
};

}  // namespace fovea::cpu
