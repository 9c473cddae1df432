// The table of ILSVRC: its values, and that the data file and the chart of the documents are it.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "fovea/explain.h"
#include "places.h"

namespace fovea {
namespace {

std::string document(const std::string& name) {
    std::ifstream file(test::source_path("docs/" + std::string(name)));
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

TEST(Ilsvrc, HasWhatIsPrintedAndASourceForEachRow) {
    const auto error_of = [](std::string_view network) {
        for (const IlsvrcResult& result : ilsvrc_results())
            if (result.network == network) return result.top5;
        return 0.0;
    };
    EXPECT_EQ(error_of("Fisher vectors"), 26.2);
    EXPECT_EQ(error_of("AlexNet, 1 network"), 18.2);
    EXPECT_EQ(error_of("AlexNet, 5 networks"), 16.4);
    EXPECT_EQ(error_of("AlexNet, 7 networks"), 15.3);
    EXPECT_EQ(error_of("Clarifai"), 11.7);
    EXPECT_EQ(error_of("VGG"), 7.3);
    EXPECT_EQ(error_of("GoogLeNet"), 6.7);
    EXPECT_EQ(error_of("ResNet"), 3.57);
    int year = 0;
    for (const IlsvrcResult& result : ilsvrc_results()) {
        EXPECT_FALSE(result.source.empty()) << result.network;
        EXPECT_GE(result.year, year);
        year = result.year;
    }
}

TEST(Ilsvrc, TheDocumentsAreThisTablePrinted) {
    EXPECT_EQ(document("ilsvrc.csv"), to_text(ilsvrc_sheet(), TableFormat::csv)) << "fovea table ilsvrc --format csv > docs/ilsvrc.csv";
    EXPECT_EQ(document("ilsvrc.svg"), ilsvrc_chart()) << "fovea table ilsvrc --chart docs/ilsvrc.svg";
}

}  // namespace
}  // namespace fovea
