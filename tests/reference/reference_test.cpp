// Networks and operators against values computed with PyTorch in f64 (records/), through the code behind fovea-reference.
#include <gtest/gtest.h>

#include <sstream>

#include <zlib.h>

#include "compare.h"
#include "core/text.h"
#include "reference/case.h"
#include "reference/model.h"
#include "places.h"

namespace fovea::reference {
namespace {

Json read_record(const std::string& name) {
    const std::string path = test::source_path("tests/reference/records/" + name + ".json.gz");
    gzFile file = gzopen(path.c_str(), "rb");
    if (file == nullptr) throw Error("cannot open " + path);
    std::string text;
    char block[1 << 16];
    for (int got = 0; (got = gzread(file, block, sizeof block)) > 0;) text.append(block, static_cast<std::size_t>(got));
    gzclose(file);
    return Json::parse(text);
}

/// Backend and precision. The cpu backend computes f32; the loops compute both.
struct Engine {
    const char* name;
    How how;
};
const Engine engines[] = {{"cpu_f32", {Precision::f32, "cpu"}}, {"loops_f32", {Precision::f32, "reference"}}, {"loops_f64", {Precision::f64, "reference"}}};

using Case = std::tuple<const char*, Engine>;
std::string name_of(const testing::TestParamInfo<Case>& test) { return fmt::format("{}_{}", std::get<0>(test.param), std::get<1>(test.param).name); }

void expect_clean(const Report& report, const std::string& name) {
    EXPECT_GT(report.checks, 0) << name;
    EXPECT_TRUE(report.problems.empty()) << name << ": " << fmt::format("{}", fmt::join(report.problems, "\n  "));
}

class Networks : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Records, Networks,
                         testing::Combine(testing::Values("lenet5_modern", "lenet5_classic", "cifar_resnet20", "cifar_resnet56", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_large",
                                                          "efficientnet_b0", "resnet18", "googlenet"),
                                          testing::ValuesIn(engines)),
                         name_of);

// Records of PyTorch models written down from the papers' tables and figures.
INSTANTIATE_TEST_SUITE_P(FromPapers, Networks,
                         testing::Combine(testing::Values("cifar_densenet_bc100_k12", "cifar_preact_resnet164", "inception_resnet_v1"), testing::Values(engines[0], engines[2])), name_of);

TEST_P(Networks, AgreeWithTheirRecord) {
    const auto& [name, engine] = GetParam();
    const Json record = read_record(std::string("models/") + name);
    std::ostringstream messages;
    const Json result = run_model(name, record, engine.how, messages);
    EXPECT_EQ(messages.str(), "");
    expect_clean(compare_model(result, record, engine.how.precision == Precision::f64), name);
}

// At full size: too slow for the plain loops, whose f64 results are as close to the record as the limits ask.
INSTANTIATE_TEST_SUITE_P(LargeRecords, Networks, testing::Combine(testing::Values("googlenet_v1", "resnetv2_50"), testing::Values(engines[0])), name_of);

class Operators : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Records, Operators, testing::Combine(testing::Values("activation", "conv", "loss", "norm", "optim", "pool", "resample", "detect"), testing::ValuesIn(engines)),
                         name_of);

TEST_P(Operators, AgreeWithTheirCases) {
    const auto& [stem, engine] = GetParam();
    const Json file = read_record(std::string("ops/") + stem);
    std::vector<std::string> unknown, failed;
    const Json results = run_cases(file, stem, engine.how, unknown, failed);
    EXPECT_TRUE(failed.empty()) << fmt::format("{}", fmt::join(failed, "\n"));
    // Of detection only the region poolings are ops of this library yet.
    if (std::string(stem) != "detect") {
        EXPECT_TRUE(unknown.empty()) << fmt::format("{}", fmt::join(unknown, "\n"));
    }
    std::size_t compared = 0;
    for (const Json& json : file["cases"]) {
        const std::string name = std::string(stem) + "/" + json["name"].get<std::string>();
        if (!results.contains(name)) continue;
        expect_clean(compare_case(results[name], json, engine.how.precision == Precision::f64), name);
        ++compared;
    }
    EXPECT_EQ(compared + unknown.size(), file["cases"].size());
    EXPECT_GE(compared, 7U) << "the file has lost its cases";
}

TEST(Operators, AnUnknownOneIsNamedAndTheOthersStillRun) {
    const Json file = Json::parse(R"({"cases": [
        {"name": "a", "op": "no_such_op", "attrs": {}, "inputs": []},
        {"name": "b", "op": "relu", "attrs": {}, "inputs": [{"name": "x", "given": {"shape": [2], "values": [-1, 2]}}], "grads": [null]},
        {"name": "c", "op": "conv2d", "attrs": {}, "inputs": [{"name": "x", "shape": [1, 2, 3, 3]}, {"name": "w", "shape": [1, 3, 1, 1]}]}]})");
    std::vector<std::string> unknown, failed;
    const Json results = run_cases(file, "mine", {}, unknown, failed);
    EXPECT_EQ(unknown, std::vector<std::string>{"mine/a: op 'no_such_op' is not known to this tool"});
    EXPECT_EQ(flat(results["mine/b"]["outputs"][0]), (std::vector<double>{0, 2}));
    ASSERT_EQ(failed.size(), 1U);
    EXPECT_EQ(failed[0].substr(0, 8), "mine/c: ");
}

TEST(Comparison, NoticesAWrongValue) {
    const Json record = read_record("models/lenet5_modern");
    std::ostringstream messages;
    Json result = run_model("lenet5_modern", record, {}, messages);
    EXPECT_TRUE(compare_model(result, record, false).problems.empty());
    result["outputs"][3] = result["outputs"][3].get<double>() + 0.01;
    result["grads"]["fc1.bias"][0] = result["grads"]["fc1.bias"][0].get<double>() * 1.1;
    EXPECT_EQ(compare_model(result, record, false).problems.size(), 2U);
}

}  // namespace
}  // namespace fovea::reference
