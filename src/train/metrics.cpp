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

void ConfusionMatrix::add(std::int64_t label, std::int64_t predicted, std::int64_t count) {
    require<ArgumentError>(label >= 0 && label < classes_ && predicted >= 0 && predicted < classes_, "confusion matrix of {} classes: label {}, prediction {}", classes_, label,
                           predicted);
    if (count > 0) cells_[{label, predicted}] += count;
}

std::int64_t ConfusionMatrix::at(std::int64_t label, std::int64_t predicted) const {
    const auto cell = cells_.find({label, predicted});
    return cell == cells_.end() ? 0 : cell->second;
}

std::int64_t ConfusionMatrix::total() const {
    std::int64_t all = 0;
    for (const auto& [cell, count] : cells_) all += count;
    return all;
}

namespace {

/// at(i, i) over the sum of the cells whose `key` is i; 0 where there are none.
template <class Key> std::vector<double> diagonal_share(const ConfusionMatrix& matrix, Key key) {
    std::vector<std::int64_t> all(static_cast<std::size_t>(matrix.classes()));
    for (const auto& [cell, count] : matrix.cells()) all[static_cast<std::size_t>(key(cell))] += count;
    std::vector<double> shares;
    for (std::int64_t i = 0; i < matrix.classes(); ++i) {
        const auto of_class = static_cast<double>(all[static_cast<std::size_t>(i)]);
        shares.push_back(of_class > 0 ? static_cast<double>(matrix.at(i, i)) / of_class : 0);
    }
    return shares;
}

}  // namespace

std::vector<double> ConfusionMatrix::recall() const {
    return diagonal_share(*this, [](const auto& cell) { return cell.first; });
}

std::vector<double> ConfusionMatrix::precision() const {
    return diagonal_share(*this, [](const auto& cell) { return cell.second; });
}

}  // namespace fovea
