// fovea train: runs, recipes, listings, rates, interruptions.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <fstream>
#include <string>
#include <thread>

#include "cli/program.h"

namespace fovea::test {
namespace {

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
    ASSERT_EQ(evaluation.at("average_precision").size(), 2U);
    EXPECT_GE(evaluation.at("mean_average_precision").get<double>(), 0.9);
    EXPECT_EQ(evaluation.at("calibration").at("bins").size(), 15U);
    const json written = json::parse(read(dir_ / "run/evaluation.json")).at("calibration");
    for (const char* error : {"ece", "mce", "brier"}) EXPECT_NEAR(evaluation.at("calibration").at(error).get<double>(), written.at(error).get<double>(), 1e-6) << error;
    const std::string text = run("eval run --data folder:bars --calibration calibration.svg").out;
    for (const char* part : {"\ntest accuracy ", "\ncalibration error (ECE) ", " AP\n"}) EXPECT_NE(text.find(part), std::string::npos) << part << text;
    EXPECT_NE(read(dir_ / "calibration.svg").find("Accuracy by confidence"), std::string::npos);
    EXPECT_EQ(run("eval run --data folder:bars --calibration x.svg --robustness").code, 2);

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
    EXPECT_EQ(read_image(dir_ / "sheet.png").width, 6 * 120 + 8);

    const Result again = run(train_bars);
    EXPECT_EQ(again.code, 2);
    EXPECT_EQ(again.err, "fovea train: 'run' holds a run already: --resume goes on with it, another --out begins a new one\n");
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

TEST_F(Cli, ResumesOnlyARunThatIsThere) {
    make_pictures(4);
    const Result nowhere = run("train --resume --out nowhere");
    EXPECT_EQ(nowhere.code, 2);
    EXPECT_EQ(nowhere.err, "fovea train: 'nowhere' holds no run that --resume could go on with; 'fovea runs' lists those in runs/\n");
    EXPECT_EQ(run("train lenet5 --data folder:bars --resume").err, "fovea train: --resume goes on with the run in --out: name it\n");
    EXPECT_FALSE(fs::exists(dir_ / "nowhere") || fs::exists(dir_ / "runs"));
    std::ofstream(dir_ / "bars.toml") << "model = \"lenet5\"\ndata = \"folder:bars\"\nepochs = 1\nbatch = 8\n";
    ASSERT_EQ(run("train --recipe bars.toml --out run --threads 1").code, 0);
    const Result resumed = run("train --resume --out run --epochs 1 --threads 1");
    EXPECT_NE(resumed.out.find("; recipe bars: 1 epochs"), std::string::npos) << resumed.out << resumed.err;
    fs::remove(dir_ / "run/checkpoint-last.safetensors");
    EXPECT_EQ(run("train --resume --out run").err, "fovea train: 'run' has lost its last checkpoint: it goes on from 'run/checkpoint-best.safetensors' when that is copied to 'run/checkpoint-last.safetensors'\n");
    fs::remove(dir_ / "run/checkpoint-best.safetensors");
    const Result anew = run("train --resume --out run --threads 1");
    EXPECT_EQ(anew.code, 0) << anew.err;
    EXPECT_NE(anew.err.find("'run' has no checkpoint yet: its run begins anew\n"), std::string::npos) << anew.err;
    // As many pictures of a class that is called otherwise.
    for (const char* split : {"train", "test"}) fs::rename(dir_ / "bars" / split / "upright", dir_ / "bars" / split / "standing");
    const Result renamed = run("train --resume --out run --threads 1");
    EXPECT_EQ(renamed.code, 2);
    EXPECT_NE(renamed.err.find("class 1 called \"upright\", 'folder:bars (train)' calls it \"standing\" by now"), std::string::npos) << renamed.err;
}

TEST_F(Cli, ATrainingThatCannotBeginLeavesNothing) {
    make_pictures(4);
    fs::create_directories(dir_ / "three/test");
    EXPECT_TRUE(run("train lenet6 --data folder:nowhere").err.starts_with("fovea train: no model 'lenet6'; nearest: lenet5")) << "the name is looked at before the data";
    for (const char* name : {"a", "b", "c"}) fs::copy(dir_ / "bars/test/lying", dir_ / "three/test" / name, fs::copy_options::recursive);
    for (const char* options : {"--freeze nosuch", "--set groups.early.parameters=nosuch", "--val folder:three"}) {
        const Result failed = run(std::string("train lenet5 --data folder:bars ") + options);
        EXPECT_EQ(failed.code, 2) << options << ": " << failed.err;
    }
    EXPECT_FALSE(fs::exists(dir_ / "runs"));
}

TEST_F(Cli, DamagedPicturesAreCountedAndATestOfNothingIsAnError) {
    make_pictures(8);
    std::ofstream(dir_ / "bars/train/lying/3.png") << "no picture";
    const std::string train = "train lenet5 --data folder:bars --epochs 1 --batch 4 --threads 1 --out ";
    const Result told = run(train + "run");
    ASSERT_EQ(told.code, 0) << told.err;
    EXPECT_NE(told.out.find("  1 image skipped\n"), std::string::npos) << told.out;
    EXPECT_EQ(json::parse(run(train + "again --json").out).at("skipped"), 1);
    EXPECT_NE(run("eval run --data folder:bars --split train").out.find("\ntrain accuracy "), std::string::npos);
    for (const char* name : {"lying", "upright"})
        for (int i = 0; i < 8; ++i) std::ofstream(dir_ / "bars/test" / name / (std::to_string(i) + ".png")) << "no picture";
    for (const Result& nothing : {run("eval run --data folder:bars"), run(train + "untested")}) {
        EXPECT_EQ(nothing.code, 1);
        EXPECT_NE(nothing.err.find("'folder:bars (test)' cannot be evaluated: none of its 16 pictures can be read; "), std::string::npos) << nothing.err;
    }
    EXPECT_FALSE(fs::exists(dir_ / "untested"));
}

TEST_F(Cli, AListingTrainsAndItsRunNeedsNoFileToBeUsed) {
    make_pictures();
    std::ofstream(dir_ / "net.txt") << "nn.Sequential(nn.LazyConv2d(4, kernel_size=5, stride=2), nn.ReLU(), nn.MaxPool2d(2),\n  nn.Flatten(), nn.LazyLinear(2))\n";
    const Result trained = run("train listing:net.txt --data folder:bars --epochs 6 --batch 8 --lr 0.02 --schedule constant --set label_smoothing=0.1 --threads 1 --seed 3 --json");
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

TEST_F(Cli, ATrainedListingGoesOnFromItsOwnText) {
    make_pictures();
    const std::string text = "nn.Sequential(nn.Conv2d(1, 4, 5, stride=2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))\n", other = "nn.Sequential(nn.Flatten(), nn.LazyLinear(2))\n";
    const auto write = [&](const std::string& listing) { std::ofstream(dir_ / "net.txt") << listing; };
    const auto weights = [&](const char* out) { return read(dir_ / out / "checkpoint-last.safetensors"); };
    const std::string options = " --data folder:bars --batch 8 --schedule constant --threads 1 --json --epochs ";
    write(text);
    ASSERT_EQ(run("train listing:net.txt --out whole" + options + "3").code, 0);
    ASSERT_EQ(run("train listing:net.txt --out parted" + options + "1").code, 0);
    fs::remove(dir_ / "net.txt");
    const Result gone = run("train --resume --out parted --epochs 2 --threads 1 --json");
    ASSERT_EQ(gone.code, 0) << gone.err;
    EXPECT_EQ(json::parse(gone.out).at("resumed_from"), 6);
    write(other);
    const Result changed = run("train listing:net.txt --resume --out parted" + options + "3");
    ASSERT_EQ(changed.code, 0) << changed.err;
    EXPECT_EQ(weights("parted"), weights("whole"));
    // What other commands make of the run carries the text too.
    const json answer = json::parse(run("predict whole bars/test/lying/3.png --json").out);
    EXPECT_TRUE(answer.at("predictions")[0].at("class") == "lying" || answer.at("predictions")[0].at("class") == "upright");
    ASSERT_EQ(run("export whole --out net.onnx --weights all.safetensors").code, 0);
    EXPECT_EQ(json::parse(run("predict all.safetensors bars/test/lying/3.png --json").out).at("predictions"), answer.at("predictions"));
}

TEST_F(Cli, AFileIsTrainedAsItIsWritten) {
    make_pictures(4);
    // The number of classes stands in the text, and so does all that a recipe's network.* would change.
    std::ofstream(dir_ / "five.txt") << "nn.Sequential(nn.Flatten(), nn.LazyLinear(5))\n";
    const Result wrong = run("train listing:five.txt --data folder:bars");
    EXPECT_EQ(wrong.code, 2);
    EXPECT_NE(wrong.err.find("'listing:five.txt' tells 5 classes apart, the data has 2"), std::string::npos) << wrong.err;
    const Result dropped = run("train listing:five.txt --data folder:bars --set network.dropout=0.5");
    EXPECT_EQ(dropped.code, 2);
    EXPECT_EQ(dropped.err, "fovea train: 'listing:five.txt' is a network as it is written: dropout (in recipes network.dropout) changes models of 'fovea models' only\n");
    ASSERT_EQ(run("export small_mnist --out net.onnx").code, 0);
    for (const char* key : {"network.drop_path=0.1", "network.width_multiplier=0.5", "network.shortcut=b"}) {
        const Result refused = run(std::string("train net.onnx --data folder:bars --set ") + key);
        EXPECT_EQ(refused.code, 2) << key;
        EXPECT_TRUE(refused.err.starts_with("fovea train: 'net.onnx' is a network as it is written: ")) << refused.err;
    }
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

}  // namespace
}  // namespace fovea::test
