// The pieces that HDF5 files are made of, each read on its own: shapes, element types, filters.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/text.h"
#include "io/file.h"

namespace fovea::hdf5 {

using Bytes = std::span<const std::byte>;
inline constexpr std::uint64_t undefined = ~std::uint64_t{0};

/// Reads numbers from the front of a piece of the file.
class Piece {
public:
    Piece(Bytes bytes, std::string_view file, std::string_view what) : bytes_(bytes), file_(file), what_(what) {}
    Bytes take(std::uint64_t size) {
        require<FormatError>(size <= bytes_.size(), "load '{}': HDF5: {} is cut off", file_, what_);
        const Bytes taken = bytes_.first(size);
        bytes_ = bytes_.subspan(size);
        return taken;
    }
    /// A little-endian number of 1, 2, 4 or 8 bytes.
    std::uint64_t number(unsigned size) {
        std::uint64_t value = 0;
        const Bytes taken = take(size);
        for (unsigned i = 0; i < size; ++i) value |= std::to_integer<std::uint64_t>(taken[i]) << (8 * i);
        return value;
    }
    void skip(std::uint64_t size) { (void)take(size); }
    /// A name in `size` bytes, up to its first zero.
    std::string text(std::uint64_t size) {
        const Bytes taken = take(size);
        const std::string_view all(reinterpret_cast<const char*>(taken.data()), taken.size());
        return std::string(all.substr(0, all.find('\0')));
    }
    [[nodiscard]] Bytes rest() const { return bytes_; }

private:
    Bytes bytes_;
    std::string_view file_, what_;
};

[[nodiscard]] inline std::uint64_t padded(std::uint64_t size) { return (size + 7) / 8 * 8; }

struct Space {
    std::vector<std::uint64_t> sizes;
    bool is_null = false;
};

[[nodiscard]] Space read_space(Bytes bytes, std::string_view file);
/// The number of elements; refuses more than `most`.
[[nodiscard]] std::uint64_t count_of(const std::vector<std::uint64_t>& sizes, std::uint64_t most, std::string_view file, std::string_view what);

struct ElementType {
    enum class Kind { number, text, free_text, other } kind = Kind::other;
    Stored stored{};
    std::uint64_t size = 0;
};

[[nodiscard]] ElementType read_type(Bytes bytes, std::string_view file);

/// Filters in the order in which they were applied: 1 deflate, 2 shuffle, 3 checksum.
[[nodiscard]] std::vector<unsigned> read_filters(Bytes bytes, std::string_view file);

}  // namespace fovea::hdf5
