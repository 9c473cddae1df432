// Pictures that are answered pixel by pixel: in tiles, for networks without padding, and with a weight for each pixel.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "fovea/core.h"
#include "fovea/image.h"

namespace fovea {

// ---- overlapping tiles ----------------------------------------------------------------------
// Ronneberger et al. 2015, arXiv:1505.04597, fig. 2: tiles of the output lie side by side, those of the input overlap.

/// What a network sees and the part of it, in the middle, that it answers: U-Net 572 x 572 and 388 x 388. Whoever builds it knows both.
struct TileSizes {
    std::int64_t in_width, in_height, out_width, out_height;
};
struct Tile {
    PixelRect in;   ///< what the network sees; beyond the picture's edges, its mirror image
    PixelRect out;  ///< what it answers; beyond the edges only where the picture is smaller than a tile
};
/// Tiles, row by row, that answer every pixel of a picture. The last of a row or column ends where the picture does, so that it sees as little of
/// a mirror image as can be. Throws ArgumentError for sizes that are not positive or leave no even border.
[[nodiscard]] std::vector<Tile> overlap_tiles(std::int64_t width, std::int64_t height, const TileSizes& sizes);
/// A part of f32 [N, C, H, W], which is mirrored at its edges without repeating them: what lies one pixel outside is what lies one inside.
[[nodiscard]] Tensor mirrored_part(const Tensor& images, const PixelRect& part);
/// `network`, from f32 [N, C, in_height, in_width] to [N, L, out_height, out_width], over all of f32 [N, C, H, W]: [N, L, H, W].
/// Throws ShapeError when it gives another shape.
[[nodiscard]] Tensor run_in_tiles(const Tensor& images, const TileSizes& sizes, const std::function<Tensor(const Tensor&)>& network);

// ---- weights of pixels ----------------------------------------------------------------------

struct PixelWeightSpec {
    double border = 10;  ///< w0: the most that a gap adds
    double sigma = 5;    ///< of the gap's width, in pixels
    /// Weights of the two classes; 0: in inverse proportion to their share of this picture, 1 on average.
    double background = 0, cell = 0;
};
/// How much each pixel counts in the loss, so that narrow gaps between cells are learnt. Ronneberger et al. 2015, eq. 2:
///
///   w(x) = w_c(x) + w0 exp(-(d1(x) + d2(x))^2 / (2 sigma^2))
///
///   labels   one channel, 0 background; a cell is pixels of one value that touch along a side
///   d1, d2   between the middles of pixels: how far away the borders of the nearest and of the second nearest cell are; a border is a cell's
///            pixels that touch along a side what is not the cell, so the picture's edge makes none
///   returns  f32 [H, W]
///
/// Throws ArgumentError for an empty picture, three channels or a spec that is negative (sigma: or 0).
[[nodiscard]] Tensor pixel_weights(const Image& labels, const PixelWeightSpec& spec = {});

}  // namespace fovea
