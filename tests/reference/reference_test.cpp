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

/// The only case of `attrs` for an op: its results, or what was said of it.
Json one_case(const std::string& op, const std::string& attrs, const std::string& inputs, std::string& failure) {
    const Json file = Json::parse(R"({"cases": [{"name": "case", "op": ")" + op + R"(", "attrs": )" + attrs + R"(, "inputs": )" + inputs + "}]}");
    std::vector<std::string> unknown, failed;
    const Json results = run_cases(file, "mine", {Precision::f64, "reference"}, unknown, failed);
    EXPECT_TRUE(unknown.empty());
    failure = fmt::format("{}", fmt::join(failed, "\n"));
    return results.contains("mine/case") ? results["mine/case"] : Json();
}

Json outputs_of(const std::string& op, const std::string& attrs, const std::string& inputs) {
    std::string failure;
    const Json result = one_case(op, attrs, inputs, failure);
    EXPECT_EQ(failure, "");
    return result.is_null() ? Json{{"values", Json::array()}, {"shape", Json::array()}} : result["outputs"][0];
}

std::string refusal_of(const std::string& op, const std::string& attrs, const std::string& inputs) {
    std::string failure;
    EXPECT_TRUE(one_case(op, attrs, inputs, failure).is_null()) << op << ' ' << attrs;
    return failure;
}

const std::string line_of_three = R"([{"name": "x", "given": {"shape": [1, 1, 1, 3], "values": [1, 2, 4]}}])";
const std::string square_of_two = R"([{"name": "x", "given": {"shape": [1, 1, 2, 2], "values": [1, 2, 3, 4]}}])";

TEST(Operators, AnAttributeThatIsNotReadIsRefusedByNameAndTheOthersStillRun) {
    const Json file = Json::parse(R"({"cases": [
        {"name": "a", "op": "avg_pool2d", "attrs": {"kernel": 2, "divisor_override": 3}, "inputs": [{"name": "x", "shape": [1, 1, 4, 4]}]},
        {"name": "b", "op": "relu", "attrs": {"alpha": 1, "beta": 2, "inplace": true}, "inputs": [{"name": "x", "shape": [2]}]},
        {"name": "c", "op": "relu", "attrs": {"inplace": true}, "inputs": [{"name": "x", "given": {"shape": [2], "values": [-1, 2]}}]},
        {"name": "d", "op": "SGD", "attrs": {"lr": 0.1, "decay": 0.2}, "lr_per_step": [0.1]}]})");
    std::vector<std::string> unknown, failed;
    const Json results = run_cases(file, "mine", {}, unknown, failed);
    EXPECT_TRUE(unknown.empty());
    ASSERT_EQ(failed.size(), 3U);
    EXPECT_EQ(failed[0], "mine/a: avg_pool2d: attribute 'divisor_override' is not read by this tool (read: ceil_mode, count_include_pad, kernel, kernel_size, padding, stride)");
    EXPECT_EQ(failed[1], "mine/b: relu: attributes 'alpha', 'beta' are not read by this tool");
    EXPECT_EQ(failed[2], "mine/d: SGD: attribute 'decay' is not read by this tool (read: dampening, maximize, momentum, nesterov, weight_decay)");
    EXPECT_EQ(results.size(), 1U);
    EXPECT_EQ(flat(results["mine/c"]["outputs"][0]), (std::vector<double>{0, 2}));
}

TEST(Operators, AnInputThatIsNotReadIsRefused) {
    const std::string two = R"([{"name": "x", "shape": [2]}, {"name": "y", "shape": [2]}])";
    EXPECT_EQ(refusal_of("relu", "{}", two), "mine/case: relu: input 2 'y' is not read by this tool");
    EXPECT_EQ(refusal_of("relu", "{}", R"([{"name": "x", "shape": [2], "std": 2}])"), "mine/case: input 'x': field 'std' is not read by this tool (read: given, scale, shape, shift)");
}

TEST(Operators, AValueOfTheWrongKindIsToldInOneSentence) {
    const auto of_pool = [](const std::string& attrs) { return refusal_of("avg_pool2d", attrs, square_of_two); };
    EXPECT_EQ(of_pool(R"({"kernel": 2, "padding": "same"})"), "mine/case: avg_pool2d: attribute 'padding' must be a whole number or [height, width], got \"same\"");
    EXPECT_EQ(of_pool(R"({"kernel": 2, "stride": 1.5})"), "mine/case: avg_pool2d: attribute 'stride' must be a whole number or [height, width], got 1.5");
    EXPECT_EQ(of_pool(R"({"kernel": 2, "ceil_mode": 1})"), "mine/case: avg_pool2d: attribute 'ceil_mode' must be true or false, got 1");
    EXPECT_EQ(of_pool("{}"), "mine/case: avg_pool2d: attribute 'kernel' is missing");
    EXPECT_EQ(refusal_of("elu", R"({"alpha": [1]})", square_of_two), "mine/case: elu: attribute 'alpha' must be a number, got [1]");
    EXPECT_EQ(refusal_of("pad", R"({"pad": [1, 1, 1, 1], "mode": "circular"})", square_of_two),
              "mine/case: pad: attribute 'mode' must be \"constant\" or \"zero\" or \"reflect\" or \"replicate\", got \"circular\"");
    EXPECT_EQ(refusal_of("relu", "[1]", square_of_two), "mine/case: relu: attributes must be an object of names and values, got [1]");
}

TEST(Operators, AValueInTheNameNeedsItsAttribute) {
    EXPECT_EQ(refusal_of("leaky_relu_0.3", R"({"slope": 0.2})", square_of_two), "mine/case: leaky_relu_0.3: no attribute has the value 0.3 of its name");
    const Json y = outputs_of("leaky_relu_0.5", R"({"negative_slope": 0.5})", R"([{"name": "x", "given": {"shape": [2], "values": [-3, 2]}}])");
    EXPECT_EQ(flat(y), (std::vector<double>{-1.5, 2}));
}

TEST(Operators, ConvolutionsPadAsPyTorchNamesIt) {
    // x = 1 2 4 under the kernel 1 10: with an even kernel "same" puts its one column on the right.
    const auto convolved = [](const std::string& attrs, const std::string& weight) {
        const std::string inputs = line_of_three.substr(0, line_of_three.size() - 1) + R"(, {"name": "w", "given": )" + weight + "}]";
        return flat(outputs_of("conv2d", attrs, inputs));
    };
    const std::string two = R"({"shape": [1, 1, 1, 2], "values": [1, 10]})", three = R"({"shape": [1, 1, 1, 3], "values": [1, 10, 100]})";
    EXPECT_EQ(convolved(R"({"padding": "same"})", two), (std::vector<double>{21, 42, 4}));
    EXPECT_EQ(convolved(R"({"padding": "valid"})", two), (std::vector<double>{21, 42}));
    EXPECT_EQ(convolved(R"({"padding": [0, 1], "padding_mode": "zeros"})", three), (std::vector<double>{210, 421, 42}));
    EXPECT_EQ(convolved(R"({"padding": [0, 1], "padding_mode": "reflect"})", three), (std::vector<double>{212, 421, 242}));
    EXPECT_EQ(convolved(R"({"padding": "same", "padding_mode": "replicate"})", three), (std::vector<double>{211, 421, 442}));
    const std::string pair = R"([{"name": "x", "shape": [1, 1, 4, 4]}, {"name": "w", "shape": [1, 1, 3, 3]}])";
    EXPECT_EQ(refusal_of("conv2d", R"({"padding": "same", "stride": 2})", pair), "mine/case: conv2d: padding \"same\" needs stride 1, got 2x2");
    EXPECT_EQ(refusal_of("conv2d", R"({"bias": true})", pair), "mine/case: conv2d: attribute 'bias' is true, but there are 2 inputs");
    EXPECT_EQ(refusal_of("conv2d", R"({"padding_mode": "circular"})", pair),
              "mine/case: conv2d: attribute 'padding_mode' must be \"zeros\" or \"reflect\" or \"replicate\", got \"circular\"");
}

TEST(Operators, ScaleFactorsMayDifferAlongTheAxes) {
    const Json nearest = outputs_of("interpolate", R"({"scale_factor": [1, 2]})", line_of_three);
    EXPECT_EQ(nearest["shape"], Json({1, 1, 1, 6}));
    EXPECT_EQ(flat(nearest), (std::vector<double>{1, 1, 2, 2, 4, 4}));
    const Json both = outputs_of("interpolate", R"({"scale_factor": [2, 3], "mode": "nearest"})", square_of_two);
    EXPECT_EQ(flat(both), (std::vector<double>{1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 3, 3, 3, 4, 4, 4}));
    // A factor of 1.5 steps by 2 / 3 although 3 columns become 4: column o is taken at (o + 0.5) 2 / 3 - 0.5, so at 0, 0.5, 7 / 6, 11 / 6.
    const std::vector<double> wanted{1, 1.5, 2 + 2.0 / 6, 2 + 2 * 5.0 / 6}, uneven = flat(outputs_of("interpolate", R"({"scale_factor": [1, 1.5], "mode": "bilinear"})", line_of_three));
    EXPECT_LT(relative_l2(uneven, wanted), 1e-14);
    const std::vector<double> shrunk = flat(outputs_of("interpolate", R"({"scale_factor": [1, 0.4]})", line_of_three));
    EXPECT_EQ(shrunk, (std::vector<double>{1}));
    EXPECT_EQ(refusal_of("interpolate", R"({"scale_factor": [1, 2, 3]})", line_of_three),
              "mine/case: interpolate: attribute 'scale_factor' must be a number or a list of two, height and width, got [1,2,3]");
}

TEST(Operators, AttributesReachTheOps) {
    const std::string row = R"([{"name": "x", "given": {"shape": [1, 2], "values": [3, -1]}}])";
    EXPECT_EQ(flat(outputs_of("normalize", R"({"p": 1})", row)), (std::vector<double>{0.75, -0.25}));
    EXPECT_LT(relative_l2(flat(outputs_of("normalize", R"({"p": 3, "dim": -1})", row)), {3 / std::cbrt(28.0), -1 / std::cbrt(28.0)}), 1e-14);
    // The pixel with label 7 counts for nothing: what is left are p = 1 / 2 of each class for the one pixel of class 0.
    const std::string masks = R"([{"name": "x", "given": {"shape": [1, 2, 1, 2], "values": [1, 5, 1, 2]}}, {"name": "g", "given": {"shape": [1, 1, 2], "int": [0, 7]}}])";
    EXPECT_LT(relative_l2(flat(outputs_of("dice", R"({"ignore_index": 7, "eps": 0})", masks)), {1 - 0.5 * (1 / 1.5)}), 1e-14);
    EXPECT_EQ(flat(outputs_of("layer_norm", R"({"normalized_shape": [1, 2], "eps": 1})", R"([{"name": "x", "given": {"shape": [1, 1, 2], "values": [1, 1]}}])")), (std::vector<double>{0, 0}));
    // One target class's share after smoothing by 0.5, of probabilities given as they are.
    const std::string shares = R"([{"name": "x", "given": {"shape": [1, 2], "values": [0, 0]}}, {"name": "t", "given": {"shape": [1, 2], "values": [1, 0]}}])";
    EXPECT_LT(relative_l2(flat(outputs_of("cross_entropy", R"({"label_smoothing": 0.5, "weight": [1, 3]})", shares)), {1.5 * std::log(2.0)}), 1e-14);
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
