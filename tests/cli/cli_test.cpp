// The command line as a user meets it: the program itself is run; exit codes, messages and JSON are read.

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "fovea/image.h"
#include "fovea/io.h"

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const std::string program = FOVEA_BINARY_DIR "/apps/cli/fovea";

struct Result {
    int code = -1;
    std::string out, err;
};

std::string read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

/// --mean and --std with all digits.
std::string fmt_pair(double mean, double std) {
    std::ostringstream text;
    text.precision(17);
    text << "--mean " << mean << " --std " << std;
    return text.str();
}

/// A folder of its own for each test, removed afterwards; with two classes of 28 x 28 pictures: a bar upright or lying.
class Cli : public testing::Test {
protected:
    Cli() : dir_(fs::temp_directory_path() / ("fovea_cli_" + std::to_string(getpid()))) {
        fs::remove_all(dir_);
        fs::create_directories(dir_);
    }
    ~Cli() override { fs::remove_all(dir_); }

    pid_t start(const std::string& arguments) const {
        const std::string command = "cd " + dir_.string() + " && exec " + program + " " + arguments + " > out.txt 2> err.txt";
        const pid_t child = fork();
        if (child == 0) {
            execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
            _exit(127);
        }
        return child;
    }
    Result finish(pid_t child) const {
        int status = 0;
        waitpid(child, &status, 0);
        return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read(dir_ / "out.txt"), read(dir_ / "err.txt")};
    }
    Result run(const std::string& arguments) const { return finish(start(arguments)); }

    void make_pictures(int per_class = 24) const {
        for (const char* split : {"train", "test"})
            for (const char* name : {"lying", "upright"}) {
                const fs::path folder = dir_ / "bars" / split / name;
                fs::create_directories(folder);
                for (int i = 0; i < per_class; ++i) {
                    fovea::Image image(28, 28, 1, static_cast<std::uint8_t>(10 + i));
                    const int at = 4 + (i * 5) % 20;
                    if (name[0] == 'l') fovea::fill_rect(image, 2, at, 24, 3, {250, 250, 250});
                    else fovea::fill_rect(image, at, 2, 3, 24, {250, 250, 250});
                    fovea::write_png(folder / (std::to_string(i) + ".png"), image);
                }
            }
    }
    static constexpr const char* train_bars = "train lenet5 --data folder:bars --epochs 6 --batch 8 --lr 0.02 --threads 1 --seed 3 --out run";

    fs::path dir_;
};

TEST_F(Cli, WrongUsageExitsTwoWithOneLine) {
    for (const char* arguments : {"", "fly", "train", "train lenet5", "summary lenet5 --no-such-option", "bench lenet5 --batch many", "predict run --topk 0"}) {
        const Result result = run(arguments);
        EXPECT_EQ(result.code, 2) << arguments << ": " << result.err;
        EXPECT_EQ(result.out, "") << arguments;
        EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << arguments << ": " << result.err;
        EXPECT_NE(result.err.find("--help' explains"), std::string::npos) << result.err;
    }
}

TEST_F(Cli, HelpAndVersionExitZero) {
    EXPECT_EQ(run("--help").code, 0);
    EXPECT_EQ(run("train --help").code, 0);
    EXPECT_EQ(run("--version").out, "fovea 0.1.0\n");
}

TEST_F(Cli, AnUnknownModelIsAnsweredWithTheNearest) {
    const Result result = run("summary lenet6");
    EXPECT_EQ(result.code, 2);
    EXPECT_TRUE(result.err.starts_with("fovea summary: no model 'lenet6'; nearest: lenet5")) << result.err;
    EXPECT_NE(result.err.find("'fovea models' lists all"), std::string::npos);
}

TEST_F(Cli, ModelsListsEveryCard) {
    const Result result = run("models --json");
    ASSERT_EQ(result.code, 0) << result.err;
    const json document = json::parse(result.out);
    bool has_lenet = false;
    for (const json& card : document.at("models"))
        if (card.at("name") == "lenet5_modern") has_lenet = card.at("parameters") == 61706 && card.at("macs") == 416520 && card.at("year") == 1998;
    EXPECT_TRUE(has_lenet);
    EXPECT_NE(run("models").out.find("cifar_resnet20 (resnet20)"), std::string::npos);
}

TEST_F(Cli, SummaryAddsUpToTheCard) {
    const Result result = run("summary lenet5 --json");
    ASSERT_EQ(result.code, 0) << result.err;
    const json document = json::parse(result.out);
    std::int64_t parameters = 0, macs = 0;
    for (const json& layer : document.at("layers")) parameters += layer.at("parameters").get<std::int64_t>(), macs += layer.at("macs").get<std::int64_t>();
    EXPECT_EQ(parameters, 61706);
    EXPECT_EQ(macs, 416520);
    EXPECT_NE(run("summary lenet5").out.find("61,706 parameters (241.0 KiB), 416,520 multiply-adds"), std::string::npos);
    EXPECT_NE(run("summary lenet5 --convention sifre --format csv").out.find("total,,,61706,429352,"), std::string::npos);
    EXPECT_EQ(run("summary lenet5 --max-batch lots").code, 2);
    EXPECT_EQ(run("summary lenet5 --input 1x1x28").err, "fovea summary: --input takes NxCxHxW, for instance 1x3x224x224, got '1x1x28'\n");
}

TEST_F(Cli, ComparesCountsAndDraws) {
    const Result compared = run("compare lenet5 small_mnist --format csv --chart chart.svg");
    ASSERT_EQ(compared.code, 0) << compared.err;
    EXPECT_NE(compared.out.find("lenet5_modern,61706,"), std::string::npos) << compared.out;
    EXPECT_TRUE(read(dir_ / "chart.svg").starts_with("<svg"));
    EXPECT_EQ(run("compare").code, 2);
    EXPECT_NE(run("rf 3 3 3").out.find("27 C^2"), std::string::npos);
    EXPECT_NE(run("rf lenet5_tutorial --format csv").out.find("conv2,\"conv(5, 16)\",14,2\n"), std::string::npos);
    EXPECT_EQ(json::parse(run("table inception-demo --json").out).at("totals")[0].at("naive"), 854196224);
    const Result fits = run("summary small_mnist --max-batch 8MiB --json");
    ASSERT_EQ(fits.code, 0) << fits.err;
    EXPECT_GT(json::parse(fits.out).at("max_batch_inference"), json::parse(fits.out).at("max_batch_training"));
}

TEST_F(Cli, GraphsAndFiltersArePictures) {
    const Result graph = run("graph lenet5 --elementary --loss --format dot");
    ASSERT_EQ(graph.code, 0) << graph.err;
    EXPECT_TRUE(graph.out.starts_with("digraph \"lenet5_modern\" {")) << graph.out.substr(0, 100);
    EXPECT_NE(graph.out.find("label=\"exp\\n[1, 10]\""), std::string::npos);
    const Result filters = run("filters lenet5 --layer conv1 --out grid.png");
    ASSERT_EQ(filters.code, 0) << filters.err;
    EXPECT_EQ(fovea::read_image(dir_ / "grid.png", 1).width, 3 * (6 * 5 + 2) + 2);
    const Result wrong = run("filters lenet5 --layer conv9");
    EXPECT_EQ(wrong.code, 2);
    EXPECT_EQ(wrong.err.substr(wrong.err.find("fovea filters: no")), "fovea filters: no convolution 'conv9'; there are conv1, conv2\n");
}

TEST_F(Cli, SummaryReadsAListing) {
    std::ofstream(dir_ / "net.txt") << "nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(),\n  nn.Linear(10))\n";
    const Result result = run("summary --listing net.txt --input 1x1x8x8 --json");
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(json::parse(result.out)["parameters"], 4 * 9 + 4 + 4 * 36 * 10 + 10);
    EXPECT_EQ(result.err, "fovea: net.txt: line 2: nn.Linear(10) has no in_features: 144 inferred; the number is read as out_features (PyTorch needs nn.LazyLinear)\n");
    EXPECT_EQ(run("summary listing:net.txt --input 1x1x8x8 --json").out, result.out);
    std::ofstream(dir_ / "bad.txt") << "fc<10,\nrelo<input<matrix<float>>>>\n";
    const Result refused = run("summary --listing bad.txt");
    EXPECT_EQ(refused.code, 1);
    EXPECT_TRUE(refused.err.starts_with("fovea summary: listing 'bad.txt': line 2: no layer 'relo'; nearest: relu")) << refused.err;
    EXPECT_EQ(run("summary").code, 2);
    EXPECT_EQ(run("summary lenet5 --listing net.txt").code, 2);
}

TEST_F(Cli, AListingTrainsAndItsRunNeedsNoFileBesideIt) {
    make_pictures();
    std::ofstream(dir_ / "net.txt") << "nn.Sequential(nn.Conv2d(1, 4, 5, stride=2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))\n";
    const Result trained = run("train listing:net.txt --data folder:bars --epochs 2 --batch 8 --out listed --json");
    ASSERT_EQ(trained.code, 0) << trained.err;
    EXPECT_EQ(json::parse(trained.out).at("model"), "listing:net.txt");
    fs::remove(dir_ / "net.txt");
    const json answer = json::parse(run("predict listed bars/test/lying/3.png --json").out);
    EXPECT_EQ(answer.at("predictions").size(), 2U);
    EXPECT_TRUE(answer.at("predictions")[0].at("class") == "lying" || answer.at("predictions")[0].at("class") == "upright");
    EXPECT_EQ(run("eval listed --data folder:bars --json").code, 0);
    ASSERT_EQ(run("export listed --out net.onnx --weights all.safetensors").code, 0);
    EXPECT_EQ(json::parse(run("predict all.safetensors bars/test/lying/3.png --json").out).at("predictions"), answer.at("predictions"));
    // The number of classes stands in the text.
    std::ofstream(dir_ / "five.txt") << "nn.Sequential(nn.Flatten(), nn.LazyLinear(5))\n";
    const Result wrong = run("train listing:five.txt --data folder:bars");
    EXPECT_EQ(wrong.code, 2);
    EXPECT_NE(wrong.err.find("'listing:five.txt' tells 5 classes apart, the data has 2"), std::string::npos) << wrong.err;
}

TEST_F(Cli, ForeignWeightsAreToldHowPicturesArePrepared) {
    make_pictures();
    ASSERT_EQ(run(train_bars).code, 0);
    ASSERT_EQ(run("convert run bare.pth").code, 0);
    const fs::path last = dir_ / "run" / "checkpoint-last.safetensors";
    const auto [mean, std] = [&] {
        fovea::Metadata metadata;
        (void)fovea::load_safetensors(last.string(), &metadata);
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

TEST_F(Cli, ImageNetsErrorAndEffectiveFieldsArePictures) {
    const Result table = run("table ilsvrc --format csv --chart bars.svg");
    ASSERT_EQ(table.code, 0) << table.err;
    EXPECT_NE(table.out.find("2015,ResNet,3.57,"), std::string::npos) << table.out;
    EXPECT_TRUE(read(dir_ / "bars.svg").starts_with("<svg "));
    EXPECT_EQ(run("table bottleneck --chart bars.svg").code, 2);
    const Result field = run("rf lenet5 --effective field.png --layer conv2 --images 3 --json");
    ASSERT_EQ(field.code, 0) << field.err;
    EXPECT_EQ(fovea::read_image(dir_ / "field.png", 3).width, 28 * 16);
    EXPECT_EQ(run("rf 3 3 3 --effective field.png").code, 2);
    EXPECT_EQ(run("rf lenet5 --layer conv2").code, 2);
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

TEST_F(Cli, SummaryShowsStagesAndThePlan) {
    const Result plan = run("summary lenet5 --explain-plan --json");
    ASSERT_EQ(plan.code, 0) << plan.err;
    EXPECT_GE(json::parse(plan.out).at("plan").size(), 5u);
    const Result wrong = run("summary lenet5 --stage melted");
    EXPECT_EQ(wrong.code, 2);
    EXPECT_TRUE(wrong.err.starts_with("fovea summary: no pass 'melted'; the passes are ")) << wrong.err;
    const Result fused = run("summary lenet5 --stage fused");
    EXPECT_EQ(fused.code, 0) << fused.err;
    EXPECT_NE(fused.out.find("conv2d"), std::string::npos);
}

TEST_F(Cli, TrainsEvaluatesAndPredicts) {
    make_pictures();
    const Result trained = run(std::string(train_bars) + " --json");
    ASSERT_EQ(trained.code, 0) << trained.err;
    const json document = json::parse(trained.out);
    EXPECT_EQ(document.at("epochs"), 6);
    EXPECT_EQ(document.at("updates"), 36);  // 48 pictures in batches of 8, six times
    EXPECT_GE(document.at("test").at("top1").get<double>(), 0.9);
    EXPECT_TRUE(fs::exists(dir_ / "run/checkpoint-last.safetensors"));
    EXPECT_TRUE(fs::exists(dir_ / "run/checkpoint-best.safetensors"));

    const Result evaluated = run("eval run --data folder:bars --json");
    ASSERT_EQ(evaluated.code, 0) << evaluated.err;
    const json evaluation = json::parse(evaluated.out);
    EXPECT_EQ(evaluation.at("images"), 48);
    EXPECT_EQ(evaluation.at("classes"), json({"lying", "upright"}));
    EXPECT_DOUBLE_EQ(evaluation.at("top1").get<double>(), document.at("test").at("top1").get<double>());
    int total = 0;
    for (const json& row : evaluation.at("confusion"))
        for (const json& count : row) total += count.get<int>();
    EXPECT_EQ(total, 48);
    EXPECT_NE(run("eval run --data folder:bars").out.find("\ntest accuracy "), std::string::npos);

    const Result predicted = run("predict run bars/test/lying/3.png bars/test/upright/3.png --json");
    ASSERT_EQ(predicted.code, 0) << predicted.err;
    const json predictions = json::parse(predicted.out).at("images");
    EXPECT_EQ(predictions.at(0).at("predictions").at(0).at("class"), "lying");
    EXPECT_EQ(predictions.at(1).at("predictions").at(0).at("class"), "upright");
    const Result one = run("predict run bars/test/lying/3.png --json");
    EXPECT_EQ(json::parse(one.out).at("predictions"), predictions.at(0).at("predictions"));
    EXPECT_EQ(json::parse(one.out).at("predictions").at(0).at("index"), 0);
    EXPECT_NE(run("predict run bars/test/lying/3.png").out.find("█"), std::string::npos);

    const Result pictured = run("predict run --data folder:bars --count 7 --picture sheet.png");
    ASSERT_EQ(pictured.code, 0) << pictured.err;
    EXPECT_EQ(fovea::read_image(dir_ / "sheet.png").width, 6 * 120 + 8);

    const Result again = run(train_bars);
    EXPECT_EQ(again.code, 2);
    EXPECT_EQ(again.err, "fovea train: 'run' holds a run already: --resume goes on with it, another --out begins a new one\n");
}

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

TEST_F(Cli, MissingFilesExitOne) {
    const Result no_run = run("eval nowhere --data fashion-mnist");
    EXPECT_EQ(no_run.code, 1);
    EXPECT_EQ(no_run.err, "fovea eval: no run or weights file 'nowhere'\n");
    const Result no_data = run("train lenet5 --data mnist:nowhere --out run");
    EXPECT_EQ(no_data.code, 1) << no_data.err;
    EXPECT_NE(no_data.err.find("nowhere"), std::string::npos);
    EXPECT_EQ(std::count(no_data.err.begin(), no_data.err.end(), '\n'), 1) << no_data.err;
    const Result no_such_data = run("train lenet5 --data mnits:here --out run");
    EXPECT_EQ(no_such_data.code, 2) << no_such_data.err;
    EXPECT_NE(no_such_data.err.find("mnist"), std::string::npos);
    EXPECT_FALSE(fs::exists(dir_ / "run/checkpoint-last.safetensors"));
}

TEST_F(Cli, WrongTrainingOptionsExitTwo) {
    make_pictures(4);
    const std::string base = "train lenet5 --data folder:bars --out run ";
    for (const char* options : {"--optimizer sdg", "--schedule circle", "--augment sparkle", "--optimizer-option momentum", "--optimizer-option momentun=1", "--lr -1"}) {
        const Result result = run(base + options);
        EXPECT_EQ(result.code, 2) << options << ": " << result.err;
        EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << options << ": " << result.err;
    }
}

TEST_F(Cli, ARecipeIsTheWholeCommandLine) {
    make_pictures();
    std::ofstream(dir_ / "bars.toml") << "model = \"lenet5\"\ndata = \"folder:bars\"\nepochs = 2\nbatch = 8\n[optimizer]\nlr = 0.02\nmomentum = 0.9\n";
    ASSERT_EQ(run("train --recipe bars.toml --set optimizer.nesterov=true label_smoothing=0.1 --epochs 1 --threads 1 --out run").code, 0);
    const std::string kept = read(dir_ / "run/recipe.toml");
    for (const char* line : {"model = \"lenet5\"", "data = \"folder:bars\"", "epochs = 1", "label_smoothing = 0.1", "lr = 0.02", "nesterov = 1"}) EXPECT_NE(kept.find(line), std::string::npos) << line;
    // Nothing but the run is needed to go on; another network or other pictures are another run.
    const Result more = run("train --resume --out run --epochs 2 --threads 1 --json");
    ASSERT_EQ(more.code, 0) << more.err;
    EXPECT_EQ(json::parse(more.out).at("resumed_from"), 6);
    EXPECT_EQ(json::parse(more.out).at("updates"), 12);
    const Result other = run("train small_mnist --resume --out run --epochs 3 --threads 1");
    EXPECT_EQ(other.code, 2);
    EXPECT_NE(other.err.find("was made with model \"lenet5_modern\", this run has \"small_mnist\": it would not continue the same run"), std::string::npos) << other.err;
    fs::copy(dir_ / "bars", dir_ / "stripes", fs::copy_options::recursive);
    EXPECT_NE(run("train --resume --out run --data folder:stripes --epochs 3").err.find("this run has \"folder:stripes (train)\""), std::string::npos);
    const Result unknown = run("train --recipe bars.toml --set optimiser.lr=1 --out second");
    EXPECT_EQ(unknown.code, 2);
    EXPECT_EQ(unknown.err.substr(0, 70), "fovea train: a recipe has no key 'optimiser.lr'; nearest: optimizer.lr");
    // A run is where another begins; a file with every key may be printed.
    const Result again = run("train lenet5 --data folder:bars --weights run --epochs 1 --batch 8 --threads 1 --out second");
    ASSERT_EQ(again.code, 0) << again.err;
    EXPECT_NE(again.err.find("'run': 10 tensors taken\n"), std::string::npos) << again.err;
    EXPECT_NE(run("recipes").out.find("cifar_resnet110"), std::string::npos);
    EXPECT_EQ(run("recipes residual").out.substr(0, 5), "about");
    EXPECT_NE(run("recipes bars.toml").out.find("[schedule]"), std::string::npos);
}

TEST_F(Cli, AListingTrainsAndItsRunNeedsNoFileToBeUsed) {
    make_pictures();
    std::ofstream(dir_ / "net.txt") << "nn.Sequential(nn.LazyConv2d(4, kernel_size=5, stride=2), nn.ReLU(), nn.MaxPool2d(2),\n  nn.Flatten(), nn.LazyLinear(2))\n";
    const Result trained = run("train listing:net.txt --data folder:bars --epochs 6 --batch 8 --lr 0.02 --set label_smoothing=0.1 --threads 1 --seed 3 --json");
    ASSERT_EQ(trained.code, 0) << trained.err;
    const json document = json::parse(trained.out);
    EXPECT_EQ(document.at("out"), "runs/net");
    EXPECT_EQ(document.at("model"), "listing:net.txt");
    EXPECT_NE(read(dir_ / "runs/net/recipe.toml").find("model = \"listing:net.txt\""), std::string::npos);
    const double top1 = document.at("test").at("top1").get<double>();
    EXPECT_GE(top1, 0.8);
    fs::remove(dir_ / "net.txt");
    const Result evaluated = run("eval runs/net --data folder:bars --json"), both = run("eval runs/net runs/net --data folder:bars --json");
    ASSERT_EQ(evaluated.code, 0) << evaluated.err;
    EXPECT_EQ(json::parse(evaluated.out).at("top1").get<double>(), top1);
    EXPECT_EQ(json::parse(both.out).at("top1").get<double>(), top1);
    EXPECT_EQ(json::parse(run("predict runs/net bars/test/lying/3.png --json").out).at("predictions").at(0).at("class"), "lying");
    EXPECT_EQ(run("predict --mean 0.5 runs/net --std 0.3,0.3,0.3 bars/test/lying/3.png").code, 0) << "numbers end where the next word begins";
    // Another preparation is each network's of an ensemble.
    const auto loss = [&](const std::string& networks) { return json::parse(run("eval " + networks + " --data folder:bars --mean 0.9 --std 0.4 --json").out).at("loss").get<double>(); };
    EXPECT_GT(std::abs(loss("runs/net") - json::parse(evaluated.out).at("loss").get<double>()), 1e-3);
    EXPECT_NEAR(loss("runs/net runs/net"), loss("runs/net"), 1e-5) << "a mean of probabilities, summed in another order";
    // In int8 too: grids and text stand in one file.
    const Result rounded = run("quantize runs/net --data folder:bars --images 16 --out int8.safetensors --json");
    ASSERT_EQ(rounded.code, 0) << rounded.err;
    EXPECT_EQ(json::parse(run("eval int8.safetensors --data folder:bars --json").out).at("top1"), json::parse(rounded.out).at("top1_after"));
}

// T13: the four convolutions and the linear layers of configuration A.
TEST_F(Cli, ADeepVggBeginsWithLayersOfATrainedShallowOne) {
    make_pictures(2);
    const std::string thin = " --data folder:bars --no-val --set network.width_multiplier=0.03125 --augment none --lr 1e-3 --epochs 1 --batch 4 --threads 1";
    const Result shallow = run("train vgg11 --out shallow" + thin);
    ASSERT_EQ(shallow.code, 0) << shallow.err;
    const Result deep = run("train --recipe vgg16_staged --weights shallow --freeze features.5.*,features.10.*,classifier.* --out deep" + thin);
    ASSERT_EQ(deep.code, 0) << deep.err;
    EXPECT_NE(deep.err.find("'shallow': 14 tensors taken, 18 begin anew: features.2.weight, "), std::string::npos) << deep.err;
    const fovea::Parameters from = fovea::load_safetensors((dir_ / "shallow/checkpoint-last.safetensors").string()), to = fovea::load_safetensors((dir_ / "deep/checkpoint-last.safetensors").string());
    for (const auto& [source, target] : {std::pair("features.3", "features.5"), std::pair("features.6", "features.10"), std::pair("classifier.0", "classifier.0"), std::pair("classifier.6", "classifier.6")}) {
        const auto a = from.at(std::string(source) + ".weight").data<float>(), b = to.at(std::string(target) + ".weight").data<float>();
        ASSERT_EQ(a.size(), b.size()) << target;
        EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size_bytes()), 0) << target;
    }
}

TEST_F(Cli, FinetunesAHeadOnAFrozenBackboneAndSaysWhatMoved) {
    make_pictures();
    ASSERT_EQ(run(train_bars).code, 0);
    // A third class: the head begins anew, the rest is the run's.
    for (const char* split : {"train", "test"}) fs::copy(dir_ / "bars" / split / "lying", dir_ / "bars" / split / "third");
    const Result tuned = run("finetune lenet5 --weights run --data folder:bars --freeze backbone --epochs 1 --batch 8 --augment none --threads 1 --out tuned --json");
    ASSERT_EQ(tuned.code, 0) << tuned.err;
    EXPECT_NE(tuned.err.find("'run': 8 tensors taken, 2 begin anew: fc3.weight, fc3.bias\n"), std::string::npos) << tuned.err;
    const json moved = json::parse(tuned.out).at("moved");
    for (const auto& [name, distance] : moved.items()) EXPECT_EQ(distance.get<double>() == 0, name.rfind("fc3", 0) != 0) << name;
    // X01: byte for byte.
    const fovea::Parameters before = fovea::load_safetensors((dir_ / "run/checkpoint-last.safetensors").string()), after = fovea::load_safetensors((dir_ / "tuned/checkpoint-last.safetensors").string());
    const auto a = before.at("conv1.weight").data<float>(), b = after.at("conv1.weight").data<float>();
    EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size_bytes()), 0);
    EXPECT_NE(run("finetune --resume --out tuned --epochs 2 --threads 1").out.find("as it was"), std::string::npos);
    // Discriminative rates by name (X02).
    const Result groups = run("finetune lenet5 --weights run --data folder:bars --set groups.early.parameters=conv* groups.early.lr=0.1 --epochs 1 --batch 8 --augment none --threads 1 --out slow --json");
    ASSERT_EQ(groups.code, 0) << groups.err;
    const json slow = json::parse(groups.out).at("moved");
    EXPECT_GT(slow.at("conv2.weight").get<double>(), 0);
    EXPECT_NE(read(dir_ / "slow/recipe.toml").find("parameters = [\"conv*\"]"), std::string::npos);
    const Result none = run("finetune lenet5 --data folder:bars");
    EXPECT_EQ(none.code, 2);
    EXPECT_EQ(none.err, "fovea finetune: --weights is required: a run, or a weights file of the model\n");
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

TEST_F(Cli, FindsALearningRateAndKeepsToATimeBudget) {
    make_pictures();
    const Result rates = run("train lenet5 --data folder:bars --batch 8 --find-lr --threads 1 --json");
    ASSERT_EQ(rates.code, 0) << rates.err;
    EXPECT_GT(json::parse(rates.out).at("points").size(), 20U);
    EXPECT_GT(json::parse(rates.out).at("lowest").get<double>(), 1e-4);
    EXPECT_FALSE(fs::exists(dir_ / "runs"));
    const Result budget = run("train lenet5 --data folder:bars --epochs 100000 --schedule constant --batch 8 --lr 0.01 --threads 1 --time-budget 0.3s --out run");
    EXPECT_EQ(budget.code, 0) << budget.err;
    EXPECT_NE(budget.err.find("the time budget of 0.005 minutes is spent"), std::string::npos) << budget.err;
    EXPECT_EQ(run("train lenet5 --data folder:bars --time-budget soon --out other").code, 2);
}

TEST_F(Cli, InterruptedTrainingSavesAndSaysHowToResume) {
    make_pictures();
    const pid_t child = start("train lenet5 --data folder:bars --epochs 100000 --schedule constant --batch 8 --lr 0.01 --threads 1 --out run");
    for (int i = 0; i < 600 && !fs::exists(dir_ / "run/checkpoint-last.safetensors"); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    kill(child, SIGINT);
    const Result result = finish(child);
    EXPECT_EQ(result.code, 130);
    EXPECT_NE(result.err.find("and saved; to go on: fovea train --out run --resume\n"), std::string::npos) << result.err;
    const Result evaluated = run("eval run --data folder:bars --json");
    EXPECT_EQ(evaluated.code, 0) << evaluated.err;
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

TEST_F(Cli, BenchOnExportedWeightsAndOnTheOnnxFileAnswersAsTheModelDoes) {
    const Result exported = run("export cifar_resnet20 --seed 7 --out net.onnx --weights net.safetensors --json");
    ASSERT_EQ(exported.code, 0) << exported.err;
    for (const char* what : {"cifar_resnet20 --seed 7", "net.safetensors --seed 7", "net.onnx --seed 7"}) {
        const std::string answers = std::string("answers-") + std::string(what).substr(0, std::string(what).find(' ')) + ".st";
        const Result bench = run(std::string("bench ") + what + " --batch 2 --seconds 0 --least-runs 1 --no-peak --threads 1 --json --answers " + answers);
        ASSERT_EQ(bench.code, 0) << bench.err;
        const json document = json::parse(bench.out);
        EXPECT_EQ(document["runs"], 1);
        EXPECT_FALSE(document.contains("share_of_peak"));
        EXPECT_GE(document["first_at_ms"], 1.7e12);  // milliseconds since 1970, in 2023 or later
    }
    const auto model = fovea::load_safetensors(dir_ / "answers-cifar_resnet20.st");
    EXPECT_EQ(model.at("image").shape(), (fovea::Shape{2, 3, 32, 32}));
    EXPECT_EQ(model.at("out").shape(), (fovea::Shape{2, 10}));
    for (const char* file : {"answers-net.safetensors.st", "answers-net.onnx.st"}) {
        const auto other = fovea::load_safetensors(dir_ / file);
        double difference = 0, norm = 0;
        for (std::int64_t i = 0; i < 20; ++i) {
            difference += std::pow(other.at("out").at(i) - model.at("out").at(i), 2);
            norm += std::pow(model.at("out").at(i), 2);
        }
        // f32 with batch norm folded at another place: rounding of twenty layers.
        EXPECT_LE(std::sqrt(difference), 1e-5 * std::sqrt(norm)) << file;
        EXPECT_GT(norm, 0);
    }
    const Result another = run("bench cifar_resnet20 --seed 8 --batch 2 --seconds 0 --least-runs 1 --no-peak --threads 1 --answers other.st");
    ASSERT_EQ(another.code, 0) << another.err;
    EXPECT_NE(fovea::load_safetensors(dir_ / "other.st").at("out").at(0), model.at("out").at(0));
}

TEST_F(Cli, BenchMeasuresANetworkAndAnOp) {
    const Result op = run("bench 'conv2d n1c8h14w14 k8r3s3 pad1 f32' --seconds 0.05 --threads 1 --json");
    ASSERT_EQ(op.code, 0) << op.err;
    EXPECT_GT(json::parse(op.out).at("min_ms").get<double>(), 0);
    EXPECT_EQ(json::parse(op.out).at("operations"), 2 * 8 * 8 * 9 * 14 * 14);
    const Result step = run("bench lenet5 --batch 8 --train --seconds 0.05 --threads 1 --json --profile --trace trace.json");
    ASSERT_EQ(step.code, 0) << step.err;
    EXPECT_GE(json::parse(step.out).at("profile").size(), 10u);
    EXPECT_TRUE(json::parse(read(dir_ / "trace.json")).contains("traceEvents"));
    const auto arena = [](const Result& result) { return json::parse(result.out)["arena_bytes"].get<std::int64_t>(); };
    const std::string train = "bench resnet20 --batch 16 --train --seconds 0 --least-runs 1 --no-peak --json ";
    const Result kept = run(train), again = run(train + "--recompute blocks"), limited = run(train + "--memory-limit " + std::to_string(arena(kept) - 1));
    EXPECT_LT(arena(again), arena(kept));
    EXPECT_EQ(json::parse(again.out)["recomputed"]["mode"], "blocks");
    EXPECT_EQ(json::parse(limited.out)["recomputed"]["mode"], "cheap");
    EXPECT_EQ(run(train + "--memory-limit 1K").code, 1);
    EXPECT_EQ(run(train + "--memory-limit much").err, "fovea bench: --memory-limit takes bytes, for instance 800M or 2GiB, got 'much'\n");
    const Result together = run("bench lenet5 --batch 64 --seconds 0.05 --threads 2 --sessions 2 --no-peak --json");
    ASSERT_EQ(together.code, 0) << together.err;
    EXPECT_EQ(json::parse(together.out).at("sessions").at("count"), 2);
    EXPECT_GT(json::parse(together.out).at("sessions").at("ratio").get<double>(), 0);
    EXPECT_GE(json::parse(together.out).at("p99_ms").get<double>(), json::parse(together.out).at("median_ms").get<double>());
    const Result owned = run("bench lenet5 --train --sessions 2");
    EXPECT_EQ(owned.code, 2);
    EXPECT_EQ(owned.err, "fovea bench: --sessions is for inference: a training step owns its parameters\n");
    const Result wrong = run("bench 'conv2d n1c8h14w14 k8r3'");
    EXPECT_EQ(wrong.code, 2);
    EXPECT_EQ(wrong.err, "fovea bench: problem 'conv2d n1c8h14w14 k8r3': 'k8r3' should give k, r, s in this order, for instance 'k16r3s3'\n");
}

}  // namespace
