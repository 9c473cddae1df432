// The probabilities of all pictures of an evaluation, kept for average precision.
#pragma once

#include "fovea/train.h"

namespace fovea {

/// A class that a picture has.
struct PictureClass {
    std::int64_t picture, label;
};
/// average_precision() of pictures that may have several classes.
[[nodiscard]] std::vector<double> average_precision_of(std::span<const float> scores, std::span<const PictureClass> own, std::int64_t classes, Communicator* ranks);

class KeptProbabilities {
public:
    /// `images` of all ranks, so that all of them keep or none does.
    KeptProbabilities(const EvaluateSpec& spec, std::int64_t images, std::int64_t classes)
        : classes_(classes), is_on_(spec.average_precision && images * classes <= most_average_precision_bytes / static_cast<std::int64_t>(sizeof(float))) {
        if (is_on_ && spec.ranks == nullptr) values_.reserve(static_cast<std::size_t>(images * classes));
    }

    /// `scores`: the higher, the likelier the class, compared among pictures; `classes`: those the picture has.
    template <class T> void add(std::span<const T> scores, std::span<const std::int64_t> classes) {
        if (!is_on_) return;
        for (const std::int64_t label : classes) own_.push_back({static_cast<std::int64_t>(values_.size()) / classes_, label});
        values_.insert(values_.end(), scores.begin(), scores.end());
    }

    /// Empty where nothing was kept.
    [[nodiscard]] std::vector<double> average_precision(Communicator* ranks = nullptr) const { return is_on_ ? average_precision_of(values_, own_, classes_, ranks) : std::vector<double>(); }

private:
    std::int64_t classes_;
    bool is_on_;
    std::vector<float> values_;  ///< [N, L]
    std::vector<PictureClass> own_;
};

}  // namespace fovea
