// The learning-rate range test.
#include <cmath>
#include <limits>

#include "core/text.h"
#include "train/training_loader.h"
#include "train/with_loss.h"

namespace fovea {

FindLrResult find_learning_rate(const Graph& network, const FitSpec& spec, const FindLrSpec& range) {
    require<ArgumentError>(range.from > 0 && range.to > range.from && range.steps >= 2, "find_learning_rate: rates rise from above 0 in at least 2 steps, got {} to {} in {}", range.from,
                           range.to, range.steps);
    require<ArgumentError>(spec.train != nullptr, "find_learning_rate: no training set given");
    const Loader loader(spec.train, training_loader(spec));
    const WithLoss built = with_loss(network, spec.loss, spec.lowest_wins, true, labels_for(*spec.train, spec.augment));
    Trainer trainer(built.loss, spec.optimizer, {.step = spec.step, .seed = spec.seed, .compile = spec.compile, .check_finite = false});
    if (spec.initial) trainer.load(*spec.initial);
    FindLrResult result;
    constexpr double keep = 0.9;
    double mean = 0, steepest = 0, best = std::numeric_limits<double>::infinity();
    for (std::int64_t epoch = 0; std::ssize(result.points) < range.steps; ++epoch) {
        Epoch pass = loader.epoch(epoch);
        std::int64_t made = 0;
        while (const std::optional<Batch> batch = pass.next()) {
            const auto i = std::ssize(result.points);
            if (i == range.steps) break;
            const double lr = range.from * std::pow(range.to / range.from, static_cast<double>(i) / static_cast<double>(range.steps - 1));
            const double loss = trainer.step({{"image", batch->images}, {"label", labels_of(*batch)}}, lr).loss;
            ++made;
            mean = keep * mean + (1 - keep) * loss;
            const double smoothed = mean / (1 - std::pow(keep, static_cast<double>(i + 1)));
            if (!std::isfinite(loss) || smoothed > 4 * best) return result;
            result.points.push_back({lr, loss, smoothed});
            if (smoothed < best) best = smoothed, result.lowest = lr;
            // Slope over the last steps: one step's is mostly noise.
            constexpr std::ptrdiff_t span = 5;
            if (i < span) continue;
            const auto& earlier = result.points[static_cast<std::size_t>(i - span)];
            if (const double fall = earlier.smoothed - smoothed; fall > steepest) steepest = fall, result.steepest = std::sqrt(lr * earlier.lr);
        }
        require(made > 0, "find_learning_rate: '{}' gave no picture", spec.train->name());
    }
    return result;
}

}  // namespace fovea
