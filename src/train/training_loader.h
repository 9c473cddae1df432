// The training set as fit() and find_learning_rate() read it.
#pragma once

#include "fovea/train.h"

namespace fovea {

[[nodiscard]] inline LoaderSpec training_loader(const FitSpec& spec) {
    return {.batch = spec.batch, .shuffle = true, .seed = spec.seed, .threads = spec.loader_threads, .augment = spec.augment, .preprocess = spec.preprocess, .drop_last = spec.drop_last,
            .weights = spec.balanced ? balanced_weights(*spec.train) : own_weights(*spec.train), .draft = spec.draft, .repeats = spec.repeats,
            .part = spec.ranks ? spec.ranks->rank() : 0, .parts = spec.ranks ? spec.ranks->size() : 1};
}

}  // namespace fovea
