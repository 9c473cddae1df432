// What is written beside the weights, as JSON: specs both ways.
#pragma once

#include <nlohmann/json.hpp>

#include "fovea/train.h"

namespace fovea {

using Json = nlohmann::ordered_json;

[[nodiscard]] Json to_json(const Preprocess& preprocess);
/// Throws FormatError; `file` stands in the message.
[[nodiscard]] Preprocess preprocess_of(const Json& json, std::string_view file);
[[nodiscard]] Json to_json(const Augment& augment);
[[nodiscard]] Json to_json(const Optimizer& optimizer);
[[nodiscard]] Json to_json(const Schedule& schedule);
[[nodiscard]] Json to_json(const StepSpec& step);

/// Which fovea, made by which compiler; on which machine.
[[nodiscard]] Json build_facts();
[[nodiscard]] Json machine_facts();

/// Throws FormatError naming the file and the byte where the text stops being JSON.
[[nodiscard]] Json parse_json(std::string_view text, std::string_view file);

}  // namespace fovea
