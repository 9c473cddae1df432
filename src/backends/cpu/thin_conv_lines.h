// Lines of pixels for convolutions of few channels: planar, padded and transposed, compiled once for each instruction set.
#if defined(FOVEA_THIN_CONV_LINES) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_THIN_CONV_LINES
#undef FOVEA_THIN_CONV_LINES
#else
#define FOVEA_THIN_CONV_LINES
#endif

#include <algorithm>
#include <hwy/highway.h>

#include "backends/cpu/thin_conv.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
constexpr std::int64_t most_lanes = 16;
using D = hn::CappedTag<float, most_lanes>;
using V = hn::Vec<D>;
constexpr std::int64_t lanes = hn::MaxLanes(D());

constexpr std::int64_t rounded(std::int64_t count) { return (count + most_lanes - 1) / most_lanes * most_lanes; }

void transpose(float* out, std::int64_t out_pitch, const float* in, std::int64_t in_pitch, std::int64_t rows, std::int64_t columns) {
    if (HWY_TARGET == HWY_SCALAR || rows < 4 || columns < 4) {
        for (std::int64_t c = 0; c < columns; ++c)
            for (std::int64_t r = 0; r < rows; ++r) out[c * out_pitch + r] = in[r * in_pitch + c];
        return;
    }
#if HWY_TARGET != HWY_SCALAR
    const hn::FixedTag<float, 4> d;
    const hn::FixedTag<double, 2> pairs;
    // Blocks of 4 x 4; the last of a line overlaps the one before it. Sixteen rows at a time, so that a cache line is written at once.
    for (std::int64_t band = 0; band < rows; band += 16)
        for (std::int64_t i = 0; i < columns; i += 4)
            for (std::int64_t j = band; j < std::min(band + 16, rows); j += 4) {
                const std::int64_t c = std::min(i, columns - 4), r = std::min(j, rows - 4);
                const float* from = in + r * in_pitch + c;
                float* to = out + c * out_pitch + r;
                const auto v0 = hn::LoadU(d, from), v1 = hn::LoadU(d, from + in_pitch), v2 = hn::LoadU(d, from + 2 * in_pitch), v3 = hn::LoadU(d, from + 3 * in_pitch);
                const auto low01 = hn::BitCast(pairs, hn::InterleaveLower(d, v0, v1)), high01 = hn::BitCast(pairs, hn::InterleaveUpper(d, v0, v1));
                const auto low23 = hn::BitCast(pairs, hn::InterleaveLower(d, v2, v3)), high23 = hn::BitCast(pairs, hn::InterleaveUpper(d, v2, v3));
                hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, low01, low23)), d, to);
                hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, low01, low23)), d, to + out_pitch);
                hn::StoreU(hn::BitCast(d, hn::InterleaveLower(pairs, high01, high23)), d, to + 2 * out_pitch);
                hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(pairs, high01, high23)), d, to + 3 * out_pitch);
            }
#endif
}

#if HWY_TARGET != HWY_SCALAR

/// Moves count floats; whole vectors, then one that ends where the floats do.
HWY_INLINE void move(float* out, const float* in, std::int64_t count) {
    const D d;
    if (count < lanes) {
        for (std::int64_t i = 0; i < count; ++i) out[i] = in[i];
        return;
    }
    for (std::int64_t i = 0; i + lanes <= count; i += lanes) hn::StoreU(hn::LoadU(d, in + i), d, out + i);
    hn::StoreU(hn::LoadU(d, in + count - lanes), d, out + count - lanes);
}

/// Where by_pixels finds its input: planes of lines, each line cut by the column's remainder modulo the stride, so that a tap of neighbouring
/// outputs is a stretch of memory.
struct Planes {
    std::int64_t columns, line, plane;  ///< floats of a stretch, a line (stride_w stretches), a plane
    bool is_direct;                     ///< the input lies like this already

    Planes(const ThinConv& g, std::int64_t units, bool may_be_direct = true) : is_direct(may_be_direct && g.is_planar && g.stride_w == 1 && !g.is_padded()) {
        columns = is_direct ? g.width : rounded(g.out_width) + (g.kernel_w - 1) / g.stride_w;
        line = columns * g.stride_w;
        plane = is_direct ? g.height * g.width : line * lines(g, units);
    }
    static std::int64_t lines(const ThinConv& g, std::int64_t units) { return (2 * units - 1) * g.stride_h + g.kernel_h; }
    /// A block's vectors reach past the last column.
    [[nodiscard]] std::int64_t floats(const ThinConv& g) const { return rounded(g.channels * plane + most_lanes + rounded(g.out_width)); }
};

/// Lines of x from `first` on (it may lie in the padding), zeros around.
void fill(float* to, const float* x, const ThinConv& g, const Planes& planes, std::int64_t first, std::int64_t lines) {
    for (std::int64_t c = 0; c < g.channels; ++c)
        for (std::int64_t l = 0; l < lines; ++l) {
            float* line = to + c * planes.plane + l * planes.line;
            const std::int64_t h = first + l;
            if (h < 0 || h >= g.height) {
                std::fill_n(line, planes.line, 0.0f);
                continue;
            }
            const std::int64_t step = g.is_planar ? 1 : g.channels;
            const float* source = g.is_planar ? x + (c * g.height + h) * g.width : x + h * g.width * g.channels + c;
            for (std::int64_t phase = 0; phase < g.stride_w; ++phase, line += planes.columns) {
                // Column j holds the input's column j * stride + shift.
                const std::int64_t shift = phase - g.before_w;
                const std::int64_t begin = std::min(planes.columns, shift < 0 ? (-shift + g.stride_w - 1) / g.stride_w : 0);
                const std::int64_t end = std::clamp(g.width > shift ? (g.width - shift + g.stride_w - 1) / g.stride_w : 0, begin, planes.columns);
                for (std::int64_t j = 0; j < begin; ++j) line[j] = 0;
                const std::int64_t stride = g.stride_w * step;
                const float* from = source + shift * step;
                if (stride == 1) move(line + begin, from + begin, end - begin);
                else
                    for (std::int64_t j = begin; j < end; ++j) line[j] = from[j * stride];
                for (std::int64_t j = end; j < planes.columns; ++j) line[j] = 0;
            }
        }
}

#endif

}  // namespace
}  // namespace fovea::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
