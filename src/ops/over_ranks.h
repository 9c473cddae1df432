// Statistics of channels over the batches of all ranks, told by all to all and joined in the order of ranks: the same bits everywhere.
#pragma once

#include <span>
#include <vector>

#include "fovea/comm.h"

namespace fovea {

/// Of the values of each channel: how many, their mean, and the sum of squared differences from it.
struct ChannelMoments {
    double count = 0;
    std::vector<double> mean, deviation;
};

/// This rank's moments become those of all ranks together. Chan et al. 1979.
inline void join_over_ranks(const RankPlace& place, ChannelMoments& moments) {
    if (place.ranks == nullptr || place.ranks->size() == 1) return;
    const std::size_t channels = moments.mean.size(), length = 1 + 2 * channels;
    std::vector<double> mine{place.is_idle ? 0 : moments.count}, all(length * static_cast<std::size_t>(place.ranks->size()));
    mine.insert(mine.end(), moments.mean.begin(), moments.mean.end());
    mine.insert(mine.end(), moments.deviation.begin(), moments.deviation.end());
    place.ranks->all_gather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all)));
    moments = {0, std::vector<double>(channels), std::vector<double>(channels)};
    for (std::size_t first = 0; first < all.size(); first += length) {
        const double n = all[first], before = moments.count;
        if (n == 0) continue;
        moments.count += n;
        for (std::size_t c = 0; c < channels; ++c) {
            const double delta = all[first + 1 + c] - moments.mean[c];
            moments.mean[c] += delta * n / moments.count;
            moments.deviation[c] += all[first + 1 + channels + c] + delta * delta * before * n / moments.count;
        }
    }
}

/// Two sums per channel and the number of values behind them, over all ranks.
struct ChannelSums {
    double count = 0;
    std::vector<double> first, second;
};
inline void add_over_ranks(const RankPlace& place, ChannelSums& sums) {
    if (place.ranks == nullptr || place.ranks->size() == 1) return;
    const std::size_t channels = sums.first.size();
    std::vector<double> mine{place.is_idle ? 0 : sums.count};
    mine.insert(mine.end(), sums.first.begin(), sums.first.end());
    mine.insert(mine.end(), sums.second.begin(), sums.second.end());
    const std::vector<double> all = summed(place.ranks, mine);
    const auto begin = all.begin() + 1, middle = begin + static_cast<std::ptrdiff_t>(channels);
    sums = {all[0], {begin, middle}, {middle, all.end()}};
    // Rows that were not normalised with the others have no part in the slopes of the statistics.
    if (place.is_idle) sums = {1, std::vector<double>(channels), std::vector<double>(channels)};
}

}  // namespace fovea
