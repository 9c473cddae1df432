// The last step of every composed loss.
#pragma once

#include "fovea/ops.h"

namespace fovea {

/// Mean or sum over everything, or the values as they are.
[[nodiscard]] Value reduce(const Value& loss, Reduction reduction, std::string_view name);

}  // namespace fovea
