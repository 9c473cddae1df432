#include "image/colour.h"

#include <algorithm>
#include <cmath>

namespace fovea {

namespace {

using Table = std::array<std::uint8_t, 256>;

/// Pillow's Image.blend: a + factor (b - a) in f32, cut off.
std::uint8_t blended(int a, int b, float factor) {
    const float value = static_cast<float>(a) + factor * static_cast<float>(b - a);
    return value <= 0 ? 0 : value >= 255 ? 255 : static_cast<std::uint8_t>(value);
}

Table table_of(auto&& value) {
    Table table;
    for (int i = 0; i < 256; ++i) table[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(std::clamp<double>(value(i), 0, 255));
    return table;
}

void map_values(Image& image, const Table& table) {
    for (std::uint8_t& v : image.pixels) v = table[v];
}

/// A table for each channel from its histogram.
void apply_by_histogram(Image& image, auto&& make) {
    const auto channels = static_cast<std::size_t>(image.channels);
    std::array<std::array<std::int64_t, 256>, 3> counts{};
    for (std::size_t i = 0; i < image.pixels.size(); i += channels)
        for (std::size_t c = 0; c < channels; ++c) ++counts[c][image.pixels[i + c]];
    std::array<Table, 3> tables;
    for (std::size_t c = 0; c < channels; ++c) tables[c] = make(counts[c]);
    for (std::size_t i = 0; i < image.pixels.size(); i += channels)
        for (std::size_t c = 0; c < channels; ++c) image.pixels[i + c] = tables[c][image.pixels[i + c]];
}

struct Hsv {
    std::uint8_t h, s, v;
};

/// Pillow's 8-bit HSV, in its mixture of f32 and f64.
Hsv to_hsv(std::uint8_t r, std::uint8_t g, std::uint8_t b) {
    const std::uint8_t most = std::max({r, g, b}), least = std::min({r, g, b});
    if (most == least) return {0, 0, most};
    const auto range = static_cast<float>(most - least);
    const float s = range / static_cast<float>(most);
    const float rc = static_cast<float>(most - r) / range, gc = static_cast<float>(most - g) / range, bc = static_cast<float>(most - b) / range;
    const float sixth = r == most ? bc - gc : g == most ? static_cast<float>(2.0 + rc - bc) : static_cast<float>(4.0 + gc - rc);
    const double turn = sixth / 6.0 + 1.0;  // in 5/6 .. 2
    const auto h = static_cast<float>(turn >= 1 ? turn - 1 : turn);
    return {static_cast<std::uint8_t>(h * 255.0), static_cast<std::uint8_t>(s * 255.0), most};
}

void from_hsv(const Hsv& hsv, std::uint8_t* rgb) {
    if (hsv.s == 0) {
        rgb[0] = rgb[1] = rgb[2] = hsv.v;
        return;
    }
    const double sixths = static_cast<float>(hsv.h) * 6.0 / 255.0;
    const int i = static_cast<int>(sixths);
    const auto f = static_cast<float>(sixths - i), fs = static_cast<float>(hsv.s / 255.0);
    const auto level = [&](double part) { return static_cast<std::uint8_t>(std::clamp(static_cast<int>(hsv.v * part + 0.5), 0, 255)); };  // round(): nothing is negative
    const std::uint8_t v = hsv.v, p = level(1.0 - fs), q = level(1.0 - fs * f), t = level(1.0 - fs * (1.0 - f));
    const std::uint8_t all[6][3] = {{v, t, p}, {q, v, p}, {p, v, t}, {p, q, v}, {t, p, v}, {v, p, q}};
    std::copy_n(all[i % 6], 3, rgb);
}

int luma(const std::uint8_t* p) { return (p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16; }

}  // namespace

void adjust_brightness(Image& image, double factor) {
    map_values(image, table_of([f = static_cast<float>(factor)](int v) { return blended(0, v, f); }));
}

void adjust_contrast(Image& image, double factor) {
    std::int64_t sum = 0;
    const std::int64_t count = image.width * image.height;
    if (count == 0) return;
    for (std::size_t i = 0; i < image.pixels.size(); i += static_cast<std::size_t>(image.channels)) sum += image.channels == 3 ? luma(&image.pixels[i]) : image.pixels[i];
    const int mean = static_cast<int>(static_cast<double>(sum) / static_cast<double>(count) + 0.5);
    map_values(image, table_of([mean, f = static_cast<float>(factor)](int v) { return blended(mean, v, f); }));
}

void adjust_saturation(Image& image, double factor) {
    if (image.channels == 1) return;
    const auto f = static_cast<float>(factor);
    for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
        const int grey = luma(&image.pixels[i]);
        for (std::size_t c = 0; c < 3; ++c) image.pixels[i + c] = blended(grey, image.pixels[i + c], f);
    }
}

void adjust_hue(Image& image, double turn) {
    if (image.channels == 1) return;
    const auto shift = static_cast<std::uint8_t>(static_cast<int>(turn * 255));
    for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
        Hsv hsv = to_hsv(image.pixels[i], image.pixels[i + 1], image.pixels[i + 2]);
        hsv.h = static_cast<std::uint8_t>(hsv.h + shift);
        from_hsv(hsv, &image.pixels[i]);
    }
}

void adjust_sharpness(Image& image, double factor) {
    if (image.width < 3 || image.height < 3) return;  // Pillow's filter leaves the edges as they are
    const Image before = image;
    const std::int64_t step = image.channels;
    const float one = 1.0f / 13, five = 5.0f / 13;
    const auto f = static_cast<float>(factor);
    for (std::int64_t y = 1; y + 1 < image.height; ++y) {
        const std::uint8_t *above = before.row(y - 1), *here = before.row(y), *below = before.row(y + 1);
        std::uint8_t* out = image.row(y);
        for (std::int64_t x = step; x < (image.width - 1) * step; ++x) {
            const auto three = [&](const std::uint8_t* row, float middle) {
                return static_cast<float>(row[x - step]) * one + static_cast<float>(row[x]) * middle + static_cast<float>(row[x + step]) * one;
            };
            float sum = 0.5f;
            sum += three(below, one);
            sum += three(here, five);
            sum += three(above, one);
            out[x] = blended(static_cast<int>(sum), here[x], f);
        }
    }
    // What the smoothing left alone at the edges blends with itself: as it was.
}

void to_grey(Image& image) {
    if (image.channels == 1) return;
    for (std::size_t i = 0; i < image.pixels.size(); i += 3) image.pixels[i] = image.pixels[i + 1] = image.pixels[i + 2] = static_cast<std::uint8_t>(luma(&image.pixels[i]));
}

void invert(Image& image) {
    for (std::uint8_t& v : image.pixels) v = static_cast<std::uint8_t>(255 - v);
}

void posterize(Image& image, int bits) {
    const auto kept = static_cast<std::uint8_t>(~((1 << (8 - std::clamp(bits, 0, 8))) - 1));
    for (std::uint8_t& v : image.pixels) v &= kept;
}

void solarize(Image& image, double threshold) {
    map_values(image, table_of([threshold](int v) { return v < threshold ? v : 255 - v; }));
}

void autocontrast(Image& image) {
    apply_by_histogram(image, [](const std::array<std::int64_t, 256>& counts) {
        int low = 0, high = 255;
        while (low < 255 && counts[static_cast<std::size_t>(low)] == 0) ++low;
        while (high > 0 && counts[static_cast<std::size_t>(high)] == 0) --high;
        if (high <= low) return table_of([](int v) { return v; });
        const double scale = 255.0 / (high - low), offset = -low * scale;
        return table_of([&](int v) { return std::trunc(v * scale + offset); });
    });
}

void equalize(Image& image) {
    apply_by_histogram(image, [](const std::array<std::int64_t, 256>& counts) {
        std::int64_t total = 0, last = 0;
        for (const std::int64_t count : counts) total += count, last = count ? count : last;
        const std::int64_t step = (total - last) / 255;
        if (step == 0) return table_of([](int v) { return v; });
        std::int64_t n = step / 2;
        return table_of([&](int v) {
            const std::int64_t level = n / step;
            n += counts[static_cast<std::size_t>(v)];
            return level;
        });
    });
}

}  // namespace fovea
