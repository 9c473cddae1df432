// Rectangles, pasted pictures and letters: enough for a grid of predictions.
#include <algorithm>
#include <cstring>

#include "core/text.h"
#include "fovea/image.h"

namespace fovea {

namespace {

/// Printable ASCII from the space on: 7 rows from the top, 5 bits each, the left pixel in the highest.
constexpr std::uint8_t font[95][7] = {
    { 0,  0,  0,  0,  0,  0,  0},  // space
    { 4,  4,  4,  4,  4,  0,  4},  // !
    {10, 10,  0,  0,  0,  0,  0},  // "
    {10, 10, 31, 10, 31, 10, 10},  // #
    { 4, 15, 20, 14,  5, 30,  4},  // $
    {24, 25,  2,  4,  8, 19,  3},  // %
    {12, 18, 20,  8, 21, 18, 13},  // &
    { 4,  4,  0,  0,  0,  0,  0},  // '
    { 2,  4,  8,  8,  8,  4,  2},  // (
    { 8,  4,  2,  2,  2,  4,  8},  // )
    { 0,  4, 21, 14, 21,  4,  0},  // *
    { 0,  4,  4, 31,  4,  4,  0},  // +
    { 0,  0,  0,  0, 12,  4,  8},  // ,
    { 0,  0,  0, 31,  0,  0,  0},  // -
    { 0,  0,  0,  0,  0, 12, 12},  // .
    { 0,  1,  2,  4,  8, 16,  0},  // /
    {14, 17, 19, 21, 25, 17, 14},  // 0
    { 4, 12,  4,  4,  4,  4, 14},  // 1
    {14, 17,  1,  6,  8, 16, 31},  // 2
    {14, 17,  1,  6,  1, 17, 14},  // 3
    { 2,  6, 10, 18, 31,  2,  2},  // 4
    {31, 16, 30,  1,  1, 17, 14},  // 5
    { 6,  8, 16, 30, 17, 17, 14},  // 6
    {31,  1,  2,  4,  4,  4,  4},  // 7
    {14, 17, 17, 14, 17, 17, 14},  // 8
    {14, 17, 17, 15,  1,  2, 12},  // 9
    { 0, 12, 12,  0, 12, 12,  0},  // :
    { 0, 12, 12,  0, 12,  4,  8},  // ;
    { 2,  4,  8, 16,  8,  4,  2},  // <
    { 0,  0, 31,  0, 31,  0,  0},  // =
    { 8,  4,  2,  1,  2,  4,  8},  // >
    {14, 17,  1,  6,  4,  0,  4},  // ?
    {14, 17, 23, 21, 22, 16, 15},  // @
    {14, 17, 17, 31, 17, 17, 17},  // A
    {30, 17, 17, 30, 17, 17, 30},  // B
    {14, 17, 16, 16, 16, 17, 14},  // C
    {30, 17, 17, 17, 17, 17, 30},  // D
    {31, 16, 16, 30, 16, 16, 31},  // E
    {31, 16, 16, 30, 16, 16, 16},  // F
    {14, 17, 16, 23, 17, 17, 15},  // G
    {17, 17, 17, 31, 17, 17, 17},  // H
    {14,  4,  4,  4,  4,  4, 14},  // I
    { 7,  2,  2,  2,  2, 18, 12},  // J
    {17, 18, 20, 24, 20, 18, 17},  // K
    {16, 16, 16, 16, 16, 16, 31},  // L
    {17, 27, 21, 21, 17, 17, 17},  // M
    {17, 25, 21, 19, 17, 17, 17},  // N
    {14, 17, 17, 17, 17, 17, 14},  // O
    {30, 17, 17, 30, 16, 16, 16},  // P
    {14, 17, 17, 17, 21, 18, 13},  // Q
    {30, 17, 17, 30, 20, 18, 17},  // R
    {15, 16, 16, 14,  1,  1, 30},  // S
    {31,  4,  4,  4,  4,  4,  4},  // T
    {17, 17, 17, 17, 17, 17, 14},  // U
    {17, 17, 17, 17, 17, 10,  4},  // V
    {17, 17, 17, 21, 21, 27, 17},  // W
    {17, 17, 10,  4, 10, 17, 17},  // X
    {17, 17, 10,  4,  4,  4,  4},  // Y
    {31,  1,  2,  4,  8, 16, 31},  // Z
    {14,  8,  8,  8,  8,  8, 14},  // [
    { 0, 16,  8,  4,  2,  1,  0},  // backslash
    {14,  2,  2,  2,  2,  2, 14},  // ]
    { 4, 10, 17,  0,  0,  0,  0},  // ^
    { 0,  0,  0,  0,  0,  0, 31},  // _
    { 8,  4,  0,  0,  0,  0,  0},  // `
    { 0,  0, 14,  1, 15, 17, 15},  // a
    {16, 16, 30, 17, 17, 17, 30},  // b
    { 0,  0, 15, 16, 16, 16, 15},  // c
    { 1,  1, 15, 17, 17, 17, 15},  // d
    { 0,  0, 14, 17, 31, 16, 14},  // e
    { 6,  8, 30,  8,  8,  8,  8},  // f
    { 0, 15, 17, 17, 15,  1, 14},  // g
    {16, 16, 30, 17, 17, 17, 17},  // h
    { 4,  0, 12,  4,  4,  4, 14},  // i
    { 2,  0,  6,  2,  2, 18, 12},  // j
    {16, 16, 18, 20, 24, 20, 18},  // k
    {12,  4,  4,  4,  4,  4, 14},  // l
    { 0,  0, 26, 21, 21, 21, 21},  // m
    { 0,  0, 30, 17, 17, 17, 17},  // n
    { 0,  0, 14, 17, 17, 17, 14},  // o
    { 0, 30, 17, 17, 30, 16, 16},  // p
    { 0, 15, 17, 17, 15,  1,  1},  // q
    { 0,  0, 22, 24, 16, 16, 16},  // r
    { 0,  0, 15, 16, 14,  1, 30},  // s
    { 8,  8, 30,  8,  8,  8,  6},  // t
    { 0,  0, 17, 17, 17, 17, 15},  // u
    { 0,  0, 17, 17, 17, 10,  4},  // v
    { 0,  0, 17, 21, 21, 21, 10},  // w
    { 0,  0, 17, 10,  4, 10, 17},  // x
    { 0, 17, 17, 17, 15,  1, 14},  // y
    { 0,  0, 31,  2,  4,  8, 31},  // z
    { 2,  4,  4,  8,  4,  4,  2},  // {
    { 4,  4,  4,  4,  4,  4,  4},  // |
    { 8,  4,  4,  2,  4,  4,  8},  // }
    { 0,  0,  8, 21,  2,  0,  0},  // ~
};
constexpr std::uint8_t unknown_glyph[7] = {31, 17, 17, 17, 17, 17, 31};

}  // namespace

void fill_rect(Image& image, std::int64_t x, std::int64_t y, std::int64_t width, std::int64_t height, Colour colour) {
    const std::int64_t x0 = std::clamp<std::int64_t>(x, 0, image.width), x1 = std::clamp<std::int64_t>(x + width, 0, image.width);
    const std::int64_t y0 = std::clamp<std::int64_t>(y, 0, image.height), y1 = std::clamp<std::int64_t>(y + height, 0, image.height);
    const auto luma = static_cast<std::uint8_t>((colour[0] * 19595 + colour[1] * 38470 + colour[2] * 7471 + 0x8000) >> 16);
    for (std::int64_t row = y0; row < y1; ++row)
        for (std::int64_t column = x0; column < x1; ++column) {
            std::uint8_t* pixel = image.row(row) + column * image.channels;
            if (image.channels == 1) *pixel = luma;
            else std::ranges::copy(colour, pixel);
        }
}

void draw_rect(Image& image, std::int64_t x, std::int64_t y, std::int64_t width, std::int64_t height, Colour colour, std::int64_t thickness) {
    fill_rect(image, x, y, width, thickness, colour);
    fill_rect(image, x, y + height - thickness, width, thickness, colour);
    fill_rect(image, x, y, thickness, height, colour);
    fill_rect(image, x + width - thickness, y, thickness, height, colour);
}

void paste(Image& image, const Image& part, std::int64_t x, std::int64_t y) {
    if (part.channels != image.channels) return paste(image, with_channels(part, image.channels), x, y);
    const std::int64_t x0 = std::max<std::int64_t>(x, 0), x1 = std::min(x + part.width, image.width);
    const std::int64_t y0 = std::max<std::int64_t>(y, 0), y1 = std::min(y + part.height, image.height);
    if (x0 >= x1) return;
    for (std::int64_t row = y0; row < y1; ++row)
        std::memcpy(image.row(row) + x0 * image.channels, part.row(row - y) + (x0 - x) * image.channels, static_cast<std::size_t>((x1 - x0) * image.channels));
}

void draw_text(Image& image, std::int64_t x, std::int64_t y, std::string_view text, Colour colour, int scale) {
    require<ArgumentError>(scale >= 1, "draw_text: scale must be at least 1, got {}", scale);
    std::int64_t pen = x;
    for (const char letter : text) {
        if (letter == '\n') {
            pen = x;
            y += text_height * scale;
            continue;
        }
        const std::uint8_t* glyph = letter >= ' ' && letter <= '~' ? font[letter - ' '] : unknown_glyph;
        for (int row = 0; row < 7; ++row)
            for (int column = 0; column < 5; ++column)
                if (glyph[row] >> (4 - column) & 1) fill_rect(image, pen + column * scale, y + row * scale, scale, scale, colour);
        pen += 6 * scale;
    }
}

std::int64_t text_width(std::string_view text, int scale) {
    std::int64_t widest = 0, width = 0;
    for (const char letter : text) {
        width = letter == '\n' ? 0 : width + 6 * scale;
        widest = std::max(widest, width);
    }
    return widest;
}

}  // namespace fovea
