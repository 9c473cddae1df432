#pragma once

#include "backends/backend.h"

namespace fovea {
[[nodiscard]] const Backend& reference_backend();
}
