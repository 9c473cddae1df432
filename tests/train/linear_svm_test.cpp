// Linear SVMs: solutions by hand, the two objectives meet, mining ends where training on all negatives does.
#include "fovea/train/svm.h"

#include <algorithm>
#include <cmath>

#include "support.h"

namespace fovea {
namespace {

using Loss = LinearSvmSpec::Loss;
using Labels = std::vector<std::int32_t>;

/// Steps until rounding stops them.
LinearSvmSpec exact(LinearSvmSpec spec) {
    spec.tolerance = 1e-11, spec.epochs = 200000;
    return spec;
}

/// Rows around (`centre`, ..., `centre`).
Tensor cloud(std::int64_t rows, std::int64_t features, double centre, const char* name, DType dtype = DType::f64) { return test::filled({rows, features}, name, centre - 1, centre + 1, dtype); }

Tensor stacked(const std::vector<Tensor>& parts) {
    std::vector<double> values;
    std::int64_t rows = 0;
    for (const Tensor& part : parts) {
        for (std::int64_t i = 0; i < part.elements(); ++i) values.push_back(part.at(i));
        rows += part.shape()[0];
    }
    return Tensor::of<double>(values, {rows, parts[0].shape()[1]}).to(parts[0].dtype());
}

Labels labels_of(const std::vector<std::pair<std::int32_t, int>>& runs) {
    Labels labels;
    for (const auto& [label, count] : runs) labels.insert(labels.end(), static_cast<std::size_t>(count), label);
    return labels;
}

/// Two clouds that overlap: some examples are inside the margin, some on its wrong side.
const Tensor mixed = stacked({cloud(40, 7, 0.15, "ours"), cloud(60, 7, -0.15, "others")});
const Labels mixed_labels = labels_of({{1, 40}, {0, 60}});

TEST(LinearSvm, TwoPointsGiveTheWidestMargin) {
    // 3 and 1 with w = 1, b = -2: both lie on the margin. alpha = 1.5, 3.5 gives w = 3 * 1.5 - 3.5 and b = 1.5 - 3.5.
    const SvmSolution between = solve_linear_svm(Tensor::of<double>({3, 1}, {2, 1}), Labels{1, 0}, 1, exact({.C = 10}));
    EXPECT_NEAR(between.weight[0], 1, 1e-9);
    EXPECT_NEAR(between.bias, -2, 1e-9);
    EXPECT_NEAR(between.alpha[0], 1.5, 1e-9);
    EXPECT_NEAR(between.alpha[1], 3.5, 1e-9);
    EXPECT_NEAR(between.report.primal, 2.5, 1e-8);
    EXPECT_EQ(between.report.support_vectors, 2);
    EXPECT_TRUE(between.report.has_converged);
    // On the axis of two points w is 2 (a - b) / |a - b|^2. A large scale makes the bias almost free.
    const SvmSolution plane = solve_linear_svm(Tensor::of<double>({2, 2, 0, 1}, {2, 2}), Labels{1, 0}, 1, exact({.C = 10, .bias_scale = 100}));
    EXPECT_NEAR(plane.weight[0], 0.8, 1e-3);
    EXPECT_NEAR(plane.weight[1], 0.4, 1e-3);
    EXPECT_NEAR(plane.bias, -1.4, 2e-3);
}

TEST(LinearSvm, AnExampleBeyondTheMarginHasNoPartAndASmallCBoundsTheOthers) {
    // Without a bias: both at distance 1 stay inside the margin with alpha = C, so w = 2 C = 0.2, and the third is at 10 w = 2.
    const Tensor three = Tensor::of<double>({1, -1, 10}, {3, 1});
    const SvmSolution hinge = solve_linear_svm(three, Labels{4, -1, 4}, 4, exact({.C = 0.1, .bias_scale = 0}));
    EXPECT_NEAR(hinge.weight[0], 0.2, 1e-12);
    EXPECT_EQ(hinge.bias, 0);
    EXPECT_EQ(hinge.alpha, (std::vector<double>{0.1, 0.1, 0}));
    EXPECT_NEAR(hinge.report.primal, 0.02 + 0.1 * 1.6, 1e-12);
    EXPECT_EQ(hinge.report.support_vectors, 2);
    // Twice the weight for positives: alpha = 0.2, 0.1.
    EXPECT_NEAR(solve_linear_svm(three, Labels{4, -1, 4}, 4, exact({.C = 0.1, .positive_weight = 2, .bias_scale = 0})).weight[0], 0.3, 1e-12);
    // Squared: w = 2 C ((1 - w) + (1 - w)), so w = 4 C / (1 + 4 C).
    EXPECT_NEAR(solve_linear_svm(three, Labels{4, -1, 4}, 4, exact({.loss = Loss::squared_hinge, .C = 0.1, .bias_scale = 0})).weight[0], 0.4 / 1.4, 1e-12);
}

TEST(LinearSvm, PrimalAndDualObjectivesMeet) {
    for (const Loss loss : {Loss::hinge, Loss::squared_hinge})
        for (const double C : {0.01, 1.0, 20.0})
            for (const bool shrinking : {true, false}) {
                const LinearSvmSpec spec = exact({.loss = loss, .C = C, .positive_weight = 2, .bias_scale = 3, .shrinking = shrinking});
                const SvmSolution found = solve_linear_svm(mixed, mixed_labels, 1, spec);
                // The primal again, from w and b alone.
                double primal = found.bias * found.bias / 18;
                for (const double w : found.weight) primal += w * w / 2;
                for (std::int64_t i = 0; i < 100; ++i) {
                    double score = found.bias;
                    for (std::int64_t k = 0; k < 7; ++k) score += found.weight[static_cast<std::size_t>(k)] * mixed.at(i * 7 + k);
                    const double slack = std::max(0.0, 1 - (i < 40 ? score : -score));
                    primal += C * (i < 40 ? 2 : 1) * (loss == Loss::hinge ? slack : slack * slack);
                }
                EXPECT_NEAR(primal, found.report.primal, 1e-10 * primal);
                EXPECT_LT(found.report.primal - found.report.dual, 1e-6) << static_cast<int>(loss) << " " << C << " " << shrinking;
                EXPECT_GT(found.report.primal - found.report.dual, -1e-10 * primal);
                EXPECT_LT(found.report.violation, 1e-9);
                EXPECT_TRUE(found.report.has_converged);
            }
}

TEST(LinearSvm, TheSolutionMeetsTheConditionsOfKarushKuhnAndTucker) {
    const SvmSolution found = solve_linear_svm(mixed, mixed_labels, 1, exact({.C = 0.5, .positive_weight = 2}));
    std::vector<double> w(7, 0);
    double b = 0;
    int at_zero = 0, between = 0, at_bound = 0;
    for (std::size_t i = 0; i < 100; ++i) {
        const double sign = i < 40 ? 1 : -1, bound = i < 40 ? 1 : 0.5, alpha = found.alpha[i];
        double score = found.bias;
        for (std::size_t k = 0; k < 7; ++k) {
            const double x = mixed.at(static_cast<std::int64_t>(i * 7 + k));
            score += found.weight[k] * x;
            w[k] += alpha * sign * x;
        }
        b += alpha * sign;
        at_zero += alpha == 0, at_bound += alpha == bound, between += alpha > 0 && alpha < bound;
        if (alpha < bound) {
            EXPECT_GE(sign * score, 1 - 1e-9) << i;
        }
        if (alpha > 0) {
            EXPECT_LE(sign * score, 1 + 1e-9) << i;
        }
    }
    for (std::size_t k = 0; k < 7; ++k) EXPECT_NEAR(w[k], found.weight[k], 1e-12);
    EXPECT_NEAR(b, found.bias, 1e-12);
    EXPECT_EQ(at_zero + between + at_bound, 100);
    EXPECT_TRUE(at_zero > 0 && between > 0 && at_bound > 0) << at_zero << " " << between << " " << at_bound;
}

TEST(LinearSvm, EachClassStandsAgainstTheRest) {
    // Three clouds and a background of -1; the weights are those of a linear layer.
    const Tensor features = stacked({cloud(20, 5, 2, "a", DType::f32), cloud(20, 5, 6, "b", DType::f32), cloud(20, 5, -3, "c", DType::f32), cloud(20, 5, 0, "d", DType::f32)});
    Tensor turned = features.clone();  // no class between two others on a line
    for (std::int64_t i = 20; i < 40; ++i) turned.set(i * 5, -turned.at(i * 5)), turned.set(i * 5 + 1, -turned.at(i * 5 + 1));
    const Labels labels = labels_of({{0, 20}, {1, 20}, {2, 20}, {-1, 20}});
    const LinearSvm svm = train_linear_svm(turned, labels, 3, {.C = 10, .bias_scale = 5});
    EXPECT_EQ(svm.weight.shape(), (Shape{3, 5}));
    EXPECT_EQ(svm.bias.shape(), (Shape{3}));
    EXPECT_EQ(svm.weight.dtype(), DType::f32);
    ASSERT_EQ(svm.classes.size(), 3u);
    const Tensor scores = test::evaluate([](Graph&, const auto& v) { return linear(v[0], v[1], v[2]); }, {turned.to(DType::f64), svm.weight.to(DType::f64), svm.bias.to(DType::f64)});
    for (std::int64_t n = 0; n < 80; ++n)
        for (std::int64_t c = 0; c < 3; ++c) EXPECT_EQ(scores.at(n * 3 + c) > 0, labels[static_cast<std::size_t>(n)] == c) << n << " " << c;
    const SvmSolution second = solve_linear_svm(turned, labels, 1, {.C = 10, .bias_scale = 5});
    for (std::int64_t k = 0; k < 5; ++k) EXPECT_EQ(svm.weight.at(5 + k), static_cast<float>(second.weight[static_cast<std::size_t>(k)]));
}

TEST(LinearSvm, NeitherRunsNorThreadsChangeABitAndTheSeedOnlyTheWay) {
    const int before = threads();
    const auto trained = [&](int count, std::uint64_t seed) {
        set_threads(count);
        const LinearSvm svm = train_linear_svm(mixed, mixed_labels, 2, exact({.seed = seed}));
        set_threads(before);
        return svm;
    };
    const LinearSvm one = trained(1, 3), four = trained(4, 3), other = trained(1, 4);
    EXPECT_EQ(test::values_of(one.weight), test::values_of(four.weight));
    EXPECT_EQ(test::values_of(one.bias), test::values_of(four.bias));
    EXPECT_NE(test::values_of(one.weight), test::values_of(other.weight));
    EXPECT_LT(test::relative_l2(other.weight, one.weight), 1e-8);
}

TEST(LinearSvm, TooFewEpochsAreReported) {
    const SvmReport report = solve_linear_svm(mixed, mixed_labels, 1, {.C = 20, .tolerance = 1e-11, .epochs = 3}).report;
    EXPECT_EQ(report.epochs, 3);
    EXPECT_FALSE(report.has_converged);
    EXPECT_GT(report.primal - report.dual, 1e-3);
}

TEST(LinearSvm, WhatCannotBeSolvedIsRefused) {
    const auto argument = [](const LinearSvmSpec& spec, const Labels& labels = mixed_labels, const Tensor& features = mixed) {
        return test::message_of<ArgumentError>([&] { (void)train_linear_svm(features, labels, 2, spec); });
    };
    EXPECT_EQ(argument({.C = 0}), "linear svm: C must be above 0, got 0");
    EXPECT_EQ(argument({.positive_weight = -1}), "linear svm: positive_weight must be above 0, got -1");
    EXPECT_EQ(argument({.bias_scale = -1}), "linear svm: bias_scale must not be negative, got -1");
    EXPECT_EQ(argument({.epochs = 0}), "linear svm: epochs must be at least 1, got 0");
    EXPECT_EQ(argument({}, labels_of({{0, 100}})), "linear svm: all 100 examples are of class 0; some of another are needed");
    EXPECT_EQ(argument({}, labels_of({{0, 50}, {-1, 50}})), "linear svm: no example of class 1 among 100");
    EXPECT_EQ(argument({}, labels_of({{0, 99}, {2, 1}})), "linear svm: label 2 of row 99 is none of 2 classes, nor -1 for none of them");
    Tensor broken = mixed.clone();
    broken.set(3 * 7 + 2, NAN);
    EXPECT_EQ(argument({}, mixed_labels, broken), "linear svm: feature 2 of row 3 is not finite");
    EXPECT_EQ(test::message_of<ShapeError>([&] { (void)train_linear_svm(mixed, Labels{0, 1}, 2); }), "linear svm: 2 labels for features [100, 7]");
    EXPECT_EQ(test::message_of<ShapeError>([&] { (void)train_linear_svm(mixed.reshape({10, 10, 7}), mixed_labels, 2); }), "linear svm: features are [N, F] in f32 or f64, got [10, 10, 7] in f64");
}

// ---- hard negatives -----------------------------------------------------------------------------------------------------------

/// 3000 negatives in blocks of 100, of which most are easy.
Tensor negative_block(std::int64_t block) { return cloud(100, 6, -1 + 0.02 * static_cast<double>(block), ("negatives " + std::to_string(block)).c_str()); }
NegativeBlock blocks_of_30(std::int64_t block) { return block < 30 ? NegativeBlock{negative_block(block)} : NegativeBlock{}; }
const Tensor mining_positives = cloud(30, 6, 0.4, "positives");

/// |a - b| / |b| of the weights and biases of two classifiers.
double difference(const LinearSvm& a, const LinearSvm& b) { return std::max(test::relative_l2(a.weight, b.weight), test::relative_l2(a.bias, b.bias)); }

TEST(HardNegatives, MiningEndsWhereAllNegativesAtOnceDo) {
    std::vector<Tensor> parts{mining_positives};
    for (std::int64_t block = 0; block < 30; ++block) parts.push_back(negative_block(block));
    for (const Loss loss : {Loss::hinge, Loss::squared_hinge}) {
        const LinearSvmSpec svm = exact({.loss = loss, .C = 0.1, .positive_weight = 2, .bias_scale = 10});
        const LinearSvm all = train_linear_svm(stacked(parts), labels_of({{0, 30}, {-1, 3000}}), 1, svm);
        const MinedSvm mined = mine_linear_svm({{mining_positives}}, blocks_of_30, {.svm = svm, .passes = 20, .retrain_every = 200});
        EXPECT_LT(difference(mined.svm, all), 1e-7);
        const MiningReport& report = mined.classes[0];
        EXPECT_TRUE(report.has_converged);
        ASSERT_GE(report.passes.size(), 2u);
        std::int64_t kept = 0;
        for (const MiningPass& pass : report.passes) {
            EXPECT_EQ(pass.negatives, 3000);
            EXPECT_EQ(pass.left_out, 0);
            EXPECT_EQ(pass.cached, kept += pass.hard - pass.evicted);
        }
        EXPECT_EQ(report.passes.back().hard, 0);
        EXPECT_EQ(report.passes.back().solutions, 0);
        EXPECT_GT(report.passes.front().evicted, 0);
        EXPECT_LT(kept, 2000);
        // Again, bit by bit; and one pass is R-CNN's.
        EXPECT_EQ(difference(mine_linear_svm({{mining_positives}}, blocks_of_30, {.svm = svm, .passes = 20, .retrain_every = 200}).svm, mined.svm), 0);
        const MinedSvm once = mine_linear_svm({{mining_positives}}, blocks_of_30, {.svm = svm, .passes = 1, .retrain_every = 200});
        EXPECT_EQ(once.classes[0].passes.size(), 1u);
        EXPECT_FALSE(once.classes[0].has_converged);
        EXPECT_LT(difference(once.svm, all), 0.1);
    }
}

TEST(HardNegatives, AFullCacheGivesUpWhatHasNoPart) {
    std::vector<Tensor> parts{mining_positives};
    for (std::int64_t block = 0; block < 30; ++block) parts.push_back(negative_block(block));
    const LinearSvmSpec svm = exact({.C = 10, .bias_scale = 10});
    const LinearSvm all = train_linear_svm(stacked(parts), labels_of({{0, 30}, {-1, 3000}}), 1, svm);
    const std::int64_t enough = all.classes[0].support_vectors + 100;
    const MinedSvm mined = mine_linear_svm({{mining_positives}}, blocks_of_30, {.svm = svm, .evict_score = -3, .passes = 40, .retrain_every = 100000, .cache_limit = enough});
    EXPECT_TRUE(mined.classes[0].has_converged);
    EXPECT_LT(difference(mined.svm, all), 1e-7);
    for (const MiningPass& pass : mined.classes[0].passes) EXPECT_LE(pass.cached, enough);
    // Ten are not: the report says so.
    const MiningReport small = mine_linear_svm({{mining_positives}}, blocks_of_30, {.svm = svm, .cache_limit = 10}).classes[0];
    EXPECT_FALSE(small.has_converged);
    EXPECT_GT(small.passes.back().left_out, 0);
    EXPECT_LE(small.passes.back().cached, 10);
}

TEST(HardNegatives, EachClassLeavesOutTheExamplesThatAreNotItsNegatives) {
    // Two classes; the second may not use rows whose number is even.
    const Tensor positives[] = {mining_positives, cloud(20, 6, 0.8, "second")};
    const auto masked = [](std::int64_t block) {
        NegativeBlock result = blocks_of_30(block);
        if (result.features.is_empty()) return result;
        result.is_negative = Tensor({100, 2}, DType::u8);
        for (std::int64_t n = 0; n < 100; ++n) result.is_negative.set(2 * n, 1), result.is_negative.set(2 * n + 1, n % 2);
        return result;
    };
    std::vector<double> odd;
    for (std::int64_t block = 0; block < 30; ++block) {
        const Tensor rows = negative_block(block);
        for (std::int64_t i = 0; i < 600; ++i)
            if (i / 6 % 2 == 1) odd.push_back(rows.at(i));
    }
    const LinearSvmSpec svm = exact({.C = 0.1});
    const MinedSvm mined = mine_linear_svm(positives, masked, {.svm = svm, .passes = 20, .retrain_every = 150});
    const SvmSolution second = solve_linear_svm(stacked({positives[1], Tensor::of<double>(odd, {1500, 6})}), labels_of({{1, 20}, {-1, 1500}}), 1, svm);
    EXPECT_EQ(mined.classes[0].passes[0].negatives, 3000);
    EXPECT_EQ(mined.classes[1].passes[0].negatives, 1500);
    for (std::int64_t k = 0; k < 6; ++k) EXPECT_NEAR(mined.svm.weight.at(6 + k), second.weight[static_cast<std::size_t>(k)], 1e-8);
    // The first is what it would be alone.
    const LinearSvm alone = mine_linear_svm({positives, 1}, blocks_of_30, {.svm = svm, .passes = 20, .retrain_every = 150}).svm;
    for (std::int64_t k = 0; k < 6; ++k) EXPECT_EQ(mined.svm.weight.at(k), alone.weight.at(k));
}

TEST(HardNegatives, WhatDoesNotFitIsRefused) {
    const auto argument = [](const std::vector<Tensor>& positives, const NegativeBlocks& blocks, const HardNegativeSpec& spec = {}) {
        return test::message_of<ArgumentError>([&] { (void)mine_linear_svm(positives, blocks, spec); });
    };
    const auto shape = [](const std::vector<Tensor>& positives, const NegativeBlock& block) {
        return test::message_of<ShapeError>([&] { (void)mine_linear_svm(positives, [&](std::int64_t number) { return number == 0 ? block : NegativeBlock{}; }); });
    };
    EXPECT_EQ(argument({}, blocks_of_30), "hard negatives: no class given");
    EXPECT_EQ(argument({mining_positives, Tensor({0, 6})}, blocks_of_30), "hard negatives: no positive example of class 1");
    EXPECT_EQ(argument({mining_positives}, [](std::int64_t) { return NegativeBlock{}; }), "hard negatives: the blocks hold no negative of class 0");
    EXPECT_EQ(argument({mining_positives}, blocks_of_30, {.svm = {.C = -1}}), "linear svm: C must be above 0, got -1");
    EXPECT_EQ(argument({mining_positives}, blocks_of_30, {.evict_score = 0}), "hard negatives: evict_score 0 lies above hard_score -1: what is found would be given up at once");
    EXPECT_EQ(argument({mining_positives}, blocks_of_30, {.cache_limit = 0}), "hard negatives: cache_limit must be at least 1, got 0");
    EXPECT_EQ(shape({mining_positives}, {Tensor({4, 5})}), "hard negatives: block 0 is [4, 5]; the positives have 6 features");
    EXPECT_EQ(shape({mining_positives}, {Tensor({4, 6}), Tensor({4, 2}, DType::u8)}), "hard negatives: block 0: is_negative must be u8 [4, 1], got u8 [4, 2]");
    EXPECT_EQ(shape({mining_positives, Tensor({4, 5})}, {}), "hard negatives: positives of class 1 are [4, 5], those of class 0 [30, 6]");
}

}  // namespace
}  // namespace fovea
