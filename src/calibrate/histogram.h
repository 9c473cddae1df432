// The distribution of a value's elements over calibration images, and the range worth keeping of it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "fovea/calibrate.h"

namespace fovea {

/// Counts in equal bins over [low, high], which all elements lie in.
class Histogram {
public:
    static constexpr std::int64_t bin_count = 2048;
    Histogram(double low, double high);
    void add(std::span<const float> values);
    /// The range that `method` keeps; low <= 0 <= high.
    [[nodiscard]] std::pair<double, double> range(Calibration method, double percentile) const;

private:
    [[nodiscard]] double center(std::int64_t bin) const { return low_ + (static_cast<double>(bin) + 0.5) * width_; }
    [[nodiscard]] std::pair<double, double> percentile_range(double percentile) const;
    [[nodiscard]] std::pair<double, double> entropy_range() const;
    [[nodiscard]] std::pair<double, double> mse_range() const;

    double low_, high_, width_;
    std::vector<double> bins_;
};

/// The u8 grid that covers [low, high] and holds 0.
[[nodiscard]] Grid grid_over(double low, double high);

}  // namespace fovea
