// A file's bytes, read-only, mapped into memory.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace fovea {

/// Mapped for the lifetime of the object. Throws Error naming the path and the system's reason.
class MappedFile {
public:
    explicit MappedFile(const std::string& path);
    ~MappedFile();
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    [[nodiscard]] std::span<const std::byte> bytes() const { return {data_, size_}; }

private:
    const std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace fovea
