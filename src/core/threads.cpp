#include <sched.h>

#include <atomic>
#include <cstdlib>

#include "core/text.h"
#include "fovea/core.h"

namespace fovea {

namespace {

/// OMP_NUM_THREADS, which people set for all programs that compute; else the cores this process may use.
int default_threads() {
    if (const char* text = std::getenv("OMP_NUM_THREADS"))
        if (const int count = std::atoi(text); count >= 1 && count <= 1024) return count;
    cpu_set_t cores;
    return ::sched_getaffinity(0, sizeof(cores), &cores) == 0 ? std::max(1, CPU_COUNT(&cores)) : 1;
}

std::atomic<int>& thread_count() {
    static std::atomic<int> count = default_threads();
    return count;
}

}  // namespace

void set_threads(int count) {
    require<ArgumentError>(count >= 1 && count <= 1024, "threads must lie in 1..1024, got {}", count);
    thread_count() = count;
}
int threads() { return thread_count(); }

}  // namespace fovea
