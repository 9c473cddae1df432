#include <gtest/gtest.h>

#include "fovea/explain.h"

namespace fovea {
namespace {

const NetworkLink link{"10 us, 1 GB/s", 10, 1};

TEST(Scaling, SumsCostMessagesAndBytes) {
    EXPECT_DOUBLE_EQ(all_reduce_ms(8e6, 1, link, AllReduceSteps::ring), 0);
    EXPECT_DOUBLE_EQ(all_reduce_ms(8e6, 4, link, AllReduceSteps::ring), 6 * 0.01 + 1.5 * 8);  // 2 x 3 messages, 2 x 3/4 of 8 MB
    EXPECT_DOUBLE_EQ(all_reduce_ms(8e6, 4, link, AllReduceSteps::tree), 4 * 0.01 + 1.5 * 8);
    EXPECT_DOUBLE_EQ(all_reduce_ms(0, 1024, link, AllReduceSteps::ring), 2046 * 0.01);
}

TEST(Scaling, WhatTravelsBehindTheReversePassCostsNothing) {
    // Two buckets of 2 and 4 ms on two nodes; the second is there when all gradients are.
    const StepTimes step{100, 6, {{2e6, 50}, {4e6, 100}}};
    const NetworkLink fast{"", 0, 1};
    const ScaledStep two = step_on(2, step, fast);
    EXPECT_DOUBLE_EQ(two.network_ms, 6);
    // At 100 the first bucket is updated for 2 ms; the second comes at 104 and takes 4.
    EXPECT_DOUBLE_EQ(two.ms, 108);
    EXPECT_DOUBLE_EQ(two.exposed_ms, 2);
    EXPECT_DOUBLE_EQ(two.efficiency, 106.0 / 108);
    const ScaledStep one = step_on(1, step, fast);
    EXPECT_DOUBLE_EQ(one.ms, 106);
    EXPECT_DOUBLE_EQ(one.efficiency, 1);
}

TEST(Scaling, ASlowNetworkIsTheStep) {
    const StepTimes step{10, 0, {{1e6, 5}, {1e6, 10}}};
    const NetworkLink slow{"", 0, 0.01};
    EXPECT_DOUBLE_EQ(step_on(2, step, slow).ms, 5 + 200);  // from the first bucket on the network has work all the time
}

TEST(Scaling, ALinkIsFoundAgainInItsOwnTimes) {
    for (const std::int64_t nodes : {2, 8}) {
        std::vector<std::pair<double, double>> times;
        for (const double bytes : {1e3, 1e5, 1e6, 3e7}) times.emplace_back(bytes, all_reduce_ms(bytes, nodes, link, AllReduceSteps::ring));
        const NetworkLink found = fitted_link("again", nodes, times);
        EXPECT_NEAR(found.latency_us, 10, 1e-6);
        EXPECT_NEAR(found.gigabytes_per_second, 1, 1e-9);
    }
}

}  // namespace
}  // namespace fovea
