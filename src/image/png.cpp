// PNG through libpng. Errors leave the library by longjmp: no C++ object with a destructor lives in a function that calls it.
#include <png.h>

#include <cstdio>
#include <cstring>

#include "core/text.h"
#include "image/codecs.h"

namespace fovea {

namespace {

struct Reader {
    png_structp png = nullptr;
    png_infop info = nullptr;
    std::span<const std::byte> bytes;
    std::size_t offset = 0;
    bool is_at_end = false;
    std::int64_t width = 0, height = 0;
    int channels = 0;
    char message[200] = "";

    Reader() = default;
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
    ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
};

void on_error(png_structp png, png_const_charp text) {
    std::snprintf(static_cast<Reader*>(png_get_error_ptr(png))->message, sizeof Reader::message, "%s", text);
    png_longjmp(png, 1);
}

void on_read(png_structp png, png_bytep target, std::size_t count) {
    Reader& reader = *static_cast<Reader*>(png_get_io_ptr(png));
    if (reader.bytes.size() - reader.offset < count) {
        reader.is_at_end = true;
        png_error(png, "end of file");
    }
    std::memcpy(target, reader.bytes.data() + reader.offset, count);
    reader.offset += count;
}

bool read_header(Reader& r) {
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, [](png_structp, png_const_charp) {});
    r.info = r.png ? png_create_info_struct(r.png) : nullptr;
    if (!r.info) return false;
    if (setjmp(png_jmpbuf(r.png))) return false;
    png_set_read_fn(r.png, &r, on_read);
    png_set_user_limits(r.png, 0x7FFFFFFF, 0x7FFFFFFF);  // ours are checked between header and pixels, with a better message
    png_set_chunk_malloc_max(r.png, 8 << 20);
    png_set_chunk_cache_max(r.png, 128);
    png_read_info(r.png, r.info);
    r.width = png_get_image_width(r.png, r.info);
    r.height = png_get_image_height(r.png, r.info);
    const auto colour = png_get_color_type(r.png, r.info);
    r.channels = colour & PNG_COLOR_MASK_COLOR ? 3 : 1;
    if (colour == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(r.png);
    if (colour == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(r.png);
    png_set_strip_16(r.png);
    png_set_strip_alpha(r.png);
    png_set_interlace_handling(r.png);
    png_read_update_info(r.png, r.info);
    if (png_get_rowbytes(r.png, r.info) != static_cast<std::size_t>(r.width) * static_cast<std::size_t>(r.channels)) png_error(r.png, "unexpected row size");
    return true;
}

bool read_pixels(Reader& r, png_bytep* rows) {
    if (setjmp(png_jmpbuf(r.png))) return false;
    png_read_image(r.png, rows);
    png_read_end(r.png, nullptr);
    return true;
}

[[noreturn]] void report(const Reader& r, std::string_view name) {
    if (r.is_at_end) fail<FormatError>("decode '{}': PNG ends after {} bytes, before its picture is complete", name, r.bytes.size());
    fail<FormatError>("decode '{}': bad PNG at byte {} of {}: {}", name, r.offset, r.bytes.size(), r.message);
}

struct Writer {
    png_structp png = nullptr;
    png_infop info = nullptr;
    std::vector<std::byte>* bytes = nullptr;
    char message[200] = "";

    Writer() = default;
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    ~Writer() { png_destroy_write_struct(&png, &info); }
};

void on_write(png_structp png, png_bytep source, std::size_t count) {
    auto& bytes = *static_cast<Writer*>(png_get_io_ptr(png))->bytes;
    const auto* first = reinterpret_cast<const std::byte*>(source);
    bytes.insert(bytes.end(), first, first + count);
}

bool write_pixels(Writer& w, const Image& image) {
    const auto on_failure = [](png_structp png, png_const_charp text) {
        std::snprintf(static_cast<Writer*>(png_get_error_ptr(png))->message, sizeof Writer::message, "%s", text);
        png_longjmp(png, 1);
    };
    w.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &w, on_failure, [](png_structp, png_const_charp) {});
    w.info = w.png ? png_create_info_struct(w.png) : nullptr;
    if (!w.info) return false;
    if (setjmp(png_jmpbuf(w.png))) return false;
    png_set_write_fn(w.png, &w, on_write, [](png_structp) {});
    png_set_IHDR(w.png, w.info, static_cast<png_uint_32>(image.width), static_cast<png_uint_32>(image.height), 8,
                 image.channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(w.png, w.info);
    for (std::int64_t y = 0; y < image.height; ++y) png_write_row(w.png, image.row(y));
    png_write_end(w.png, nullptr);
    return true;
}

}  // namespace

bool is_png(std::span<const std::byte> bytes) { return bytes.size() >= 4 && std::memcmp(bytes.data(), "\x89PNG", 4) == 0; }

Image decode_png(std::span<const std::byte> bytes, std::string_view name, const DecodeLimits& limits) {
    Reader reader;
    reader.bytes = bytes;
    if (!read_header(reader)) report(reader, name);
    check_size(name, reader.width, reader.height, limits);
    Image image(reader.width, reader.height, reader.channels);
    std::vector<png_bytep> rows(static_cast<std::size_t>(image.height));
    for (std::int64_t y = 0; y < image.height; ++y) rows[static_cast<std::size_t>(y)] = image.row(y);
    if (!read_pixels(reader, rows.data())) report(reader, name);
    return image;
}

std::vector<std::byte> encode_png(const Image& image) {
    require<ArgumentError>(image.width > 0 && image.height > 0, "encode PNG: the image is empty ({}x{})", image.width, image.height);
    std::vector<std::byte> bytes;
    Writer writer;
    writer.bytes = &bytes;
    if (!write_pixels(writer, image)) fail<Error>("encode PNG of {}x{}: {}", image.width, image.height, writer.message);
    return bytes;
}

}  // namespace fovea
