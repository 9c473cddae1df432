#include "core/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
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

}  // namespace fovea
