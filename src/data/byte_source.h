// Bytes of a file, unpacked on the way when it is gzip or xz; the layer below every data-set parser.
#pragma once

#include "core/file.h"

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fovea {

/// Unpacked bytes, in order.
class ByteSource {
public:
    virtual ~ByteSource() = default;
    /// Fills `target` as far as the file reaches; less than asked for only at the end. Throws FormatError for damaged packing.
    virtual std::size_t read(std::span<std::byte> target) = 0;
};


/// gzip and xz by their first bytes, anything else as it is. `packed` must outlive the source; `name` is for messages.
[[nodiscard]] std::unique_ptr<ByteSource> open_source(std::span<const std::byte> packed, std::string name);

/// Exactly `count` bytes, taken in pieces so that a lying header allocates no more than the file holds. Short when the file is.
[[nodiscard]] std::vector<std::byte> read_up_to(ByteSource& source, std::size_t count);

struct TarMember {
    std::string name;
    std::vector<std::byte> bytes;
};
/// Calls on_member for each regular file of a tar (plain, .gz, .xz) that `wants` by name. Throws FormatError naming the last member.
void read_tar(std::span<const std::byte> packed, std::string_view name, const std::function<bool(std::string_view)>& wants,
              const std::function<void(TarMember)>& on_member, std::size_t max_member_bytes = std::size_t{1} << 30);

}  // namespace fovea
