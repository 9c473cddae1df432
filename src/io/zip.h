// The zip archives of torch.save: members are stored, not packed, so that tensors can lie in the mapped file.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/file.h"

namespace fovea {

/// An archive's directory, checked before any member is touched: every member lies in the file and none overlaps another.
class ZipReader {
public:
    struct Member {
        std::string name;
        std::uint32_t crc = 0;
        bool is_packed = false;
        std::span<const std::byte> bytes;  ///< as they lie in the file
        std::uint64_t size = 0;            ///< unpacked
    };

    /// Throws FormatError beginning with "load 'file': ".
    explicit ZipReader(const Source& source);
    [[nodiscard]] const std::vector<Member>& members() const { return members_; }
    /// The member's bytes, their checksum compared: in place when stored, else unpacked into `unpacked`.
    [[nodiscard]] std::span<const std::byte> read(const Member& member, std::vector<std::byte>& unpacked) const;

private:
    std::string_view file_;
    std::vector<Member> members_;
};

/// An archive of stored members, each beginning at a multiple of 64 bytes as torch.save has it. Equal members give equal bytes.
class ZipWriter {
public:
    void add(std::string_view name, std::string_view content);
    /// The whole archive. Throws ArgumentError past the 4 GiB that its 32-bit offsets reach.
    [[nodiscard]] std::string finish();

private:
    std::string bytes_, directory_;
    std::uint16_t count_ = 0;
};

}  // namespace fovea
