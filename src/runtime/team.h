// What the threads of one parallel region share: where they wait for each other, and who does which part.
#pragma once

#include <omp.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace fovea {

/// prepare(count), then work(thread, count) on `count` threads at once; count is `wanted` unless the system grants fewer.
/// The thread sanitizer does not see how OpenMP's threads wait for each other: under it they are plain threads.
template <class Prepare, class Work> void on_team(int wanted, Prepare prepare, Work work) {
#ifdef __SANITIZE_THREAD__
    prepare(wanted);
    std::vector<std::jthread> others;
    for (int thread = 1; thread < wanted; ++thread) others.emplace_back(work, thread, wanted);
    work(0, wanted);
#else
#pragma omp parallel num_threads(wanted)
    {
#pragma omp single
        prepare(omp_get_num_threads());
        work(omp_get_thread_num(), omp_get_num_threads());
    }
#endif
}

/// Waits for all threads of a region. Spins for some microseconds, then sleeps: a thread that shares its core with another program must
/// not burn the time the others need to arrive.
class Barrier {
public:
    explicit Barrier(int count) : count_(count) {}
    void wait() {
        const int round = round_.load(std::memory_order_relaxed);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == count_) {
            arrived_.store(0, std::memory_order_relaxed);
            round_.store(round + 1, std::memory_order_release);
            round_.notify_all();
            return;
        }
        for (int spins = 0; spins < 4000; ++spins)
            if (round_.load(std::memory_order_acquire) != round) return;
        round_.wait(round, std::memory_order_acquire);
    }

private:
    const int count_;
    std::atomic<int> arrived_{0}, round_{0};
};

/// Parts still to be done, per thread and piece of work. A thread does its own from the front, where what it made last is still in its
/// cache, then helps the others from their back: a thread whose core is busy elsewhere does not hold up the rest. What a part computes
/// does not depend on who computes it.
class Shares {
public:
    Shares(int threads, std::size_t pieces) : pieces_(pieces), ranges_(new std::atomic<std::uint64_t>[static_cast<std::size_t>(threads) * pieces]) {}

    void set(int thread, std::size_t piece, int begin, int end) { at(thread, piece).store(packed(begin, end), std::memory_order_relaxed); }
    /// The next part of its own, or -1.
    int take(int thread, std::size_t piece) {
        return take(at(thread, piece), [](int begin, int end) { return std::pair(packed(begin + 1, end), begin); });
    }
    /// The last part of another thread, or -1.
    int steal(int from, std::size_t piece) {
        return take(at(from, piece), [](int begin, int end) { return std::pair(packed(begin, end - 1), end - 1); });
    }

private:
    static std::uint64_t packed(int begin, int end) { return static_cast<std::uint64_t>(begin) << 32 | static_cast<std::uint32_t>(end); }
    std::atomic<std::uint64_t>& at(int thread, std::size_t piece) { return ranges_[static_cast<std::size_t>(thread) * pieces_ + piece]; }

    template <class Choose> static int take(std::atomic<std::uint64_t>& range, Choose choose) {
        std::uint64_t old = range.load(std::memory_order_relaxed);
        while (true) {
            const int begin = static_cast<int>(old >> 32), end = static_cast<int>(old & 0xffffffffu);
            if (begin >= end) return -1;
            const auto [next, part] = choose(begin, end);
            if (range.compare_exchange_weak(old, next, std::memory_order_relaxed)) return part;
        }
    }

    std::size_t pieces_;
    std::unique_ptr<std::atomic<std::uint64_t>[]> ranges_;
};

}  // namespace fovea
