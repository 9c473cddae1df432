#include "data/byte_source.h"

#include <archive.h>
#include <archive_entry.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "core/text.h"

namespace fovea {

namespace {

bool starts_with(std::span<const std::byte> bytes, std::initializer_list<unsigned> magic) {
    return bytes.size() >= magic.size() && std::equal(magic.begin(), magic.end(), bytes.begin(), [](unsigned m, std::byte b) { return std::byte(m) == b; });
}

bool is_gzip(std::span<const std::byte> bytes) { return starts_with(bytes, {0x1F, 0x8B}); }
bool is_xz(std::span<const std::byte> bytes) { return starts_with(bytes, {0xFD, '7', 'z', 'X', 'Z'}); }

class PlainSource : public ByteSource {
public:
    explicit PlainSource(std::span<const std::byte> bytes) : bytes_(bytes) {}
    std::size_t read(std::span<std::byte> target) override {
        const std::size_t count = std::min(target.size(), bytes_.size());
        if (count) std::memcpy(target.data(), bytes_.data(), count);
        bytes_ = bytes_.subspan(count);
        return count;
    }

private:
    std::span<const std::byte> bytes_;
};

/// zlib directly: libarchive's gzip filter does not check the CRC.
class GzipSource : public ByteSource {
public:
    GzipSource(std::span<const std::byte> packed, std::string name) : packed_(packed), name_(std::move(name)) {
        require<Error>(inflateInit2(&stream_, 15 + 16) == Z_OK, "unpack '{}': no memory for zlib", name_);
    }
    GzipSource(const GzipSource&) = delete;
    GzipSource& operator=(const GzipSource&) = delete;
    ~GzipSource() override { inflateEnd(&stream_); }

    std::size_t read(std::span<std::byte> target) override {
        std::size_t done = 0;
        while (done < target.size() && !is_done_) {
            feed();
            const auto room = static_cast<uInt>(std::min<std::size_t>(target.size() - done, 1u << 30));
            stream_.next_out = reinterpret_cast<Bytef*>(target.data() + done);
            stream_.avail_out = room;
            const int status = inflate(&stream_, Z_NO_FLUSH);
            done += room - stream_.avail_out;
            if (status == Z_STREAM_END) {
                next_member();
            } else if (status == Z_BUF_ERROR) {  // no progress: room is left, bytes are not
                fail<FormatError>("unpack '{}': gzip data ends after {} bytes, before its end mark", name_, packed_.size());
            } else if (status != Z_OK) {
                fail<FormatError>("unpack '{}': bad gzip data at byte {} of {}: {}", name_, offset_ - stream_.avail_in, packed_.size(),
                                  stream_.msg ? stream_.msg : "not gzip");
            }
        }
        return done;
    }

private:
    void feed() {
        if (stream_.avail_in != 0) return;
        const std::size_t count = std::min<std::size_t>(packed_.size() - offset_, 1u << 30);
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed_.data() + offset_));
        stream_.avail_in = static_cast<uInt>(count);
        offset_ += count;
    }
    /// A gzip file may hold several members one after the other; what follows and is none is padding or damage.
    void next_member() {
        const auto rest = packed_.subspan(offset_ - stream_.avail_in);
        if (is_gzip(rest)) {
            inflateReset(&stream_);
            return;
        }
        require<FormatError>(std::ranges::all_of(rest, [](std::byte b) { return b == std::byte{0}; }), "unpack '{}': {} bytes follow the end of the gzip data at byte {} of {}",
                             name_, rest.size(), packed_.size() - rest.size(), packed_.size());
        is_done_ = true;
    }

    std::span<const std::byte> packed_;
    std::string name_;
    z_stream stream_{};
    std::size_t offset_ = 0;
    bool is_done_ = false;
};

struct ArchiveCloser {
    void operator()(archive* a) const { archive_read_free(a); }
};
using ArchivePtr = std::unique_ptr<archive, ArchiveCloser>;

std::string reason(archive* a) {
    const char* text = archive_error_string(a);
    return text ? text : "unknown damage";
}

class XzSource : public ByteSource {
public:
    XzSource(std::span<const std::byte> packed, std::string name) : name_(std::move(name)), archive_(archive_read_new()) {
        archive_read_support_filter_xz(archive_.get());
        archive_read_support_format_raw(archive_.get());
        archive_entry* entry = nullptr;
        const bool is_open = archive_read_open_memory(archive_.get(), packed.data(), packed.size()) == ARCHIVE_OK;
        require<FormatError>(is_open && archive_read_next_header(archive_.get(), &entry) == ARCHIVE_OK, "unpack '{}': bad xz data in {} bytes: {}", name_, packed.size(),
                             reason(archive_.get()));
    }

    std::size_t read(std::span<std::byte> target) override {
        std::size_t done = 0;
        while (done < target.size()) {
            const la_ssize_t count = archive_read_data(archive_.get(), target.data() + done, target.size() - done);
            require<FormatError>(count >= 0, "unpack '{}': bad xz data after {} unpacked bytes: {}", name_, total_ + done, reason(archive_.get()));
            if (count == 0) break;
            done += static_cast<std::size_t>(count);
        }
        total_ += done;
        return done;
    }

private:
    std::string name_;
    ArchivePtr archive_;
    std::size_t total_ = 0;
};

/// libarchive's read callback over a ByteSource; an exception may not pass through C, so it waits here.
struct TarFeed {
    std::unique_ptr<ByteSource> source;
    std::array<std::byte, 1 << 16> buffer{};
    std::exception_ptr failure;

    static la_ssize_t read(archive* a, void* self, const void** bytes) {
        auto& feed = *static_cast<TarFeed*>(self);
        *bytes = feed.buffer.data();
        try {
            return static_cast<la_ssize_t>(feed.source->read(feed.buffer));
        } catch (...) {
            feed.failure = std::current_exception();
            archive_set_error(a, EINVAL, "bad gzip data");
            return -1;
        }
    }
};

}  // namespace

std::unique_ptr<ByteSource> open_source(std::span<const std::byte> packed, std::string name) {
    if (is_gzip(packed)) return std::make_unique<GzipSource>(packed, std::move(name));
    if (is_xz(packed)) return std::make_unique<XzSource>(packed, std::move(name));
    return std::make_unique<PlainSource>(packed);
}

std::vector<std::byte> read_up_to(ByteSource& source, std::size_t count) {
    std::vector<std::byte> bytes;
    for (std::size_t piece = 1 << 20; bytes.size() < count; piece *= 2) {
        const std::size_t before = bytes.size(), wanted = std::min(piece, count - before);
        bytes.resize(before + wanted);
        const std::size_t got = source.read(std::span(bytes).subspan(before));
        if (got < wanted) {
            bytes.resize(before + got);
            break;
        }
    }
    return bytes;
}

void read_tar(std::span<const std::byte> packed, std::string_view name, const std::function<bool(std::string_view)>& wants,
              const std::function<void(TarMember)>& on_member, std::size_t max_member_bytes) {
    TarFeed feed{is_gzip(packed) ? open_source(packed, std::string(name)) : std::make_unique<PlainSource>(packed), {}, {}};
    const ArchivePtr tar(archive_read_new());
    archive_read_support_filter_xz(tar.get());
    archive_read_support_format_tar(tar.get());
    std::string place = "before its first member";
    const auto check = [&](la_ssize_t status) {
        if (status >= ARCHIVE_WARN) return;  // a warning is a name in a foreign character set, not damage
        if (feed.failure) std::rethrow_exception(feed.failure);
        fail<FormatError>("read '{}': bad tar {}: {}", name, place, reason(tar.get()));
    };
    check(archive_read_open(tar.get(), &feed, nullptr, TarFeed::read, nullptr));
    archive_entry* entry = nullptr;
    while (true) {
        const int status = archive_read_next_header(tar.get(), &entry);
        if (status == ARCHIVE_EOF) break;
        check(status);
        const char* path = archive_entry_pathname(entry);
        TarMember member{path ? path : "", {}};
        place = fmt::format("in member '{}'", member.name);
        if (archive_entry_filetype(entry) != AE_IFREG || !wants(member.name)) continue;
        const auto size = static_cast<std::uint64_t>(std::max<la_int64_t>(archive_entry_size(entry), 0));
        require<FormatError>(size <= max_member_bytes, "read '{}': member '{}' claims {} bytes, at most {} are accepted", name, member.name, size, max_member_bytes);
        std::array<std::byte, 1 << 14> piece;
        while (const la_ssize_t count = archive_read_data(tar.get(), piece.data(), piece.size())) {
            check(count);
            member.bytes.insert(member.bytes.end(), piece.begin(), piece.begin() + count);
        }
        require<FormatError>(member.bytes.size() == size, "read '{}': member '{}' holds {} bytes, its header says {}", name, member.name, member.bytes.size(), size);
        on_member(std::move(member));
    }
    if (feed.failure) std::rethrow_exception(feed.failure);
}

}  // namespace fovea
