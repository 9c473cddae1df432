// The threads that go through a program's stages together: who does which part, and when a stage is over.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <span>

#include "core/pool.h"

namespace fovea {

/// Work in stages: each is some pieces of so many parts, all independent of one another; the next stage reads what this one wrote.
class Stages {
public:
    virtual ~Stages() = default;
    /// Parts of each piece of a stage.
    [[nodiscard]] virtual std::span<const int> pieces(std::size_t stage) const = 0;
    virtual void run_part(std::size_t stage, std::size_t piece, int part, int thread) = 0;
};

/// A stage ends when its last part is done, whoever did it: a thread that the system put aside holds nobody up unless it took a part along.
/// Whoever finishes the last part opens the next stage.
///
/// Parts are shares, per thread and piece: a thread does its own from the front, where what it made last is still in its cache, then the
/// others' from their back. What a part computes does not depend on who computes it.
///
/// A part that another program's time slice interrupts costs its run that slice. Where that is longer than a whole run takes, sharing the
/// core loses more than it wins: then fewer threads work for a while (Pool::make_room).
///
/// A share carries the number of its stage, which never comes back (40 bits: twelve days of stages of a microsecond), and is taken by
/// comparing all of it. So a late thread cannot take a part of a stage that is over, and before it has taken one it touches nothing but
/// this object, which it owns with the others: not the stages, not their memory.
class Team final : public Job, public std::enable_shared_from_this<Team> {
public:
    /// Room for so many threads and so many pieces in a stage.
    Team(int most_threads, std::size_t most_pieces);
    ~Team() override;

    /// Stages 0 .. stages - 1, on this thread and workers: as thread 0 and 1 .. count - 1. Rethrows what a part threw; those after it are left out.
    void run(Stages& work, std::size_t stages, int count);
    [[nodiscard]] int most_threads() const { return most_threads_; }

    void help(int thread) override;

private:
    struct alignas(64) Share {
        std::atomic<std::uint64_t> left{0};  ///< stage's number, first unit, end
    };
    [[nodiscard]] int units_of(std::size_t piece) const;
    [[nodiscard]] int take(Share& share, std::uint64_t round, bool from_back);
    void run_unit(std::size_t piece, int unit, int thread);
    void do_parts(std::uint64_t round, int thread);
    void open_next(int thread);
    bool spin_past(std::uint64_t round) const;
    void note_delay(std::int64_t ns) const;

    // What a late thread may read.
    const int most_threads_;
    const std::size_t most_pieces_;
    const std::unique_ptr<Share[]> shares_;  ///< [thread][piece]
    alignas(64) std::atomic<std::uint64_t> round_{1};  ///< twice the stage's number; odd: no stage is open
    std::atomic<std::size_t> pieces_{0};
    std::atomic<int> count_{0};
    Bell bell_;  ///< for the owner
    std::atomic<std::int64_t> shortest_ns_{0};  ///< of the runs so far
    alignas(64) std::atomic<int> unfinished_{0};

    // What belongs to whoever holds a part, or opens a stage.
    Stages* work_ = nullptr;
    std::size_t stage_ = 0, next_ = 0, end_ = 0;
    std::atomic<bool> has_failed_{false};
    std::mutex error_mutex_;
    std::exception_ptr error_;
};

/// f(0) ... f(count - 1) on all threads; within a part of a team, of another loop like this, or while an Alone lives, on this thread alone.
void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& f);

/// While it lives, loops of this thread are too small to share.
class Alone {
public:
    Alone();
    ~Alone();
    Alone(const Alone&) = delete;
    Alone& operator=(const Alone&) = delete;

private:
    bool before_;
};

}  // namespace fovea
