#include "core/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <map>
#include <mutex>
#include <new>

namespace fovea {

namespace {

constexpr std::size_t huge = std::size_t{2} << 20;
std::size_t alignment_of(std::size_t bytes) { return bytes >= huge ? huge : 64; }

}  // namespace

std::size_t allocated(std::size_t bytes) {
    const std::size_t alignment = alignment_of(bytes);
    return (bytes + alignment - 1) / alignment * alignment;
}

std::shared_ptr<std::byte[]> allocate(std::size_t bytes) {
    const std::size_t alignment = alignment_of(bytes), rounded = allocated(std::max<std::size_t>(bytes, 1));
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(alignment, rounded));
    if (!memory) throw std::bad_alloc();
    if (alignment == huge) madvise(memory, rounded, MADV_HUGEPAGE);  // only advice
    return {memory, [](std::byte* p) { std::free(p); }};
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

}  // namespace fovea
