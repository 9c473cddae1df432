// Class labels as the losses take them: i32 (or i64) of the shape of the scores without its class dimension.
#pragma once

#include "graph/op.h"

namespace fovea {

/// The shape of labels for scores [N, L, ...]: [N, ...].
inline Shape label_shape(const Shape& scores) {
    Shape shape;
    for (int i = 0; i < scores.rank(); ++i)
        if (i != 1) shape.push_back(scores[i]);
    return shape;
}

inline void check_labels(const OpInputs& in, const Type& scores, const Type& labels) {
    in.check(scores.shape.rank() >= 2, "scores are [N, L] or [N, L, H, W], got {}", scores.shape);
    in.check<ArgumentError>(labels.dtype == DType::i32 || labels.dtype == DType::i64, "labels are class numbers (i32), got {}", labels.dtype);
    in.check(labels.shape == label_shape(scores.shape), "scores {} go with labels {}, got {}", scores.shape, label_shape(scores.shape), labels.shape);
}

inline std::int64_t label_at(const OpRun& run, int input, std::int64_t i) {
    return run.dtype(input) == DType::i64 ? run.in<std::int64_t>(input)[i] : run.in<std::int32_t>(input)[i];
}

}  // namespace fovea
