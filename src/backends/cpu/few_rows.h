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

/// c[r, j] = the sum over i < k of a[i, r] b[i, j], for up to outer_rows_limit rows r and `columns` j: a stripe of a weight's gradient, of k
/// samples. lda and ldb from one i to the next; c is dense. The sums go in the order of i.
using OuterRows = void (*)(float* c, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, std::int64_t rows, std::int64_t columns, std::int64_t k);
constexpr std::int64_t outer_rows_limit = 6;
[[nodiscard]] OuterRows outer_rows();

}  // namespace fovea::cpu
