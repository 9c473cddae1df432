#pragma once

#include "backends/backend.h"

namespace fovea {
[[nodiscard]] const Backend& cpu_backend();
}
