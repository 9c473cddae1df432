#include "data/augment.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace fovea {

namespace {

constexpr double radians_per_degree = std::numbers::pi / 180;

/// `steps` pixels of one row, from source[0], source[step], ...
template <int channels> void place_run(const std::uint8_t* source, std::ptrdiff_t step, std::int64_t count, const float* const (&tables)[channels], float* const (&targets)[channels]) {
    for (std::int64_t i = 0; i < count; ++i, source += step)
        for (int c = 0; c < channels; ++c) targets[c][i] = tables[c][source[c]];
}

template <int channels> void place_rows(const PixelView& source, const Offset& offset, bool is_bgr, const NormaliseTable& table, float* planes) {
    const std::int64_t width = source.width, height = source.height;
    // The columns of the target that lie inside the source, before mirroring.
    const std::int64_t first = std::clamp<std::int64_t>(-offset.dx, 0, width), last = std::clamp<std::int64_t>(width - offset.dx, first, width);
    const float* tables[channels];
    std::int64_t plane_of[channels];
    for (int c = 0; c < channels; ++c) {
        plane_of[c] = channels == 3 && is_bgr ? 2 - c : c;
        tables[c] = table[static_cast<std::size_t>(plane_of[c])].data();
    }
    for (std::int64_t y = 0; y < height; ++y) {
        const std::int64_t from_y = y + offset.dy;
        const bool is_inside = from_y >= 0 && from_y < height;
        const std::int64_t begin = is_inside ? first : width, end = is_inside ? last : width;
        float* targets[channels];
        for (int c = 0; c < channels; ++c) {
            float* row = planes + (plane_of[c] * height + y) * width;
            const std::int64_t left = offset.is_mirrored ? width - end : begin, right = offset.is_mirrored ? width - begin : end;
            std::fill(row, row + left, tables[c][0]);
            std::fill(row + right, row + width, tables[c][0]);
            targets[c] = row + left;
        }
        if (begin >= end) continue;
        const std::uint8_t* source_row = source.pixels + (from_y * width + offset.dx) * channels;
        if (offset.is_mirrored) place_run<channels>(source_row + (end - 1) * channels, -channels, end - begin, tables, targets);
        else place_run<channels>(source_row + begin * channels, channels, end - begin, tables, targets);
    }
}

/// Gaussian along one axis of a field of `length` values `step` apart, nothing beyond the ends.
void blur_line(const float* source, float* target, std::int64_t length, std::int64_t step, const std::vector<float>& kernel) {
    const auto radius = static_cast<std::int64_t>(kernel.size() / 2);
    for (std::int64_t i = 0; i < length; ++i) {
        float sum = 0;
        for (std::int64_t k = std::max(-radius, -i); k <= std::min(radius, length - 1 - i); ++k) sum += kernel[static_cast<std::size_t>(k + radius)] * source[(i + k) * step];
        target[i * step] = sum;
    }
}

void blur(std::vector<float>& field, std::int64_t width, std::int64_t height, const std::vector<float>& kernel) {
    std::vector<float> rows(field.size());
    for (std::int64_t y = 0; y < height; ++y) blur_line(&field[static_cast<std::size_t>(y * width)], &rows[static_cast<std::size_t>(y * width)], width, 1, kernel);
    for (std::int64_t x = 0; x < width; ++x) blur_line(&rows[static_cast<std::size_t>(x)], &field[static_cast<std::size_t>(x)], height, width, kernel);
}

std::vector<float> gaussian(double sigma) {
    const auto radius = std::max(1, static_cast<int>(std::ceil(3 * sigma)));
    std::vector<float> kernel;
    double sum = 0;
    for (int i = -radius; i <= radius; ++i) sum += std::exp(-i * i / (2 * sigma * sigma));
    for (int i = -radius; i <= radius; ++i) kernel.push_back(static_cast<float>(std::exp(-i * i / (2 * sigma * sigma)) / sum));
    return kernel;
}

/// Displacements in pixels along x and y.
struct Field {
    std::vector<float> x, y;
};

Field elastic_field(std::int64_t width, std::int64_t height, const Augment& augment, const Rng& rng, std::int64_t sample) {
    const auto count = static_cast<std::size_t>(width * height);
    Field field{std::vector<float>(count), std::vector<float>(count)};
    for (std::size_t i = 0; i < count; ++i) {
        // 32 bits of one draw make both directions, 16 each.
        const std::uint32_t bits = rng.bits((static_cast<std::uint64_t>(sample) << 28) + i);
        field.x[i] = static_cast<float>(bits >> 16) * (2.0f / 65535) - 1;
        field.y[i] = static_cast<float>(bits & 0xFFFF) * (2.0f / 65535) - 1;
    }
    const auto kernel = gaussian(augment.elastic_sigma);
    for (auto* axis : {&field.x, &field.y}) {
        blur(*axis, width, height, kernel);
        for (float& v : *axis) v *= static_cast<float>(augment.elastic_alpha);
    }
    return field;
}

}  // namespace

bool has_warp(const Augment& a) { return a.rotate_deg != 0 || a.shift != 0 || a.scale != 0 || a.shear_deg != 0 || a.elastic_alpha != 0; }

void warp(const PixelView& source, const Augment& augment, const Draws& draws, const Rng& field_rng, std::int64_t sample, std::vector<std::uint8_t>& target) {
    const std::int64_t width = source.width, height = source.height, channels = source.channels;
    target.resize(static_cast<std::size_t>(width * height * channels));
    const double angle = draws.around_zero(Draws::rotate, augment.rotate_deg) * radians_per_degree;
    const double slant = std::tan(draws.around_zero(Draws::shear, augment.shear_deg) * radians_per_degree);
    const double shrink = 1 / (1 + draws.around_zero(Draws::scale, augment.scale));
    const double shift_x = draws.around_zero(Draws::shift_x, augment.shift), shift_y = draws.around_zero(Draws::shift_y, augment.shift);
    // Target position -> source position, about the centre: rotation * shear / scale.
    const double xx = std::cos(angle) * shrink, xy = (std::cos(angle) * slant - std::sin(angle)) * shrink;
    const double yx = std::sin(angle) * shrink, yy = (std::sin(angle) * slant + std::cos(angle)) * shrink;
    const double center_x = static_cast<double>(width - 1) / 2, center_y = static_cast<double>(height - 1) / 2;
    Field field;
    if (augment.elastic_alpha != 0) field = elastic_field(width, height, augment, field_rng, sample);

    const auto pixel = [&](std::int64_t x, std::int64_t y, std::int64_t c) -> float {
        return x >= 0 && x < width && y >= 0 && y < height ? static_cast<float>(source.pixels[(y * width + x) * channels + c]) : 0.0f;
    };
    std::size_t i = 0;
    for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x, ++i) {
            const double from_center_x = static_cast<double>(x) - center_x - shift_x, from_center_y = static_cast<double>(y) - center_y - shift_y;
            auto source_x = static_cast<float>(center_x + xx * from_center_x + xy * from_center_y);
            auto source_y = static_cast<float>(center_y + yx * from_center_x + yy * from_center_y);
            if (!field.x.empty()) source_x += field.x[i], source_y += field.y[i];
            // Far outside everything is black; clamping keeps the conversion to integers defined.
            source_x = std::clamp(source_x, -2.0f, static_cast<float>(width) + 1), source_y = std::clamp(source_y, -2.0f, static_cast<float>(height) + 1);
            const float floor_x = std::floor(source_x), floor_y = std::floor(source_y), fx = source_x - floor_x, fy = source_y - floor_y;
            const auto x0 = static_cast<std::int64_t>(floor_x), y0 = static_cast<std::int64_t>(floor_y);
            for (std::int64_t c = 0; c < channels; ++c) {
                const float top = pixel(x0, y0, c) * (1 - fx) + pixel(x0 + 1, y0, c) * fx;
                const float bottom = pixel(x0, y0 + 1, c) * (1 - fx) + pixel(x0 + 1, y0 + 1, c) * fx;
                target[i * static_cast<std::size_t>(channels) + static_cast<std::size_t>(c)] = static_cast<std::uint8_t>(top * (1 - fy) + bottom * fy + 0.5f);
            }
        }
}

void place(const PixelView& source, const Offset& offset, bool is_bgr, const NormaliseTable& table, float* planes) {
    source.channels == 3 ? place_rows<3>(source, offset, is_bgr, table, planes) : place_rows<1>(source, offset, is_bgr, table, planes);
}

}  // namespace fovea
