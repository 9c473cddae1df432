#include "calibrate/histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace fovea {

namespace {
constexpr double levels = 255;
}

Grid grid_over(double low, double high) {
    low = std::min(low, 0.0), high = std::max(high, 0.0);
    // A value that is always zero lies on any grid.
    const double scale = high > low ? static_cast<double>(static_cast<float>((high - low) / levels)) : 1.0;
    return {.scale = std::max(scale, static_cast<double>(std::numeric_limits<float>::min())), .zero_point = static_cast<std::int64_t>(std::clamp(std::nearbyint(-low / scale), 0.0, levels))};
}

Histogram::Histogram(double low, double high) : low_(low), high_(high), width_(std::max(high - low, 1e-30) / static_cast<double>(bin_count)), bins_(bin_count, 0.0) {}

void Histogram::add(std::span<const float> values) {
    const float low = static_cast<float>(low_), per_bin = static_cast<float>(1 / width_), last = static_cast<float>(bin_count - 1);
    for (const float v : values) bins_[static_cast<std::size_t>(std::clamp((v - low) * per_bin, 0.0f, last))] += 1;
}

std::pair<double, double> Histogram::range(Calibration method, double percentile) const {
    const auto [low, high] = method == Calibration::percentile ? percentile_range(percentile)
                             : method == Calibration::entropy  ? entropy_range()
                             : method == Calibration::mse      ? mse_range()
                                                               : std::pair(low_, high_);
    return {std::min(0.0, low), std::max(0.0, high)};
}

std::pair<double, double> Histogram::percentile_range(double percentile) const {
    const double total = std::accumulate(bins_.begin(), bins_.end(), 0.0), outside = total * (1 - percentile / 100) / (low_ < 0 ? 2 : 1);
    std::int64_t first = 0, last = bin_count - 1;
    for (double seen = 0; low_ < 0 && first < last && (seen += bins_[static_cast<std::size_t>(first)]) <= outside;) ++first;
    for (double seen = 0; last > first && (seen += bins_[static_cast<std::size_t>(last)]) <= outside;) --last;
    return {low_ + static_cast<double>(first) * width_, low_ + static_cast<double>(last + 1) * width_};
}

// The range whose quantised distribution diverges least from the clipped one. Migacz 2017, "8-bit Inference with TensorRT", on |x|; values
// of one sign have all levels for it, others half of them.
std::pair<double, double> Histogram::entropy_range() const {
    const double limit = std::max(-low_, high_);
    const bool is_signed = low_ < 0 && high_ > 0;
    const auto steps = static_cast<std::int64_t>(is_signed ? 128 : 255);
    std::vector<double> counts(bin_count, 0.0);
    for (std::int64_t b = 0; b < bin_count; ++b)
        counts[static_cast<std::size_t>(std::clamp<double>(std::abs(center(b)) / limit * bin_count, 0, bin_count - 1))] += bins_[static_cast<std::size_t>(b)];
    counts[0] = counts[1];  // what a ReLU sets to zero is exact on every grid
    const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
    double kept = std::accumulate(counts.begin(), counts.begin() + steps, 0.0), best = std::numeric_limits<double>::infinity();
    std::int64_t best_bins = bin_count;
    for (std::int64_t n = steps; n <= bin_count; kept += n < bin_count ? counts[static_cast<std::size_t>(n)] : 0, ++n) {
        // P: the first n bins, with all beyond in the last. Q: the same in `steps` steps, each spread over its bins that hold something.
        const double beyond = total - kept;
        double divergence = 0;
        for (std::int64_t s = 0; s < steps; ++s) {
            const std::int64_t begin = s * n / steps, end = (s + 1) * n / steps;
            double sum = 0;
            std::int64_t filled = 0;
            for (std::int64_t b = begin; b < end; ++b) sum += counts[static_cast<std::size_t>(b)], filled += counts[static_cast<std::size_t>(b)] > 0;
            for (std::int64_t b = begin; b < end; ++b) {
                const double p = (counts[static_cast<std::size_t>(b)] + (b == n - 1 ? beyond : 0)) / total;
                // Where Q has nothing a small count stands in, so that outliers alone in the last bin do not make it infinite.
                const double q = counts[static_cast<std::size_t>(b)] > 0 ? sum / static_cast<double>(filled) / kept : 1e-4 / total;
                if (p > 0) divergence += p * std::log(p / q);
            }
        }
        if (divergence < best) best = divergence, best_bins = n;
    }
    const double threshold = limit * static_cast<double>(best_bins) / bin_count;
    return {std::max(low_, -threshold), std::min(high_, threshold)};
}

std::pair<double, double> Histogram::mse_range() const {
    double best = std::numeric_limits<double>::infinity();
    std::pair<double, double> range{low_, high_};
    constexpr int candidates = 100;
    for (int i = candidates; i >= 10; --i) {
        const double part = static_cast<double>(i) / candidates;
        const std::pair<double, double> tried{std::min(0.0, low_) * part, std::max(0.0, high_) * part};
        const Grid grid = grid_over(tried.first, tried.second);
        double error = 0;
        for (std::int64_t b = 0; b < bin_count; ++b) {
            const double count = bins_[static_cast<std::size_t>(b)], x = center(b);
            if (count == 0) continue;
            const double q = std::clamp(std::nearbyint(x / grid.scale) + static_cast<double>(grid.zero_point), 0.0, levels);
            const double d = (q - static_cast<double>(grid.zero_point)) * grid.scale - x;
            error += count * d * d;
        }
        if (error < best) best = error, range = tried;
    }
    return range;
}

}  // namespace fovea
