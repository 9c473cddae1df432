// Threads that go through stages together; the thread sanitizer watches (ctest --preset tsan).
#include "core/team.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "fovea/core.h"

namespace fovea {
namespace {

struct WithThreads {
    int before = threads();
    explicit WithThreads(int count) { set_threads(count); }
    ~WithThreads() { set_threads(before); }
};

/// Stage s reads what all parts of stage s - 1 wrote: a part that ran too early, twice or never changes every number after it.
class Sums final : public Stages {
public:
    explicit Sums(std::vector<std::vector<int>> pieces) : pieces_(std::move(pieces)) {
        for (const auto& parts : pieces_) values_.emplace_back(static_cast<std::size_t>(std::reduce(parts.begin(), parts.end())), 0);
    }
    [[nodiscard]] std::span<const int> pieces(std::size_t stage) const override { return pieces_[stage]; }
    void run_part(std::size_t stage, std::size_t piece, int part, int) override {
        const auto& parts = pieces_[stage];
        const auto at = static_cast<std::size_t>(std::reduce(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(piece)) + part);
        const std::uint64_t before = stage == 0 ? seed : std::reduce(values_[stage - 1].begin(), values_[stage - 1].end());
        values_[stage][at] = 31 * values_[stage][at] + before + at + 1;
    }
    [[nodiscard]] std::uint64_t result() const {
        std::uint64_t all = 0;
        for (const auto& stage : values_)
            for (const std::uint64_t value : stage) all = 31 * all + value;
        return all;
    }
    std::uint64_t seed = 1;

private:
    std::vector<std::vector<int>> pieces_;
    std::vector<std::vector<std::uint64_t>> values_;
};

const std::vector<std::vector<int>> uneven{{8}, {1}, {0, 1, 1, 1}, {5, 3}, {}, {0}, {16, 1, 7}, {1}, {1}, {2}, {9000}};

std::uint64_t sums_with(int count, int runs) {
    const WithThreads team(count);
    Sums sums(uneven);
    const auto members = std::make_shared<Team>(count, 4);
    for (int run = 0; run < runs; ++run) {
        sums.seed = static_cast<std::uint64_t>(run);
        members->run(sums, uneven.size(), count);
    }
    return sums.result();
}

TEST(Team, EveryPartRunsOnceAndAfterTheStageBeforeIt) {
    const std::uint64_t alone = sums_with(1, 50);
    for (const int count : {2, 3, 5}) EXPECT_EQ(sums_with(count, 50), alone) << count << " threads";
}

TEST(Team, OwnersAtTheSameTimeShareTheWorkers) {
    const std::uint64_t alone = sums_with(1, 50);
    const WithThreads team(3);
    std::array<std::uint64_t, 4> results{};
    {
        std::vector<std::jthread> owners;
        for (std::uint64_t& result : results)
            owners.emplace_back([&result] {
                Sums sums(uneven);
                const auto members = std::make_shared<Team>(3, 4);
                for (int run = 0; run < 50; ++run) {
                    sums.seed = static_cast<std::uint64_t>(run);
                    members->run(sums, uneven.size(), 3);
                }
                result = sums.result();
            });
    }
    for (const std::uint64_t result : results) EXPECT_EQ(result, alone);
    EXPECT_LE(Pool::shared().size(), 4) << "workers are the process's, not each owner's";
}

class Calls final : public Stages {
public:
    Calls(std::vector<int> parts, std::function<void(int, int)> call) : parts_(std::move(parts)), call_(std::move(call)) {}
    [[nodiscard]] std::span<const int> pieces(std::size_t stage) const override { return {&parts_[stage], 1}; }
    void run_part(std::size_t, std::size_t, int part, int thread) override { call_(part, thread); }

private:
    std::vector<int> parts_;
    std::function<void(int, int)> call_;
};

TEST(Team, AStageDoesNotWaitForAThreadThatHasNoPart) {
    const WithThreads team(3);
    std::atomic<bool> is_held = false, is_released = false;
    std::atomic<int> done = 0;
    // One worker stays inside a part of another owner; that owner waits for it, this one must not.
    Calls holding({2}, [&](int, int thread) {
        if (thread == 0) {
            while (!is_held) {
                Pool::shared().ring();  // workers that make room for other programs come back only when they are called
                std::this_thread::yield();
            }
            return;
        }
        is_held = true;
        while (!is_released) std::this_thread::yield();
    });
    std::jthread other([&] { std::make_shared<Team>(2, 1)->run(holding, 1, 2); });
    while (!is_held) std::this_thread::yield();
    Calls counting({4, 4, 4}, [&](int, int) { ++done; });
    std::make_shared<Team>(3, 1)->run(counting, 3, 3);
    EXPECT_EQ(done, 12);
    is_released = true;
}

TEST(Team, AnExceptionReachesTheOwnerAndTheTeamGoesOn) {
    const WithThreads team(2);
    const auto members = std::make_shared<Team>(2, 1);
    Calls throwing({8, 8}, [](int part, int) {
        if (part == 5) throw std::runtime_error("part 5");
    });
    EXPECT_THROW(members->run(throwing, 2, 2), std::runtime_error);
    std::atomic<int> done = 0;
    Calls counting({8}, [&](int, int) { ++done; });
    members->run(counting, 1, 2);
    EXPECT_EQ(done, 8);
}

TEST(ParallelFor, VisitsEveryIndexOnceAlsoWithinAnother) {
    const WithThreads team(3);
    std::array<std::atomic<int>, 60> visits{};
    parallel_for(6, [&](std::int64_t i) { parallel_for(10, [&](std::int64_t j) { ++visits[static_cast<std::size_t>(10 * i + j)]; }); });
    for (const auto& visit : visits) EXPECT_EQ(visit, 1);
}

TEST(Pool, WorksInTheChildOfAFork) {
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "the thread sanitizer allows no threads in the child of a fork";
#endif
    const WithThreads team(2);
    const std::uint64_t alone = sums_with(1, 3);
    EXPECT_EQ(sums_with(2, 3), alone);
    const pid_t child = ::fork();
    if (child == 0) ::_exit(sums_with(2, 3) == alone ? 0 : 1);
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace fovea
