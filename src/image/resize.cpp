// Resampling with Pillow's result to the bit: weights normalised in f64, rounded to 22 bits, one pass along each axis.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "core/text.h"
#include "fovea/image.h"

namespace fovea {

namespace {

constexpr int precision_bits = 32 - 8 - 2;  // 8 bits of pixel, 2 of head room: the negative lobes of bicubic and Lanczos overshoot
constexpr std::array<std::string_view, 6> filter_names{"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"};

double sinc(double x) { return x == 0 ? 1 : std::sin(x * std::numbers::pi) / (x * std::numbers::pi); }

/// Half the width of the filter, in pixels of the coarser image.
double support_of(Filter filter) {
    constexpr double supports[] = {0, 0.5, 1, 1, 2, 3};
    return supports[static_cast<std::size_t>(filter)];
}

double weight(Filter filter, double x) {
    const double distance = std::abs(x);
    switch (filter) {
        case Filter::box: return x > -0.5 && x <= 0.5 ? 1 : 0;
        case Filter::bilinear: return distance < 1 ? 1 - distance : 0;
        case Filter::hamming: return distance >= 1 ? 0 : sinc(distance) * (0.54 + 0.46 * std::cos(distance * std::numbers::pi));
        case Filter::bicubic: {
            // Keys 1981, "Cubic convolution interpolation for digital image processing", a = -0.5.
            constexpr double a = -0.5;
            if (distance < 1) return ((a + 2) * distance - (a + 3)) * distance * distance + 1;
            return distance < 2 ? (((distance - 5) * distance + 8) * distance - 4) * a : 0;
        }
        case Filter::lanczos: return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
        case Filter::nearest: break;
    }
    return 0;
}

/// For each output position: the first input it reads, how many, and `stride` fixed-point weights.
struct Taps {
    std::vector<std::int64_t> first, count;
    std::vector<std::int32_t> weights;
    std::size_t stride = 0;
};

Taps make_taps(Filter filter, std::int64_t in, std::int64_t out) {
    const double scale = static_cast<double>(in) / static_cast<double>(out);
    const double widening = std::max(scale, 1.0);  // anti-aliasing: the filter covers the input pixels of one output pixel
    const double support = support_of(filter) * widening;
    Taps taps;
    taps.stride = static_cast<std::size_t>(std::ceil(support)) * 2 + 1;
    taps.weights.resize(taps.stride * static_cast<std::size_t>(out));
    std::vector<double> exact(taps.stride);
    for (std::int64_t i = 0; i < out; ++i) {
        const double center = (static_cast<double>(i) + 0.5) * scale;
        const auto first = std::max<std::int64_t>(static_cast<std::int64_t>(center - support + 0.5), 0);
        const auto last = std::min<std::int64_t>(static_cast<std::int64_t>(center + support + 0.5), in);
        double sum = 0;
        for (std::int64_t x = first; x < last; ++x) {
            exact[static_cast<std::size_t>(x - first)] = weight(filter, (static_cast<double>(x) - center + 0.5) * (1 / widening));
            sum += exact[static_cast<std::size_t>(x - first)];
        }
        for (std::int64_t x = first; x < last; ++x) {
            const double w = (sum != 0 ? exact[static_cast<std::size_t>(x - first)] / sum : 0) * (1 << precision_bits);
            taps.weights[static_cast<std::size_t>(i) * taps.stride + static_cast<std::size_t>(x - first)] = static_cast<std::int32_t>(w < 0 ? w - 0.5 : w + 0.5);
        }
        taps.first.push_back(first);
        taps.count.push_back(last - first);
    }
    return taps;
}

[[gnu::always_inline]] inline std::uint8_t to_byte(std::int32_t sum) { return static_cast<std::uint8_t>(std::clamp(sum >> precision_bits, 0, 255)); }

constexpr std::int32_t half = 1 << (precision_bits - 1);

// The two passes are compiled for AVX2 too and chosen when they run: integers, so the result is the same.
#if defined(__x86_64__)
#define FOVEA_RESIZE_AVX2 [[gnu::target("avx2")]]
bool has_avx2() { return __builtin_cpu_supports("avx2") > 0; }
#else
#define FOVEA_RESIZE_AVX2
bool has_avx2() { return false; }
#endif

/// One output pixel of a row.
template <int channels> void resample_pixel(const std::uint8_t* from, const std::int32_t* weights, std::int64_t count, std::uint8_t* target) {
    std::int32_t sum[channels];
    for (int c = 0; c < channels; ++c) sum[c] = half;
    for (std::int64_t k = 0; k < count; ++k)
        for (int c = 0; c < channels; ++c) sum[c] += from[k * channels + c] * weights[k];
    for (int c = 0; c < channels; ++c) target[c] = to_byte(sum[c]);
}

/// Columns [begin, begin + result.width) of one row of a picture resampled by `taps`; `source` is the picture's column `offset`.
template <int channels> void resample_row(const std::uint8_t* source, std::int64_t offset, const Taps& taps, std::int64_t begin, std::int64_t width, std::uint8_t* target) {
    for (std::int64_t x = 0; x < width; ++x) {
        const auto i = static_cast<std::size_t>(x + begin);
        resample_pixel<channels>(source + (taps.first[i] - offset) * channels, &taps.weights[i * taps.stride], taps.count[i], target + x * channels);
    }
}

/// The same of RGB, two rows at once, a pixel as four lanes: reads one byte behind the last pixel.
FOVEA_RESIZE_AVX2 void resample_two_rows(const std::uint8_t* upper, const std::uint8_t* lower, std::int64_t offset, const Taps& taps, std::int64_t begin, std::int64_t width, std::uint8_t* to_upper,
                                         std::uint8_t* to_lower) {
    using Bytes [[gnu::vector_size(8)]] = std::uint8_t;
    using Lanes [[gnu::vector_size(32)]] = std::int32_t;
    for (std::int64_t x = 0; x < width; ++x) {
        const auto i = static_cast<std::size_t>(x + begin);
        const std::int64_t first = (taps.first[i] - offset) * 3, count = taps.count[i];
        const std::int32_t* weights = &taps.weights[i * taps.stride];
        Lanes sum = Lanes{} + half;
        for (std::int64_t k = 0; k < count; ++k) {
            std::uint32_t one = 0, other = 0;
            std::memcpy(&one, upper + first + 3 * k, 4);
            std::memcpy(&other, lower + first + 3 * k, 4);
            const std::uint64_t both = one | (std::uint64_t{other} << 32);  // in a register: two stores and a load would wait for each other
            Bytes bytes;
            std::memcpy(&bytes, &both, 8);
            sum += __builtin_convertvector(bytes, Lanes) * weights[k];
        }
        for (int c = 0; c < 3; ++c) to_upper[3 * x + c] = to_byte(sum[c]), to_lower[3 * x + c] = to_byte(sum[4 + c]);
    }
}

/// Rows [first, first + result.height) of the image.
template <int channels> void resample_rows(const Image& image, std::int64_t first, std::int64_t offset, const Taps& taps, std::int64_t begin, Image& result) {
    std::int64_t y = 0;
    if constexpr (channels == 3) {
        // Not the image's last row, behind which there may be no byte.
        if (has_avx2())
            for (; y + 1 < result.height && first + y + 2 < image.height; y += 2)
                resample_two_rows(image.row(first + y), image.row(first + y + 1), offset, taps, begin, result.width, result.row(y), result.row(y + 1));
    }
    for (; y < result.height; ++y) resample_row<channels>(image.row(first + y), offset, taps, begin, result.width, result.row(y));
}

/// `count` columns, each a weighted sum of rows `stride` apart.
[[gnu::always_inline]] inline void weigh_rows(const std::uint8_t* source, std::int64_t stride, const std::int32_t* weights, std::int64_t rows, std::int64_t count, std::uint8_t* target) {
    constexpr std::int64_t block = 64;  // sums stay in registers
    for (std::int64_t x = 0; x < count; x += block) {
        const std::int64_t columns = std::min(block, count - x);
        std::int32_t sums[block];
        for (std::int32_t& sum : sums) sum = half;
        if (columns == block)
            for (std::int64_t k = 0; k < rows; ++k)
                for (std::int64_t i = 0; i < block; ++i) sums[i] += source[k * stride + x + i] * weights[k];
        else
            for (std::int64_t k = 0; k < rows; ++k)
                for (std::int64_t i = 0; i < columns; ++i) sums[i] += source[k * stride + x + i] * weights[k];
        for (std::int64_t i = 0; i < columns; ++i) target[x + i] = to_byte(sums[i]);
    }
}

void weigh_rows_anywhere(const std::uint8_t* source, std::int64_t stride, const std::int32_t* weights, std::int64_t rows, std::int64_t count, std::uint8_t* target) {
    weigh_rows(source, stride, weights, rows, count, target);
}
FOVEA_RESIZE_AVX2 void weigh_rows_avx2(const std::uint8_t* source, std::int64_t stride, const std::int32_t* weights, std::int64_t rows, std::int64_t count, std::uint8_t* target) {
    weigh_rows(source, stride, weights, rows, count, target);
}

void resample_columns(const Image& image, std::int64_t offset, const Taps& taps, std::int64_t begin, Image& result) {
    const std::int64_t row_bytes = image.width * image.channels;
    const auto weigh = has_avx2() ? weigh_rows_avx2 : weigh_rows_anywhere;
    for (std::int64_t y = 0; y < result.height; ++y) {
        const auto i = static_cast<std::size_t>(y + begin);
        weigh(image.row(taps.first[i] - offset), row_bytes, &taps.weights[i * taps.stride], taps.count[i], row_bytes, result.row(y));
    }
}

/// Source position of each output position. Added up, not multiplied: Pillow's positions carry this rounding.
std::vector<std::int64_t> nearest_positions(std::int64_t in, std::int64_t out) {
    std::vector<std::int64_t> positions;
    const double step = static_cast<double>(in) / static_cast<double>(out);
    double position = step * 0.5;
    for (std::int64_t i = 0; i < out; ++i, position += step) positions.push_back(std::min(static_cast<std::int64_t>(position), in - 1));
    return positions;
}

Image resize_nearest(const Image& image, std::int64_t width, std::int64_t height) {
    Image result(width, height, image.channels);
    const auto columns = nearest_positions(image.width, width), rows = nearest_positions(image.height, height);
    for (std::int64_t y = 0; y < height; ++y) {
        const std::uint8_t* source = image.row(rows[static_cast<std::size_t>(y)]);
        std::uint8_t* target = result.row(y);
        for (std::int64_t x : columns)
            for (int c = 0; c < image.channels; ++c) *target++ = source[x * image.channels + c];
    }
    return result;
}

}  // namespace

std::string_view name_of(Filter filter) { return filter_names[static_cast<std::size_t>(filter)]; }

Filter filter_of(std::string_view name) {
    const auto found = std::ranges::find(filter_names, name);
    if (found == filter_names.end()) {
        const auto nearest = nearest_names(name, {filter_names.begin(), filter_names.end()});
        fail<ArgumentError>("no resize filter '{}'; nearest: {}, {}, {}", name, nearest[0], nearest[1], nearest[2]);
    }
    return static_cast<Filter>(found - filter_names.begin());
}

namespace {

/// First and last source positions that outputs [begin, end) read.
std::array<std::int64_t, 2> source_range(Filter filter, std::int64_t in, std::int64_t out, std::int64_t begin, std::int64_t end) {
    if (in == out) return {begin, end};
    if (filter == Filter::nearest) {
        const auto positions = nearest_positions(in, out);
        return {positions[static_cast<std::size_t>(begin)], positions[static_cast<std::size_t>(end - 1)] + 1};
    }
    const double scale = static_cast<double>(in) / static_cast<double>(out), support = support_of(filter) * std::max(scale, 1.0);
    // As make_taps() rounds them.
    return {std::max<std::int64_t>(static_cast<std::int64_t>((static_cast<double>(begin) + 0.5) * scale - support + 0.5), 0),
            std::min<std::int64_t>(static_cast<std::int64_t>((static_cast<double>(end - 1) + 0.5) * scale + support + 0.5), in)};
}

void check_part(std::array<std::int64_t, 2> size, std::int64_t width, std::int64_t height, const PixelRect& part) {
    require<ArgumentError>(width > 0 && height > 0, "resize: size must be positive, got {}x{}", width, height);
    require<ArgumentError>(size[0] > 0 && size[1] > 0, "resize: the image is empty ({}x{})", size[0], size[1]);
    require<ArgumentError>(part.x >= 0 && part.y >= 0 && part.width > 0 && part.height > 0 && part.x + part.width <= width && part.y + part.height <= height,
                           "resize: the part {}x{} at ({}, {}) leaves the result of {}x{}", part.width, part.height, part.x, part.y, width, height);
}

}  // namespace

PixelRect resize_source(std::array<std::int64_t, 2> size, std::int64_t width, std::int64_t height, const PixelRect& part, Filter filter) {
    check_part(size, width, height, part);
    const auto [x0, x1] = source_range(filter, size[0], width, part.x, part.x + part.width);
    const auto [y0, y1] = source_range(filter, size[1], height, part.y, part.y + part.height);
    return {x0, y0, x1 - x0, y1 - y0};
}

Image resize_part(const Image& source, const PixelRect& at, std::array<std::int64_t, 2> size, std::int64_t width, std::int64_t height, const PixelRect& part, Filter filter) {
    const PixelRect needed = resize_source(size, width, height, part, filter);
    require<ArgumentError>(at.width == source.width && at.height == source.height && at.x <= needed.x && at.y <= needed.y && at.x + at.width >= needed.x + needed.width &&
                               at.y + at.height >= needed.y + needed.height,
                           "resize: {}x{} at ({}, {}) of the source is needed, given is {}x{} at ({}, {})", needed.width, needed.height, needed.x, needed.y, at.width, at.height, at.x, at.y);
    if (filter == Filter::nearest) {
        Image result(part.width, part.height, source.channels);
        const auto columns = nearest_positions(size[0], width), rows = nearest_positions(size[1], height);
        for (std::int64_t y = 0; y < part.height; ++y) {
            const std::uint8_t* row = source.row((height == size[1] ? y + part.y : rows[static_cast<std::size_t>(y + part.y)]) - at.y);
            std::uint8_t* target = result.row(y);
            for (std::int64_t x = part.x; x < part.x + part.width; ++x)
                for (int c = 0; c < source.channels; ++c) *target++ = row[((width == size[0] ? x : columns[static_cast<std::size_t>(x)]) - at.x) * source.channels + c];
        }
        return result;
    }
    if (width == size[0] && height == size[1]) return crop(source, part.x - at.x, part.y - at.y, part.width, part.height);
    // Only the rows that the second pass reads go through the first.
    Image narrow;
    if (width == size[0]) {
        narrow = crop(source, part.x - at.x, needed.y - at.y, part.width, needed.height);
    } else {
        narrow = Image(part.width, needed.height, source.channels);
        const Taps taps = make_taps(filter, size[0], width);
        source.channels == 3 ? resample_rows<3>(source, needed.y - at.y, at.x, taps, part.x, narrow) : resample_rows<1>(source, needed.y - at.y, at.x, taps, part.x, narrow);
    }
    if (height == size[1]) return narrow;
    Image result(part.width, part.height, source.channels);
    resample_columns(narrow, needed.y, make_taps(filter, size[1], height), part.y, result);
    return result;
}

Image resize(const Image& image, std::int64_t width, std::int64_t height, Filter filter) {
    check_part({image.width, image.height}, width, height, {0, 0, width, height});
    if (width == image.width && height == image.height) return image;
    if (filter == Filter::nearest) return resize_nearest(image, width, height);
    Image wide;
    const Image* source = &image;
    if (width != image.width) {
        wide = Image(width, image.height, image.channels);
        const Taps taps = make_taps(filter, image.width, width);
        image.channels == 3 ? resample_rows<3>(image, 0, 0, taps, 0, wide) : resample_rows<1>(image, 0, 0, taps, 0, wide);
        source = &wide;
    }
    if (height == image.height) return wide;
    Image result(width, height, image.channels);
    resample_columns(*source, 0, make_taps(filter, image.height, height), 0, result);
    return result;
}

std::array<std::int64_t, 2> shorter_side_size(std::int64_t w, std::int64_t h, std::int64_t side) {
    require<ArgumentError>(w > 0 && h > 0, "resize: the image is empty ({}x{})", w, h);
    // In f64 as Python divides: int(side * longer / shorter).
    const auto longer = [&](std::int64_t long_side, std::int64_t short_side) {
        return static_cast<std::int64_t>(static_cast<double>(side * long_side) / static_cast<double>(short_side));
    };
    const std::int64_t width = w <= h ? side : longer(w, h), height = w <= h ? longer(h, w) : side;
    // A line of one pixel would become a picture of gigabytes: a fault of that file, so FormatError.
    require<FormatError>(width * height <= DecodeLimits{}.max_pixels, "resize: {}x{} would become {}x{}, beyond {} pixels", w, h, width, height, DecodeLimits{}.max_pixels);
    return {width, height};
}

Image resize_shorter_side(const Image& image, std::int64_t side, Filter filter) {
    const auto [width, height] = shorter_side_size(image.width, image.height, side);
    return resize(image, width, height, filter);
}

Image enlarge(const Image& image, int factor) {
    require<ArgumentError>(factor >= 1, "enlarge: factor must be at least 1, got {}", factor);
    return factor == 1 || image.is_empty() ? image : resize_nearest(image, image.width * factor, image.height * factor);
}

}  // namespace fovea
