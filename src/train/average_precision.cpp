// Average precision of each class. Only the probabilities that a class's own pictures have are steps of its curve, so of all others it is
// enough to count how many reach each of those.
#include "train/average_precision.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "core/text.h"
#include "train/over_ranks.h"

namespace fovea {

namespace {

/// A picture's probability of its own class.
struct Own {
    std::int64_t label;
    double probability;
};

}  // namespace

std::vector<double> average_precision(std::span<const float> probabilities, std::span<const std::int64_t> labels, std::int64_t classes, Communicator* ranks) {
    require<ArgumentError>(classes >= 1 && probabilities.size() == labels.size() * static_cast<std::size_t>(classes), "average precision: {} probabilities for {} pictures and {} classes", probabilities.size(),
                           labels.size(), classes);
    std::vector<PictureClass> own;
    for (std::size_t n = 0; n < labels.size(); ++n) own.push_back({static_cast<std::int64_t>(n), labels[n]});
    return average_precision_of(probabilities, own, classes, ranks);
}

std::vector<double> average_precision_of(std::span<const float> probabilities, std::span<const PictureClass> own_classes, std::int64_t classes, Communicator* ranks) {
    const auto count = static_cast<std::size_t>(classes), pictures = probabilities.size() / count;
    const auto row_of = [&](std::size_t n) { return probabilities.subspan(n * count, count); };
    const auto has_nan = [&](std::size_t n) { return std::ranges::any_of(row_of(n), [](float p) { return std::isnan(p); }); };
    std::vector<Own> mine;
    for (const auto& [picture, label] : own_classes) {
        const auto n = static_cast<std::size_t>(picture);
        require<ArgumentError>(label >= 0 && label < classes, "label {} lies outside the {} classes of the network", label, classes);
        if (!has_nan(n)) mine.push_back({label, row_of(n)[static_cast<std::size_t>(label)]});
    }
    std::vector<Own> all = joined(ranks, mine);
    std::vector<double> result(count, NAN);
    if (all.empty()) return result;
    std::ranges::sort(all, {}, [](const Own& own) { return std::tuple(own.label, -own.probability); });

    // Class by class, from the highest: the distinct probabilities, and how many of the class's pictures have each.
    std::vector<double> steps, own_counts;
    std::vector<std::size_t> first(count + 1, 0);
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (i > 0 && all[i].label == all[i - 1].label && all[i].probability == all[i - 1].probability) {
            ++own_counts.back();
            continue;
        }
        steps.push_back(all[i].probability), own_counts.push_back(1);
        first[static_cast<std::size_t>(all[i].label) + 1] = steps.size();
    }
    for (std::size_t c = 0; c < count; ++c) first[c + 1] = std::max(first[c + 1], first[c]);

    // Of all pictures, how many reach a step and not the one above.
    std::vector<double> counts(steps.size(), 0.0);
    for (std::size_t n = 0; n < pictures; ++n) {
        if (has_nan(n)) continue;
        for (std::size_t c = 0; c < count; ++c) {
            const double p = row_of(n)[c];
            if (first[c] == first[c + 1] || p < steps[first[c + 1] - 1]) continue;  // most pictures of other classes
            const auto begin = steps.begin() + static_cast<std::ptrdiff_t>(first[c]), end = steps.begin() + static_cast<std::ptrdiff_t>(first[c + 1]);
            ++counts[static_cast<std::size_t>(std::partition_point(begin, end, [&](double step) { return step > p; }) - steps.begin())];
        }
    }
    counts = summed(ranks, std::move(counts));  // whole numbers: exact

    for (std::size_t c = 0; c < count; ++c) {
        double own = 0, reached = 0, sum = 0;
        for (std::size_t s = first[c]; s < first[c + 1]; ++s) {
            own += own_counts[s], reached += counts[s];
            sum += own_counts[s] * own / reached;
        }
        if (own > 0) result[c] = sum / own;
    }
    return result;
}

double Evaluation::mean_average_precision() const {
    double sum = 0, occurring = 0;
    for (const double value : average_precision)
        if (!std::isnan(value)) sum += value, ++occurring;
    return occurring > 0 ? sum / occurring : NAN;
}

}  // namespace fovea
