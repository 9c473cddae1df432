#include <limits>

#include "fovea/train.h"
#include "support.h"

namespace fovea {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

TEST(Metrics, RankCountsBetterScoresAndEarlierEquals) {
    const std::vector<float> scores{1, 3, 3, 2};
    EXPECT_EQ(rank_of(scores, 1), 0);
    EXPECT_EQ(rank_of(scores, 2), 1);
    EXPECT_EQ(rank_of(scores, 3), 2);
    EXPECT_EQ(rank_of(scores, 0), 3);
    EXPECT_EQ(top_k(scores, 3), (std::vector<std::int64_t>{1, 2, 3}));
    EXPECT_EQ(top_k(scores, 9).size(), 4U);
}

TEST(Metrics, ANaNScoreNeverWins) {
    const std::vector<float> scores{nan, 3, nan};
    EXPECT_EQ(rank_of(scores, 0), 2);
    EXPECT_EQ(rank_of(scores, 1), 0);
    EXPECT_EQ(top_k(scores, 3), (std::vector<std::int64_t>{1, 0, 2}));
    EXPECT_EQ(test::message_of<ArgumentError>([&] { (void)rank_of(scores, 3); }), "label 3 lies outside the 3 classes of the network");
}

TEST(Metrics, ConfusionMatrixGivesRecallAndPrecision) {
    ConfusionMatrix matrix(3);
    for (const auto& [label, predicted] : {std::pair{0, 0}, {0, 0}, {0, 1}, {1, 1}}) matrix.add(label, predicted);
    EXPECT_EQ(matrix.at(0, 1), 1);
    EXPECT_EQ(matrix.total(), 4);
    EXPECT_EQ(matrix.recall(), (std::vector<double>{2.0 / 3, 1, 0}));
    EXPECT_EQ(matrix.precision(), (std::vector<double>{1, 0.5, 0}));
}

}  // namespace
}  // namespace fovea
