// Resampling with Pillow's result to the bit: weights normalised in f64, rounded to 22 bits, one pass along each axis.
#include <algorithm>
#include <cmath>
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

std::uint8_t to_byte(std::int32_t sum) { return static_cast<std::uint8_t>(std::clamp(sum >> precision_bits, 0, 255)); }

constexpr std::int32_t half = 1 << (precision_bits - 1);

template <int channels> void resample_rows(const Image& image, const Taps& taps, Image& result) {
    for (std::int64_t y = 0; y < image.height; ++y) {
        const std::uint8_t* source = image.row(y);
        std::uint8_t* target = result.row(y);
        for (std::int64_t x = 0; x < result.width; ++x) {
            const auto i = static_cast<std::size_t>(x);
            const std::uint8_t* from = source + taps.first[i] * channels;
            const std::int32_t* weights = &taps.weights[i * taps.stride];
            std::int32_t sum[channels];
            for (int c = 0; c < channels; ++c) sum[c] = half;
            for (std::int64_t k = 0; k < taps.count[i]; ++k)
                for (int c = 0; c < channels; ++c) sum[c] += from[k * channels + c] * weights[k];
            for (int c = 0; c < channels; ++c) target[x * channels + c] = to_byte(sum[c]);
        }
    }
}

void resample_columns(const Image& image, const Taps& taps, Image& result) {
    const auto row_bytes = static_cast<std::size_t>(image.width * image.channels);
    std::vector<std::int32_t> sums(row_bytes);
    for (std::int64_t y = 0; y < result.height; ++y) {
        const auto i = static_cast<std::size_t>(y);
        std::ranges::fill(sums, half);
        for (std::int64_t k = 0; k < taps.count[i]; ++k) {
            const std::uint8_t* source = image.row(taps.first[i] + k);
            const std::int32_t w = taps.weights[i * taps.stride + static_cast<std::size_t>(k)];
            for (std::size_t x = 0; x < row_bytes; ++x) sums[x] += source[x] * w;
        }
        std::uint8_t* target = result.row(y);
        for (std::size_t x = 0; x < row_bytes; ++x) target[x] = to_byte(sums[x]);
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

Image resize(const Image& image, std::int64_t width, std::int64_t height, Filter filter) {
    require<ArgumentError>(width > 0 && height > 0, "resize: size must be positive, got {}x{}", width, height);
    require<ArgumentError>(image.width > 0 && image.height > 0, "resize: the image is empty ({}x{})", image.width, image.height);
    if (width == image.width && height == image.height) return image;
    if (filter == Filter::nearest) return resize_nearest(image, width, height);
    Image wide;
    const Image* source = &image;
    if (width != image.width) {
        wide = Image(width, image.height, image.channels);
        const Taps taps = make_taps(filter, image.width, width);
        image.channels == 3 ? resample_rows<3>(image, taps, wide) : resample_rows<1>(image, taps, wide);
        source = &wide;
    }
    if (height == image.height) return wide;
    Image result(width, height, image.channels);
    resample_columns(*source, make_taps(filter, image.height, height), result);
    return result;
}

Image resize_shorter_side(const Image& image, std::int64_t side, Filter filter) {
    require<ArgumentError>(image.width > 0 && image.height > 0, "resize: the image is empty ({}x{})", image.width, image.height);
    // In f64 as Python divides: int(side * longer / shorter).
    const auto longer = [&](std::int64_t long_side, std::int64_t short_side) {
        return static_cast<std::int64_t>(static_cast<double>(side * long_side) / static_cast<double>(short_side));
    };
    const std::int64_t width = image.width <= image.height ? side : longer(image.width, image.height);
    const std::int64_t height = image.width <= image.height ? longer(image.height, image.width) : side;
    // A line of one pixel would become a picture of gigabytes: a fault of that file, so FormatError.
    require<FormatError>(width * height <= DecodeLimits{}.max_pixels, "resize: {}x{} would become {}x{}, beyond {} pixels", image.width, image.height, width, height,
                         DecodeLimits{}.max_pixels);
    return resize(image, width, height, filter);
}

Image enlarge(const Image& image, int factor) {
    require<ArgumentError>(factor >= 1, "enlarge: factor must be at least 1, got {}", factor);
    return factor == 1 || image.is_empty() ? image : resize_nearest(image, image.width * factor, image.height * factor);
}

}  // namespace fovea
