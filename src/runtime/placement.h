// Concat by placement: which values live inside the map that a concat along the channels joins.
#pragma once

#include <map>

#include "backends/backend.h"

namespace fovea {

/// Channels [first, last) of the output of node `whole`.
struct Slice {
    int whole;
    std::int64_t first, last;
    Layout layout, whole_layout;
};

/// A value by node and output.
using ValueKey = std::pair<int, int>;

/// Every value whose home is a slice. A concat that is itself a part hands its parts on, so that a chain of them, as in a dense block, shares
/// one map. A value has one home: another concat that reads it copies. So are copied: values that are not computed here (inputs, parameters,
/// constants), views, values that something else reads as well and only in one piece; and what a concat of the reverse pass joins again
/// (passes/recompute.cpp), since its map would stand in memory from the forward pass on.
[[nodiscard]] std::map<ValueKey, Slice> plan_placement(const Graph& graph, const Backend& backend, const PlanContext& context);

}  // namespace fovea
