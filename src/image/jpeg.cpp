// JPEG through libjpeg-turbo with its defaults, which are Pillow's. Errors leave the library by longjmp: no C++ object with a
// destructor lives in a function that calls it.
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include <jpeglib.h>

#include <jerror.h>

#include "core/text.h"
#include "image/codecs.h"

namespace fovea {

namespace {

constexpr int max_scans = 200;  // a progressive file of a few KB can ask for thousands of passes over a huge picture

struct Decoder {
    jpeg_decompress_struct info{};
    jpeg_error_mgr errors{};
    jpeg_source_mgr source{};
    jpeg_progress_mgr progress{};
    std::jmp_buf jump{};
    std::span<const std::byte> bytes;
    bool is_at_end = false, is_reading_rows = false;
    char message[JMSG_LENGTH_MAX] = "";

    Decoder() = default;
    Decoder(const Decoder&) = delete;
    Decoder& operator=(const Decoder&) = delete;
    ~Decoder() { jpeg_destroy_decompress(&info); }
    [[nodiscard]] std::size_t offset() const { return bytes.size() - source.bytes_in_buffer; }
};

Decoder& decoder_of(j_common_ptr info) { return *static_cast<Decoder*>(info->client_data); }

[[noreturn]] void leave(j_common_ptr info) {
    Decoder& decoder = decoder_of(info);
    info->err->format_message(info, decoder.message);
    std::longjmp(decoder.jump, 1);
}

/// Warnings say that the data is damaged and that libjpeg made something up; only these three do not.
void on_message(j_common_ptr info, int level) {
    const int code = info->err->msg_code;
    if (level < 0 && code != JWRN_ADOBE_XFORM && code != JWRN_JFIF_MAJOR && code != JWRN_TOO_MUCH_DATA) leave(info);
}

boolean on_fill(j_decompress_ptr info) {
    decoder_of(reinterpret_cast<j_common_ptr>(info)).is_at_end = true;
    leave(reinterpret_cast<j_common_ptr>(info));
}

void on_skip(j_decompress_ptr info, long count) {
    if (count <= 0) return;
    if (static_cast<std::size_t>(count) > info->src->bytes_in_buffer) {
        info->src->bytes_in_buffer = 0;
        on_fill(info);
    }
    info->src->next_input_byte += count;
    info->src->bytes_in_buffer -= static_cast<std::size_t>(count);
}

void on_progress(j_common_ptr info) {
    const auto* decompress = reinterpret_cast<j_decompress_ptr>(info);
    if (decompress->input_scan_number <= max_scans) return;
    std::snprintf(decoder_of(info).message, JMSG_LENGTH_MAX, "more than %d scans", max_scans);
    std::longjmp(decoder_of(info).jump, 1);
}

/// False when libjpeg gave up; decoder.message says why.
bool read_header(Decoder& d) {
    d.info.err = jpeg_std_error(&d.errors);
    d.errors.error_exit = leave;
    d.errors.emit_message = on_message;
    d.info.client_data = &d;
    if (setjmp(d.jump)) return false;
    jpeg_create_decompress(&d.info);
    d.source.next_input_byte = reinterpret_cast<const JOCTET*>(d.bytes.data());
    d.source.bytes_in_buffer = d.bytes.size();
    d.source.init_source = [](j_decompress_ptr) {};
    d.source.fill_input_buffer = on_fill;
    d.source.skip_input_data = on_skip;
    d.source.resync_to_restart = jpeg_resync_to_restart;
    d.source.term_source = [](j_decompress_ptr) {};
    d.info.src = &d.source;
    d.progress.progress_monitor = on_progress;
    d.info.progress = &d.progress;
    jpeg_read_header(&d.info, TRUE);
    return true;
}

/// Half, a quarter or an eighth of the size straight from the cosine transform, as long as of the shorter side twice `wanted` is left.
bool set_scale(Decoder& d, std::int64_t shorter, std::int64_t wanted) {
    if (setjmp(d.jump)) return false;
    d.info.scale_num = d.info.scale_denom = 1;
    while (wanted > 0 && d.info.scale_denom < 8 && shorter / (2 * static_cast<std::int64_t>(d.info.scale_denom)) >= 2 * wanted) d.info.scale_denom *= 2;
    jpeg_calc_output_dimensions(&d.info);
    return true;
}

/// `pixels` holds height rows of width * output components.
bool read_pixels(Decoder& d, std::uint8_t* pixels) {
    if (setjmp(d.jump)) return false;
    jpeg_start_decompress(&d.info);
    d.is_reading_rows = true;
    while (d.info.output_scanline < d.info.output_height) {
        JSAMPROW row = pixels + static_cast<std::size_t>(d.info.output_scanline) * d.info.output_width * static_cast<std::size_t>(d.info.output_components);
        jpeg_read_scanlines(&d.info, &row, 1);
    }
    jpeg_finish_decompress(&d.info);
    return true;
}

/// A window of the picture into `pixels`; `line` holds a row of the columns that are decoded. The transform and colours of blocks beside the
/// window are left out, and nothing behind its last row is read.
bool read_window(Decoder& d, const PixelRect& window, std::uint8_t* line, std::uint8_t* pixels) {
    if (setjmp(d.jump)) return false;
    jpeg_start_decompress(&d.info);
    d.is_reading_rows = true;
    // Columns beside the cut are made from fewer chroma samples: a margin keeps them out of the window.
    const JDIMENSION margin = 16, width = d.info.output_width, components = static_cast<JDIMENSION>(d.info.output_components);
    const auto x = static_cast<JDIMENSION>(window.x), right = static_cast<JDIMENSION>(window.x + window.width);
    JDIMENSION first = x > margin ? x - margin : 0, count = std::min(right + margin, width) - first;
    jpeg_crop_scanline(&d.info, &first, &count);
    if (window.y > 0) jpeg_skip_scanlines(&d.info, static_cast<JDIMENSION>(window.y));
    const std::size_t bytes = static_cast<std::size_t>(window.width) * components;
    for (std::int64_t y = 0; y < window.height; ++y) {
        JSAMPROW row = line;
        jpeg_read_scanlines(&d.info, &row, 1);
        std::memcpy(pixels + static_cast<std::size_t>(y) * bytes, line + static_cast<std::size_t>(x - first) * components, bytes);
    }
    jpeg_abort_decompress(&d.info);
    return true;
}

[[noreturn]] void report(const Decoder& d, std::string_view name) {
    if (d.is_at_end && d.is_reading_rows)
        fail<FormatError>("decode '{}': JPEG ends after {} bytes, at row {} of {}", name, d.bytes.size(), d.info.output_scanline, d.info.image_height);
    if (d.is_at_end) fail<FormatError>("decode '{}': JPEG ends after {} bytes, before its picture is complete", name, d.bytes.size());
    fail<FormatError>("decode '{}': bad JPEG at byte {} of {}: {}", name, d.offset(), d.bytes.size(), d.message);
}

/// Adobe stores CMYK inverted; the product of paper white and ink, rounded as Pillow does.
Image from_cmyk(const std::vector<std::uint8_t>& cmyk, std::int64_t width, std::int64_t height) {
    Image image(width, height, 3);
    for (std::size_t i = 0; i < cmyk.size() / 4; ++i) {
        const int white = cmyk[4 * i + 3];
        for (std::size_t c = 0; c < 3; ++c) {
            const int product = (255 - cmyk[4 * i + c]) * white + 128;
            image.pixels[3 * i + c] = static_cast<std::uint8_t>(std::clamp(white - (((product >> 8) + product) >> 8), 0, 255));
        }
    }
    return image;
}

}  // namespace

bool is_jpeg(std::span<const std::byte> bytes) {
    return bytes.size() >= 3 && bytes[0] == std::byte{0xFF} && bytes[1] == std::byte{0xD8} && bytes[2] == std::byte{0xFF};
}

Image decode_jpeg(std::span<const std::byte> bytes, std::string_view name, const DecodeLimits& limits) {
    Decoder decoder;
    decoder.bytes = bytes;
    if (!read_header(decoder)) report(decoder, name);
    const std::int64_t full_width = decoder.info.image_width, full_height = decoder.info.image_height;
    check_size(name, full_width, full_height, limits);
    PixelRect part{0, 0, full_width, full_height};
    if (limits.part) part = limits.part(full_width, full_height);
    require<ArgumentError>(part.x >= 0 && part.y >= 0 && part.width > 0 && part.height > 0 && part.x + part.width <= full_width && part.y + part.height <= full_height,
                           "decode '{}': the part {}x{} at ({}, {}) leaves the picture of {}x{}", name, part.width, part.height, part.x, part.y, full_width, full_height);
    if (!set_scale(decoder, std::min(part.width, part.height), limits.draft_side)) report(decoder, name);
    const std::int64_t width = decoder.info.output_width, height = decoder.info.output_height;
    const bool is_whole = part == PixelRect{0, 0, full_width, full_height};
    if (const std::int64_t scale = decoder.info.scale_denom; scale > 1 && !is_whole) {
        // As it lies in the smaller picture, whose last column may stand for fewer pixels.
        const std::int64_t x = std::min(part.x / scale, width - 1), y = std::min(part.y / scale, height - 1);
        part = {x, y, std::clamp<std::int64_t>(part.width / scale, 1, width - x), std::clamp<std::int64_t>(part.height / scale, 1, height - y)};
    }
    const int components = decoder.info.num_components;
    require<FormatError>(components == 1 || components == 3 || components == 4, "decode '{}': JPEG has {} components; 1, 3 and 4 are read", name, components);
    if (components == 4) {
        decoder.info.out_color_space = JCS_CMYK;
        std::vector<std::uint8_t> cmyk(static_cast<std::size_t>(width * height * 4));
        if (!read_pixels(decoder, cmyk.data())) report(decoder, name);
        const Image image = from_cmyk(cmyk, width, height);
        return is_whole ? image : crop(image, part.x, part.y, part.width, part.height);
    }
    decoder.info.out_color_space = components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    // Several scans make all blocks before the first row.
    if (is_whole || decoder.info.progressive_mode) {
        Image image(width, height, components);
        if (!read_pixels(decoder, image.pixels.data())) report(decoder, name);
        return is_whole ? image : crop(image, part.x, part.y, part.width, part.height);
    }
    Image image(part.width, part.height, components);
    std::vector<std::uint8_t> line(static_cast<std::size_t>(width * components));
    if (!read_window(decoder, part, line.data(), image.pixels.data())) report(decoder, name);
    return image;
}

}  // namespace fovea
