// What every command does with wrong usage, help, names nobody knows and files that are not there.
#include <algorithm>
#include <string>

#include "cli/program.h"

namespace fovea::test {
namespace {

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

}  // namespace
}  // namespace fovea::test
