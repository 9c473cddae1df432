// Values that several ranks (processes, see comm.h) make together. Alone, a rank's values are the sums.
#pragma once

#include <string_view>
#include <vector>

#include "fovea/graph.h"

namespace fovea {

/// The sums over all ranks, element by element in the order of ranks: the same bits everywhere. Values given together travel together. The
/// gradient is the sum of the ranks' gradients.
Value all_reduce(const Value& x, std::string_view name = {});
/// `late`: nothing before the end of the reverse pass needs the sums; they travel while it goes on (overlap_reductions()).
std::vector<Value> all_reduce(const std::vector<Value>& xs, bool late = false, std::string_view name = {});

/// Every rank's channels (dimension 1, as many on each), joined in the order of ranks: rank `rank` of `ranks` gives x. As an all_reduce of maps
/// that are 0 where other ranks' channels lie: exact, and differentiable.
Value all_gather_channels(const Value& x, int rank, int ranks, std::string_view name = {});

}  // namespace fovea
