// A linear layer on few samples: the weight is large and each of its values is used a few times only, so that it is read once, from
// memory, in the order in which it lies.
#pragma once

#include <cstdint>

namespace fovea::cpu {

/// y[r, o] = x[r] . w[o] + bias[o] for the outputs [begin, end) and all `rows`; y [rows, outputs], x [rows, inputs], w [outputs, inputs],
/// bias may be null. The order of each sum depends on `inputs` alone. At most few_rows_limit rows.
using FewRows = void (*)(float* y, const float* x, const float* w, const float* bias, std::int64_t rows, std::int64_t inputs, std::int64_t outputs, std::int64_t begin, std::int64_t end);
constexpr std::int64_t few_rows_limit = 32;
[[nodiscard]] FewRows few_rows();

}  // namespace fovea::cpu
