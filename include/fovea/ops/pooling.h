// Pooling over windows, over pyramids of them and over regions.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "fovea/graph.h"
#include "fovea/ops/geometry.h"

namespace fovea {

struct MaxPoolSpec {
    Size2 kernel;
    Size2 stride = 0;  ///< 0: the kernel's size
    Pad4 pad = 0;
    Size2 dilation = 1;
    bool ceil = false;    ///< a last window that hangs over the end is kept when it starts inside the input or its left padding
    bool strict = false;  ///< refuse a size that the stride does not divide
};
/// Output 0: the largest value of each window; NaN wins. Output 1 (sibling(1)): i32, where it was, h * W + w in the unpadded
/// plane, the first of equals; -1 where a window holds only padding.
Value max_pool(const Value& x, const MaxPoolSpec& spec, std::string_view name = {});

struct AvgPoolSpec {
    Size2 kernel;
    Size2 stride = 0;  ///< 0: the kernel's size
    Pad4 pad = 0;
    bool ceil = false;
    bool count_include_pad = true;  ///< the zeros of `pad` count in the mean; what `ceil` adds beyond them never does
    bool strict = false;
};
Value avg_pool(const Value& x, const AvgPoolSpec& spec, std::string_view name = {});
/// Mean over the windows floor(i H / P) .. ceil((i + 1) H / P): any input size gives `size`.
Value adaptive_avg_pool(const Value& x, const Size2& size, std::string_view name = {});
/// Largest value of the same windows; sibling(1) holds the places as max_pool's does.
Value adaptive_max_pool(const Value& x, const Size2& size, std::string_view name = {});
/// [N, C, H, W] -> [N, C, 1, 1]
Value global_avg_pool(const Value& x, std::string_view name = {});
Value global_max_pool(const Value& x, std::string_view name = {});
struct LpPoolSpec {
    double p;
    Size2 kernel;
    Size2 stride = 0;  ///< 0: the kernel's size
    bool ceil = false;
};
/// (sum |x|^p)^(1 / p) over each window.
Value lp_pool(const Value& x, const LpPoolSpec& spec, std::string_view name = {});
/// LeNet-5's subsampling: sum over each window, times a coefficient, plus a bias; both trained, one pair per map.
/// Parameters "<name>.weight" [C] (1 / window at the start) and "<name>.bias" [C]. LeCun et al. 1998, sec. II.B.
Value subsample(const Value& x, const Size2& kernel = 2, std::string_view name = {});
/// Spatial pyramid: adaptive pooling to each level's grid, flattened and joined: [N, C (1 + 4 + 9 + 36)] whatever H and W are.
/// He et al. 2014, arXiv:1406.4729.
struct SpatialPyramidSpec {
    std::vector<std::int64_t> levels{1, 2, 3, 6};
    bool average = false;  ///< mean instead of the paper's maximum
};
Value spatial_pyramid_pool(const Value& x, const SpatialPyramidSpec& spec = {}, std::string_view name = {});

// ---- regions ----------------------------------------------------------------------------------------------------------------

/// Regions are rows [batch index, x0, y0, x1, y1] in pixels of the image; `scale` takes them to pixels of x.
struct RoiPoolSpec {
    Size2 size;
    double scale = 1;
};
/// Maximum over each of size.h x size.w bins of a region rounded to whole pixels: [B, C, size.h, size.w]; an empty bin gives 0.
/// Girshick 2015, arXiv:1504.08083, sec. 2.1. sibling(1): places as max_pool's.
Value roi_pool(const Value& x, const Value& regions, const RoiPoolSpec& spec, std::string_view name = {});
struct RoiAlignSpec {
    Size2 size;
    double scale = 1;
    std::int64_t sampling = 0;  ///< samples per bin and axis; 0: ceil(region / bins)
    bool aligned = false;       ///< pixel centres at .5 and no least size of 1, as later implementations do
};
/// Mean of bilinear samples in each bin, nothing rounded. He et al. 2017, arXiv:1703.06870, sec. 3. No gradient for the regions.
Value roi_align(const Value& x, const Value& regions, const RoiAlignSpec& spec, std::string_view name = {});

}  // namespace fovea
