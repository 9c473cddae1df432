// fovea predict and eval: answers on pictures, however the network is given.
#include <fstream>
#include <sstream>
#include <string>
#include <utility>

#include "cli/program.h"
#include "fovea/io.h"

namespace fovea::test {
namespace {

/// --mean and --std with all digits.
std::string fmt_pair(double mean, double std) {
    std::ostringstream text;
    text.precision(17);
    text << "--mean " << mean << " --std " << std;
    return text.str();
}

TEST_F(Cli, ForeignWeightsAreToldHowPicturesArePrepared) {
    make_pictures();
    ASSERT_EQ(run(train_bars).code, 0);
    ASSERT_EQ(run("convert run bare.pth").code, 0);
    const fs::path last = dir_ / "run" / "checkpoint-last.safetensors";
    const auto [mean, std] = [&] {
        Metadata metadata;
        (void)load_safetensors(last.string(), &metadata);
        const json facts = json::parse(metadata.at("fovea"));
        return std::pair{facts.at("preprocess").at("mean")[0].get<double>(), facts.at("preprocess").at("std")[0].get<double>()};
    }();
    const auto first = [&](const std::string& arguments) {
        const Result result = run("predict " + arguments + " bars/test/lying/3.png --json");
        EXPECT_EQ(result.code, 0) << result.err;
        return json::parse(result.out).at("predictions")[0];
    };
    // An ONNX file without facts of its own, prepared as the run says: the same answer. Rounding to text keeps 17 digits.
    ASSERT_EQ(run("export run --out run.onnx").code, 0);
    const std::string given = fmt_pair(mean, std);
    const json own = first("run"), told = first("run.onnx --preprocess mnist " + given);
    EXPECT_NEAR(told.at("probability").get<double>(), own.at("probability").get<double>(), 1e-5);  // batch norm folded: f32 rounding
    EXPECT_EQ(told.at("class"), own.at("class"));
    EXPECT_NE(first("run.onnx --mean 0.9 --std 0.01").at("probability"), own.at("probability")) << "another preparation, another answer";
    EXPECT_EQ(first("run.onnx --range 255 --mean " + std::to_string(255 * mean) + " --std " + std::to_string(255 * std)).at("class"), own.at("class"));
    std::ofstream(dir_ / "names.txt") << "flat\ntall\n";
    const json named = first("run --class-names names.txt");
    EXPECT_TRUE(named.at("class") == "flat" || named.at("class") == "tall");
    EXPECT_EQ(json::parse(run("eval run.onnx --data folder:bars --json " + given).out).at("top1"), json::parse(run("eval run --data folder:bars --json").out).at("top1"));
    EXPECT_EQ(run("predict run bars/test/lying/3.png --mean 0.1,0.2").err, "fovea predict: --mean takes one number or three, got 2\n");
    EXPECT_EQ(run("predict run bars/test/lying/3.png --resize 12y").code, 2);
    EXPECT_EQ(run("predict run bars/test/lying/3.png --std 0").code, 2);
    EXPECT_EQ(run("predict run bars/test/lying/3.png --interpolation cubic").code, 2);
    EXPECT_EQ(run("predict run bars/test/lying/3.png --class-names imagenet").code, 2);
}

TEST_F(Cli, ADamagedPictureCostsOnlyItself) {
    make_pictures();
    ASSERT_EQ(run(train_bars).code, 0);
    std::ofstream(dir_ / "bad.png") << "\x89PNG\r\n\x1a\nnot really";
    const Result result = run("predict run bad.png bars/test/lying/1.png --topk 1");
    EXPECT_EQ(result.code, 1);
    EXPECT_NE(result.err.find("bad.png"), std::string::npos);
    EXPECT_NE(result.err.find("1 of 2 pictures could not be read"), std::string::npos);
    EXPECT_NE(result.out.find("bars/test/lying/1.png\n"), std::string::npos);
}

TEST_F(Cli, EvaluatesEnsemblesAndSeveralViews) {
    make_pictures();
    ASSERT_EQ(run(train_bars).code, 0);
    ASSERT_EQ(run("train lenet5 --data folder:bars --epochs 2 --batch 8 --lr 0.02 --threads 1 --seed 4 --set average.ema=0.9 accumulate=2 --out second").code, 0);
    const Result both = run("eval run second --data folder:bars --crops 10 --scales 28,32 --json");
    ASSERT_EQ(both.code, 0) << both.err;
    const json document = json::parse(both.out);
    EXPECT_EQ(document.at("networks"), 2);
    EXPECT_EQ(document.at("images"), 48);
    EXPECT_GE(document.at("top1").get<double>(), 0.8);
    EXPECT_EQ(run("eval run --data folder:bars --crops dense --scales 32 --threads 1").code, 0);
    EXPECT_EQ(run("eval run --data folder:bars --crops 7").code, 2);
}

TEST_F(Cli, ASigmoidPerClassIsAProbabilityOfItsOwn) {
    make_pictures();
    ASSERT_EQ(run("train lenet5 --data folder:bars --epochs 12 --batch 8 --lr 0.05 --threads 1 --seed 3 --loss bce --out run").code, 0);
    const json predictions = json::parse(run("predict run bars/test/lying/3.png --topk 2 --json").out).at("predictions");
    EXPECT_EQ(predictions[0].at("class"), "lying");
    const double sum = predictions[0].at("probability").get<double>() + predictions[1].at("probability").get<double>();
    EXPECT_GT(std::abs(sum - 1), 1e-8) << predictions;  // of a softmax it is 1 to rounding
    const json evaluated = json::parse(run("eval run --data folder:bars --json").out);
    EXPECT_GT(evaluated.at("top1").get<double>(), 0.9);
    EXPECT_LT(evaluated.at("loss").get<double>(), 0.5);  // of the sigmoids, as in training
    EXPECT_EQ(run(std::string(train_bars) + "2 --loss bce --label-smoothing 0.1").err, "fovea train: label_smoothing = 0.1 with loss = \"bce\": only cross_entropy smooths its labels\n");
}

}  // namespace
}  // namespace fovea::test
