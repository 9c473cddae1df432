// JPEG through libjpeg-turbo with its defaults, which are Pillow's. Errors leave the library by longjmp: no C++ object with a
// destructor lives in a function that calls it.
#include <csetjmp>
#include <cstddef>
#include <cstdio>

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

/// False when libjpeg gave up; decoder.message says why. Above 0, `draft_side` asks for half, a quarter or an eighth of the size straight
/// from the cosine transform, as long as twice that side is left.
bool read_header(Decoder& d, std::int64_t draft_side) {
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
    d.info.scale_num = d.info.scale_denom = 1;
    const std::int64_t shorter = std::min(d.info.image_width, d.info.image_height);
    while (draft_side > 0 && d.info.scale_denom < 8 && shorter / (2 * static_cast<std::int64_t>(d.info.scale_denom)) >= 2 * draft_side) d.info.scale_denom *= 2;
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
    if (!read_header(decoder, limits.draft_side)) report(decoder, name);
    check_size(name, decoder.info.image_width, decoder.info.image_height, limits);
    const std::int64_t width = decoder.info.output_width, height = decoder.info.output_height;
    const int components = decoder.info.num_components;
    require<FormatError>(components == 1 || components == 3 || components == 4, "decode '{}': JPEG has {} components; 1, 3 and 4 are read", name, components);
    if (components == 4) {
        decoder.info.out_color_space = JCS_CMYK;
        std::vector<std::uint8_t> cmyk(static_cast<std::size_t>(width * height * 4));
        if (!read_pixels(decoder, cmyk.data())) report(decoder, name);
        return from_cmyk(cmyk, width, height);
    }
    decoder.info.out_color_space = components == 1 ? JCS_GRAYSCALE : JCS_RGB;
    Image image(width, height, components);
    if (!read_pixels(decoder, image.pixels.data())) report(decoder, name);
    return image;
}

}  // namespace fovea
