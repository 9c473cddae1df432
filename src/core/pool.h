// The threads that help: one pool for the whole process, shared by everybody who has work to give away.
#pragma once

#include <sched.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/bell.h"

namespace fovea {

/// Work that its owner does anyway and workers may join.
class Job {
public:
    Job() = default;
    virtual ~Job() = default;
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;
    /// Called on a worker, `thread` >= 1: does what there is to do and comes back when nothing is left.
    virtual void help(int thread) = 0;
};

/// Worker `thread` (1, 2, ...) works while there are fewer owners than threads() leave room for: two owners with two threads have the
/// cores for themselves. Nothing waits for a worker to come: an owner does all that nobody has taken. Workers start when they are first
/// wanted, sleep after some microseconds without work, and end with the process. A fork's child begins with a pool of its own.
class Pool {
public:
    static Pool& shared();
    Pool();
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    /// Lets workers into a job while it lives. A worker that is inside then may come out later: it shares the job's ownership.
    class Offer {
    public:
        Offer(Pool& pool, std::shared_ptr<Job> job);
        ~Offer();
        Offer(const Offer&) = delete;
        Offer& operator=(const Offer&) = delete;

    private:
        Pool& pool_;
        const Job* job_;
    };

    /// An offered job has new work.
    void ring() {
        if (has_place(1)) bell_.ring();
    }
    /// Whether worker `thread` may do more now, or leaves the cores to the owners and to other programs.
    [[nodiscard]] bool has_place(int thread) const;
    /// Another program wanted the core of a thread that held work: for some milliseconds one worker less works, so that the others fit on
    /// the cores that are free; for longer, up to a second, when it happens again soon after.
    void make_room();
    /// Whether each worker stays on a core of its own: core number w of those the process may use for worker w.
    void set_pinning(bool on) { is_pinning_ = on; }
    [[nodiscard]] bool is_pinning() const { return is_pinning_; }
    /// Workers so far.
    [[nodiscard]] int size();

private:
    void start(int workers);
    void serve(const std::stop_token& stop, int thread);
    [[nodiscard]] std::shared_ptr<Job> job_for(int thread);
    /// Binds the calling worker to a core of its own, or lets it go to all that the process had.
    void place(int thread, bool is_pinned) const;

    cpu_set_t allowed_{};
    Bell bell_;
    std::atomic<int> owners_{0};
    std::atomic<bool> is_pinning_{false};
    std::atomic<int> away_{0};  ///< workers fewer, before the clock says until_ns_
    std::atomic<std::int64_t> until_ns_{0};
    std::int64_t away_ns_ = 0;
    std::mutex mutex_;
    std::vector<std::shared_ptr<Job>> offered_;
    std::vector<std::jthread> workers_;
};

}  // namespace fovea
