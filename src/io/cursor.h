// Reading a file from its front; every read is checked against what is left.
#pragma once

#include <cstring>

#include "core/text.h"
#include "io/file.h"

namespace fovea {

class Cursor {
public:
    explicit Cursor(const Source& source) : source_(source), rest_(source.bytes) {}

    [[nodiscard]] std::size_t offset() const { return source_.bytes.size() - rest_.size(); }
    [[nodiscard]] std::size_t left() const { return rest_.size(); }
    [[nodiscard]] std::span<const std::byte> rest() const { return rest_; }

    /// Throws FormatError "load 'file': byte N: ..." unless `condition` holds.
    template <class... Args> void check(bool condition, fmt::format_string<Args...> text, Args&&... args) const {
        if (!condition) fail<FormatError>("load '{}': byte {}: {}", source_.name, offset(), fmt::format(text, std::forward<Args>(args)...));
    }
    std::span<const std::byte> take(std::uint64_t bytes, std::string_view what) {
        check(bytes <= rest_.size(), "{} takes {} bytes, the file has {} more", what, bytes, rest_.size());
        const auto taken = rest_.first(bytes);
        rest_ = rest_.subspan(bytes);
        return taken;
    }
    template <class T> T number(std::string_view what) {
        T value{};
        std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
        return value;
    }
    /// shape.elements() floats, in place where the file is mapped. Refuses sizes below 0 and more than the file holds.
    Tensor floats(const Shape& shape, std::string_view what) {
        std::uint64_t count = 1;
        for (const std::int64_t size : shape.dims()) {
            check(size >= 0 && (size == 0 || count <= rest_.size() / static_cast<std::uint64_t>(size)), "{} {} is more than the file's {} bytes", what, shape, rest_.size());
            count *= static_cast<std::uint64_t>(size);
        }
        return source_.tensor(take(count * sizeof(float), what), Stored::f32, shape);
    }

private:
    const Source& source_;
    std::span<const std::byte> rest_;
};

/// [rows, columns] -> [columns, rows].
[[nodiscard]] inline Tensor transposed(const Tensor& matrix) {
    const std::int64_t rows = matrix.shape()[0], columns = matrix.shape()[1];
    Tensor result({columns, rows});
    const auto from = matrix.data<float>();
    const auto to = result.data<float>();
    for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t c = 0; c < columns; ++c) to[static_cast<std::size_t>(c * rows + r)] = from[static_cast<std::size_t>(r * columns + c)];
    return result;
}

}  // namespace fovea
