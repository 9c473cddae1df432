// Drop-path between the columns of a network. Not in the catalogue of ops: only a network of several columns can ask for it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "fovea/graph.h"

namespace fovea {

struct ChoosePathsSpec {
    std::vector<std::int64_t> columns;  ///< of the network, that meet at this join
    std::int64_t all_columns;           ///< of the network
    double drop;                        ///< local: probability of dropping each path; at least one stays
    double global = 0.5;                ///< share of the steps in which one column of the network is chosen instead
    std::string_view network = "global drop-path";  ///< joins of the same name choose the same column
};

/// Weights [columns] for a mean over columns: columns / alive for the paths alive in this step, 0 for the others, so that their mean is
/// 1; at inference all are 1. Larsson, Maire, Shakhnarovich 2016, arXiv:1605.07648, sec. 3.
[[nodiscard]] Value choose_paths(Graph& graph, const ChoosePathsSpec& spec, std::string_view name = {});

}  // namespace fovea
