// How long a thread waited for a core while another program had it.
#pragma once

#include <cstdint>
#include <ctime>

namespace fovea {

/// Nanoseconds of the monotonic clock.
[[nodiscard]] inline std::int64_t now_ns() {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return 1'000'000'000 * static_cast<std::int64_t>(t.tv_sec) + t.tv_nsec;
}

/// The calling thread's time in the system's run queues; always 0 where the system keeps no record (Linux: CONFIG_SCHED_INFO).
class WaitForCore {
public:
    WaitForCore();
    ~WaitForCore();
    WaitForCore(const WaitForCore&) = delete;
    WaitForCore& operator=(const WaitForCore&) = delete;

    /// Since the last call, or the last renew() that looked. Reads a file: some microseconds.
    [[nodiscard]] std::int64_t take_ns();
    /// Forgets what was before, where it has been long.
    void renew(std::int64_t now);

private:
    int file_ = -1;
    std::int64_t total_ = 0, at_ = 0;
};

}  // namespace fovea
