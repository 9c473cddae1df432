// A network against its record.
#pragma once

#include <iosfwd>
#include <string>

#include "run.h"

namespace fovea::reference {

/// Builds `name`, fills it by the rule, runs evaluation and the training step the record describes, and returns all that
/// check.py compares. Only what the record asks for is read from it: input name and shape, gain, loss, names to look at.
/// What cannot be found in the network is said on `messages`.
[[nodiscard]] Json run_model(const std::string& name, const Json& record, const How& how, std::ostream& messages);

}  // namespace fovea::reference
