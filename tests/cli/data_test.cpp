// fovea data preview, fovea bench loader, and what training says of odd data.
#include <algorithm>
#include <cstdio>

#include "cli/program.h"

namespace fovea::test {
namespace {

TEST_F(Cli, PreviewDrawsEachPictureAsItIsAndChanged) {
    make_pictures(4);
    const Result drawn = run("data preview folder:bars --augment mirror,random-resized-crop --model lenet5 --pictures 3 --variants 2 --out grid.png --json");
    ASSERT_EQ(drawn.code, 0) << drawn.err;
    const json document = json::parse(drawn.out);
    EXPECT_EQ(document.at("steps"), json({"random_horizontal_flip", "random_resized_crop"}));
    const Image grid = read_image(dir_ / "grid.png");
    EXPECT_EQ(grid.width, document.at("width"));
    // 28 x 28 pictures three times enlarged, three columns and rows, 4 pixels between, 12 for a line of text.
    EXPECT_EQ(grid.width, 4 + 3 * (84 + 4));
    EXPECT_EQ(grid.height, 12 + 3 * (84 + 12 + 4));
    const Result same = run("data preview folder:bars --augment none --model lenet5 --pictures 2 --variants 1 --out plain.png");
    ASSERT_EQ(same.code, 0) << same.err;
    const Image plain = read_image(dir_ / "plain.png");
    EXPECT_EQ(crop(plain, 4, 12, 84, 84), crop(plain, 92, 12, 84, 84));  // nothing augmented: the same picture twice
    EXPECT_EQ(run("data preview folder:bars --augment sparkle --out x.png").code, 2);
    EXPECT_EQ(run("data preview folder:bars --out no/such/x.png").code, 1);
}

TEST_F(Cli, BenchLoaderSaysWhereTheTimeGoes) {
    make_pictures(4);
    const Result timed = run("bench loader folder:bars --augment color-jitter,mirror --set augment.color_jitter.brightness=0.4 --model lenet5 --seconds 0.2 --json");
    ASSERT_EQ(timed.code, 0) << timed.err;
    const json document = json::parse(timed.out);
    EXPECT_GT(document.at("images_per_second").get<double>(), 0);
    double sum = 0;
    for (const auto& [name, share] : document.at("shares").items()) {
        EXPECT_GT(share.get<double>(), 0) << name;  // a PNG, a look at its size, a jitter, a table
        sum += share.get<double>();
    }
    EXPECT_NEAR(sum, 1, 1e-9);
    EXPECT_NE(run("bench loader folder:bars --model lenet5 --seconds 0.1").out.find("  decode "), std::string::npos);
    EXPECT_EQ(run("bench").code, 2);
}

TEST_F(Cli, AShareOfTheTrainingPicturesIsHeldOut) {
    make_pictures();
    const std::string short_run = "train lenet5 --data folder:bars --epochs 1 --batch 8 --threads 1 --json ";
    const Result held = run(short_run + "--val-split 0.25 --balanced --out held");
    ASSERT_EQ(held.code, 0) << held.err;
    const json document = json::parse(held.out);
    const auto tested = document.at("test").at("images").get<int>(), updates = document.at("updates").get<int>();
    EXPECT_GT(tested, 3);  // a quarter of 48, give or take
    EXPECT_LT(tested, 24);
    EXPECT_EQ(updates, (48 - tested + 7) / 8);
    const Result both = run(short_run + "--val-split 0.25 --no-val --out both");
    EXPECT_EQ(both.code, 2);
    EXPECT_EQ(both.err, "fovea train: val_split = 0.25 and validation = 'none' both say what is tested on: leave one out\n");
    const Result mixed = run(short_run + "--augment mirror,mixup,cutmix --out mixed");
    ASSERT_EQ(mixed.code, 0) << mixed.err;
}

TEST_F(Cli, OddDataGetsASentenceEach) {
    make_pictures(2);
    const auto train = [&](const std::string& data, const std::string& more = "") {
        return run("train lenet5 --data " + data + " --no-val --augment random-resized-crop,elastic-transform,rand-augment --epochs 1 --batch 4 --threads 1 --out out-" + std::to_string(std::rand()) + more);
    };
    fs::create_directories(dir_ / "bars/train/empty");
    EXPECT_NE(train("folder:bars").err.find("(train)': 1 of 3 classes have no pictures to learn from: empty\n"), std::string::npos);
    fs::create_directories(dir_ / "single/a");
    write_png(dir_ / "single/a/1.png", Image(1, 1, 3, 90));
    const Result single = train("folder:single");
    EXPECT_EQ(single.code, 0) << single.err;
    EXPECT_NE(single.err.find("holds one picture"), std::string::npos) << single.err;
    EXPECT_EQ(train("folder:single", " --val-split 0.5").code, 2);
    // 20,000 x 20,000 pixels by its header: left out, named once; alone it ends the run.
    std::ofstream(dir_ / "single/a/2.ppm", std::ios::binary) << "P6\n20000 20000\n255\n" << std::string(100, '\0');
    const Result huge = train("folder:single");
    EXPECT_EQ(huge.code, 0) << huge.err;
    EXPECT_NE(huge.err.find("20000x20000 pixels, at most 20000 a side and 256000000 in all are accepted"), std::string::npos) << huge.err;
    EXPECT_EQ(std::count(huge.err.begin(), huge.err.end(), '\n'), 1) << huge.err;
    std::ofstream(dir_ / "labels.csv") << "file,label\nsingle/a/1.png,0\nsingle/a/1.png,-3\n";
    const Result label = train("csv:labels.csv");
    EXPECT_EQ(label.code, 1);
    EXPECT_EQ(std::count(label.err.begin(), label.err.end(), '\n'), 1) << label.err;
    fs::create_directories(dir_ / "nothing");
    EXPECT_EQ(train("folder:nothing").code, 1);
}

TEST_F(Cli, ClassesGoByTheirNames) {
    make_pictures();
    ASSERT_EQ(run(train_bars).code, 0);
    const double whole = json::parse(run("eval run --data folder:bars --json").out).at("recall")[1];
    // Only the second class: it is still the second.
    fs::create_directories(dir_ / "one");
    fs::copy(dir_ / "bars/test/upright", dir_ / "one/upright");
    const Result one = run("eval run --data folder:one");
    ASSERT_EQ(one.code, 0) << one.err;
    EXPECT_NE(one.out.find("lying"), std::string::npos) << one.out;
    EXPECT_EQ(json::parse(run("eval run --data folder:one --json").out).at("top1"), whole);
    // As many, but of other names: by their numbers, and it says so. Fewer, of other names: refused.
    fs::create_directories(dir_ / "other/x");
    fs::copy(dir_ / "bars/test/lying", dir_ / "other/w");
    const Result other = run("eval run --data folder:other");
    EXPECT_EQ(other.code, 0);
    EXPECT_NE(other.err.find("calls its classes otherwise ('w', ...) than 'run' ('lying', ...): they are taken by their numbers"), std::string::npos) << other.err;
    fs::remove(dir_ / "other/x");
    EXPECT_EQ(run("eval run --data folder:other").err, "fovea eval: 'folder:other (undivided)' has 1 classes, among them 'w', which is none of the 2 of 'run'\n");
    EXPECT_EQ(run("train lenet5 --data folder:bars --val folder:other --epochs 1 --out refused").code, 2);
}

TEST_F(Cli, PicturesMayHaveSeveralClasses) {
    make_pictures();
    // A bar that lies is also "wide" and "bar", an upright one "bar".
    std::ofstream list(dir_ / "tags.csv");
    list << "file,label,split\n";
    for (const std::string split : {"train", "test"})
        for (int i = 0; i < 24; ++i)
            list << "bars/" << split << "/lying/" << i << ".png,wide;bar," << split << "\nbars/" << split << "/upright/" << i << ".png,bar;upright," << split << "\n";
    list.close();
    for (const std::string loss : {"bce", "cross_entropy", "focal"}) {
        const Result trained = run("train lenet5 --data csv:tags.csv --epochs 12 --batch 8 --lr 0.05 --label-smoothing 0 --threads 1 --seed 3 --loss " + loss + " --json --out " + loss);
        ASSERT_EQ(trained.code, 0) << trained.err;
        EXPECT_EQ(trained.err.find("no pictures to learn from"), std::string::npos) << "every class is some picture's, if not its first: " << trained.err;
        EXPECT_GT(json::parse(trained.out).at("test").at("top1").get<double>(), 0.9) << loss;
        const json evaluated = json::parse(run("eval " + loss + " --data csv:tags.csv --json").out);
        EXPECT_GT(evaluated.at("mean_average_precision").get<double>(), 0.9) << loss;
        EXPECT_EQ(evaluated.at("average_precision")[0], 1.0) << "every picture is a bar";
    }
    const json best = json::parse(run("predict bce bars/test/lying/3.png --topk 3 --json").out).at("predictions");
    EXPECT_GT(best[0].at("probability").get<double>() + best[1].at("probability").get<double>(), 1.2) << best;
    EXPECT_NE(run("eval bce --data csv:tags.csv").out.find("mean average precision"), std::string::npos);
    EXPECT_EQ(read(dir_ / "bce/report.html").find("Confusion matrix"), std::string::npos);
    EXPECT_EQ(run("train lenet5 --data csv:tags.csv --loss hinge --label-smoothing 0 --epochs 1 --out h").code, 2);
    EXPECT_EQ(run("eval bce --data csv:tags.csv --crops 10").code, 2);
}

TEST_F(Cli, ASetWithoutPartsIsNotTestedOnWhatItLearnsFrom) {
    make_pictures();
    const Result undivided = run("train lenet5 --data folder:bars/train --epochs 1 --batch 8 --threads 1 --json --out undivided");
    ASSERT_EQ(undivided.code, 0) << undivided.err;
    EXPECT_NE(undivided.err.find("has no part to test on: a tenth is held out"), std::string::npos) << undivided.err;
    const json document = json::parse(undivided.out);
    const auto tested = document.at("test").at("images").get<int>();
    EXPECT_GT(tested, 0);
    EXPECT_LT(tested, 16);
    EXPECT_EQ(document.at("updates").get<int>(), (48 - tested + 7) / 8);
}

TEST_F(Cli, AFullDiskBehindStandardOutputIsTold) {
    const Result full = run("models > /dev/full 2> err.txt; :");
    EXPECT_EQ(full.code, 1);
    EXPECT_NE(full.err.find("No space left on device"), std::string::npos) << full.err;
    EXPECT_EQ(std::count(full.err.begin(), full.err.end(), '\n'), 1) << full.err;
    const Result small = run("summary lenet5 --json > /dev/full 2> err.txt; :");  // little enough to wait in a buffer until the end
    EXPECT_EQ(small.code, 1);
    EXPECT_NE(small.err.find("No space left on device"), std::string::npos) << small.err;
}

}  // namespace
}  // namespace fovea::test
