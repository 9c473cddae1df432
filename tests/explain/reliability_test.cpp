#include <gtest/gtest.h>

#include "fovea/explain/reliability.h"

namespace fovea {
namespace {

TEST(ReliabilityChart, DrawsEachBinWithItsDistance) {
    Reliability two{.bins = std::vector<Reliability::Bin>(2)};
    two.bins[1] = {.images = 4, .right = 2, .sum = 3};
    const std::string svg = reliability_chart(two);
    EXPECT_NE(svg.find("Accuracy by confidence (ECE 25.00 %)"), std::string::npos) << svg;
    EXPECT_NE(svg.find("0.50 to 1.00: 4 pictures, 50.00 % right, sure to 75.00 %"), std::string::npos) << svg;
    // 360 x 300 with margins 58, 14, 30 and 40: x from 58 to 346, y from 260 (0) to 30 (1). The bar, and the distance above it.
    EXPECT_NE(svg.find("d=\"M202.0 260.0L202.0 145.0L346.0 145.0L346.0 260.0\" fill=\"#3b77b5\" fill-opacity=\"0.35\""), std::string::npos) << svg;
    EXPECT_NE(svg.find("d=\"M202.0 145.0L202.0 87.5L346.0 87.5L346.0 145.0\" fill=\"#c03030\" fill-opacity=\"0.35\""), std::string::npos) << svg;
    EXPECT_NE(svg.find("0.00 to 0.50: 0 pictures"), std::string::npos) << svg;
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    EXPECT_NE(reliability_chart({}).find("no data yet"), std::string::npos);
}

}  // namespace
}  // namespace fovea
