// What reading and using an optimiser share.
#pragma once

#include "fovea/train.h"

namespace fovea {

/// Throws ArgumentError for a value outside its domain.
void check(const Optimizer& optimizer);

}  // namespace fovea
