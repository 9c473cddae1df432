// Where these tests' sources and build lie. One generated file says it, so that every other is compiled alike wherever the project stands.
#pragma once

#include <string>

namespace fovea::test {

[[nodiscard]] std::string source_path(const std::string& below);
[[nodiscard]] std::string build_path(const std::string& below);

}  // namespace fovea::test
