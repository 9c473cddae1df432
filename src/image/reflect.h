// Pictures beyond their edges.
#pragma once

#include <cstdint>

namespace fovea {

/// Index `i` mirrored at the edges of [0, size), which are not repeated.
[[nodiscard]] inline std::int64_t reflected(std::int64_t i, std::int64_t size) {
    if (size == 1) return 0;
    const std::int64_t period = 2 * (size - 1), at = ((i % period) + period) % period;
    return at < size ? at : period - at;
}

}  // namespace fovea
