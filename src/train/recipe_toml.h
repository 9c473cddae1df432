// TOML text <-> keys with values. The only place that includes toml++.
#pragma once

#include "fovea/train.h"

namespace fovea {

/// Keys in the file's order of names, sections joined with dots. Throws FormatError naming file and line.
[[nodiscard]] std::vector<std::pair<std::string, RecipeValue>> read_toml(std::string_view text, std::string_view name);
/// One value: TOML where it is, else the text itself.
[[nodiscard]] RecipeValue read_toml_value(const std::string& text);
[[nodiscard]] std::string toml_text(const RecipeValue& value);

}  // namespace fovea
