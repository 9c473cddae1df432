// [N, C, ...] as the loops of normalisation see it: N samples of C channels of `area` positions.
#pragma once

#include <vector>

#include "fovea/core.h"

namespace fovea {

struct Channels {
    explicit Channels(const Shape& x) : samples(x[0]), channels(x[1]), area(x.elements(2, x.rank())) {}
    /// Elements per channel.
    [[nodiscard]] std::int64_t count() const { return samples * area; }
    /// f(flat index) for every element of channel c.
    template <class F> void each(std::int64_t c, F&& f) const {
        for (std::int64_t n = 0; n < samples; ++n) {
            const std::int64_t first = (n * channels + c) * area;
            for (std::int64_t i = first; i < first + area; ++i) f(i);
        }
    }
    std::int64_t samples, channels, area;
};

/// Every axis but 1: what a statistic per channel sums over.
inline std::vector<std::int64_t> axes_but_channels(const Shape& x) {
    std::vector<std::int64_t> axes;
    for (int i = 0; i < x.rank(); ++i)
        if (i != 1) axes.push_back(i);
    return axes;
}

}  // namespace fovea
