// Of no picture there is no accuracy, and a loss of 0 would be the best there is.
#pragma once

#include "core/text.h"
#include "fovea/data.h"

namespace fovea {

/// Throws FormatError where `images`, those of the set that could be read, are none.
inline void require_pictures(std::int64_t images, const Dataset& dataset) {
    if (images > 0) return;
    require<FormatError>(dataset.size() > 0, "'{}' cannot be evaluated: it holds no pictures", dataset.name());
    const std::vector<std::string> damaged = dataset.damaged();
    fail<FormatError>("'{}' cannot be evaluated: none of its {} pictures can be read{}", dataset.name(), dataset.size(), damaged.empty() ? "" : "; " + damaged.front());
}

}  // namespace fovea
