// The solver behind linear SVMs: one binary problem over rows that lie anywhere.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fovea/train/svm.h"

namespace fovea {

/// Examples of one binary problem.
template <class T> struct SvmProblem {
    std::size_t features = 0;
    std::vector<const T*> rows{};
    std::vector<double> signs{};   ///< 1 or -1
    std::vector<double> alphas{};  ///< where the solver begins: as many, or none for zeros
};

/// In eight sums: the compiler may use vectors, and the order of additions is the same on every machine.
template <class T> [[nodiscard]] double dot(std::span<const double> w, const T* x) {
    std::array<double, 8> sums{};
    std::size_t i = 0;
    for (; i + 8 <= w.size(); i += 8)
        for (std::size_t k = 0; k < 8; ++k) sums[k] += w[i + k] * static_cast<double>(x[i + k]);
    for (; i < w.size(); ++i) sums[0] += w[i] * static_cast<double>(x[i]);
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

void check(const LinearSvmSpec& spec);
/// Throws unless `features` is [N, F] in f32 or f64 and finite; `who` begins the message.
void check_features(const Tensor& features, const std::string& who);

/// Expects what check() and check_features() accept.
template <class T> [[nodiscard]] SvmSolution solve(const SvmProblem<T>& problem, const LinearSvmSpec& spec);
/// [L, F] and [L] of solutions in the order of classes.
[[nodiscard]] LinearSvm joined(std::span<const SvmSolution> solutions, DType dtype);

}  // namespace fovea
