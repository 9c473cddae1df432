// What the files of rules share.
#pragma once

#include "io/onnx_reader.h"

namespace fovea {

/// An axis counted from the start.
[[nodiscard]] std::int64_t checked_axis(const ReadNode& n, std::int64_t axis, int rank);
/// [product of the dimensions before `axis`, product of the others]
[[nodiscard]] Value flattened(const ReadNode& n, const Value& x, std::int64_t axis);

void add_layer_rules(std::map<std::string, ReadRule, std::less<>>& rules);
void add_move_rules(std::map<std::string, ReadRule, std::less<>>& rules);
void add_quantize_rules(std::map<std::string, ReadRule, std::less<>>& rules);

}  // namespace fovea
