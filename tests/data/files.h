// Files made for one test: IDX, CIFAR records, gzip, tar; and the checksum that published data comes with.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <zlib.h>

#include <array>
#include <bit>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "core/text.h"
#include "data/formats.h"

namespace fovea {

namespace fs = std::filesystem;

/// An empty directory, gone at the end.
class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string pattern = (fs::temp_directory_path() / "fovea_data_XXXXXX").string();
        path_ = mkdtemp(pattern.data());
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    const fs::path& path() const { return path_; }
    std::string write(const fs::path& name, const std::string& bytes) const {
        fs::create_directories((path_ / name).parent_path());
        std::ofstream(path_ / name, std::ios::binary) << bytes;
        return (path_ / name).string();
    }

private:
    fs::path path_;
};

/// FOVEA_DATA, or "" where the tests run without real data.
inline fs::path real_data() {
    const char* path = std::getenv("FOVEA_DATA");
    return path ? path : "";
}

inline std::span<const std::byte> as_span(const std::string& text) { return std::as_bytes(std::span(text)); }

inline std::string big_endian(std::initializer_list<std::uint32_t> values) {
    std::string text;
    for (const std::uint32_t v : values)
        for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(v >> shift);
    return text;
}

/// count images of 3 rows and 2 columns; byte b of image i is i * 10 + b.
inline std::string idx_images(std::uint32_t count) {
    std::string text = big_endian({0x803, count, 3, 2});
    for (std::uint32_t i = 0; i < count; ++i)
        for (std::uint32_t b = 0; b < 6; ++b) text += static_cast<char>(i * 10 + b);
    return text;
}
inline std::string idx_labels(const std::string& labels) { return big_endian({0x801, static_cast<std::uint32_t>(labels.size())}) + labels; }

/// Record r of a CIFAR file: labels, then planes of r, r + 1, r + 2 with the pixel number added.
inline std::string cifar_records(const std::vector<std::string>& labels) {
    std::string text;
    for (std::size_t r = 0; r < labels.size(); ++r) {
        text += labels[r];
        for (std::size_t c = 0; c < 3; ++c)
            for (std::size_t p = 0; p < 1024; ++p) text += static_cast<char>(r + c + p);
    }
    return text;
}

inline std::string gzip(const std::string& text) {
    std::string packed(text.size() + 200, '\0');
    z_stream stream{};
    deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    deflate(&stream, Z_FINISH);
    packed.resize(stream.total_out);
    deflateEnd(&stream);
    return packed;
}

/// A USTAR archive; `filter` is ARCHIVE_FILTER_NONE, _XZ or _GZIP.
inline std::string tar(const std::vector<std::pair<std::string, std::string>>& members, int filter = ARCHIVE_FILTER_NONE) {
    std::string bytes(1 << 20, '\0');
    std::size_t used = 0;
    archive* a = archive_write_new();
    archive_write_set_format_ustar(a);
    archive_write_add_filter(a, filter);
    archive_write_set_bytes_in_last_block(a, 1);
    archive_write_open_memory(a, bytes.data(), bytes.size(), &used);
    for (const auto& [name, content] : members) {
        archive_entry* entry = archive_entry_new();
        archive_entry_set_pathname(entry, name.c_str());
        archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0644);
        archive_write_header(a, entry);
        archive_write_data(a, content.data(), content.size());
        archive_entry_free(entry);
    }
    archive_write_close(a);
    archive_write_free(a);
    bytes.resize(used);
    return bytes;
}

/// SHA-256. FIPS 180-4.
inline std::string sha256(std::string_view text) {
    std::array<std::uint32_t, 64> k;
    std::array<std::uint32_t, 8> h;
    // The constants are the first 32 bits of the fractions of cube roots and square roots of primes.
    int primes = 0;
    for (std::uint32_t n = 2; primes < 64; ++n) {
        bool is_prime = true;
        for (std::uint32_t d = 2; d * d <= n; ++d) is_prime = is_prime && n % d != 0;
        if (!is_prime) continue;
        const auto fraction = [](long double root) { return static_cast<std::uint32_t>((root - static_cast<long double>(static_cast<int>(root))) * 4294967296.0L); };
        k[static_cast<std::size_t>(primes)] = fraction(cbrtl(n));
        if (primes < 8) h[static_cast<std::size_t>(primes)] = fraction(sqrtl(n));
        ++primes;
    }
    const std::uint64_t bits = text.size() * 8;
    std::string tail(text.substr(text.size() / 64 * 64));
    tail += '\x80';
    while (tail.size() % 64 != 56) tail += '\0';
    tail += big_endian({static_cast<std::uint32_t>(bits >> 32), static_cast<std::uint32_t>(bits)});
    const auto add_block = [&](const char* block) {
        std::array<std::uint32_t, 64> w;
        for (std::size_t i = 0; i < 16; ++i) {
            const auto* b = reinterpret_cast<const unsigned char*>(block + 4 * i);
            w[i] = std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
        }
        for (std::size_t i = 16; i < 64; ++i)
            w[i] = w[i - 16] + w[i - 7] + (std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3)) +
                   (std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10));
        auto v = h;
        for (std::size_t i = 0; i < 64; ++i) {
            const std::uint32_t t1 = v[7] + (std::rotr(v[4], 6) ^ std::rotr(v[4], 11) ^ std::rotr(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
            const std::uint32_t t2 = (std::rotr(v[0], 2) ^ std::rotr(v[0], 13) ^ std::rotr(v[0], 22)) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
            v = {t1 + t2, v[0], v[1], v[2], v[3] + t1, v[4], v[5], v[6]};
        }
        for (std::size_t i = 0; i < 8; ++i) h[i] += v[i];
    };
    for (std::size_t i = 0; i + 64 <= text.size(); i += 64) add_block(text.data() + i);
    for (std::size_t i = 0; i < tail.size(); i += 64) add_block(tail.data() + i);
    std::string hex;
    for (const std::uint32_t word : h) hex += fmt::format("{:08x}", word);
    return hex;
}

/// Text of what `action` throws as E; "" when nothing.
template <class E = FormatError, class F> std::string message_of(F&& action) {
    try {
        action();
    } catch (const E& error) {
        return error.what();
    }
    return "";
}

}  // namespace fovea
