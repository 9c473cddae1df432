// fovea convert, export and quantize: networks as files for fovea and for others.
#include <fstream>
#include <string>

#include "cli/program.h"

namespace fovea::test {
namespace {

TEST_F(Cli, ConvertedWeightsNeedNothingElseToPredict) {
    make_pictures();
    ASSERT_EQ(run(train_bars).code, 0);
    const json wanted = json::parse(run("predict run bars/test/lying/3.png --json").out).at("predictions");
    // A run, as one file; to PyTorch, which keeps names and values only, and back.
    ASSERT_EQ(run("convert run whole.safetensors").code, 0);
    EXPECT_EQ(json::parse(run("predict whole.safetensors bars/test/lying/3.png --json").out).at("predictions"), wanted);
    ASSERT_EQ(run("convert whole.safetensors bare.pth").code, 0);
    const Result bare = run("predict bare.pth bars/test/lying/3.png --json");
    EXPECT_EQ(bare.code, 2);
    EXPECT_NE(bare.err.find("name the model"), std::string::npos) << bare.err;
    std::ofstream(dir_ / "classes.txt") << "lying\nupright\n";
    const Result named = run("convert bare.pth named.safetensors --model lenet5 --classes 2 --class-names classes.txt --json");
    ASSERT_EQ(named.code, 0) << named.err;
    EXPECT_EQ(json::parse(named.out).at("matched"), 10);
    EXPECT_EQ(json::parse(named.out).at("new"), json::array());
    const json again = json::parse(run("predict named.safetensors bars/test/lying/3.png --json").out).at("predictions");
    EXPECT_EQ(again.at(0).at("class"), "lying");
    // Another number of classes: the last layer starts anew, the others are the file's.
    const Result exchanged = run("convert bare.pth five.safetensors --model lenet5 --classes 5 --json");
    ASSERT_EQ(exchanged.code, 0) << exchanged.err;
    EXPECT_EQ(json::parse(exchanged.out).at("new"), json({"fc3.weight", "fc3.bias"}));
    EXPECT_EQ(json::parse(run("predict five.safetensors bars/test/lying/3.png --json").out).at("predictions").size(), 5U);
    const Result part = run("convert bare.pth part.safetensors --model lenet5 --classes 2 --only conv --json");
    EXPECT_EQ(json::parse(part.out).at("matched"), 4);
    EXPECT_EQ(json::parse(part.out).at("new").size(), 6U);
    // Another network's file is refused with the tensors that do not fit; --explain lists them with the nearest candidates.
    const Result other = run("convert bare.pth other.safetensors --model small_mnist");
    EXPECT_EQ(other.code, 1);
    EXPECT_FALSE(fs::exists(dir_ / "other.safetensors"));
    const Result explained = run("convert bare.pth --model small_mnist --explain");
    EXPECT_EQ(explained.code, 0);
    EXPECT_NE(explained.out.find("of another shape"), std::string::npos) << explained.out;
    EXPECT_EQ(run("convert bare.pth out.txt").code, 2);
    EXPECT_EQ(run("convert bare.pth").code, 2);
}

TEST_F(Cli, AnExportedRunStandsWhereverANetworkDoes) {
    make_pictures(8);
    ASSERT_EQ(run("train lenet5 --data folder:bars --epochs 2 --batch 8 --lr 0.02 --threads 1 --seed 3 --out run").code, 0);
    const Result written = run("export run --out net.onnx --opset 15 --json");
    ASSERT_EQ(written.code, 0) << written.err;
    EXPECT_EQ(json::parse(written.out).at("input"), json({-1, 1, 28, 28}));
    const Result summary = run("summary net.onnx --json");
    ASSERT_EQ(summary.code, 0) << summary.err;
    EXPECT_EQ(json::parse(summary.out).at("parameters"), 61026);  // with two classes instead of ten
    // The picture is prepared as in the run: the file says how, and what the classes are called.
    const auto answers = [&](const std::string& network) { return json::parse(run("predict " + network + " bars/test/lying/0.png --json").out).at("predictions"); };
    const json of_run = answers("run --checkpoint last"), of_file = answers("net.onnx");
    ASSERT_EQ(of_run.size(), of_file.size());
    for (std::size_t i = 0; i < of_run.size(); ++i) {
        EXPECT_EQ(of_run[i].at("class"), of_file[i].at("class"));
        EXPECT_NEAR(of_run[i].at("probability"), of_file[i].at("probability"), 1e-6);
    }
    EXPECT_EQ(json::parse(run("eval run --data folder:bars --json").out).at("top1"), json::parse(run("eval net.onnx --data folder:bars --json").out).at("top1"));
    ASSERT_EQ(run("train net.onnx --data folder:bars --epochs 1 --batch 8 --lr 0.01 --threads 1 --out again").code, 0);
    EXPECT_EQ(run("eval again --data folder:bars --json").code, 0);
    EXPECT_EQ(run("export run --out net.onnx --opset 12").code, 2);
}

TEST_F(Cli, QuantizedWeightsPredictEvaluateAndExportByThemselves) {
    make_pictures();
    ASSERT_EQ(run(train_bars).code, 0);
    const Result made = run("quantize run --data folder:bars --images 16 --out net-int8.safetensors --onnx net-int8.onnx --report --json");
    ASSERT_EQ(made.code, 0) << made.err;
    const json document = json::parse(made.out);
    EXPECT_GE(document["quantized_layers"], 4);
    EXPECT_EQ(document["layers"].size(), document["quantized_layers"]);
    EXPECT_NEAR(document["top1_after"].get<double>(), document["top1_before"].get<double>(), 0.1);
    for (const char* file : {"net-int8.safetensors", "net-int8.onnx"}) {
        const Result evaluated = run(std::string("eval ") + file + " --data folder:bars --json");
        ASSERT_EQ(evaluated.code, 0) << evaluated.err;
        EXPECT_NEAR(json::parse(evaluated.out)["top1"].get<double>(), document["top1_after"].get<double>(), 0.1) << file;
    }
    EXPECT_EQ(run("bench net-int8.safetensors --precision int8 --seconds 0 --least-runs 1 --no-peak --json").code, 0);
    const Result table = run("quantize run --data folder:bars --images 8 --keep first,last --out kept.safetensors --report");
    EXPECT_NE(table.out.find("error alone"), std::string::npos) << table.out;
    const Result again = run("quantize net-int8.safetensors --data folder:bars --out twice.safetensors");
    EXPECT_EQ(again.code, 2);
    EXPECT_NE(again.err.find("the network is on grids already"), std::string::npos) << again.err;
    EXPECT_EQ(run("quantize run --data folder:bars").err, "fovea quantize: nothing to write: give --out net-int8.safetensors, --onnx net-int8.onnx, or both\n");
    EXPECT_EQ(run("quantize run --data folder:bars --out x.safetensors --keep conv9").code, 2);
}

}  // namespace
}  // namespace fovea::test
