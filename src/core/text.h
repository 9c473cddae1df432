// Messages: the one place where library code joins text and throws. Keeps {fmt} out of include/fovea.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "fovea/core.h"

template <> struct fmt::formatter<fovea::Shape> : fmt::formatter<std::string> {
    auto format(const fovea::Shape& shape, fmt::format_context& ctx) const { return fmt::formatter<std::string>::format(shape.str(), ctx); }
};
template <> struct fmt::formatter<fovea::DType> : fmt::formatter<std::string_view> {
    auto format(fovea::DType dtype, fmt::format_context& ctx) const { return fmt::formatter<std::string_view>::format(fovea::name_of(dtype), ctx); }
};

namespace fovea {

/// Throws E with the formatted message.
template <class E = Error, class... Args> [[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
    throw E(fmt::format(text, std::forward<Args>(args)...));
}

/// Throws E with the formatted message unless `condition` holds.
template <class E = Error, class... Args> void require(bool condition, fmt::format_string<Args...> text, Args&&... args) {
    if (!condition) fail<E>(text, std::forward<Args>(args)...);
}

/// Up to `count` of `names` closest to `wanted` by edit distance, for "no such X; nearest: ..." messages.
[[nodiscard]] std::vector<std::string> nearest_names(std::string_view wanted, const std::vector<std::string>& names, std::size_t count = 3);

/// "1,234,567"
[[nodiscard]] std::string with_commas(std::int64_t value);
/// "12.3 MiB"
[[nodiscard]] std::string human_bytes(double bytes);

}  // namespace fovea
