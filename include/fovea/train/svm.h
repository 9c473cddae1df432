// Linear support vector machines, one class against the rest, on features that a network has made: R-CNN's classifiers.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "fovea/core.h"

namespace fovea {

/// Minimises |w|^2 / 2 + (b / bias_scale)^2 / 2 + sum_i C_i max(0, 1 - y_i (w x_i + b))^p over w and b; y_i is 1 for an example of the class and
/// -1 for any other, C_i is C, for examples of the class C positive_weight; p is 1, or 2 for the squared hinge. LIBLINEAR's -s 3 and -s 1.
/// R-CNN (Girshick et al. 2014, arXiv:1311.2524; its code): C = 0.001, positive_weight = 2, bias_scale = 10, on features whose mean length is 20.
struct LinearSvmSpec {
    enum class Loss : std::uint8_t { hinge, squared_hinge };
    Loss loss = Loss::hinge;
    double C = 1;
    double positive_weight = 1;
    double bias_scale = 1;    ///< value of the feature whose weight gives b: the larger, the less b costs. 0: no bias
    double tolerance = 1e-4;  ///< most that the dual's projected gradients of an epoch may lie apart at the end
    int epochs = 1000;        ///< most passes over the examples
    bool shrinking = true;    ///< passes leave out examples that stay at a bound; the solution is the same
    std::uint64_t seed = 0;   ///< of the order of examples
};

/// How well one class's problem is solved. The solution's objective lies above the optimum by at most primal - dual.
struct SvmReport {
    double primal = 0, dual = 0;
    double violation = 0;  ///< largest projected gradient of the dual at the end; 0 at the optimum
    int epochs = 0;
    std::int64_t support_vectors = 0;
    bool has_converged = false;  ///< to the tolerance, within the epochs
};

struct SvmSolution {
    std::vector<double> weight;
    double bias = 0;
    std::vector<double> alpha;  ///< of each example: w = sum_i alpha_i y_i x_i, 0 <= alpha_i (<= C_i with hinge)
    SvmReport report;
};

/// `positive` against all other labels. features [N, F], f32 or f64; computed in f64. Throws ShapeError or ArgumentError when labels and features do
/// not fit together, when there is no example of the class or none of another, or when a feature is not finite.
[[nodiscard]] SvmSolution solve_linear_svm(const Tensor& features, std::span<const std::int32_t> labels, std::int32_t positive, const LinearSvmSpec& spec = {});

/// A classifier for each class; the highest score wins. Weight and bias fit a linear layer: linear(x, weight, bias).
struct LinearSvm {
    Tensor weight;  ///< [L, F], of the features' type
    Tensor bias;    ///< [L]
    std::vector<SvmReport> classes;
};

/// One solve_linear_svm for each of `classes` classes, on all threads. Labels are 0 .. classes - 1, or -1: an example against every class.
/// The result depends on no number of threads.
[[nodiscard]] LinearSvm train_linear_svm(const Tensor& features, std::span<const std::int32_t> labels, std::int64_t classes, const LinearSvmSpec& spec = {});

// ---- hard negatives -----------------------------------------------------------------------------------------------------------

/// Some of the examples that may be negative, such as the windows of one picture.
struct NegativeBlock {
    Tensor features;       ///< [n, F], n >= 0. A Tensor without values: there is no block of this number, nor a later one
    Tensor is_negative{};  ///< u8 [n, L]: 0 where the example is none of class l (R-CNN: overlaps its objects by 0.3). Empty: all are
};
/// Blocks 0, 1, 2, ..., asked for in this order from the caller's thread, in every pass again: a number names the same block each time.
using NegativeBlocks = std::function<NegativeBlock(std::int64_t block)>;

struct HardNegativeSpec {
    LinearSvmSpec svm{};
    double hard_score = -1;             ///< negatives above it are kept. -1 is the margin: those below have no part in the solution
    double evict_score = -1.2;          ///< kept ones below it that have no part in the solution are given up when it is computed again
    int passes = 10;                    ///< most passes over the blocks; R-CNN goes once
    std::int64_t retrain_every = 2000;  ///< negatives found since the last solution was computed
    std::int64_t cache_limit = 100000;  ///< most negatives of a class in memory
};

struct MiningPass {
    std::int64_t negatives = 0;  ///< seen
    std::int64_t hard = 0;       ///< of them, those that were kept
    std::int64_t left_out = 0;   ///< hard, but the cache was full of support vectors
    std::int64_t evicted = 0, solutions = 0;
    std::int64_t cached = 0;  ///< at the end of the pass
};
struct MiningReport {
    std::vector<MiningPass> passes;
    bool has_converged = false;  ///< the last pass found nothing: with hard_score <= -1 the solution is that of all negatives at once
};
struct MinedSvm {
    LinearSvm svm;
    std::vector<MiningReport> classes;
};

/// train_linear_svm with more negatives than memory holds: of each class all positives [N_l, F] are kept (in the type of the first class's), and the negatives that its classifier of
/// the moment does not place beyond its margin. Felzenszwalb et al. 2010, "Object Detection with Discriminatively Trained Part-Based Models", sec. 4.4
/// (the cache and why it ends at the optimum); Girshick et al. 2014, sec. 2.3. Ends when a pass finds nothing for any class, or after spec.passes.
[[nodiscard]] MinedSvm mine_linear_svm(std::span<const Tensor> positives, const NegativeBlocks& negatives, const HardNegativeSpec& spec = {});

}  // namespace fovea
