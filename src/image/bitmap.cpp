// The plain bitmaps: Windows BMP (uncompressed) and Netpbm (PGM, PPM).
#include <optional>

#include "core/text.h"
#include "image/codecs.h"

namespace fovea {

namespace {

/// Little-endian numbers of a header; reads beyond the end are a FormatError.
class Bytes {
public:
    Bytes(std::span<const std::byte> bytes, std::string_view name) : bytes_(bytes), name_(name) {}
    [[nodiscard]] std::uint32_t at(std::size_t offset, int count) const {
        require<FormatError>(offset + static_cast<std::size_t>(count) <= bytes_.size(), "decode '{}': BMP ends after {} bytes, inside its header", name_, bytes_.size());
        std::uint32_t value = 0;
        for (int i = count; i-- > 0;) value = value << 8 | std::to_integer<std::uint32_t>(bytes_[offset + static_cast<std::size_t>(i)]);
        return value;
    }

private:
    std::span<const std::byte> bytes_;
    std::string_view name_;
};

std::uint8_t byte_at(std::span<const std::byte> bytes, std::size_t i) { return std::to_integer<std::uint8_t>(bytes[i]); }

}  // namespace

bool is_bmp(std::span<const std::byte> bytes) { return bytes.size() >= 2 && byte_at(bytes, 0) == 'B' && byte_at(bytes, 1) == 'M'; }

Image decode_bmp(std::span<const std::byte> bytes, std::string_view name, const DecodeLimits& limits) {
    const Bytes header(bytes, name);
    const std::uint32_t start = header.at(10, 4), header_size = header.at(14, 4);
    require<FormatError>(header_size >= 40, "decode '{}': BMP of OS/2's form (header of {} bytes); Windows' form is read", name, header_size);
    const auto width = static_cast<std::int32_t>(header.at(18, 4)), signed_height = static_cast<std::int32_t>(header.at(22, 4));
    const std::uint32_t bits = header.at(28, 2), compression = header.at(30, 4);
    const std::int64_t height = std::abs(static_cast<std::int64_t>(signed_height));
    require<FormatError>(bits == 1 || bits == 4 || bits == 8 || bits == 24 || bits == 32, "decode '{}': BMP of {} bits a pixel; 1, 4, 8, 24 and 32 are read", name, bits);
    // 3: masks, which for 32 bits are nearly always those of plain BGRA.
    const bool has_plain_masks = compression == 3 && bits == 32 && header.at(54, 4) == 0xFF0000 && header.at(58, 4) == 0xFF00 && header.at(62, 4) == 0xFF;
    require<FormatError>(compression == 0 || has_plain_masks, "decode '{}': BMP with compression {}; uncompressed ones are read", name, compression);
    check_size(name, width, height, limits);
    const auto line = static_cast<std::size_t>((static_cast<std::uint64_t>(width) * bits + 31) / 32 * 4);
    require<FormatError>(start <= bytes.size() && line * static_cast<std::size_t>(height) <= bytes.size() - start, "decode '{}': BMP of {}x{} pixels needs {} bytes from byte {} on, the file has {}",
                         name, width, height, line * static_cast<std::size_t>(height), start, bytes.size());
    const std::uint32_t colours = bits > 8 ? 0 : header.at(46, 4) == 0 ? 1u << bits : header.at(46, 4);
    const std::size_t palette = 14 + static_cast<std::size_t>(header_size);
    require<FormatError>(colours <= 256 && palette + 4 * static_cast<std::size_t>(colours) <= bytes.size(), "decode '{}': BMP with a palette of {} colours beyond its {} bytes", name, colours, bytes.size());
    Image image(width, height, 3);
    for (std::int64_t y = 0; y < height; ++y) {
        const std::size_t row = start + line * static_cast<std::size_t>(signed_height > 0 ? height - 1 - y : y);
        std::uint8_t* to = image.row(y);
        for (std::int64_t x = 0; x < width; ++x, to += 3) {
            std::size_t from = 0;
            if (bits > 8) {
                from = row + static_cast<std::size_t>(x) * (bits / 8);
            } else {
                const std::uint64_t bit = static_cast<std::uint64_t>(x) * bits;
                const std::uint32_t index = byte_at(bytes, row + bit / 8) >> (8 - bits - bit % 8) & ((1u << bits) - 1);
                require<FormatError>(index < colours, "decode '{}': BMP pixel ({}, {}) has colour {} of a palette of {}", name, x, y, index, colours);
                from = palette + 4 * static_cast<std::size_t>(index);
            }
            for (std::size_t c = 0; c < 3; ++c) to[c] = byte_at(bytes, from + 2 - c);  // blue first
        }
    }
    return image;
}

namespace {

/// The numbers of a Netpbm file, with white space and comments between them.
class Numbers {
public:
    Numbers(std::span<const std::byte> bytes, std::string_view name) : bytes_(bytes), name_(name) {}
    [[nodiscard]] std::size_t position() const { return at_; }

    std::int64_t next(std::string_view what) {
        while (at_ < bytes_.size() && (is_space() || byte_at(bytes_, at_) == '#')) {
            if (byte_at(bytes_, at_) == '#')
                while (at_ < bytes_.size() && byte_at(bytes_, at_) != '\n') ++at_;
            else
                ++at_;
        }
        const std::size_t begin = at_;
        std::int64_t value = 0;
        for (; at_ < bytes_.size() && is_digit() && at_ - begin < 9; ++at_) value = value * 10 + byte_at(bytes_, at_) - '0';
        require<FormatError>(at_ > begin, "decode '{}': Netpbm has no number for {} at byte {} of {}", name_, what, begin, bytes_.size());
        return value;
    }
    /// The one white space before binary pixels.
    void end_header() { at_ = std::min(at_ + 1, bytes_.size()); }

private:
    [[nodiscard]] bool is_space() const { return std::string_view(" \t\r\n\v\f").find(static_cast<char>(byte_at(bytes_, at_))) != std::string_view::npos; }
    [[nodiscard]] bool is_digit() const { return byte_at(bytes_, at_) >= '0' && byte_at(bytes_, at_) <= '9'; }

    std::span<const std::byte> bytes_;
    std::string_view name_;
    std::size_t at_ = 2;
};

}  // namespace

bool is_netpbm(std::span<const std::byte> bytes) {
    return bytes.size() >= 3 && byte_at(bytes, 0) == 'P' && std::string_view("2356").find(static_cast<char>(byte_at(bytes, 1))) != std::string_view::npos && byte_at(bytes, 2) <= ' ';
}

Image decode_netpbm(std::span<const std::byte> bytes, std::string_view name, const DecodeLimits& limits) {
    const char kind = static_cast<char>(byte_at(bytes, 1));
    const bool is_text = kind == '2' || kind == '3';
    const int channels = kind == '3' || kind == '6' ? 3 : 1;
    Numbers numbers(bytes, name);
    const std::int64_t width = numbers.next("its width"), height = numbers.next("its height"), most = numbers.next("its largest value");
    check_size(name, width, height, limits);
    require<FormatError>(most > 0 && most < 65536, "decode '{}': Netpbm with largest value {}; 1 to 65535 are read", name, most);
    const std::int64_t values = width * height * channels;
    const int size = most > 255 ? 2 : 1;
    if (!is_text) numbers.end_header();
    const auto left = static_cast<std::int64_t>(bytes.size() - numbers.position());
    require<FormatError>(left >= (is_text ? values : values * size), "decode '{}': Netpbm of {}x{} pixels needs {} bytes more, the file has {}", name, width, height, values * size, left);
    Image image(width, height, channels);
    for (std::int64_t i = 0; i < values; ++i) {
        const auto at = numbers.position() + static_cast<std::size_t>(i * size);
        const std::int64_t value = is_text ? numbers.next("a pixel") : size == 2 ? byte_at(bytes, at) << 8 | byte_at(bytes, at + 1) : byte_at(bytes, at);
        require<FormatError>(value <= most, "decode '{}': Netpbm value {} of {}, its largest is {}", name, value, i, most);
        image.pixels[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>((value * 255 + most / 2) / most);
    }
    return image;
}

}  // namespace fovea
