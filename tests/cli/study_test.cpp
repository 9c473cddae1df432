// fovea study: lists, runs, goes on, and says what came out.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <thread>

#include "cli/program.h"

namespace fovea::test {
namespace {

constexpr const char* dropout = "study dropout --data folder:bars --threads 1 --seed 3";

/// What decides the run: every byte of its last checkpoint.
std::string checkpoint(const fs::path& study, const char* arm) { return read(study / arm / "checkpoint-last.safetensors"); }

TEST_F(Cli, ListsStudiesAndNamesTheNearest) {
    const Result listed = run("study");
    ASSERT_EQ(listed.code, 0) << listed.err;
    for (const char* name : {"relu-vs-tanh", "degradation", "preactivation", "stochastic-depth", "transfer", "dropout", "batch-norm"}) EXPECT_NE(listed.out.find(name), std::string::npos) << name;
    EXPECT_EQ(json::parse(run("study --json").out).at("rows").size(), 7U);
    for (const auto& [arguments, message] : {std::pair{"degradations", "no study 'degradations'; nearest: degradation, "}, std::pair{"dropout --near folder:x", "--near belongs to the study transfer, not to dropout"},
                                             std::pair{"dropout --arms with --data folder:x", "dropout has no run 'with'; it has without, dropout"}, std::pair{"dropout --data folder:x", "open 'x': no such file or directory"}}) {
        const Result result = run(std::string("study ") + arguments);
        EXPECT_NE(result.code, 0) << arguments;
        EXPECT_NE(result.err.find(message), std::string::npos) << result.err;
        EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    }
}

TEST_F(Cli, AStudyGoesOnWhereItStopped) {
    make_pictures();
    const Result whole = run(std::string(dropout) + " --epochs 3 --out whole --json");
    ASSERT_EQ(whole.code, 0) << whole.err;
    const json document = json::parse(whole.out);
    EXPECT_EQ(document.at("is_done"), true);
    EXPECT_FALSE(document.at("conclusion").get<std::string>().empty());
    EXPECT_EQ(document, json::parse(read(dir_ / "whole/study.json")));
    for (const char* file : {"study.svg", "study.md", "without/metrics.jsonl", "without/report.html", "dropout/recipe.toml"}) EXPECT_TRUE(fs::exists(dir_ / "whole" / file)) << file;
    EXPECT_NE(read(dir_ / "whole/study.md").find("fovea study dropout --epochs 3 --data folder:bars --seed 3 --out whole"), std::string::npos);
    EXPECT_NE(read(dir_ / "whole/dropout/recipe.toml").find("dropout = 0.5"), std::string::npos);

    // One run at a time: the first is not made again.
    const Result first = run(std::string(dropout) + " --epochs 3 --out parts --arms without");
    ASSERT_EQ(first.code, 0) << first.err;
    EXPECT_NE(first.out.find("1 of 2 runs, 3 epochs: about "), std::string::npos) << first.out;
    EXPECT_NE(first.out.find("not begun"), std::string::npos) << first.out;
    const auto metrics = read(dir_ / "parts/without/metrics.jsonl");
    const Result second = run(std::string(dropout) + " --epochs 3 --out parts");
    ASSERT_EQ(second.code, 0) << second.err;
    EXPECT_EQ(second.out.find("without dropout: epoch"), std::string::npos) << second.out;
    EXPECT_NE(second.out.find("dropout 0.5: epoch 3/3"), std::string::npos) << second.out;
    EXPECT_EQ(read(dir_ / "parts/without/metrics.jsonl"), metrics);
    for (const char* arm : {"without", "dropout"}) EXPECT_EQ(checkpoint(dir_ / "parts", arm), checkpoint(dir_ / "whole", arm)) << arm;
    // Done: nothing is trained, the result is shown.
    const Result third = run(std::string(dropout) + " --epochs 3 --out parts");
    EXPECT_EQ(third.code, 0);
    EXPECT_EQ(third.out.find("epoch 3/3"), std::string::npos) << third.out;
    EXPECT_NE(third.out.find("The test loss is lowest after"), std::string::npos) << third.out;
    EXPECT_NE(run("runs parts").out.find("without"), std::string::npos);

    const Result other = run(std::string(dropout) + " --epochs 4 --out parts");
    EXPECT_EQ(other.code, 2);
    EXPECT_EQ(other.err, "fovea study: 'parts' holds this study with epochs 3, now it is 4: its runs could not be compared; another --out begins anew\n");
}

// Wherever the kill falls, the bytes are those of a study never stopped.
TEST_F(Cli, AKilledStudyEndsWithTheSameBytes) {
    make_pictures();
    const std::string command = std::string(dropout) + " --epochs 6 --out ";
    ASSERT_EQ(run(command + "whole").code, 0);
    const pid_t child = start(command + "killed");
    for (int i = 0; i < 6000 && !fs::exists(dir_ / "killed/without/checkpoint-best.safetensors"); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    kill(child, SIGKILL);
    finish(child);
    const Result more = run(command + "killed");
    ASSERT_EQ(more.code, 0) << more.err;
    for (const char* arm : {"without", "dropout"}) EXPECT_EQ(checkpoint(dir_ / "killed", arm), checkpoint(dir_ / "whole", arm)) << arm;
}

TEST_F(Cli, ARunThatReachesItsGoalEnds) {
    // One class in ten pictures: who always names the other has reached 25 % already.
    make_pictures(10);
    for (int i = 1; i < 10; ++i) fs::remove(dir_ / "bars/train/upright" / (std::to_string(i) + ".png"));
    const Result result = run("study relu-vs-tanh --data folder:bars --threads 1 --epochs 20 --out goal --json");
    ASSERT_EQ(result.code, 0) << result.err;
    const json relu = json::parse(result.out).at("arms").at(0);
    EXPECT_EQ(relu.at("state"), "done");
    ASSERT_FALSE(relu.at("epochs_to_goal").is_null()) << relu;
    EXPECT_LE(relu.at("train_error").get<double>(), 0.25);
    EXPECT_LT(relu.at("epochs").get<int>(), 20);
    EXPECT_NE(read(dir_ / "goal/study.svg").find("25 %"), std::string::npos);
    // It is not taken up again.
    EXPECT_EQ(json::parse(run("study relu-vs-tanh --data folder:bars --threads 1 --epochs 20 --out goal --json").out), json::parse(result.out));
}

TEST_F(Cli, TransferBeginsWithTheWeightsOfItsSource) {
    make_pictures(8);
    const Result result = run("study transfer --data folder:bars --near folder:bars --far folder:bars --epochs 1 --threads 1 --out t --json");
    ASSERT_EQ(result.code, 0) << result.err;
    const json document = json::parse(result.out);
    EXPECT_EQ(document.at("arms").size(), 7U);
    EXPECT_EQ(document.at("is_done"), true);
    EXPECT_NE(result.err.find("'t/source': "), std::string::npos) << result.err;
    EXPECT_NE(read(dir_ / "t/near_frozen/recipe.toml").find("weights = \"t/source\""), std::string::npos);
    EXPECT_NE(read(dir_ / "t/far_tuned/config.json").find("24 of each class"), std::string::npos);
    const Result alone = run("study transfer --data folder:bars --near folder:bars --far folder:bars --epochs 1 --threads 1 --out u --arms near_tuned");
    EXPECT_EQ(alone.code, 2);
    EXPECT_EQ(alone.err, "fovea study: 'near_tuned' begins with the weights of 'source', which is not done\n");
}

TEST_F(Cli, EvalReportsRobustness) {
    make_pictures();
    ASSERT_EQ(run(train_bars).code, 0);
    const Result result = run("eval run --data folder:bars --robustness --threads 1 --json");
    ASSERT_EQ(result.code, 0) << result.err;
    const json document = json::parse(result.out);
    EXPECT_EQ(document.at("robustness").size(), 47U);
    // A turn by 90 degrees makes an upright bar a lying one.
    double upright = 1, clean = document.at("top1").get<double>();
    for (const json& point : document.at("robustness"))
        if (point.at("disturbance") == "rotation" && std::abs(point.at("strength").get<double>()) == 90) upright = std::min(upright, point.at("top1").get<double>());
    EXPECT_GE(clean, 0.9);
    EXPECT_LE(upright, 0.2);
    EXPECT_EQ(read(dir_ / "run/robustness.svg").substr(0, 4), "<svg");
    const Result table = run("eval run --data folder:bars --robustness --threads 1 --svg mine.svg --format md");
    EXPECT_NE(table.out.find("| rotation | -90 | degrees |"), std::string::npos) << table.out;
    EXPECT_TRUE(fs::exists(dir_ / "mine.svg"));
    EXPECT_EQ(run("eval run --data folder:bars --robustness --crops 10").code, 2);
    EXPECT_EQ(run("eval run --data folder:bars --svg x.svg").err, "fovea eval: --svg and --format belong to --robustness\n");
}

}  // namespace
}  // namespace fovea::test
