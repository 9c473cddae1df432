// The training set as fit() and find_learning_rate() read it.
#pragma once

#include "fovea/train.h"

namespace fovea {

[[nodiscard]] inline LoaderSpec training_loader(const FitSpec& spec) {
    return {.batch = spec.batch, .shuffle = true, .seed = spec.seed, .threads = spec.loader_threads, .augment = spec.augment, .preprocess = spec.preprocess, .drop_last = spec.drop_last,
            .weights = spec.balanced ? balanced_weights(*spec.train) : std::vector<double>(), .draft = spec.draft, .repeats = spec.repeats,
            .part = spec.ranks ? spec.ranks->rank() : 0, .parts = spec.ranks ? spec.ranks->size() : 1};
}

/// What a step's loss reads.
[[nodiscard]] inline const Tensor& labels_of(const Batch& batch) { return batch.targets.is_empty() ? batch.labels : batch.targets; }

}  // namespace fovea
