// Whether a checkpoint is of this run: what a resumed run must have in common with the one that was stopped.
#pragma once

#include <string>
#include <string_view>

#include "train/facts.h"

namespace fovea {

/// The same text for the same pictures by name, labels and weight, in the same order; what lies in their files does not count. Of a set
/// above a million some are taken, evenly spread.
[[nodiscard]] std::string picture_fingerprint(const Dataset& dataset);

/// Throws ArgumentError in one sentence that says what differs between `recipe`, all that this run's result depends on, and the one in a
/// checkpoint's `facts`. `file` stands in the message.
void require_same_run(const Json& facts, const Json& recipe, const Dataset& train, std::string_view file);

}  // namespace fovea
