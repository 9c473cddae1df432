// Planes of another size: padding, cropping, resizing, unpooling, shuffling.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "fovea/graph.h"
#include "fovea/ops/geometry.h"

namespace fovea {

struct PadSpec {
    PadMode mode = PadMode::given;  ///< given: `value`; reflect; replicate
    double value = 0;
};
/// Rows and columns around each plane of the last two dimensions; negative numbers crop.
Value pad(const Value& x, const Pad4& amounts, const PadSpec& spec = {}, std::string_view name = {});
/// Any dimension: before[i] and after[i] for dimension i of x.
Value pad(const Value& x, const std::vector<std::int64_t>& before, const std::vector<std::int64_t>& after, const PadSpec& spec = {}, std::string_view name = {});
/// Rows [top, top + height) and columns [left, left + width) of each plane.
struct CropSpec {
    std::int64_t top = 0, left = 0;
    Size2 size;
};
Value crop(const Value& x, const CropSpec& spec, std::string_view name = {});
/// The elements in reverse order along the axes.
Value flip(const Value& x, const std::vector<std::int64_t>& axes, std::string_view name = {});

enum class Interpolation { nearest, bilinear };
struct InterpolateSpec {
    std::optional<Size2> size{};  ///< either this
    double scale = 0;             ///< or this: the result has floor(scale H) rows
    Interpolation mode = Interpolation::nearest;
    bool align_corners = false;   ///< bilinear: the corner pixels' centres meet, instead of the corners' edges
};
/// Resamples [N, C, H, W], without a filter when it shrinks, as torch.nn.functional.interpolate.
Value interpolate(const Value& x, const InterpolateSpec& spec, std::string_view name = {});
/// The same to the height and width of `like`, which may not be known yet.
Value interpolate_to(const Value& x, const Value& like, Interpolation mode = Interpolation::nearest, bool align_corners = false, std::string_view name = {});
/// Unpooling: each value repeated factor x factor times.
Value unpool_nearest(const Value& x, const Size2& factor, std::string_view name = {});
/// Unpooling: each value in the top left cell of factor x factor zeros.
Value unpool_bed_of_nails(const Value& x, const Size2& factor, std::string_view name = {});
/// Unpooling: each value where its maximum was found (max_pool's sibling(1)), zeros elsewhere; sized like the pool's input or given.
Value max_unpool(const Value& x, const Value& indices, const Value& like, std::string_view name = {});
Value max_unpool(const Value& x, const Value& indices, const Size2& size, std::string_view name = {});
/// [N, C f f, H, W] -> [N, C, H f, W f]: channel c f f + dy f + dx becomes pixel (dy, dx) of each cell. Shi et al. 2016.
Value pixel_shuffle(const Value& x, std::int64_t factor, std::string_view name = {});
/// The inverse of pixel_shuffle.
Value pixel_unshuffle(const Value& x, std::int64_t factor, std::string_view name = {});
/// Channels of `groups` groups interleaved. Zhang et al. 2018, arXiv:1707.01083.
Value channel_shuffle(const Value& x, std::int64_t groups, std::string_view name = {});

}  // namespace fovea
