// Calibration: sums by the probability of the answer.
#include "fovea/train/reliability.h"

#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "train/facts.h"

namespace fovea {

namespace {

/// A multiple of 2^-24: sums of 2^28 of those below 2 are exact in f64.
double rounded(double value) { return std::ldexp(std::nearbyint(std::ldexp(value, 24)), -24); }

double gap(const Reliability::Bin& bin) { return bin.images > 0 ? std::abs(bin.accuracy() - bin.confidence()) : 0; }

}  // namespace

std::vector<double> probabilities_of(std::span<const float> scores) {
    std::vector<double> result;
    result.reserve(scores.size());
    double highest = -INFINITY, total = 0;
    for (const float score : scores) highest = std::max(highest, static_cast<double>(score));
    for (const float score : scores) result.push_back(std::exp(static_cast<double>(score) - highest)), total += result.back();
    for (double& value : result) value /= total;
    return result;
}

double Reliability::Bin::confidence() const { return images > 0 ? sum / static_cast<double>(images) : NAN; }
double Reliability::Bin::accuracy() const { return images > 0 ? static_cast<double>(right) / static_cast<double>(images) : NAN; }

void Reliability::add(std::span<const double> probabilities, std::int64_t label, std::int64_t predicted) {
    const std::int64_t classes = std::ssize(probabilities), count = std::ssize(bins);
    require<ArgumentError>(count > 0 && std::min(label, predicted) >= 0 && std::max(label, predicted) < classes, "reliability in {} bins: label {}, prediction {} of {} classes", count, label, predicted, classes);
    double squared = 0;
    for (std::int64_t k = 0; k < classes; ++k) {
        const double distance = probabilities[static_cast<std::size_t>(k)] - (k == label ? 1 : 0);
        squared += distance * distance;
    }
    if (!std::isfinite(squared)) return;
    const double confidence = probabilities[static_cast<std::size_t>(predicted)];
    const auto above = static_cast<std::int64_t>(std::ceil(std::clamp(confidence, 0.0, 1.0) * static_cast<double>(count)));
    Bin& bin = bins[static_cast<std::size_t>(std::max<std::int64_t>(above - 1, 0))];
    ++bin.images;
    bin.right += predicted == label;
    bin.sum += rounded(confidence);
    squares += rounded(squared);
}

std::int64_t Reliability::images() const {
    std::int64_t all = 0;
    for (const Bin& bin : bins) all += bin.images;
    return all;
}

double Reliability::expected_error() const {
    double sum = 0;
    for (const Bin& bin : bins) sum += static_cast<double>(bin.images) * gap(bin);
    return sum / static_cast<double>(std::max<std::int64_t>(1, images()));
}

double Reliability::largest_error() const {
    double largest = 0;
    for (const Bin& bin : bins) largest = std::max(largest, gap(bin));
    return largest;
}

double Reliability::brier() const { return squares / static_cast<double>(std::max<std::int64_t>(1, images())); }

std::string to_text(const Reliability& reliability) {
    Json bins = Json::array();
    for (const Reliability::Bin& bin : reliability.bins) bins.push_back({{"images", bin.images}, {"confidence", bin.confidence()}, {"accuracy", bin.accuracy()}});
    return Json{{"ece", reliability.expected_error()}, {"mce", reliability.largest_error()}, {"brier", reliability.brier()}, {"bins", std::move(bins)}}.dump();
}

}  // namespace fovea
