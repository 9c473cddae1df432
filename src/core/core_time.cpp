#include "core/core_time.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

namespace fovea {

// Three numbers: time on a core, time waiting for one, times put on one.
WaitForCore::WaitForCore() : file_(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC)) { (void)take_ns(); }
WaitForCore::~WaitForCore() {
    if (file_ >= 0) ::close(file_);
}

std::int64_t WaitForCore::take_ns() {
    at_ = now_ns();
    char text[96];
    const ssize_t size = file_ >= 0 ? ::pread(file_, text, sizeof(text), 0) : 0;
    const std::string_view line(text, size > 0 ? static_cast<std::size_t>(size) : 0);
    const std::size_t space = line.find(' ');
    std::int64_t total = 0;
    if (space == line.npos || std::from_chars(line.data() + space + 1, line.data() + line.size(), total).ec != std::errc()) return 0;
    const std::int64_t before = total_;
    total_ = total;
    return total - before;
}

void WaitForCore::renew(std::int64_t now) {
    constexpr std::int64_t long_ns = 100'000'000;
    if (now - at_ > long_ns) (void)take_ns();
}

}  // namespace fovea
