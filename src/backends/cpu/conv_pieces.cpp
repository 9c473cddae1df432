#include "backends/cpu/conv_pieces.h"

#include <algorithm>

namespace fovea::cpu {

std::vector<ConvPiece> row_pieces(const PlanContext& context, const ConvLines& c) {
    std::vector<ConvPiece> pieces;
    for (std::size_t p = 0; p + 1 < context.row_bounds.size(); ++p)
        pieces.push_back({context.row_bounds[p], context.row_bounds[p + 1] - context.row_bounds[p], 0, c.out, 0, c.in, c.before, c.after});
    return pieces;
}

std::vector<ConvPiece> grouped(const ConvLines& c, std::int64_t samples, std::int64_t count) {
    std::vector<ConvPiece> pieces;
    for (std::int64_t p = 0; p < count; ++p) pieces.push_back({samples * p / count, samples * (p + 1) / count - samples * p / count, 0, c.out, 0, c.in, c.before, c.after});
    return pieces;
}

namespace {

/// of(begin, end) gives the piece for output lines [begin, end) of sample 0, `samples` 0 where there is none.
template <class Of> std::vector<ConvPiece> stripes(std::int64_t lines, std::int64_t samples, std::int64_t count, Of of) {
    for (count = std::min(count, lines); count > 1; --count) {
        std::vector<ConvPiece> pieces;
        bool is_possible = true;
        for (std::int64_t n = 0; n < samples; ++n)
            for (std::int64_t s = 0; s < count; ++s) {
                pieces.push_back(of(lines * s / count, lines * (s + 1) / count));
                pieces.back().sample = n;
                is_possible &= pieces.back().samples > 0;
            }
        if (is_possible) return pieces;
    }
    return {};
}

}  // namespace

std::vector<ConvPiece> striped(const ConvLines& c, std::int64_t samples, std::int64_t count) {
    auto pieces = stripes(c.out, samples, count, [&](std::int64_t begin, std::int64_t end) {
        const std::int64_t from = begin * c.stride - c.before, to = (end - 1) * c.stride - c.before + c.extent;
        const std::int64_t first = std::max<std::int64_t>(from, 0), last = std::min(to, c.in);
        return ConvPiece{0, first < last, begin, end - begin, first, last - first, first - from, to - last};
    });
    return pieces.empty() ? grouped(c, samples, samples) : pieces;
}

std::vector<ConvPiece> striped_gradient(const ConvLines& c, std::int64_t samples, std::int64_t count) {
    auto pieces = stripes(c.out, samples, count, [&](std::int64_t begin, std::int64_t end) {
        const std::int64_t first = std::max<std::int64_t>(0, (begin + c.before - c.extent + c.stride) / c.stride), last = std::min(c.in, (end - 1 + c.before) / c.stride + 1);
        const std::int64_t before = begin + c.before - first * c.stride, after = (last - first - 1) * c.stride + c.extent - (end - begin) - before;
        return ConvPiece{0, first < last && before >= 0, begin, end - begin, first, last - first, before, after};
    });
    return pieces.empty() ? grouped(c, samples, samples) : pieces;
}

int gradient_parts(const PlanContext& context, std::int64_t weights, std::int64_t map_elements) {
    constexpr int few = 8;
    constexpr std::int64_t accesses = 3;  // a sum is fetched and written by its part, then read
    return context.parts() > few && accesses * (context.parts() - few) * weights > map_elements ? few : context.parts();
}

std::vector<ConvPiece> pieces_of(const PlanContext& context, const ConvLines& lines, bool is_gradient, bool is_sharded, const Shape& made, std::int64_t macs, std::int64_t weights) {
    if (is_sharded) return row_pieces(context, lines);
    // Some 8 us of a core: multiply-adds, or in thin kernels the elements they write; an even number, as cores are. Each piece reads all
    // weights: where they do not stay in the cache, that pays from so many pixels on.
    constexpr std::int64_t piece_work = 1 << 20, element_work = 16, most_pieces = 8, cached_weights = 64 << 10, least_pixels = 24;
    const std::int64_t samples = made[0], pixels = made.elements() / made[1];
    const std::int64_t most = weights > cached_weights ? std::clamp<std::int64_t>(pixels / least_pixels, 1, most_pieces) : most_pieces;
    const std::int64_t even = ((macs + element_work * made.elements()) / piece_work + 1) / 2 * 2;
    const std::int64_t wanted = context.has_few_samples() ? std::clamp<std::int64_t>(even, 1, most) : 1;
    if (wanted <= samples) return grouped(lines, samples, wanted);
    const std::int64_t each = (wanted + samples - 1) / samples;
    return is_gradient ? striped_gradient(lines, samples, each) : striped(lines, samples, each);
}

}  // namespace fovea::cpu
