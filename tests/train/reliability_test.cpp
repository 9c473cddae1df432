// Calibration and average precision against numbers worked out by hand.
#include <algorithm>
#include <cmath>
#include <limits>

#include "train/average_precision.h"
#include "train/small_run.h"

namespace fovea {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

struct Answer {
    std::vector<double> probabilities;
    std::int64_t label, predicted;
};
/// In four bins: none below 1/4; one wrong to 1/2; one of two to 3/4; one right. All numbers are exact in f64.
const std::vector<Answer> answers{{{0.75, 0.25}, 0, 0}, {{0.625, 0.375}, 1, 0}, {{0.125, 0.875}, 1, 1}, {{0.5, 0.5}, 1, 0}};

Reliability of(const std::vector<Answer>& list) {
    Reliability reliability{.bins = std::vector<Reliability::Bin>(4)};
    for (const Answer& a : list) reliability.add(a.probabilities, a.label, a.predicted);
    return reliability;
}

TEST(Reliability, HasTheErrorsWorkedOutByHand) {
    const Reliability found = of(answers);
    EXPECT_EQ(found.images(), 4);
    EXPECT_TRUE(std::isnan(found.bins[0].accuracy()));
    EXPECT_EQ(found.bins[1].confidence(), 0.5);  // a bin's upper edge is its own
    EXPECT_EQ(found.bins[1].accuracy(), 0);
    EXPECT_EQ(found.bins[2].images, 2);
    EXPECT_EQ(found.bins[2].confidence(), 0.6875);
    EXPECT_EQ(found.bins[2].accuracy(), 0.5);
    EXPECT_EQ(found.expected_error(), (0.5 + 2 * 0.1875 + 0.125) / 4);
    EXPECT_EQ(found.largest_error(), 0.5);
    EXPECT_EQ(found.brier(), (0.125 + 0.78125 + 0.03125 + 0.5) / 4);
    EXPECT_EQ(to_text(found), R"({"ece":0.25,"mce":0.5,"brier":0.359375,"bins":[{"images":0,"confidence":null,"accuracy":null},{"images":1,"confidence":0.5,"accuracy":0.0},)"
                              R"({"images":2,"confidence":0.6875,"accuracy":0.5},{"images":1,"confidence":0.875,"accuracy":1.0}]})");
}

TEST(Reliability, SureAnswersAreInTheLastBinAndWhatIsNotFiniteInNone) {
    const Reliability sure = of({{{1, 0}, 0, 0}, {{1, 0}, 1, 0}});
    EXPECT_EQ(sure.bins[3].images, 2);
    EXPECT_EQ(sure.expected_error(), 0.5);
    EXPECT_EQ(sure.brier(), 1);
    const Reliability none = of({{{nan, nan}, 0, 0}});
    EXPECT_EQ(none.images(), 0);
    EXPECT_EQ(none.expected_error() + none.largest_error() + none.brier(), 0);
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)of({{{1, 0}, 2, 0}}); }), "reliability in 4 bins: label 2, prediction 0 of 2 classes");
}

TEST(Reliability, DoesNotDependOnTheOrderOfPictures) {
    const Rng rng(3, hash_name("reliability"));
    std::vector<Answer> list;
    for (std::uint64_t i = 0; i < 1000; ++i) {
        const double p = rng.uniform(i);
        list.push_back({{p, 1 - p}, static_cast<std::int64_t>(rng.below(5000 + i, 2)), p > 0.5 ? 0 : 1});
    }
    const Reliability forwards = of(list);
    std::ranges::reverse(list);
    const Reliability backwards = of(list);
    EXPECT_EQ(to_text(forwards), to_text(backwards));
}

TEST(Probabilities, AreTheSoftmax) {
    const std::vector<double> p = probabilities_of(std::vector<float>{1000, 1000 + std::log(3.0F), -std::numeric_limits<float>::infinity()});
    EXPECT_NEAR(p[0], 0.25, 1e-5);  // an f32 of 1001 has steps of 6e-5
    EXPECT_NEAR(p[1], 0.75, 1e-5);
    EXPECT_EQ(p[2], 0);
    for (const double value : probabilities_of(std::vector<float>{1, std::numeric_limits<float>::infinity()})) EXPECT_TRUE(std::isnan(value));
}

TEST(AveragePrecision, IsThatOfScikitLearnsExample) {  // average_precision_score([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    const std::vector<float> rows{0.9F, 0.1F, 0.6F, 0.4F, 0.65F, 0.35F, 0.2F, 0.8F};
    const std::vector<std::int64_t> labels{0, 0, 1, 1};
    for (const double value : average_precision(rows, labels, 2)) EXPECT_DOUBLE_EQ(value, (1 + 2.0 / 3) / 2);
}

TEST(AveragePrecision, TiesAreOneStepAndAClassWithoutPicturesHasNone) {
    std::vector<float> rows{0.5F, 0.0625F, 0.4375F, 0.5F, 0.5F, 0, 0.25F, 0.75F, 0, 0.25F, 0.125F, 0.625F};
    std::vector<std::int64_t> labels{0, 1, 0, 1};
    const std::vector<double> found = average_precision(rows, labels, 3);
    EXPECT_DOUBLE_EQ(found[0], 0.5);                    // one of two at 0.5, two of four at 0.25
    EXPECT_DOUBLE_EQ(found[1], (1.0 / 2 + 2.0 / 3) / 2);  // second at 0.5, third at 0.125
    EXPECT_TRUE(std::isnan(found[2]));
    Evaluation evaluation;
    EXPECT_TRUE(std::isnan(evaluation.mean_average_precision()));
    evaluation.average_precision = found;
    EXPECT_DOUBLE_EQ(evaluation.mean_average_precision(), (found[0] + found[1]) / 2);

    rows.insert(rows.end(), {static_cast<float>(nan), 0.9F, 0.1F});
    labels.push_back(2);
    EXPECT_EQ(average_precision(rows, labels, 3)[1], found[1]);
    EXPECT_TRUE(std::isnan(average_precision(rows, labels, 3)[2]));
    EXPECT_TRUE(std::isnan(average_precision({}, {}, 1)[0]));
    EXPECT_EQ(test::message_of<ArgumentError>([&] { (void)average_precision(rows, labels, 2); }), "average precision: 15 probabilities for 5 pictures and 2 classes");
}

TEST(AveragePrecision, IsLeftOutWhereItsMemoryWouldPassTheLimit) {
    const std::vector<double> row{0.25, 0.75};
    for (const std::int64_t images : {10, (1 << 27) + 1}) {
        EvaluateSpec spec{.average_precision = true};
        KeptProbabilities kept(spec, images, 2);
        kept.add<double>(row, std::vector<std::int64_t>{1});
        EXPECT_EQ(kept.average_precision().empty(), images > 1 << 27) << images;
    }
}

TEST(Evaluate, MeasuresTheSameInBatchesOfAnySizeAndOnOneView) {
    const FitSpec run = test::small_fit({}, 1);
    const Graph net = test::small_network();
    const Parameters parameters = fit(net, run).parameters;
    EvaluateSpec spec{.batch = 100, .average_precision = true, .preprocess = run.preprocess, .compile = {.backend = "reference"}};  // which takes each picture alone
    const Evaluation whole = evaluate(net, parameters, run.validation, spec);
    EXPECT_EQ(whole.reliability.images(), 100);
    std::int64_t right = 0;
    for (const Reliability::Bin& bin : whole.reliability.bins) right += bin.right;
    EXPECT_EQ(right, std::lround(whole.top1 * 100));
    ASSERT_EQ(whole.average_precision.size(), 4U);
    EXPECT_GT(whole.mean_average_precision(), 0.5);
    spec.batch = 7;
    const Evaluation parts = evaluate(net, parameters, run.validation, spec);
    EXPECT_EQ(to_text(parts.reliability), to_text(whole.reliability));
    EXPECT_EQ(parts.average_precision, whole.average_precision);
    const Evaluation view = evaluate_views({{&net, &parameters, run.preprocess}}, run.validation, {}, spec);
    EXPECT_NEAR(view.reliability.expected_error(), whole.reliability.expected_error(), 1e-5);
    EXPECT_NEAR(view.reliability.brier(), whole.reliability.brier(), 1e-5);
    EXPECT_NEAR(view.mean_average_precision(), whole.mean_average_precision(), 1e-5);
    spec.average_precision = false;
    EXPECT_TRUE(evaluate(net, parameters, run.validation, spec).average_precision.empty());
}

}  // namespace
}  // namespace fovea
