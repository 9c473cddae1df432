// What the shards' reader, their writer and the loader agree on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace fovea {

/// Pictures that the loader mixes as it moves along shards.
inline constexpr std::int64_t shuffle_window = 8192;

/// A picture's key as the common name of its members: "cat/0001.v2" -> "cat/0001%2Ev2". To WebDataset a name ends at its first dot, so dots
/// are written as in addresses (RFC 3986, 2.1), with '%', a leading '/' and all but printable ASCII: an archive's names depend on no character set.
[[nodiscard]] std::string member_of_key(std::string_view key);
/// The same for the `number`th picture of one key, from 2 on: "cat/0001%-2", which is no key's name.
[[nodiscard]] std::string member_of_key(std::string_view key, std::int64_t number);
/// The key of such a name. Others are their own key, but for what reads as an escape.
[[nodiscard]] std::string key_of_member(std::string_view name);

}  // namespace fovea
