// Text inside HTML and SVG.
#pragma once

#include <string>
#include <string_view>

namespace fovea {

/// & < > " as entities.
[[nodiscard]] std::string markup_escaped(std::string_view text);

}  // namespace fovea
