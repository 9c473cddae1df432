#include <sched.h>

#include <atomic>
#include <cstdlib>

#include "core/text.h"
#include "fovea/core.h"

namespace fovea {

namespace {

/// OMP_NUM_THREADS, which people set for all programs that compute; else the cores this process may use, shared out among the ranks that mpirun
/// started here unless it bound each to cores of its own.
int default_threads() {
    if (const char* text = std::getenv("OMP_NUM_THREADS"))
        if (const int count = std::atoi(text); count >= 1 && count <= 1024) return count;
    cpu_set_t cores;
    const int count = ::sched_getaffinity(0, sizeof(cores), &cores) == 0 ? CPU_COUNT(&cores) : 1;
    const char* ranks = std::getenv("OMPI_COMM_WORLD_LOCAL_SIZE");
    const bool is_shared = ranks != nullptr && std::getenv("OMPI_MCA_orte_bound_at_launch") == nullptr;
    return std::max(1, count / (is_shared ? std::max(1, std::atoi(ranks)) : 1));
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
