// Ops that only move elements, axis by axis: output index o along an axis reads input index map[o], or nothing where that is -1.
// Padding, slicing, flipping and nearest-neighbour resampling differ in the maps alone.
#pragma once

#include <algorithm>
#include <vector>

#include "graph/op.h"

namespace fovea {

using AxisMap = std::vector<std::int64_t>;
using AxisMaps = std::vector<AxisMap>;  // one per dimension of the output

[[nodiscard]] inline AxisMap identity_map(std::int64_t size) {
    AxisMap map(static_cast<std::size_t>(size));
    for (std::int64_t i = 0; i < size; ++i) map[static_cast<std::size_t>(i)] = i;
    return map;
}
[[nodiscard]] inline AxisMaps identity_maps(const Shape& shape) {
    AxisMaps maps;
    for (std::int64_t size : shape.dims()) maps.push_back(identity_map(size));
    return maps;
}

/// row(first output of the row, first input of the row or -1 when an outer axis reads nothing) for every row of the output.
template <class F> void for_each_row(const Shape& out, const Shape& in, const AxisMaps& maps, F&& row) {
    const int outer = out.rank() - 1;
    const std::int64_t rows = out.elements(0, outer), width = out[-1];
    if (rows * width == 0) return;
    std::int64_t stride[Shape::max_rank]{}, index[Shape::max_rank]{};
    std::int64_t step = in[-1];
    for (int d = outer - 1; d >= 0; --d) stride[d] = step, step *= in[d];
    for (std::int64_t r = 0; r < rows; ++r) {
        std::int64_t from = 0;
        for (int d = 0; d < outer && from >= 0; ++d) {
            const std::int64_t i = maps[static_cast<std::size_t>(d)][static_cast<std::size_t>(index[d])];
            from = i < 0 ? -1 : from + i * stride[d];
        }
        row(r * width, from);
        for (int d = outer - 1; d >= 0; --d) {
            if (++index[d] < out[d]) break;
            index[d] = 0;
        }
    }
}

/// y[o] = x[map(o)], `value` where nothing is read. Any element type.
template <class T> void gather(const Shape& out, const Shape& in, const AxisMaps& maps, const T* x, T* y, T value = T(0)) {
    const AxisMap& columns = maps.back();
    for_each_row(out, in, maps, [&](std::int64_t to, std::int64_t from) {
        if (from < 0) {
            std::fill_n(y + to, out[-1], value);
            return;
        }
        for (std::size_t i = 0; i < columns.size(); ++i) y[to + static_cast<std::int64_t>(i)] = columns[i] < 0 ? value : x[from + columns[i]];
    });
}

/// dx[map(o)] += dy[o] into zeros: the transpose of gather.
template <class T> void scatter(const Shape& out, const Shape& in, const AxisMaps& maps, const T* dy, T* dx) {
    const AxisMap& columns = maps.back();
    std::fill_n(dx, in.elements(), T(0));
    for_each_row(out, in, maps, [&](std::int64_t to, std::int64_t from) {
        if (from < 0) return;
        for (std::size_t i = 0; i < columns.size(); ++i)
            if (columns[i] >= 0) dx[from + columns[i]] += dy[to + static_cast<std::int64_t>(i)];
    });
}

// The maps and weights of the ops that move or mix positions, for backends that run them on another layout.
[[nodiscard]] AxisMaps slice_maps(const Shape& x, const Shape& y, const Attrs& attrs);
[[nodiscard]] AxisMaps pad_maps(const Shape& x, const Attrs& attrs);
[[nodiscard]] AxisMaps unpool_maps(const Shape& y, const Attrs& attrs);
[[nodiscard]] AxisMaps flip_maps(const Shape& x, const Attrs& attrs);

/// Where one output row of interpolate comes from: (1 - weight) low + weight high.
struct Tap {
    std::int64_t low, high;
    double weight;
};
[[nodiscard]] std::vector<Tap> interpolate_taps(const Attrs& attrs, std::int64_t size, std::int64_t count);

/// Input range of one window of avg_pool2d along one axis (0: height, 1: width) and the length it counts for.
struct PoolSpan {
    std::int64_t begin, end, counted;
};
[[nodiscard]] std::vector<PoolSpan> avg_pool_spans(const Attrs& attrs, int axis, std::int64_t size, std::int64_t count);

/// f(T{}) with the C++ type of input 0, whatever element type it has.
template <class F> void with_input_type(const OpRun& run, F&& f) {
    switch (run.dtype(0)) {
        case DType::i32: return f(std::int32_t{});
        case DType::i64: return f(std::int64_t{});
        case DType::u8: return f(std::uint8_t{});
        default: return run.with_real(f);
    }
}

}  // namespace fovea
