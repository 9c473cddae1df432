// Regions of interest: rows [batch index, x0, y0, x1, y1].
#pragma once

#include <cmath>

#include "graph/op.h"

namespace fovea {

/// [B, C, size] for regions [B, 5] of x [N, C, H, W]; throws through `in`.
inline Shape region_shape(const OpInputs& in, const Shape& x, const Shape& regions) {
    const auto size = in.attrs().integers("output");
    in.check(x.rank() == 4, "input must be [N, C, H, W], got {}", x);
    in.check(regions.rank() == 2 && regions[1] == 5, "regions must be [B, 5] (batch index, x0, y0, x1, y1), got {}", regions);
    in.check<ArgumentError>(size.size() == 2 && size[0] >= 1 && size[1] >= 1, "size must be two numbers of at least 1, got [{}]", fmt::join(size, ", "));
    return {regions[0], x[1], size[0], size[1]};
}

/// The image a region lies in; throws ArgumentError for an index outside the batch.
template <class T> std::int64_t image_of(const T* region, std::int64_t batch) {
    const double index = static_cast<double>(region[0]);
    require<ArgumentError>(index >= 0 && index < static_cast<double>(batch), "region of image {}, the batch has {}", index, batch);
    return static_cast<std::int64_t>(index);
}

}  // namespace fovea
