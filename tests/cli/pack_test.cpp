// fovea data pack and verify.
#include "cli/program.h"

namespace fovea::test {
namespace {

TEST_F(Cli, PackLeavesOutWhatCannotBeReadAndVerifyFindsTheRestWhole) {
    make_pictures(4);
    fs::resize_file(dir_ / "bars/train/lying/0.png", 0);
    const Result packed = run("data pack folder:bars --out shards --json");
    ASSERT_EQ(packed.code, 0) << packed.err;
    EXPECT_EQ(packed.err, "fovea: decode 'lying/0.png': the file is empty, expected a picture; left out\n");
    const json document = json::parse(packed.out);
    EXPECT_EQ(document.at("pictures"), 7);
    EXPECT_EQ(document.at("skipped"), 1);
    EXPECT_EQ(document.at("shards"), 1);
    const Result whole = run("data verify shards:shards --json");
    EXPECT_EQ(whole.code, 0) << whole.err;
    EXPECT_EQ(json::parse(whole.out).at("readable"), 7);
    // The same again is refused, unless it is asked for.
    const Result again = run("data pack folder:bars --out shards");
    EXPECT_EQ(again.code, 2);
    EXPECT_NE(again.err.find("'shards' holds 1 shard of this name already, 'train-000000.tar' first"), std::string::npos) << again.err;
    const Result over = run("data pack folder:bars --out shards --overwrite --no-shuffle");
    EXPECT_EQ(over.code, 0) << over.err;
    EXPECT_NE(over.out.find("7 pictures of folder:bars (train) in 1 shard, 1 left out: "), std::string::npos) << over.out;
}

TEST_F(Cli, VerifyTellsFaultsOfShardsFromDamagedPictures) {
    make_pictures(4);
    ASSERT_EQ(run("data pack folder:bars --out shards").code, 0);
    fs::resize_file(dir_ / "shards/train-000000.tar", 7000);
    const Result cut = run("data verify shards:shards");
    EXPECT_EQ(cut.code, 1);
    EXPECT_NE(cut.out.find("1 fault of the files that hold them"), std::string::npos) << cut.out;
    EXPECT_NE(cut.err.find("1 fault of the files that hold the pictures of 'shards:shards (train)'; the 3 pictures that are left are whole"), std::string::npos) << cut.err;
    std::ofstream(dir_ / "bars/test/lying/0.png") << "no picture";
    EXPECT_NE(run("data verify folder:bars --split test").err.find("1 of 8 pictures of 'folder:bars (test)' are damaged\n"), std::string::npos);
}

}  // namespace
}  // namespace fovea::test
