// A network with its loss: what fit() trains and evaluate() measures.
#pragma once

#include "fovea/train.h"

namespace fovea {

struct WithLoss {
    std::unique_ptr<Graph> graph;  ///< values point to it
    Value loss, scores;            ///< scores [N, L]: the highest wins
};
/// What the input "label" holds.
enum class Labels {
    classes,  ///< [N]
    shares,   ///< [N, L]: mixed pictures
    tags,     ///< [N, L]: 1 for each class of a picture. Cross-entropy then wants each of its k tags with probability 1 / k (Mahajan et al. 2018, arXiv:1805.00932, sec. 2.2)
};
/// Those of the loader's batches: see labels_of().
[[nodiscard]] inline Labels labels_for(const Dataset& dataset, const Augment& augment) { return dataset.has_tags() ? Labels::tags : mixes_labels(augment) ? Labels::shares : Labels::classes; }
/// What the loss reads of a batch.
[[nodiscard]] inline const Tensor& labels_of(const Batch& batch) { return batch.targets.is_empty() ? batch.labels : batch.targets; }
/// The classes of picture `n` of targets [N, L].
[[nodiscard]] inline std::vector<std::int64_t> tags_of(const Tensor& targets, std::int64_t n) {
    std::vector<std::int64_t> tags;
    for (std::int64_t c = 0; c < targets.shape()[1]; ++c)
        if (targets.at(n * targets.shape()[1] + c) > 0) tags.push_back(c);
    return tags;
}
/// The rank of the best placed of several classes.
[[nodiscard]] inline std::int64_t best_rank(std::span<const float> scores, const std::vector<std::int64_t>& tags) {
    std::int64_t best = std::ssize(scores);
    for (const std::int64_t tag : tags) best = std::min(best, rank_of(scores, tag));
    return best;
}
/// A copy of the network with the input "label", the loss and the output "scores". In training the loss of auxiliary outputs is added.
[[nodiscard]] WithLoss with_loss(const Graph& network, const LossFunction& loss, bool lowest_wins, bool training, Labels kind = Labels::classes);

}  // namespace fovea
