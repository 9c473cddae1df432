// A file's bytes, mapped into memory, and tensors that lie in them.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "io/elements.h"

namespace fovea {

class Descriptor;

/// A file, mapped whole. The mapping lives as long as this object or any tensor over it. Throws Error naming the path and the system's reason.
class MappedFile {
public:
    explicit MappedFile(const std::string& path);
    [[nodiscard]] std::span<const std::byte> bytes() const { return {data_.get(), size_}; }
    /// Bytes [from, from + size): of this mapping, or large ones in a mapping of their own, which ends with its last owner.
    [[nodiscard]] std::shared_ptr<std::byte[]> piece(std::size_t from, std::size_t size) const;

private:
    std::string path_;
    std::shared_ptr<const Descriptor> file_;
    std::shared_ptr<std::byte[]> data_;
    std::size_t size_ = 0;
};

/// What a reader reads: bytes, the name that stands in messages and, when the bytes are those of a mapped file, that file.
struct Source {
    std::span<const std::byte> bytes;
    std::string_view name;
    std::optional<MappedFile> file{};

    Source(std::span<const std::byte> content, std::string_view of) : bytes(content), name(of) {}
    Source(const MappedFile& mapped, std::string_view of) : bytes(mapped.bytes()), name(of), file(mapped) {}

    /// The values at `from`, row-major and little-endian: in place where the file is mapped and their type and address allow, else a copy.
    /// `from` has shape.elements() elements.
    [[nodiscard]] Tensor tensor(std::span<const std::byte> from, Stored stored, const Shape& shape) const;
};

}  // namespace fovea
