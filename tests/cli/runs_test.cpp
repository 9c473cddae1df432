// fovea runs: list, compare, report.
#include "cli/program.h"

namespace fovea::test {
namespace {

TEST_F(Cli, ListsComparesAndReportsRuns) {
    make_pictures(8);
    const std::string train = "train lenet5 --data folder:bars --epochs 1 --batch 8 --threads 1 --seed 3 --out runs/";
    ASSERT_EQ(run(train + "a --lr 0.02").code, 0);
    ASSERT_EQ(run(train + "b --lr 0.01").code, 0);
    const std::string page = read(dir_ / "runs/a/report.html");
    EXPECT_NE(page.find("Filters of the first layer"), std::string::npos);

    const Result listed = run("runs");
    ASSERT_EQ(listed.code, 0) << listed.err;
    for (const char* part : {"a    lenet5_modern", "1/1", "finished"}) EXPECT_NE(listed.out.find(part), std::string::npos) << part << " in\n" << listed.out;
    EXPECT_EQ(json::parse(run("runs runs --json").out).is_discarded(), false);
    const Result compared = run("runs compare a runs/b --svg curves.svg");
    ASSERT_EQ(compared.code, 0) << compared.err;
    EXPECT_NE(compared.out.find("optimizer.lr  0.02  0.01"), std::string::npos) << compared.out;
    EXPECT_EQ(read(dir_ / "curves.svg").substr(0, 4), "<svg");
    EXPECT_TRUE(json::parse(run("runs compare a b --json").out).contains("differences"));

    ASSERT_EQ(run("runs report a --out page.html").code, 0);
    EXPECT_EQ(read(dir_ / "page.html"), page);

    const Result none = run("runs nowhere");
    EXPECT_EQ(none.code, 1);
    EXPECT_EQ(none.err, "fovea runs: there is no directory 'nowhere' with runs: 'fovea train' makes one\n");
    EXPECT_EQ(run("runs report c").err, "fovea runs: 'c' holds no run: it has no config.json\n");
}

}  // namespace
}  // namespace fovea::test
