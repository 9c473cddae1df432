// A file's bytes, mapped into memory, and tensors that lie in them.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "io/elements.h"

namespace fovea {

/// The mapping lives as long as this object or any tensor over it. Throws Error naming the path and the system's reason.
class MappedFile {
public:
    explicit MappedFile(const std::string& path);
    [[nodiscard]] std::span<const std::byte> bytes() const { return {data_.get(), size_}; }
    [[nodiscard]] const std::shared_ptr<std::byte[]>& data() const { return data_; }

private:
    std::shared_ptr<std::byte[]> data_;
    std::size_t size_ = 0;
};

/// What a reader reads: bytes, the name that stands in messages and, when the bytes are those of a mapped file, their owner.
struct Source {
    std::span<const std::byte> bytes;
    std::string_view name;
    std::shared_ptr<std::byte[]> owner{};

    Source(std::span<const std::byte> content, std::string_view file) : bytes(content), name(file) {}
    Source(const MappedFile& mapped, std::string_view file) : bytes(mapped.bytes()), name(file), owner(mapped.data()) {}

    /// The values at `from`, row-major and little-endian: in place where the file is mapped and their type and address allow, else a copy.
    /// `from` has shape.elements() elements.
    [[nodiscard]] Tensor tensor(std::span<const std::byte> from, Stored stored, const Shape& shape) const;
};

}  // namespace fovea
