#include "core/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <new>

namespace fovea {

std::shared_ptr<std::byte[]> allocate(std::size_t bytes) {
    constexpr std::size_t huge = std::size_t{2} << 20;
    const std::size_t alignment = bytes >= huge ? huge : 64;
    const std::size_t rounded = (std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment;
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(alignment, rounded));
    if (!memory) throw std::bad_alloc();
    if (alignment == huge) madvise(memory, rounded, MADV_HUGEPAGE);  // only advice
    return {memory, [](std::byte* p) { std::free(p); }};
}

}  // namespace fovea
