#include "core/memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <map>
#include <mutex>
#include <new>
#include <vector>

namespace fovea {

namespace {

constexpr std::size_t huge = std::size_t{2} << 20;
// What huge pages do not fill takes small ones: a weight of 2.25 MiB should not take 4.
constexpr std::size_t small_page = 4096;

}  // namespace

std::size_t allocated(std::size_t bytes) {
    const std::size_t unit = bytes >= huge ? small_page : 64;
    return (bytes + unit - 1) / unit * unit;
}

std::shared_ptr<std::byte[]> allocate(std::size_t bytes) {
    const std::size_t rounded = allocated(std::max<std::size_t>(bytes, 1));
    void* memory = nullptr;
    if (posix_memalign(&memory, rounded >= huge ? huge : 64, rounded) != 0) throw std::bad_alloc();
    if (rounded >= huge) madvise(memory, rounded / huge * huge, MADV_HUGEPAGE);  // only advice
    return {static_cast<std::byte*>(memory), [](std::byte* p) { std::free(p); }};
}

namespace {

/// Mapped ranges: first byte and size.
struct Mappings {
    std::mutex mutex;
    std::map<const std::byte*, std::size_t> ranges;
};
Mappings& mappings() {
    static auto* const all = new Mappings;  // never destroyed: a tensor of static storage may unmap its file late
    return *all;
}

}  // namespace

std::shared_ptr<std::byte[]> map_file(int descriptor, std::size_t from, std::size_t bytes) {
    static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t begin = from / page * page, size = from - begin + bytes;
    void* mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor, static_cast<off_t>(begin));
    if (mapped == MAP_FAILED) return nullptr;
    auto* first = static_cast<std::byte*>(mapped);
    {
        const std::lock_guard lock(mappings().mutex);
        mappings().ranges[first] = size;
    }
    const std::shared_ptr<std::byte[]> whole(first, [size](std::byte* memory) {
        const std::lock_guard lock(mappings().mutex);
        mappings().ranges.erase(memory);
        munmap(memory, size);
    });
    return {whole, first + (from - begin)};
}

bool is_mapped(const std::byte* address) {
    const std::lock_guard lock(mappings().mutex);
    const auto next = mappings().ranges.upper_bound(address);
    if (next == mappings().ranges.begin()) return false;
    const auto& [begin, size] = *std::prev(next);
    return address < begin + size;
}

void release_mapped(const std::byte* address, std::size_t bytes) {
    if (!is_mapped(address)) return;
    static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const auto begin = reinterpret_cast<std::uintptr_t>(address);
    const std::size_t first = (begin + page - 1) / page, last = (begin + bytes) / page;  // whole pages
    if (first >= last) return;
    // What the system knows of each page: a page that was written to is this process's own, and its values are nowhere else.
    std::vector<std::uint64_t> pages(last - first);
    const int file = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    const ssize_t got = ::pread(file, pages.data(), pages.size() * sizeof(std::uint64_t), static_cast<off_t>(first * sizeof(std::uint64_t)));
    ::close(file);
    if (got != static_cast<ssize_t>(pages.size() * sizeof(std::uint64_t))) return;
    constexpr std::uint64_t of_file = std::uint64_t{1} << 61;
    for (std::size_t from = 0, to = 0; from < pages.size(); from = to) {
        for (to = from + 1; to < pages.size() && (pages[to] & of_file) == (pages[from] & of_file);) ++to;
        if (pages[from] & of_file) madvise(reinterpret_cast<void*>((first + from) * page), (to - from) * page, MADV_DONTNEED);
    }
}

}  // namespace fovea
