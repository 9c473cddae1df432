#include "core/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include <algorithm>
#include <system_error>

#include "core/core_time.h"
#include "fovea/core.h"

namespace fovea {

namespace {

// A program in a loop runs again after some microseconds; waking a worker takes tens of them.
constexpr std::int64_t idle_spin_ns = 50'000;

std::unique_ptr<Pool>& holder() {
    static std::unique_ptr<Pool> pool = std::make_unique<Pool>();
    return pool;
}

}  // namespace

Pool& Pool::shared() {
    // The child of a fork has the forking thread alone: the old pool, its threads and its mutex's state are of another process.
    static const bool is_registered = [] {
        (void)holder();
        ::pthread_atfork(nullptr, nullptr, [] {
            const bool is_pinning = holder()->is_pinning_;
            (void)holder().release();
            holder() = std::make_unique<Pool>();
            holder()->is_pinning_ = is_pinning;
        });
        return true;
    }();
    (void)is_registered;
    return *holder();
}

Pool::Pool() { ::sched_getaffinity(0, sizeof(allowed_), &allowed_); }

Pool::~Pool() {
    for (std::jthread& worker : workers_) worker.request_stop();
    bell_.ring();
}

Pool::Offer::Offer(Pool& pool, std::shared_ptr<Job> job) : pool_(pool), job_(job.get()) {
    const std::lock_guard lock(pool.mutex_);
    pool.start(threads() - 1);
    pool.offered_.push_back(std::move(job));
    pool.owners_.store(static_cast<int>(pool.offered_.size()), std::memory_order_relaxed);
}

Pool::Offer::~Offer() {
    const std::lock_guard lock(pool_.mutex_);
    std::erase_if(pool_.offered_, [this](const auto& job) { return job.get() == job_; });
    pool_.owners_.store(static_cast<int>(pool_.offered_.size()), std::memory_order_relaxed);
}

bool Pool::has_place(int thread) const {
    const int working = thread + std::max(1, owners_.load(std::memory_order_relaxed)), away = away_.load(std::memory_order_relaxed);
    return working <= threads() && (away == 0 || working + away <= threads() || now_ns() >= until_ns_.load(std::memory_order_relaxed));
}

void Pool::make_room() {
    constexpr std::int64_t least_ns = 10'000'000, most_ns = 1'000'000'000, soon = 4;
    const std::lock_guard lock(mutex_);
    const std::int64_t now = now_ns(), until = until_ns_;
    if (now < until) {
        away_ = std::min(away_ + 1, threads() - 1);
        return;
    }
    away_ns_ = now - until < soon * away_ns_ ? std::min(2 * away_ns_, most_ns) : least_ns;
    until_ns_ = now + away_ns_;
    away_ = 1;
}

int Pool::size() {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(workers_.size());
}

void Pool::start(int workers) {
    if (static_cast<int>(workers_.size()) >= workers) return;
    // Signals are for the program's own threads.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
        while (static_cast<int>(workers_.size()) < workers)
            workers_.emplace_back([this, thread = static_cast<int>(workers_.size()) + 1](const std::stop_token& stop) { serve(stop, thread); });
    } catch (const std::system_error&) {
        // The system grants no more threads: the owners do the work.
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void Pool::place(int thread, bool is_pinned) const {
    cpu_set_t cores = allowed_;
    if (const int count = CPU_COUNT(&allowed_); is_pinned && count > 1) {
        int core = 0;
        for (int skip = thread % count; !CPU_ISSET(core, &allowed_) || skip-- > 0;) ++core;
        CPU_ZERO(&cores);
        CPU_SET(core, &cores);
    }
    (void)::sched_setaffinity(0, sizeof(cores), &cores);  // a wish: refused, the thread runs where the system puts it
}

std::shared_ptr<Job> Pool::job_for(int thread) {
    const std::lock_guard lock(mutex_);
    if (offered_.empty() || !has_place(thread)) return nullptr;
    return offered_[static_cast<std::size_t>(thread) % offered_.size()];  // workers spread over the owners
}

void Pool::serve(const std::stop_token& stop, int thread) {
    bool is_pinned = false;
    while (true) {
        const std::uint32_t seen = bell_.rung();  // first: the ring that comes with the request to stop is not missed
        if (stop.stop_requested()) return;
        if (const std::shared_ptr<Job> job = job_for(thread)) {
            if (is_pinned != is_pinning_) place(thread, is_pinned = !is_pinned);
            job->help(thread);
        }
        const std::int64_t end = now_ns() + idle_spin_ns;
        while (bell_.rung() == seen && now_ns() < end)
            for (int i = 0; i < 16; ++i) relax();
        if (bell_.rung() == seen) bell_.wait(seen);
    }
}

}  // namespace fovea
