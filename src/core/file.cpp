#include "core/file.h"

#include <fstream>

#include "core/text.h"

namespace fovea {

std::vector<std::byte> read_file(const std::filesystem::path& path) {
    std::error_code error;
    const auto size = std::filesystem::file_size(path, error);
    std::ifstream file(path, std::ios::binary);
    require<FormatError>(!error && file.good(), "open '{}': {}", path.string(), error ? error.message() : "cannot be read");
    std::vector<std::byte> bytes(size);
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
    require<FormatError>(static_cast<std::uintmax_t>(file.gcount()) == size, "read '{}': {} of {} bytes", path.string(), file.gcount(), size);
    return bytes;
}

}  // namespace fovea
