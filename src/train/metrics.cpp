// Ranks, top-k and the confusion matrix.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/text.h"
#include "fovea/train.h"

namespace fovea {

namespace {

/// Orders scores from best to worst; NaN after everything, equal scores by index.
bool comes_before(std::span<const float> scores, std::int64_t a, std::int64_t b) {
    const float x = scores[static_cast<std::size_t>(a)], y = scores[static_cast<std::size_t>(b)];
    if (std::isnan(x) != std::isnan(y)) return std::isnan(y);
    if (std::isnan(x) || x == y) return a < b;
    return x > y;
}

}  // namespace

std::int64_t rank_of(std::span<const float> scores, std::int64_t label) {
    const auto count = static_cast<std::int64_t>(scores.size());
    require<ArgumentError>(label >= 0 && label < count, "label {} lies outside the {} classes of the network", label, count);
    if (std::isnan(scores[static_cast<std::size_t>(label)])) return count - 1;
    std::int64_t rank = 0;
    for (std::int64_t i = 0; i < count; ++i) rank += comes_before(scores, i, label);
    return rank;
}

std::vector<std::int64_t> top_k(std::span<const float> scores, std::int64_t k) {
    std::vector<std::int64_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    const auto kept = std::min<std::int64_t>(std::max<std::int64_t>(k, 0), static_cast<std::int64_t>(order.size()));
    std::partial_sort(order.begin(), order.begin() + kept, order.end(), [&](std::int64_t a, std::int64_t b) { return comes_before(scores, a, b); });
    order.resize(static_cast<std::size_t>(kept));
    return order;
}

ConfusionMatrix::ConfusionMatrix(std::int64_t classes) : classes_(classes), counts_(static_cast<std::size_t>(classes * classes), 0) {}

void ConfusionMatrix::add(std::int64_t label, std::int64_t predicted) {
    require<ArgumentError>(label >= 0 && label < classes_ && predicted >= 0 && predicted < classes_, "confusion matrix of {} classes: label {}, prediction {}", classes_, label,
                           predicted);
    ++counts_[static_cast<std::size_t>(label * classes_ + predicted)];
}

std::int64_t ConfusionMatrix::total() const { return std::accumulate(counts_.begin(), counts_.end(), std::int64_t{0}); }

namespace {

/// count(i, i) over the sum of count(i, j) along j; 0 where there is none.
template <class Count> std::vector<double> diagonal_share(std::int64_t classes, Count count) {
    std::vector<double> shares;
    for (std::int64_t i = 0; i < classes; ++i) {
        std::int64_t all = 0;
        for (std::int64_t j = 0; j < classes; ++j) all += count(i, j);
        shares.push_back(all > 0 ? static_cast<double>(count(i, i)) / static_cast<double>(all) : 0);
    }
    return shares;
}

}  // namespace

std::vector<double> ConfusionMatrix::recall() const {
    return diagonal_share(classes_, [this](auto label, auto predicted) { return at(label, predicted); });
}

std::vector<double> ConfusionMatrix::precision() const {
    return diagonal_share(classes_, [this](auto predicted, auto label) { return at(label, predicted); });
}

}  // namespace fovea
