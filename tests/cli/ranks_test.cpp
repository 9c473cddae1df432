// fovea train --ranks: processes that train together, are stopped, killed and resumed.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "cli/program.h"
#include "fovea/comm.h"

namespace fovea::test {
namespace {

class Ranks : public Cli {
protected:
    void SetUp() override {
        if (const std::string lack = lacks_mpi(); !lack.empty() || std::system("command -v mpirun > /dev/null") != 0) GTEST_SKIP() << (lack.empty() ? "there is no mpirun" : lack);
        setenv("ASAN_OPTIONS", "detect_leaks=0", 0);  // what Open MPI keeps to the end is not ours
        make_pictures();
    }
    [[nodiscard]] std::string checkpoint(const std::string& run) const { return read(dir_ / run / "checkpoint-last.safetensors"); }
    /// Until the run has made so many updates.
    void wait_for_update(const std::string& run, int update) const {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
        while (read(dir_ / run / "metrics.jsonl").find("\"update\":" + std::to_string(update) + ",") == std::string::npos && std::chrono::steady_clock::now() < end)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    /// Processes of this test's ranks: their working directory is the test's, and mpirun says who they are.
    [[nodiscard]] pid_t process_of_rank(int rank) const {
        for (const auto& entry : fs::directory_iterator("/proc")) {
            std::error_code ignored;
            if (entry.path().filename().string().find_first_not_of("0123456789") != std::string::npos || fs::read_symlink(entry.path() / "cwd", ignored) != dir_) continue;
            if (read(entry.path() / "environ").find("OMPI_COMM_WORLD_RANK=" + std::to_string(rank) + '\0') != std::string::npos) return static_cast<pid_t>(std::stoi(entry.path().filename()));
        }
        return 0;
    }
    static constexpr const char* train_long = "train lenet5 --data folder:bars --epochs 4000 --batch 8 --lr 0.02 --threads 1 --seed 3 --save-every-steps 2 --out ";
};

TEST_F(Ranks, TrainTogetherAsOneWould) {
    const std::string one = "train lenet5 --data folder:bars --epochs 2 --batch 8 --lr 0.02 --threads 1 --seed 3 --json --out ";
    const Result alone = run(one + "alone"), together = run(one + "together --ranks 2"), again = run(one + "again --ranks 2");
    ASSERT_EQ(alone.code, 0) << alone.err;
    ASSERT_EQ(together.code, 0) << together.err;
    ASSERT_EQ(again.code, 0) << again.err;
    EXPECT_EQ(checkpoint("together"), checkpoint("again"));
    const json a = json::parse(alone.out), b = json::parse(together.out);
    EXPECT_EQ(b.at("updates"), a.at("updates"));
    EXPECT_NEAR(b.at("test").at("loss").get<double>(), a.at("test").at("loss").get<double>(), 1e-4);
    EXPECT_EQ(b.at("test").at("images"), a.at("test").at("images"));
    EXPECT_EQ(json::parse(read(dir_ / "together/config.json")).at("ranks"), 2);
    EXPECT_TRUE(fs::exists(dir_ / "together/report.html"));
}

TEST_F(Ranks, StoppedTheySaveAndGoOnOnAnyNumberOfRanks) {
    const pid_t child = start(std::string(train_long) + "run --ranks 2");
    wait_for_update("run", 50);
    kill(child, SIGTERM);
    const Result stopped = finish(child);
    EXPECT_EQ(stopped.code, 130) << stopped.err;
    EXPECT_NE(stopped.err.find("fovea: stopped after update "), std::string::npos) << stopped.err;
    EXPECT_EQ(std::count(stopped.err.begin(), stopped.err.end(), '\n'), 1) << stopped.err;
    for (const char* ranks : {"", " --ranks 3", " --ranks 2"}) {
        const pid_t next = start("train --resume --out run --threads 1 --time-budget 1s --json" + std::string(ranks));
        const Result result = finish(next);
        EXPECT_EQ(result.code, 0) << result.err;
        EXPECT_GT(json::parse(result.out).at("resumed_from").get<int>(), 49);
        EXPECT_GT(json::parse(result.out).at("updates").get<int>(), json::parse(result.out).at("resumed_from").get<int>());
    }
}

TEST_F(Ranks, AKilledRankEndsTheRunInSecondsAndNothingSavedIsLost) {
    for (const int rank : {1, 0}) {
        const std::string name = "run" + std::to_string(rank);
        const pid_t child = start(train_long + name + " --ranks 2");
        wait_for_update(name, 50);
        const pid_t victim = process_of_rank(rank);
        ASSERT_GT(victim, 0);
        const auto begin = std::chrono::steady_clock::now();
        kill(victim, SIGKILL);
        const Result ended = finish(child);
        EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(15));
        EXPECT_EQ(ended.code, 1);
        EXPECT_NE(ended.err.find("fovea train: rank " + std::to_string(rank) + " ended on signal 9"), std::string::npos) << ended.err;
        EXPECT_EQ(std::count(ended.err.begin(), ended.err.end(), '\n'), 1) << ended.err;
        const Result resumed = run("train --resume --out " + name + " --threads 1 --time-budget 1s --json");
        EXPECT_EQ(resumed.code, 0) << resumed.err;
        EXPECT_GE(json::parse(resumed.out).at("resumed_from").get<int>(), 48);  // saved every second update
    }
}

TEST_F(Ranks, AnErrorIsSaidOnce) {
    const Result result = run("train lenet5 --data folder:bars --epochs 1 --batch 8 --lr 1e30 --threads 1 --ranks 2 --out run");
    EXPECT_EQ(result.code, 1);
    EXPECT_EQ(result.err.find("fovea train: epoch 1 step "), 0u) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    const Result unknown = run("train lenet5 --data folder:nowhere --ranks 2 --out run2");
    EXPECT_EQ(unknown.err, run("train lenet5 --data folder:nowhere --out run2").err);
}

TEST_F(Ranks, OnesThatMpirunStartedMeetToo) {
    ASSERT_EQ(std::system(("cd " + dir_.string() + " && OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_plm=isolated OMPI_MCA_btl_vader_single_copy_mechanism=none"
                           " mpirun --oversubscribe -n 2 " + program + " train lenet5 --data folder:bars --epochs 1 --batch 8 --lr 0.02 --out run > out.txt 2> err.txt").c_str()), 0)
        << read(dir_ / "err.txt");
    EXPECT_NE(read(dir_ / "out.txt").find(", 2 ranks with 1 thread; run\n"), std::string::npos) << read(dir_ / "out.txt");
    EXPECT_NE(read(dir_ / "out.txt").find("\ntest accuracy "), std::string::npos);
}

}  // namespace
}  // namespace fovea::test
