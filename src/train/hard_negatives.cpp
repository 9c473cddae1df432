// Linear SVMs of a class's positives and those of its many negatives that matter. Felzenszwalb, Girshick, McAllester, Ramanan 2010, sec. 4.4:
// a negative beyond the margin has alpha = 0, so a solution that finds no other outside the cache is that of all negatives. Each solution
// begins with the alphas of the one before: what joins has 0, what leaves had 0, so the dual only rises and no cycle is possible.
#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/team.h"
#include "core/text.h"
#include "train/linear_svm.h"

namespace fovea {

namespace {

/// One class with its cache.
template <class T> class Miner {
public:
    Miner(Tensor positives, const HardNegativeSpec& spec) : positives_(std::move(positives)), spec_(spec), alphas_(static_cast<std::size_t>(positives_.shape()[0]), 0) {}

    void begin_pass() { report_.passes.emplace_back(); }

    void look_at(const Tensor& features, const Tensor& is_negative, std::int64_t block, std::int64_t class_index) {
        MiningPass& pass = report_.passes.back();
        const std::int64_t rows = features.shape()[0];
        const auto width = static_cast<std::size_t>(features.shape()[1]);
        const T* first = features.data<T>().data();
        for (std::int64_t n = 0; n < rows; ++n) {
            if (!is_negative.is_empty() && is_negative.at(n * is_negative.shape()[1] + class_index) == 0) continue;
            ++pass.negatives;
            const T* row = first + static_cast<std::size_t>(n) * width;
            if (!is_hard(row) || keys_.contains({block, n})) continue;
            if (is_full() && fresh_ > 0) {
                solve_again();
                if (!is_hard(row)) continue;
            }
            if (is_full()) {
                ++pass.left_out;
                continue;
            }
            ++pass.hard, ++fresh_;
            cache_.push_back({{block, n}, std::vector<T>(row, row + width), 0});
            keys_.insert({block, n});
            if (fresh_ >= spec_.retrain_every) solve_again();
        }
    }

    void end_pass() {
        MiningPass& pass = report_.passes.back();
        if (fresh_ > 0) solve_again();
        pass.cached = std::ssize(cache_);
        report_.has_converged = pass.hard == 0 && pass.left_out == 0;
        // A pass without finds left the solution as it was: another one would see the same.
        is_done_ = pass.hard == 0;
    }

    [[nodiscard]] bool is_done() const { return is_done_; }
    [[nodiscard]] bool has_solution() const { return !solution_.weight.empty(); }
    [[nodiscard]] const SvmSolution& solution() const { return solution_; }
    [[nodiscard]] const MiningReport& report() const { return report_; }

private:
    struct Negative {
        std::pair<std::int64_t, std::int64_t> key;  ///< block, row
        std::vector<T> features;
        double alpha;
    };

    [[nodiscard]] double score(const T* row) const { return dot<T>(solution_.weight, row) + solution_.bias; }
    /// The first negatives make the first solution, whatever they are.
    [[nodiscard]] bool is_hard(const T* row) const { return !has_solution() || score(row) > spec_.hard_score; }
    [[nodiscard]] bool is_full() const { return std::ssize(cache_) >= spec_.cache_limit; }

    void solve_again() {
        SvmProblem<T> problem{.features = static_cast<std::size_t>(positives_.shape()[1])};
        for (std::size_t i = 0; i < alphas_.size(); ++i) problem.rows.push_back(positives_.template data<T>().data() + i * problem.features);
        for (const Negative& negative : cache_) problem.rows.push_back(negative.features.data());
        problem.signs.assign(alphas_.size(), 1);
        problem.signs.resize(problem.rows.size(), -1);
        problem.alphas = alphas_;
        for (const Negative& negative : cache_) problem.alphas.push_back(negative.alpha);
        solution_ = solve(problem, spec_.svm);
        const auto first = solution_.alpha.begin() + std::ssize(alphas_);
        std::copy(solution_.alpha.begin(), first, alphas_.begin());
        for (std::size_t i = 0; i < cache_.size(); ++i) cache_[i].alpha = first[static_cast<std::ptrdiff_t>(i)];
        ++report_.passes.back().solutions;
        fresh_ = 0;
        evict_below(spec_.evict_score);
        // Room for harder ones; should one of these be needed again, the next pass finds it.
        if (is_full()) evict_below(spec_.hard_score);
    }

    void evict_below(double limit) {
        const auto easy = std::ranges::stable_partition(cache_, [&](const Negative& negative) { return negative.alpha > 0 || score(negative.features.data()) >= limit; });
        for (const Negative& negative : easy) keys_.erase(negative.key);
        report_.passes.back().evicted += std::ssize(easy);
        cache_.erase(easy.begin(), easy.end());
    }

    Tensor positives_;
    const HardNegativeSpec& spec_;
    std::vector<double> alphas_;  ///< of the positives
    std::vector<Negative> cache_;
    std::set<std::pair<std::int64_t, std::int64_t>> keys_;
    std::int64_t fresh_ = 0;  ///< in the cache since the last solution
    SvmSolution solution_;
    MiningReport report_;
    bool is_done_ = false;
};

void check_spec(const HardNegativeSpec& spec) {
    check(spec.svm);
    require<ArgumentError>(spec.evict_score <= spec.hard_score, "hard negatives: evict_score {} lies above hard_score {}: what is found would be given up at once", spec.evict_score, spec.hard_score);
    const auto at_least_1 = [](std::int64_t value, std::string_view name) { require<ArgumentError>(value >= 1, "hard negatives: {} must be at least 1, got {}", name, value); };
    at_least_1(spec.passes, "passes"), at_least_1(spec.retrain_every, "retrain_every"), at_least_1(spec.cache_limit, "cache_limit");
}

void check_block(const NegativeBlock& negatives, std::int64_t block, std::int64_t width, std::int64_t classes) {
    const std::string who = fmt::format("hard negatives: block {}", block);
    check_features(negatives.features, who);
    const Shape& shape = negatives.features.shape();
    require<ShapeError>(shape[1] == width, "{} is {}; the positives have {} features", who, shape, width);
    const Tensor& mask = negatives.is_negative;
    require<ShapeError>(mask.is_empty() || (mask.dtype() == DType::u8 && mask.shape() == Shape{shape[0], classes}), "{}: is_negative must be u8 [{}, {}], got {} {}", who, shape[0], classes,
                        mask.dtype(), mask.shape());
}

template <class T> MinedSvm mine(std::span<const Tensor> positives, const NegativeBlocks& negatives, const HardNegativeSpec& spec) {
    const DType dtype = dtype_of<T>();
    const auto classes = std::ssize(positives);
    std::vector<Miner<T>> miners;
    for (const Tensor& examples : positives) miners.emplace_back(examples.to(dtype), spec);
    for (int pass = 0; pass < spec.passes && !std::ranges::all_of(miners, &Miner<T>::is_done); ++pass) {
        const auto each = [&](const auto& f) {
            parallel_for(classes, [&](std::int64_t c) {
                if (Miner<T>& miner = miners[static_cast<std::size_t>(c)]; !miner.is_done()) f(miner, c);
            });
        };
        each([](Miner<T>& miner, std::int64_t) { miner.begin_pass(); });
        for (std::int64_t block = 0;; ++block) {
            const NegativeBlock given = negatives(block);
            if (given.features.is_empty()) break;
            check_block(given, block, positives.front().shape()[1], classes);
            const Tensor features = given.features.to(dtype);
            each([&](Miner<T>& miner, std::int64_t c) { miner.look_at(features, given.is_negative, block, c); });
        }
        each([](Miner<T>& miner, std::int64_t) { miner.end_pass(); });
        for (std::size_t c = 0; c < miners.size(); ++c) require<ArgumentError>(miners[c].has_solution(), "hard negatives: the blocks hold no negative of class {}", c);
    }
    std::vector<SvmSolution> solutions;
    MinedSvm result;
    for (const Miner<T>& miner : miners) solutions.push_back(miner.solution()), result.classes.push_back(miner.report());
    result.svm = joined(solutions, dtype);
    return result;
}

}  // namespace

MinedSvm mine_linear_svm(std::span<const Tensor> positives, const NegativeBlocks& negatives, const HardNegativeSpec& spec) {
    check_spec(spec);
    require<ArgumentError>(!positives.empty(), "hard negatives: no class given");
    require<ArgumentError>(negatives != nullptr, "hard negatives: no negatives given");
    for (std::size_t c = 0; c < positives.size(); ++c) {
        check_features(positives[c], fmt::format("hard negatives: class {}", c));
        const Shape &shape = positives[c].shape(), &first = positives[0].shape();
        require<ArgumentError>(shape[0] >= 1, "hard negatives: no positive example of class {}", c);
        require<ShapeError>(shape[1] == first[1], "hard negatives: positives of class {} are {}, those of class 0 {}", c, shape, first);
    }
    return positives.front().dtype() == DType::f32 ? mine<float>(positives, negatives, spec) : mine<double>(positives, negatives, spec);
}

}  // namespace fovea
