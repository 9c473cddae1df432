#include <cmath>
#include <fstream>
#include <sstream>

#include "fovea/train.h"
#include "support.h"
#include "places.h"

namespace fovea {
namespace {

struct Golden {
    std::vector<double> lr, momentum;
};

/// One line of fixtures/schedules.txt, made by PyTorch (make_golden.py).
Golden golden(const std::string& wanted) {
    std::ifstream file(test::source_path("tests/train/fixtures/schedules.txt"));
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string name, word;
        words >> name;
        if (name != wanted) continue;
        Golden values;
        while (words >> word) {
            const auto colon = word.find(':');
            values.lr.push_back(std::stod(word.substr(0, colon)));
            if (colon != std::string::npos) values.momentum.push_back(std::stod(word.substr(colon + 1)));
        }
        return values;
    }
    ADD_FAILURE() << "no golden line " << wanted;
    return {};
}

/// PyTorch steps its closed forms recursively: up to 50 products of rounding 1e-16 each.
constexpr double rounding = 1e-13;

/// Values of a whole run, `steps` per epoch.
void expect_values(const std::string& name, const Schedule& schedule, double lr, std::int64_t epochs, std::int64_t steps, std::span<const double> history = {}) {
    const Golden want = golden(name);
    for (std::int64_t k = 0; k < static_cast<std::int64_t>(want.lr.size()); ++k) {
        const std::int64_t epoch = k / steps;
        const auto seen = history.empty() ? history : history.first(static_cast<std::size_t>(epoch));
        const ScheduleValue got = schedule_at(schedule, lr, {epoch, k % steps, steps, epochs, seen});
        EXPECT_NEAR(got.lr, want.lr[static_cast<std::size_t>(k)], rounding) << name << " at step " << k;
        if (got.momentum) {
            EXPECT_NEAR(*got.momentum, want.momentum[static_cast<std::size_t>(k)], rounding) << name << " at step " << k;
        }
    }
}

TEST(Schedule, StepsEqualPyTorch) { expect_values("step", {StepDecay{3}}, 0.1, 10, 1); }
TEST(Schedule, MilestonesEqualPyTorch) { expect_values("multistep", {MultiStep{{2, 5, 6}, 0.5}}, 0.1, 9, 1); }
TEST(Schedule, ExponentialEqualsPyTorch) { expect_values("exponential", {Exponential{0.9}}, 0.2, 8, 1); }
TEST(Schedule, CosineOverTheRunEqualsPyTorchEpochByEpoch) { expect_values("cosine", {Cosine{.min_lr = 0.01}}, 0.3, 20, 1); }
TEST(Schedule, CosineOverTheRunEqualsPyTorchStepByStep) { expect_values("cosine", {Cosine{.min_lr = 0.01}}, 0.3, 4, 5); }
TEST(Schedule, CosineRestartsEqualPyTorch) { expect_values("cosine_restarts", {Cosine{.period = 4, .min_lr = 0.001, .restart_factor = 2}}, 0.3, 30, 1); }
TEST(Schedule, CosineRestartsEqualPyTorchStepByStep) { expect_values("cosine_equal_restarts", {Cosine{.period = 0.5, .restart_factor = 1}}, 0.3, 2, 10); }
TEST(Schedule, CosineRestartsCostTheSameHoweverManyLieBehind) {
    // 1e15 periods of a nanoepoch: each step begins one. Counting them one by one would take a week.
    EXPECT_EQ(schedule_at({Cosine{.period = 1e-9, .restart_factor = 1}}, 0.3, {1'000'000, 3, 10, 2'000'000, {}}).lr, 0.3);
    EXPECT_EQ(schedule_at({Cosine{.period = 1e-300, .restart_factor = 1e6}}, 0.3, {0, 0, 10, 20, {}}).lr, 0.3);
    // The middle of period 40 of 0.25 epochs that grow by a hundredth each, from the sum of those before: half way between 0.3 and 0.1.
    double start = 0, period = 0.25;
    for (int k = 0; k < 40; ++k) start += period, period *= 1.01;
    const auto step = static_cast<std::int64_t>(std::llround((start + period / 2) * 1e9));
    // A billionth of an epoch of 0.37 moves the cosine by 1e-8.
    EXPECT_NEAR(schedule_at({Cosine{.period = 0.25, .min_lr = 0.1, .restart_factor = 1.01}}, 0.3, {0, step, 1'000'000'000, 20, {}}).lr, 0.2, 1e-8);
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)make_schedule("cosine", {{"restart_factor", 0.5}}); }), "schedule 'cosine': restart_factor is 0 (no restarts) or from 1 to 1e6, got 0.5");
}

TEST(Schedule, OneCycleEqualsPyTorchWithItsMomentum) {
    EXPECT_EQ(golden("one_cycle").momentum.front(), 0.95);
    expect_values("one_cycle", {OneCycle{}}, 0.4, 5, 10);
}
TEST(Schedule, LinearOneCycleEqualsPyTorchAndLeavesTheMomentum) {
    const Schedule schedule{OneCycle{.pct_start = 0.4, .div_factor = 10, .final_div_factor = 100, .is_linear = true, .cycle_momentum = false}};
    expect_values("one_cycle_linear", schedule, 0.05, 3, 7);
    EXPECT_FALSE(schedule_at(schedule, 0.05, {0, 3, 7, 3, {}}).momentum.has_value());
}
TEST(Schedule, PolynomialEqualsPyTorchAndStaysAtItsEnd) { expect_values("polynomial", {Polynomial{.power = 2, .period = 12}}, 0.1, 14, 1); }
TEST(Schedule, WarmUpEqualsPyTorch) { expect_values("warm_up", {.kind = Constant{}, .warm_up = 2, .warm_up_start = 0.25}, 0.4, 3, 3); }

TEST(Schedule, PlateauEqualsPyTorchFromTheHistoryAlone) {
    const std::vector<double> metric{1.0, 0.9, 0.9, 0.9, 0.9, 0.8, 0.79999, 0.79998, 0.79997, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5};
    expect_values("plateau", {ReduceOnPlateau{.patience = 2, .cooldown = 1}}, 0.1, 18, 1, metric);
    expect_values("plateau_max", {ReduceOnPlateau{.factor = 0.5, .patience = 1, .threshold = 0.01, .is_relative = false, .min_lr = 0.02, .bigger_is_better = true}}, 0.1, 18, 1, metric);
}

TEST(Schedule, WarmUpScalesWhatTheScheduleSays) {
    const Schedule schedule{.kind = StepDecay{1, 0.1}, .warm_up = 2, .warm_up_start = 0.5};
    EXPECT_DOUBLE_EQ(schedule_at(schedule, 1.0, {0, 0, 4, 3, {}}).lr, 0.5);
    EXPECT_DOUBLE_EQ(schedule_at(schedule, 1.0, {1, 0, 4, 3, {}}).lr, 0.1 * 0.75);
    EXPECT_DOUBLE_EQ(schedule_at(schedule, 1.0, {2, 0, 4, 3, {}}).lr, 1.0 * 0.1 * 0.1);
}

TEST(Schedule, OneCycleOfOneStepIsFinite) { EXPECT_TRUE(std::isfinite(schedule_at({OneCycle{}}, 0.1, {0, 0, 1, 1, {}}).lr)); }

TEST(Schedule, LinearScalingFollowsTheBatch) { EXPECT_DOUBLE_EQ(scaled_learning_rate(0.1, 1024), 0.4); }

TEST(Schedule, IsMadeByNameAndRefusesWhatItDoesNotKnow) {
    const Schedule made = make_schedule("one-cycle", {{"pct_start", 0.2}, {"warm_up", 1}});
    EXPECT_EQ(std::get<OneCycle>(made.kind).pct_start, 0.2);
    EXPECT_EQ(made.warm_up, 1);
    EXPECT_EQ(std::get<MultiStep>(make_schedule("multistep", {{"milestone1", 3}, {"milestone2", 5}}).kind).milestones, (std::vector<double>{3, 5}));
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)make_schedule("cosin"); }).substr(0, 38), "no schedule 'cosin'; nearest: cosine, ");
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)make_schedule("constant", {{"gama", 1}}); }), "schedule 'constant' has no option 'gama'; it has warm_up, warm_up_start");
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)make_schedule("step"); }), "schedule 'step': every (epochs) must be above 0, got 0");
}

}  // namespace
}  // namespace fovea
