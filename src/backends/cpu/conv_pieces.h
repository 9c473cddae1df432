// How the maps of a convolution are cut into pieces of work: by the program's parts of the batch, or, of few samples, into stripes of lines.
#pragma once

#include <array>
#include <vector>

#include "backends/cpu/conv_primitives.h"

namespace fovea::cpu {

/// Output lines [line, line + lines) of samples [sample, sample + samples), the input lines they come from, and the padding that is left to
/// them. Several samples go with whole maps, whose lines all lie in one stretch of memory.
struct ConvPiece {
    std::int64_t sample, samples, line, lines, in_line, in_lines, before, after;
    /// Pieces of one size share a primitive.
    [[nodiscard]] auto size() const { return std::array{samples, lines, in_lines, before, after}; }
};
using PieceSize = decltype(ConvPiece{}.size());

/// Lines read and made. Forward: `out` = (`in` + before + after - extent) / stride + 1; of the data gradient `in` are the lines of dy, `out`
/// those of dx.
struct ConvLines {
    std::int64_t in, out, stride, extent, before, after;
};

/// The program's parts of the batch.
[[nodiscard]] std::vector<ConvPiece> row_pieces(const PlanContext& context, const ConvLines& lines);
/// The maps of each sample in `count` stripes of output lines; fewer where a stripe would read nothing but padding.
[[nodiscard]] std::vector<ConvPiece> striped(const ConvLines& lines, std::int64_t samples, std::int64_t count);
/// The same for the data gradient: stripes of dx, with the lines of dy that reach them.
[[nodiscard]] std::vector<ConvPiece> striped_gradient(const ConvLines& lines, std::int64_t samples, std::int64_t count);
/// Whole maps, the samples in `count` groups.
[[nodiscard]] std::vector<ConvPiece> grouped(const ConvLines& lines, std::int64_t samples, std::int64_t count);

/// Parts of the batch that a weight gradient of so many elements is summed over, of maps dy of so many: the program's, or few of several where
/// writing and reading each part's sum costs more than what dy has to leave the cache for. A function of shapes alone.
[[nodiscard]] int gradient_parts(const PlanContext& context, std::int64_t weights, std::int64_t map_elements);

/// The pieces of a node that makes `made` by so many multiply-adds with so many weights: the program's parts where the batch is cut;
/// of few samples, enough pieces for several threads. A function of shapes alone.
[[nodiscard]] std::vector<ConvPiece> pieces_of(const PlanContext& context, const ConvLines& lines, bool is_gradient, bool is_sharded, const Shape& made, std::int64_t macs,
                                               std::int64_t weights);

}  // namespace fovea::cpu
