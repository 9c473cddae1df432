// What an expression's operations are as nodes of a graph, and nodes as formulas again.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "fovea/explain/autodiff.h"

namespace fovea {

/// The node of a step.
[[nodiscard]] Value applied(const Expression::Step& step, const std::vector<Value>& operands);

/// A value of scalar operations as people write it, down to the nodes that have names.
[[nodiscard]] std::string formula_of(const Value& value, const std::map<int, std::string>& names);

/// Six digits, which is what a table shows of a number.
[[nodiscard]] std::string short_number(double value);

}  // namespace fovea
