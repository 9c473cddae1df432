// The tiles of the convolution as matrix products: up to 24 sums of 16 filters in registers.
#include "backends/cpu/direct_conv.h"

#include <algorithm>
#include <array>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/direct_conv.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "backends/cpu/simd_activations.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::cpu::HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr std::int64_t lanes = DirectConv::lanes;

/// Adjacent outputs of one line, for some vectors of filters, in one pass over the sum.
struct Tile {
    const DirectConv& g;
    const std::vector<DirectConv::Stretch>& stretches;
    const float *x, *weight, *bias, *residual;  ///< weight and bias of the tile's first filter; residual of its first output
    float* y;
    std::int64_t p, column;              ///< output line; input column of the first output's first tap
    std::int64_t first_tap, last_tap;    ///< of the taps of a line, those that lie within the map for all outputs
    bool is_first, is_last;              ///< pass
    std::int64_t last_lanes;             ///< filters in the last vector
};

template <int vectors, int outputs> void run_tile(const Tile& tile) {
    const D d;
    const DirectConv& g = tile.g;
    const std::int64_t step = g.stride_w * g.channels, vector_step = g.taps() * g.channels * lanes;
    V sums[outputs][vectors];
#pragma GCC unroll 24
    for (int t = 0; t < outputs; ++t)
#pragma GCC unroll 4
        for (int k = 0; k < vectors; ++k) sums[t][k] = hn::Zero(d);
    for (const DirectConv::Stretch& s : tile.stretches) {
        const std::int64_t line = tile.p * g.stride_h - g.before_h + s.r * g.dilation_h, first = std::max(s.first_tap, tile.first_tap), last = std::min(s.last_tap, tile.last_tap);
        if (line < 0 || line >= g.height || first >= last) continue;
        const float* w = tile.weight + ((s.r * g.kernel_w + first) * g.channels + s.first_channel) * lanes;
        // Three outputs to a pointer: the others are one and two steps away, which the processor adds for nothing.
        constexpr int pointers = (outputs + 2) / 3;
        const float* from[pointers];
        from[0] = tile.x + (line * g.width + tile.column + first * g.dilation_w) * g.channels + s.first_channel;
#pragma GCC unroll 8
        for (int i = 1; i < pointers; ++i) from[i] = from[i - 1] + 3 * step;
        const std::int64_t count = (last - first - 1) * g.channels + s.last_channel - s.first_channel;
        for (std::int64_t i = 0; i < count; ++i, w += lanes) {
            V row[vectors];
#pragma GCC unroll 4
            for (int k = 0; k < vectors; ++k) row[k] = hn::LoadU(d, w + k * vector_step);
#pragma GCC unroll 24
            for (int t = 0; t < outputs; ++t) {
                const V value = hn::Set(d, from[t / 3][(t % 3) * step]);
#pragma GCC unroll 4
                for (int k = 0; k < vectors; ++k) sums[t][k] = hn::MulAdd(value, row[k], sums[t][k]);
            }
#pragma GCC unroll 8
            for (int t = 0; t < pointers; ++t) ++from[t];
        }
    }
    const auto mask = hn::FirstN(d, static_cast<std::size_t>(tile.last_lanes));
    const auto load = [&](const float* at, int k) HWY_ATTR { return k + 1 < vectors ? hn::LoadU(d, at + k * lanes) : hn::MaskedLoad(mask, d, at + k * lanes); };
    V start[vectors];
#pragma GCC unroll 4
    for (int k = 0; k < vectors; ++k) start[k] = tile.is_first && tile.bias ? load(tile.bias, k) : hn::Zero(d);
    // What later passes add to is y; a residual that lies there is in it from the first pass on.
    const float* before = tile.is_first ? tile.residual : tile.y;
#pragma GCC unroll 24
    for (int t = 0; t < outputs; ++t) {
#pragma GCC unroll 4
        for (int k = 0; k < vectors; ++k) {
            sums[t][k] = hn::Add(sums[t][k], start[k]);
            if (before) sums[t][k] = hn::Add(sums[t][k], load(before + t * g.filters, k));
        }
        if (tile.is_last) activations::finish(sums[t], g.epilogue);
#pragma GCC unroll 4
        for (int k = 0; k < vectors; ++k) {
            float* to = tile.y + t * g.filters + k * lanes;
            k + 1 < vectors ? hn::StoreU(sums[t][k], d, to) : hn::BlendedStore(sums[t][k], mask, d, to);
        }
    }
}

using Run = void (*)(const Tile&);
constexpr int most_outputs[] = {12, 12, 8, 6};  // by vectors of filters
template <int vectors, int... t> constexpr auto runs_of(std::integer_sequence<int, t...>) { return std::array<Run, 12>{run_tile<vectors, t + 1>...}; }
constexpr std::array<Run, 12> runs[] = {runs_of<1>(std::make_integer_sequence<int, 12>()), runs_of<2>(std::make_integer_sequence<int, 12>()),
                                        runs_of<3>(std::make_integer_sequence<int, 8>()), runs_of<4>(std::make_integer_sequence<int, 6>())};

/// Outputs [begin, end) of a line, all of them reading the taps from `first_tap` to `last_tap`.
void run_columns(Tile tile, float* y, const float* residual, int vectors, std::int64_t begin, std::int64_t end) {
    const DirectConv& g = tile.g;
    const std::int64_t most = most_outputs[vectors - 1], count = (end - begin + most - 1) / most;
    for (std::int64_t i = 0, q = begin; i < count; ++i) {
        const std::int64_t next = begin + (end - begin) * (i + 1) / count;
        tile.column = q * g.stride_w - g.before_w;
        tile.y = y + q * g.filters;
        tile.residual = residual ? residual + q * g.filters : nullptr;
        runs[vectors - 1][static_cast<std::size_t>(next - q - 1)](tile);
        q = next;
    }
}

void run_line(Tile tile, float* y, const float* residual, int vectors, std::int64_t begin, std::int64_t end) {
    const DirectConv& g = tile.g;
    const std::int64_t extent = (g.kernel_w - 1) * g.dilation_w;
    // Outputs [inner, inner_end) see no edge.
    const std::int64_t inner = std::clamp((g.before_w + g.stride_w - 1) / g.stride_w, begin, end);
    const std::int64_t reach = g.width - extent + g.before_w, inner_end = std::clamp(reach > 0 ? (reach - 1) / g.stride_w + 1 : 0, inner, end);
    const auto at_edge = [&](std::int64_t q) {
        const std::int64_t column = q * g.stride_w - g.before_w;
        tile.first_tap = column < 0 ? (-column + g.dilation_w - 1) / g.dilation_w : 0;
        tile.last_tap = std::clamp<std::int64_t>(column < g.width ? (g.width - column + g.dilation_w - 1) / g.dilation_w : 0, 0, g.kernel_w);
        run_columns(tile, y, residual, vectors, q, q + 1);
    };
    for (std::int64_t q = begin; q < inner; ++q) at_edge(q);
    tile.first_tap = 0, tile.last_tap = g.kernel_w;
    run_columns(tile, y, residual, vectors, inner, inner_end);
    for (std::int64_t q = inner_end; q < end; ++q) at_edge(q);
}

void run(float* y, const float* x, const float* weight, const float* bias, const float* residual, const DirectConv& g, const DirectPiece& piece) {
    // As much of x and y at a time as stays in the second-level cache while the filters pass.
    constexpr std::int64_t cached_floats = 96 << 10, most_vectors = 4, least_columns = 48;
    const std::int64_t pixel = g.channels * g.stride_h * g.stride_w + g.filters, pixels = std::max(least_columns, cached_floats / pixel);
    const std::int64_t columns = std::min(piece.column_end - piece.column, pixels), lines = std::max<std::int64_t>(1, pixels / std::max<std::int64_t>(1, columns));
    const std::int64_t all_vectors = piece.vector_end - piece.vector, panels = (all_vectors + most_vectors - 1) / most_vectors;
    for (std::int64_t line = piece.line; line < piece.line_end; line += lines)
        for (std::int64_t column = piece.column; column < piece.column_end; column += columns)
            for (std::int64_t i = 0; i < panels; ++i) {
                const std::int64_t vector = piece.vector + all_vectors * i / panels, vector_end = piece.vector + all_vectors * (i + 1) / panels, filter = vector * lanes;
                for (std::size_t pass = 0; pass < g.passes.size(); ++pass) {
                    Tile tile{.g = g, .stretches = g.passes[pass], .x = x, .weight = weight + vector * g.taps() * g.channels * lanes, .bias = bias ? bias + filter : nullptr, .residual = nullptr,
                              .y = nullptr, .p = 0, .column = 0, .first_tap = 0, .last_tap = 0, .is_first = pass == 0, .is_last = pass + 1 == g.passes.size(),
                              .last_lanes = std::min(lanes, g.filters - (vector_end - 1) * lanes)};
                    for (tile.p = line; tile.p < std::min(line + lines, piece.line_end); ++tile.p) {
                        const std::int64_t first = tile.p * g.out_width * g.filters + filter;
                        run_line(tile, y + first, residual ? residual + first : nullptr, static_cast<int>(vector_end - vector), column, std::min(column + columns, piece.column_end));
                    }
                }
            }
}

DirectConvKernel direct_table() { return {true, run}; }

#else

DirectConvKernel direct_table() { return {false, nullptr}; }

#endif

}  // namespace
}  // namespace fovea::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea::cpu {

HWY_EXPORT(direct_table);

const DirectConvKernel& direct_conv() {
    static const DirectConvKernel chosen = HWY_DYNAMIC_DISPATCH(direct_table)();
    return chosen;
}

void DirectConv::cut_into_passes() {
    constexpr std::int64_t most_values = 640;  // of 64 filters: 160 KiB
    passes.assign(1, {});
    std::int64_t in_pass = 0;
    const auto add = [&](const Stretch& stretch, std::int64_t values) {
        if (in_pass > 0 && in_pass + values > most_values) passes.emplace_back(), in_pass = 0;
        passes.back().push_back(stretch);
        in_pass += values;
    };
    const std::int64_t pieces = (channels + most_values - 1) / most_values;
    for (std::int64_t r = 0; r < kernel_h; ++r) {
        if (dilation_w == 1 && kernel_w * channels <= most_values) {
            add({r, 0, kernel_w, 0, channels}, kernel_w * channels);
            continue;
        }
        for (std::int64_t s = 0; s < kernel_w; ++s)
            for (std::int64_t i = 0; i < pieces; ++i) {
                const std::int64_t from = channels * i / pieces, to = channels * (i + 1) / pieces;
                add({r, s, s + 1, from, to}, to - from);
            }
    }
}

}  // namespace fovea::cpu
#endif
