// PKWARE's APPNOTE.TXT, sections 4.3 and 4.5. Read from the directory at the end, as PyTorch does.
#include "io/zip.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>

#include <zlib.h>

#include "core/text.h"

namespace fovea {

namespace {

using Bytes = std::span<const std::byte>;

constexpr std::uint32_t local_signature = 0x04034b50, entry_signature = 0x02014b50, end_signature = 0x06054b50, wide_end_signature = 0x06064b50, wide_locator_signature = 0x07064b50;
constexpr std::size_t local_bytes = 30, entry_bytes = 46, end_bytes = 22, wide_end_bytes = 56, wide_locator_bytes = 20;
constexpr std::uint64_t escape = 0xffffffff;  // "look in the 64-bit field"

/// A little-endian number; the caller has checked that it lies inside.
template <class T> T number(Bytes bytes, std::size_t at) {
    T value{};
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

std::uint32_t crc_of(Bytes bytes) { return static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size())); }

struct Directory {
    std::uint64_t begin = 0, size = 0, count = 0;
};

Directory find_directory(Bytes bytes, std::string_view file) {
    // Behind the end record there is only a comment of at most 65,535 bytes.
    const std::size_t lowest = bytes.size() > end_bytes + 65535 ? bytes.size() - end_bytes - 65535 : 0;
    require<FormatError>(bytes.size() >= end_bytes, "load '{}': a zip of {} bytes is cut off, its directory alone takes {}", file, bytes.size(), end_bytes);
    std::size_t at = bytes.size() - end_bytes;
    while (number<std::uint32_t>(bytes, at) != end_signature || at + end_bytes + number<std::uint16_t>(bytes, at + 20) != bytes.size()) {
        require<FormatError>(at > lowest, "load '{}': a zip without its directory: the file is cut off", file);
        --at;
    }
    Directory directory{.begin = number<std::uint32_t>(bytes, at + 16), .size = number<std::uint32_t>(bytes, at + 12), .count = number<std::uint16_t>(bytes, at + 10)};
    if (at >= wide_locator_bytes && number<std::uint32_t>(bytes, at - wide_locator_bytes) == wide_locator_signature) {
        const auto wide = number<std::uint64_t>(bytes, at - wide_locator_bytes + 8);
        require<FormatError>(wide <= at && at - wide >= wide_end_bytes && number<std::uint32_t>(bytes, wide) == wide_end_signature, "load '{}': zip: no 64-bit directory at byte {}", file, wide);
        directory = {.begin = number<std::uint64_t>(bytes, wide + 48), .size = number<std::uint64_t>(bytes, wide + 40), .count = number<std::uint64_t>(bytes, wide + 32)};
    }
    require<FormatError>(directory.begin <= at && directory.size <= at - directory.begin, "load '{}': zip: a directory of {} bytes at {} in a file of {}", file, directory.size, directory.begin,
                         bytes.size());
    require<FormatError>(directory.count <= directory.size / entry_bytes, "load '{}': zip: {} members in a directory of {} bytes", file, directory.count, directory.size);
    return directory;
}

}  // namespace

ZipReader::ZipReader(const Source& source) : file_(source.name) {
    const Bytes bytes = source.bytes;
    const Directory directory = find_directory(bytes, file_);
    std::vector<std::pair<std::uint64_t, std::uint64_t>> spans;
    std::uint64_t unpacked = 0;
    Bytes rest = bytes.subspan(directory.begin, directory.size);
    for (std::uint64_t i = 0; i < directory.count; ++i) {
        require<FormatError>(rest.size() >= entry_bytes && number<std::uint32_t>(rest, 0) == entry_signature, "load '{}': zip: entry {} of its directory is damaged", file_, i);
        const std::size_t name_bytes = number<std::uint16_t>(rest, 28), extra_bytes = number<std::uint16_t>(rest, 30), comment_bytes = number<std::uint16_t>(rest, 32);
        require<FormatError>(rest.size() - entry_bytes >= name_bytes + extra_bytes + comment_bytes, "load '{}': zip: entry {} of its directory is cut off", file_, i);
        Member member{.name = std::string(reinterpret_cast<const char*>(rest.data() + entry_bytes), name_bytes), .crc = number<std::uint32_t>(rest, 16)};
        const auto flags = number<std::uint16_t>(rest, 8), method = number<std::uint16_t>(rest, 10);
        std::uint64_t packed = number<std::uint32_t>(rest, 20), begin = number<std::uint32_t>(rest, 42);
        member.size = number<std::uint32_t>(rest, 24);
        for (Bytes extra = rest.subspan(entry_bytes + name_bytes, extra_bytes); extra.size() >= 4;) {
            const std::size_t size = number<std::uint16_t>(extra, 2);
            require<FormatError>(size <= extra.size() - 4, "load '{}': zip: member '{}' is damaged", file_, member.name);
            if (number<std::uint16_t>(extra, 0) == 1) {  // 64-bit numbers, only those that did not fit, in this order
                std::size_t at = 4;
                for (std::uint64_t* field : {&member.size, &packed, &begin})
                    if (*field == escape && at + 8 <= 4 + size) *field = number<std::uint64_t>(extra, at), at += 8;
            }
            extra = extra.subspan(4 + size);
        }
        rest = rest.subspan(entry_bytes + name_bytes + extra_bytes + comment_bytes);
        require<FormatError>((flags & 1) == 0, "load '{}': zip: member '{}' is encrypted", file_, member.name);
        require<FormatError>(method == 0 || method == 8, "load '{}': zip: member '{}' is packed with method {}, read are 0 (stored) and 8 (deflate)", file_, member.name, method);
        require<FormatError>(begin <= directory.begin && directory.begin - begin >= local_bytes && number<std::uint32_t>(bytes, begin) == local_signature,
                             "load '{}': zip: member '{}' does not begin at byte {}", file_, member.name, begin);
        const std::size_t local_name = number<std::uint16_t>(bytes, begin + 26), local_extra = number<std::uint16_t>(bytes, begin + 28);
        const std::uint64_t data = begin + local_bytes + local_name + local_extra;
        require<FormatError>(data <= directory.begin && packed <= directory.begin - data, "load '{}': zip: member '{}' of {} bytes at {} reaches past the members' end at {}", file_,
                             member.name, packed, data, directory.begin);
        require<FormatError>(std::string_view(reinterpret_cast<const char*>(bytes.data() + begin + local_bytes), local_name) == member.name,
                             "load '{}': zip: member '{}' has another name where it lies", file_, member.name);
        member.is_packed = method == 8;
        require<FormatError>(member.is_packed || packed == member.size, "load '{}': zip: member '{}' is stored in {} bytes but has {}", file_, member.name, packed, member.size);
        // torch.save never packs; an archive packed again by hand shrinks a little. More than this is a bomb.
        constexpr std::uint64_t most_times = 32;
        require<FormatError>(member.size <= most_times * bytes.size() - unpacked, "load '{}': zip: member '{}' unpacks to {} bytes, more than {} times the file", file_, member.name,
                             member.size, most_times);
        unpacked += member.size;
        member.bytes = bytes.subspan(data, packed);
        spans.emplace_back(begin, data + packed);
        members_.push_back(std::move(member));
    }
    std::ranges::sort(spans);
    for (std::size_t i = 1; i < spans.size(); ++i)
        require<FormatError>(spans[i - 1].second <= spans[i].first, "load '{}': zip: the members at {} and {} overlap", file_, spans[i - 1].first, spans[i].first);
}

Bytes ZipReader::read(const Member& member, std::vector<std::byte>& unpacked) const {
    Bytes content = member.bytes;
    if (member.is_packed) {
        unpacked.resize(member.size);
        z_stream stream{};
        require<Error>(inflateInit2(&stream, -MAX_WBITS) == Z_OK, "load '{}': zlib does not start", file_);
        const std::unique_ptr<z_stream, int (*)(z_stream*)> owner(&stream, inflateEnd);
        constexpr std::size_t most = std::numeric_limits<uInt>::max();
        require<FormatError>(member.bytes.size() <= most && member.size <= most, "load '{}': zip: member '{}' is packed and too large", file_, member.name);
        stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(member.bytes.data()));
        stream.avail_in = static_cast<uInt>(member.bytes.size());
        Bytef none = 0;
        stream.next_out = unpacked.empty() ? &none : reinterpret_cast<Bytef*>(unpacked.data());
        stream.avail_out = static_cast<uInt>(member.size);
        const int status = inflate(&stream, Z_FINISH);
        require<FormatError>(status == Z_STREAM_END && stream.avail_out == 0, "load '{}': zip: member '{}' is damaged: it unpacks to {} bytes, its entry says {}", file_, member.name,
                             stream.total_out, member.size);
        content = unpacked;
    }
    require<FormatError>(crc_of(content) == member.crc, "load '{}': member '{}' is damaged: checksum {:08x}, its entry says {:08x}", file_, member.name, crc_of(content), member.crc);
    return content;
}

namespace {

template <class T> void put(std::string& to, T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    to.append(bytes, sizeof value);
}

}  // namespace

void ZipWriter::add(std::string_view name, std::string_view content) {
    constexpr std::size_t alignment = 64;
    constexpr std::uint16_t version = 20, day = 0x21;  // 1 January 1980: the format's first day, so that equal content gives equal bytes
    const std::size_t begin = bytes_.size();
    const std::size_t unpadded = begin + local_bytes + name.size() + 4;  // an extra field "FB" holds the padding, as PyTorch has it
    const std::size_t padding = (alignment - unpadded % alignment) % alignment;
    require<ArgumentError>(begin + content.size() + (1 << 16) < escape && count_ < 0xffff && name.size() < 0xffff, "save '{}': a zip of 32-bit offsets holds 4 GiB; write safetensors instead", name);
    const std::uint32_t crc = crc_of(std::as_bytes(std::span(content)));
    const auto common = [&](std::string& to, std::uint16_t extra) {
        put(to, version), put(to, std::uint16_t{0x800}), put(to, std::uint16_t{0});  // names are UTF-8; stored
        put(to, std::uint16_t{0}), put(to, day), put(to, crc);
        put(to, static_cast<std::uint32_t>(content.size())), put(to, static_cast<std::uint32_t>(content.size()));
        put(to, static_cast<std::uint16_t>(name.size())), put(to, extra);
    };
    put(bytes_, local_signature);
    common(bytes_, static_cast<std::uint16_t>(4 + padding));
    bytes_ += name;
    bytes_ += "FB";
    put(bytes_, static_cast<std::uint16_t>(padding));
    bytes_.append(padding, 'Z');
    bytes_ += content;
    put(directory_, entry_signature), put(directory_, version);
    common(directory_, 0);
    put(directory_, std::uint16_t{0}), put(directory_, std::uint16_t{0}), put(directory_, std::uint16_t{0}), put(directory_, std::uint32_t{0});
    put(directory_, static_cast<std::uint32_t>(begin));
    directory_ += name;
    ++count_;
}

std::string ZipWriter::finish() {
    const std::size_t begin = bytes_.size();
    require<ArgumentError>(begin + directory_.size() + end_bytes < escape, "save: a zip of 32-bit offsets holds 4 GiB; write safetensors instead");
    bytes_ += directory_;
    put(bytes_, end_signature), put(bytes_, std::uint32_t{0}), put(bytes_, count_), put(bytes_, count_);
    put(bytes_, static_cast<std::uint32_t>(directory_.size())), put(bytes_, static_cast<std::uint32_t>(begin)), put(bytes_, std::uint16_t{0});
    return std::move(bytes_);
}

}  // namespace fovea
