// What lectures get wrong: the right values come from our own graphs, and must be those that were found by hand.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "fovea/explain.h"
#include "places.h"

namespace fovea {
namespace {

const Erratum& find(std::string_view id) {
    for (const Erratum& erratum : errata())
        if (erratum.id == id) return erratum;
    throw ArgumentError("no erratum " + std::string(id));
}

TEST(Errata, AreFortyInOrder) {
    ASSERT_EQ(errata().size(), 40u);
    for (std::size_t i = 0; i < 40; ++i) {
        const std::string number = std::to_string(i + 1);
        EXPECT_EQ(errata()[i].id, "E" + std::string(2 - number.size(), '0') + number);
    }
}

class Counted : public testing::TestWithParam<std::pair<const char*, const char*>> {};
INSTANTIATE_TEST_SUITE_P(Errata, Counted,
                         testing::Values(std::pair{"E01", "1,792 parameters x 224 x 224 = 89,915,392"},  //
                                         std::pair{"E02", "287,091,392: the 1 x 1 branch was entered as 384 instead of 15,673,728"},
                                         std::pair{"E03", "8.9 times fewer: 62.4 M against 7.0 M (the paper says 12, of its rounded figures)"},
                                         std::pair{"E04", "6,998,552 parameters; one linear layer stays, 1024 to 1000: 1,025,000 parameters"},
                                         std::pair{"E05", "68.2 % with the bottlenecks of 64 maps that are drawn: 854,196,224 multiply-adds become 271,351,808"},
                                         std::pair{"E06", "the slide's own column adds up to 15,237,608 values: 60.95 MB (58.1 MiB)"},
                                         std::pair{"E07", "pool(3, 2) with 0 parameters: that is the line of conv1"},
                                         std::pair{"E11", "224 gives 54 x 54 positions, 227 gives 55 x 55: 290,400 neurons"},
                                         std::pair{"E12", "256"},
                                         std::pair{"E14", "stride 1; 6,400 inputs from 224 with a padding of 1, 9,216 from 227"},
                                         std::pair{"E17", "neither: 14 convolutions and 3 linear layers, 142,487,080 parameters; D has 2-2-3-3-3 (138,357,544), E 2-2-4-4-4 (143,667,240)"},
                                         std::pair{"E19", "four times, 16 convolutions in all"},
                                         std::pair{"E20", "60,000; 61,706 with a dense third layer"},
                                         std::pair{"E21", "3: 4096, 4096, 1000"},
                                         std::pair{"E26", "version 1 has B = 2, 20 classes, no background and no anchors: 7 x 7 x 30"},
                                         std::pair{"E28", "that is the enlarged net of an ablation: 107,627,624 parameters against 62,357,608"},
                                         std::pair{"E31", "its codes are fixed numbers, 840 of them, without bias"},
                                         std::pair{"E32", "1,516: the connections are sparse"},
                                         std::pair{"E33", "theta = 0.5: a transition halves the 256 maps of its block to 128"},
                                         std::pair{"E34", "cut off, not rounded: 3.66 and 3.86 billion multiply-adds; torchvision's ResNet-50, 4.09, has its stride elsewhere"},
                                         std::pair{"E35", "no such layer: conv2d 'conv': (height 7 + pad 0 + 0 - kernel 3) / stride 3 + 1 = 2.33 is not whole; input [1, 1, 7, 7]"},
                                         std::pair{"E40", "only its limit: at x = 1 Swish is 0.7311 for beta = 1 and 1.0000 for beta = 100, where ReLU is 1"}),
                         [](const auto& test) { return std::string(test.param.first); });

TEST_P(Counted, IsWhatWasFoundByHand) { EXPECT_EQ(find(GetParam().first).right_text(), GetParam().second); }

TEST(Errata, TheOthersAreHistoryAndSaySomething) {
    std::map<std::string_view, int> counted;
    for (const Erratum& erratum : errata()) {
        EXPECT_FALSE(erratum.where.empty() || erratum.says.empty() || erratum.right.empty()) << erratum.id;
        EXPECT_EQ(static_cast<bool>(erratum.counted), erratum.right.find("{}") != std::string_view::npos) << erratum.id;
        counted[erratum.id] = static_cast<bool>(erratum.counted);
    }
    for (const char* id : {"E08", "E09", "E10", "E13", "E15", "E16", "E18", "E22", "E23", "E24", "E25", "E27", "E29", "E30", "E36", "E37", "E38", "E39"}) EXPECT_FALSE(counted[id]) << id;
}

TEST(Errata, ThePageIsTheTablePrinted) {
    std::ifstream file(test::source_path("docs/errata.md"));
    std::stringstream page;
    page << file.rdbuf();
    EXPECT_NE(page.str().find(to_text(errata_sheet(), TableFormat::md)), std::string::npos) << "docs/errata.md is old; its table is what 'fovea errata --format md' prints";
}

}  // namespace
}  // namespace fovea
