// Tensors that lie in a mapped file.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/mapped_file.h"
#include "io/elements.h"

namespace fovea {

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
