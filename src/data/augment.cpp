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
            const float border = offset.border == PadFill::mean ? 0.0f : tables[c][0];
            std::fill(row, row + left, border);
            std::fill(row + right, row + width, border);
            targets[c] = row + left;
        }
        if (begin >= end) continue;
        const std::uint8_t* source_row = source.pixels + (from_y * width + offset.dx) * channels;
        if (offset.is_mirrored) place_run<channels>(source_row + (end - 1) * channels, -channels, end - begin, tables, targets);
        else place_run<channels>(source_row + begin * channels, channels, end - begin, tables, targets);
    }
}

/// Both axes by the same kernel, nothing beyond the edges. The inner loops run along rows, where the compiler can use vectors.
void blur(std::vector<float>& field, std::int64_t width, std::int64_t height, const std::vector<float>& kernel) {
    const auto radius = static_cast<std::int64_t>(kernel.size() / 2);
    std::vector<float> padded(static_cast<std::size_t>(width + 2 * radius)), rows(field.size());
    for (std::int64_t y = 0; y < height; ++y) {
        std::copy_n(&field[static_cast<std::size_t>(y * width)], width, &padded[static_cast<std::size_t>(radius)]);
        float* target = &rows[static_cast<std::size_t>(y * width)];
        for (std::int64_t k = 0; k <= 2 * radius; ++k)
            for (std::int64_t x = 0; x < width; ++x) target[x] += kernel[static_cast<std::size_t>(k)] * padded[static_cast<std::size_t>(x + k)];
    }
    std::ranges::fill(field, 0.0f);
    for (std::int64_t y = 0; y < height; ++y) {
        float* target = &field[static_cast<std::size_t>(y * width)];
        for (std::int64_t k = std::max(-radius, -y); k <= std::min(radius, height - 1 - y); ++k) {
            const float* source = &rows[static_cast<std::size_t>((y + k) * width)];
            for (std::int64_t x = 0; x < width; ++x) target[x] += kernel[static_cast<std::size_t>(k + radius)] * source[x];
        }
    }
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

Field elastic_field(std::int64_t width, std::int64_t height, const Augment& augment, std::uint64_t key, std::int64_t epoch, std::int64_t sample) {
    const auto count = static_cast<std::size_t>(width * height);
    Field field{std::vector<float>(count), std::vector<float>(count)};
    for (std::size_t i = 0; i < count; i += 4) {
        // One block is four words; each makes both directions of one pixel, 16 bits each.
        const auto block = philox({static_cast<std::uint32_t>(i), static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(sample >> 32), static_cast<std::uint32_t>(epoch)}, key);
        for (std::size_t j = i; j < std::min(i + 4, count); ++j) {
            field.x[j] = static_cast<float>(block[j - i] >> 16) * (2.0f / 65535) - 1;
            field.y[j] = static_cast<float>(block[j - i] & 0xFFFF) * (2.0f / 65535) - 1;
        }
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

void warp(const PixelView& source, const Augment& augment, const Draws& draws, std::vector<std::uint8_t>& target) {
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
    if (augment.elastic_alpha != 0) field = elastic_field(width, height, augment, draws.field_key(), draws.epoch(), draws.sample());

    // A black border of one pixel before and two behind: a position clamped to -1 .. size reads its four neighbours without a test.
    const std::int64_t stride = (width + 3) * channels;
    std::vector<std::uint8_t> bordered(static_cast<std::size_t>(stride * (height + 3)));
    for (std::int64_t y = 0; y < height; ++y) std::copy_n(source.pixels + y * width * channels, width * channels, &bordered[static_cast<std::size_t>((y + 1) * stride + channels)]);
    const auto right = static_cast<float>(width), bottom = static_cast<float>(height);
    std::size_t i = 0;
    std::uint8_t* out = target.data();
    for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x, ++i) {
            const double from_center_x = static_cast<double>(x) - center_x - shift_x, from_center_y = static_cast<double>(y) - center_y - shift_y;
            auto source_x = static_cast<float>(center_x + xx * from_center_x + xy * from_center_y);
            auto source_y = static_cast<float>(center_y + yx * from_center_x + yy * from_center_y);
            if (!field.x.empty()) source_x += field.x[i], source_y += field.y[i];
            source_x = std::clamp(source_x, -1.0f, right) + 1, source_y = std::clamp(source_y, -1.0f, bottom) + 1;  // in the bordered picture
            const auto x0 = static_cast<std::int64_t>(source_x), y0 = static_cast<std::int64_t>(source_y);
            const float fx = source_x - static_cast<float>(x0), fy = source_y - static_cast<float>(y0);
            const std::uint8_t* corner = &bordered[static_cast<std::size_t>(y0 * stride + x0 * channels)];
            for (std::int64_t c = 0; c < channels; ++c, ++corner) {
                const float above = static_cast<float>(corner[0]) * (1 - fx) + static_cast<float>(corner[channels]) * fx;
                const float below = static_cast<float>(corner[stride]) * (1 - fx) + static_cast<float>(corner[stride + channels]) * fx;
                *out++ = static_cast<std::uint8_t>(above * (1 - fy) + below * fy + 0.5f);
            }
        }
}

void place(const PixelView& source, const Offset& offset, bool is_bgr, const NormaliseTable& table, float* planes) {
    source.channels == 3 ? place_rows<3>(source, offset, is_bgr, table, planes) : place_rows<1>(source, offset, is_bgr, table, planes);
}

}  // namespace fovea
