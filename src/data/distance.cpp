#include "data/distance.h"

#include <algorithm>
#include <limits>

namespace fovea {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// A line of heights becomes the least of (x - i)^2 + height of i, over all i, at every x.
class LowerEnvelope {
public:
    explicit LowerEnvelope(std::int64_t longest) : roots_(static_cast<std::size_t>(longest)), begins_(roots_.size()) {}

    /// `count` values, `stride` apart.
    void operator()(double* line, std::int64_t count, std::int64_t stride) {
        std::size_t parabolas = 0;
        for (std::int64_t i = 0; i < count; ++i) {
            const double height = line[i * stride];
            if (height == infinity) continue;
            double begin = -infinity;
            while (parabolas > 0) {
                const Root& last = roots_[parabolas - 1];
                // Where the two meet: the new one is the lower from there on.
                begin = (height - last.height + static_cast<double>(i * i - last.at * last.at)) / static_cast<double>(2 * (i - last.at));
                if (begin > begins_[parabolas - 1]) break;
                --parabolas;
                begin = -infinity;
            }
            roots_[parabolas] = {i, height}, begins_[parabolas] = begin;
            ++parabolas;
        }
        if (parabolas == 0) return;  // infinite, as it was
        std::size_t k = 0;
        for (std::int64_t x = 0; x < count; ++x) {
            while (k + 1 < parabolas && begins_[k + 1] < static_cast<double>(x)) ++k;
            const auto apart = static_cast<double>(x - roots_[k].at);
            line[x * stride] = apart * apart + roots_[k].height;
        }
    }

private:
    struct Root {
        std::int64_t at;
        double height;
    };
    std::vector<Root> roots_;
    std::vector<double> begins_;
};

}  // namespace

std::vector<double> squared_distances(std::span<const std::uint8_t> is_seed, std::int64_t width, std::int64_t height) {
    std::vector<double> distances(is_seed.size());
    for (std::size_t i = 0; i < is_seed.size(); ++i) distances[i] = is_seed[i] ? 0 : infinity;
    LowerEnvelope envelope(std::max(width, height));
    for (std::int64_t x = 0; x < width; ++x) envelope(distances.data() + x, height, width);
    for (std::int64_t y = 0; y < height; ++y) envelope(distances.data() + y * width, width, 1);
    return distances;
}

}  // namespace fovea
