// Dual coordinate descent for linear SVMs. Hsieh, Chang, Lin, Keerthi, Sundararajan 2008, "A Dual Coordinate Descent Method for Large-scale
// Linear SVM", ICML, algorithms 1 and 3 (with shrinking); names as there. The dual: minimise a (Q + D) a / 2 - sum a with 0 <= a_i <= U_i,
// Q_ij = y_i y_j (x_i x_j + bias_scale^2); hinge has D = 0 and U_i = C_i, its square D_ii = 1 / (2 C_i) and no upper bound.
#include "train/linear_svm.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "core/team.h"
#include "core/text.h"

namespace fovea {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

template <class T> class DualDescent {
public:
    DualDescent(const SvmProblem<T>& problem, const LinearSvmSpec& spec) : problem_(problem), spec_(spec), w_(problem.features), alpha_(problem.alphas), curvature_(problem.rows.size()) {
        alpha_.resize(problem.rows.size(), 0);
        for (std::size_t i = 0; i < alpha_.size(); ++i) {
            const T* x = problem.rows[i];
            double square = spec.bias_scale * spec.bias_scale;
            for (std::size_t k = 0; k < problem.features; ++k) square += static_cast<double>(x[k]) * static_cast<double>(x[k]);
            curvature_[i] = square + diagonal(i);
        }
        sum_weights();
    }

    SvmSolution solve() {
        std::vector<std::size_t> order(alpha_.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::size_t active = order.size();
        SvmReport report;
        // Beyond these gradients of the epoch before, an example at a bound will most likely stay there: eq. 17 to 19 of the paper.
        double highest = infinity, lowest = -infinity;
        while (report.epochs < spec_.epochs && !report.has_converged) {
            const Rng rng(spec_.seed, hash_name("linear svm"), static_cast<std::uint64_t>(report.epochs++));
            for (std::size_t i = 0; i < active; ++i) std::swap(order[i], order[i + static_cast<std::size_t>(rng.below(i, static_cast<std::int64_t>(active - i)))]);
            double above = 0, below = 0;  // between them the optimum has all
            for (std::size_t s = 0; s < active;) {
                const std::size_t i = order[s];
                const double g = gradient(i);
                if (spec_.shrinking && ((alpha_[i] == 0 && g > highest) || (alpha_[i] == bound(i) && g < lowest))) {
                    std::swap(order[s], order[--active]);
                    continue;
                }
                const double projected = projection(i, g);
                above = std::max(above, projected), below = std::min(below, projected);
                if (projected != 0) move(i, g);
                ++s;
            }
            if (active > 0 && above - below > spec_.tolerance) {
                highest = above > 0 ? above : infinity, lowest = below < 0 ? below : -infinity;
                continue;
            }
            // What was left out is looked at once more before this is the end.
            report.has_converged = active == order.size();
            active = order.size(), highest = infinity, lowest = -infinity;
        }
        return solution(report);
    }

private:
    [[nodiscard]] double cost(std::size_t i) const { return problem_.signs[i] > 0 ? spec_.C * spec_.positive_weight : spec_.C; }
    [[nodiscard]] bool is_squared() const { return spec_.loss == LinearSvmSpec::Loss::squared_hinge; }
    [[nodiscard]] double diagonal(std::size_t i) const { return is_squared() ? 0.5 / cost(i) : 0; }
    [[nodiscard]] double bound(std::size_t i) const { return is_squared() ? infinity : cost(i); }
    [[nodiscard]] double margin(std::size_t i) const { return problem_.signs[i] * (dot<T>(w_, problem_.rows[i]) + bias_weight_ * spec_.bias_scale); }
    [[nodiscard]] double gradient(std::size_t i) const { return margin(i) - 1 + diagonal(i) * alpha_[i]; }
    /// The part of the gradient along which alpha may still fall: 0 at the optimum.
    [[nodiscard]] double projection(std::size_t i, double g) const { return alpha_[i] == 0 ? std::min(g, 0.0) : alpha_[i] == bound(i) ? std::max(g, 0.0) : g; }

    void move(std::size_t i, double g) {
        // An example of zeros without a bias has a gradient of -1 whatever w is.
        const double wanted = curvature_[i] > 0 ? std::clamp(alpha_[i] - g / curvature_[i], 0.0, bound(i)) : bound(i);
        add(i, wanted - alpha_[i]);
        alpha_[i] = wanted;
    }

    void add(std::size_t i, double alpha) {
        const double step = alpha * problem_.signs[i];
        const T* x = problem_.rows[i];
        for (std::size_t k = 0; k < w_.size(); ++k) w_[k] += step * static_cast<double>(x[k]);
        bias_weight_ += step * spec_.bias_scale;
    }

    void sum_weights() {
        std::ranges::fill(w_, 0.0);
        bias_weight_ = 0;
        for (std::size_t i = 0; i < alpha_.size(); ++i)
            if (alpha_[i] != 0) add(i, alpha_[i]);
    }

    SvmSolution solution(SvmReport report) {
        sum_weights();  // without the rounding of all the steps that led here
        const double half_square = (dot<double>(w_, w_.data()) + bias_weight_ * bias_weight_) / 2;
        report.primal = half_square, report.dual = -half_square;
        for (std::size_t i = 0; i < alpha_.size(); ++i) {
            const double m = margin(i), slack = std::max(0.0, 1 - m);
            report.primal += cost(i) * (is_squared() ? slack * slack : slack);
            report.dual += alpha_[i] - diagonal(i) * alpha_[i] * alpha_[i] / 2;
            report.violation = std::max(report.violation, std::abs(projection(i, gradient(i))));
            report.support_vectors += alpha_[i] > 0;
        }
        return {.weight = std::move(w_), .bias = bias_weight_ * spec_.bias_scale, .alpha = std::move(alpha_), .report = report};
    }

    const SvmProblem<T>& problem_;
    const LinearSvmSpec& spec_;
    std::vector<double> w_, alpha_, curvature_;  ///< curvature: diagonal of Q + D
    double bias_weight_ = 0;
};

/// The rows of [N, F]; the features must outlive it.
template <class T> SvmProblem<T> problem_of(const Tensor& features, std::span<const std::int32_t> labels, std::int32_t positive) {
    const auto width = static_cast<std::size_t>(features.shape()[1]);
    SvmProblem<T> problem{.features = width};
    const std::span<const T> values = features.data<T>();
    for (std::size_t i = 0; i < labels.size(); ++i) problem.rows.push_back(values.data() + i * width), problem.signs.push_back(labels[i] == positive ? 1 : -1);
    return problem;
}

void check_labels(const Tensor& features, std::span<const std::int32_t> labels) {
    check_features(features, "linear svm");
    require<ShapeError>(std::ssize(labels) == features.shape()[0], "linear svm: {} labels for features {}", labels.size(), features.shape());
}

void check_class(std::span<const std::int32_t> labels, std::int32_t positive) {
    const std::int64_t count = std::ranges::count(labels, positive);
    require<ArgumentError>(count > 0, "linear svm: no example of class {} among {}", positive, labels.size());
    require<ArgumentError>(count < std::ssize(labels), "linear svm: all {} examples are of class {}; some of another are needed", labels.size(), positive);
}

SvmSolution solve_any(const Tensor& features, std::span<const std::int32_t> labels, std::int32_t positive, const LinearSvmSpec& spec) {
    return features.dtype() == DType::f32 ? solve(problem_of<float>(features, labels, positive), spec) : solve(problem_of<double>(features, labels, positive), spec);
}

}  // namespace

void check(const LinearSvmSpec& spec) {
    const auto positive = [](double value, std::string_view name) { require<ArgumentError>(value > 0 && std::isfinite(value), "linear svm: {} must be above 0, got {}", name, value); };
    positive(spec.C, "C"), positive(spec.positive_weight, "positive_weight"), positive(spec.tolerance, "tolerance");
    require<ArgumentError>(spec.bias_scale >= 0 && std::isfinite(spec.bias_scale), "linear svm: bias_scale must not be negative, got {}", spec.bias_scale);
    require<ArgumentError>(spec.epochs >= 1, "linear svm: epochs must be at least 1, got {}", spec.epochs);
}

void check_features(const Tensor& features, const std::string& who) {
    require<ShapeError>(features.shape().rank() == 2 && features.shape()[1] >= 1 && (features.dtype() == DType::f32 || features.dtype() == DType::f64), "{}: features are [N, F] in f32 or f64, got {} in {}", who,
                        features.shape(), features.dtype());
    const auto width = static_cast<std::size_t>(features.shape()[1]);
    const auto look = [&](auto values) {
        for (std::size_t i = 0; i < values.size(); ++i)
            require<ArgumentError>(std::isfinite(values[i]), "{}: feature {} of row {} is not finite", who, i % width, i / width);
    };
    if (features.is_empty()) return;
    if (features.dtype() == DType::f32) look(features.data<float>());
    else look(features.data<double>());
}

template <class T> SvmSolution solve(const SvmProblem<T>& problem, const LinearSvmSpec& spec) { return DualDescent<T>(problem, spec).solve(); }
template SvmSolution solve(const SvmProblem<float>& problem, const LinearSvmSpec& spec);
template SvmSolution solve(const SvmProblem<double>& problem, const LinearSvmSpec& spec);

LinearSvm joined(std::span<const SvmSolution> solutions, DType dtype) {
    const auto classes = std::ssize(solutions), width = std::ssize(solutions.front().weight);
    LinearSvm svm{.weight = Tensor(Shape{classes, width}, dtype), .bias = Tensor(Shape{classes}, dtype), .classes = {}};
    for (std::int64_t c = 0; c < classes; ++c) {
        const SvmSolution& solution = solutions[static_cast<std::size_t>(c)];
        for (std::int64_t k = 0; k < width; ++k) svm.weight.set(c * width + k, solution.weight[static_cast<std::size_t>(k)]);
        svm.bias.set(c, solution.bias);
        svm.classes.push_back(solution.report);
    }
    return svm;
}

SvmSolution solve_linear_svm(const Tensor& features, std::span<const std::int32_t> labels, std::int32_t positive, const LinearSvmSpec& spec) {
    check(spec);
    check_labels(features, labels);
    check_class(labels, positive);
    return solve_any(features, labels, positive, spec);
}

LinearSvm train_linear_svm(const Tensor& features, std::span<const std::int32_t> labels, std::int64_t classes, const LinearSvmSpec& spec) {
    check(spec);
    check_labels(features, labels);
    require<ArgumentError>(classes >= 1, "linear svm: classes must be at least 1, got {}", classes);
    for (std::size_t i = 0; i < labels.size(); ++i)
        require<ArgumentError>(labels[i] >= -1 && labels[i] < classes, "linear svm: label {} of row {} is none of {} classes, nor -1 for none of them", labels[i], i, classes);
    for (std::int64_t c = 0; c < classes; ++c) check_class(labels, static_cast<std::int32_t>(c));
    std::vector<SvmSolution> solutions(static_cast<std::size_t>(classes));
    parallel_for(classes, [&](std::int64_t c) { solutions[static_cast<std::size_t>(c)] = solve_any(features, labels, static_cast<std::int32_t>(c), spec); });
    return joined(solutions, features.dtype());
}

}  // namespace fovea
