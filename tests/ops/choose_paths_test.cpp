#include "ops/choose_paths.h"

#include <algorithm>
#include <array>

#include "support.h"

namespace fovea {
namespace {

std::vector<double> weights_of(const ChoosePathsSpec& spec, std::uint64_t step, const char* name = "join") {
    Graph graph;
    const Value w = choose_paths(graph, spec, name);
    Interpretation options;
    options.step = step;
    return test::values_of(interpret(graph, {&w, 1}, {}, {}, options).front());
}

TEST(ChoosePaths, AveragesThoseAliveAndKeepsOneAtLeast) {
    int dropped = 0;
    for (std::uint64_t step = 0; step < 500; ++step) {
        const auto w = weights_of({.columns = {0, 1, 2}, .all_columns = 3, .drop = 0.3, .global = 0}, step);
        int alive = 0;
        for (const double v : w) alive += v != 0;
        ASSERT_GE(alive, 1);
        for (const double v : w) EXPECT_DOUBLE_EQ(v, v == 0 ? 0 : 3.0 / alive);
        dropped += 3 - alive;
    }
    // 1500 draws of 0.3, less the rescued ones (0.027 of the steps): about 436 with a deviation of 18.
    EXPECT_NEAR(dropped, 436, 4 * 18);
    const auto all_dropped = weights_of({.columns = {0, 1}, .all_columns = 2, .drop = 1, .global = 0}, 3);
    EXPECT_EQ(all_dropped[0] + all_dropped[1], 2);
    EXPECT_EQ(all_dropped[0] * all_dropped[1], 0);
}

TEST(ChoosePaths, TakesTheSameColumnAtEveryJoinInAGlobalStep) {
    std::array<int, 3> times{};
    for (std::uint64_t step = 0; step < 300; ++step) {
        const auto all = weights_of({.columns = {0, 1, 2}, .all_columns = 3, .drop = 0.15, .global = 1}, step, "a");
        const auto some = weights_of({.columns = {1, 2}, .all_columns = 3, .drop = 0.15, .global = 1}, step, "b");
        const auto chosen = static_cast<std::size_t>(std::max_element(all.begin(), all.end()) - all.begin());
        EXPECT_EQ(all[chosen], 3);
        ++times[chosen];
        if (chosen == 0) EXPECT_EQ(some, (std::vector<double>{1, 1}));
        else EXPECT_EQ(some[chosen - 1], 2);
    }
    for (const int count : times) EXPECT_NEAR(count, 100, 4 * 8.2);  // 300 draws of a third: deviation 8.2
}

TEST(ChoosePaths, MixesGlobalAndLocalSteps) {
    int single = 0;
    for (std::uint64_t step = 0; step < 400; ++step) {
        const auto w = weights_of({.columns = {0, 1, 2}, .all_columns = 3, .drop = 0, .global = 0.5}, step);
        single += std::count(w.begin(), w.end(), 0.0) == 2;
    }
    EXPECT_NEAR(single, 200, 40);  // deviation 10
}

TEST(ChoosePaths, ExplainsABadColumn) {
    Graph graph;
    EXPECT_EQ(test::message_of<ArgumentError>([&] { (void)choose_paths(graph, {.columns = {0, 3}, .all_columns = 3, .drop = 0.1}, "join"); }), "choose_paths 'join': column 3 of 3");
}

}  // namespace
}  // namespace fovea
