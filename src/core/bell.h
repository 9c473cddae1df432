// Where threads sleep until somebody rings.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>

namespace fovea {

/// Tells the processor that this thread waits in a loop.
inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/// Look at rung(), then for work, then wait(for what rung() said): a ring in between is not missed. Not std::atomic::wait, which yields the
/// core before it sleeps: where another program wants the core too, who yields gets it back a time slice later, who sleeps as soon as
/// the bell rings.
class Bell {
public:
    [[nodiscard]] std::uint32_t rung() const { return rung_.load(std::memory_order_seq_cst); }

    void ring() {
        rung_.fetch_add(1, std::memory_order_seq_cst);
        if (sleepers_.load(std::memory_order_seq_cst) > 0) ::syscall(SYS_futex, &rung_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
    }

    void wait(std::uint32_t seen) {
        sleepers_.fetch_add(1, std::memory_order_seq_cst);
        while (rung_.load(std::memory_order_seq_cst) == seen) ::syscall(SYS_futex, &rung_, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
        sleepers_.fetch_sub(1, std::memory_order_relaxed);
    }

private:
    static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t) && std::atomic<std::uint32_t>::is_always_lock_free);
    std::atomic<std::uint32_t> rung_{0};
    std::atomic<int> sleepers_{0};
};

}  // namespace fovea
