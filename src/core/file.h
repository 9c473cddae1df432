#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

namespace fovea {

/// A whole file. Throws FormatError when it cannot be opened or ends early.
[[nodiscard]] std::vector<std::byte> read_file(const std::filesystem::path& path);

}  // namespace fovea
