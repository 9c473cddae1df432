#include <omp.h>

#include "core/text.h"
#include "fovea/core.h"

namespace fovea {

namespace {
int& thread_count() {
    static int count = omp_get_max_threads();
    return count;
}
}  // namespace

void set_threads(int count) {
    require<ArgumentError>(count >= 1 && count <= 1024, "threads must lie in 1..1024, got {}", count);
    thread_count() = count;
    omp_set_num_threads(count);
}

int threads() { return thread_count(); }

}  // namespace fovea
