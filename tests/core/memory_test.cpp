// Mapped files: pages that are given back, and those that may not be.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "core/mapped_file.h"
#include "core/memory.h"

namespace fovea {
namespace {

/// Bytes of the mapping at `address` that are resident.
std::size_t resident(const std::byte* address) {
    std::ifstream maps("/proc/self/smaps");
    char begin[32];
    std::snprintf(begin, sizeof begin, "%lx-", static_cast<unsigned long>(reinterpret_cast<std::uintptr_t>(address)));
    bool is_here = false;
    for (std::string line; std::getline(maps, line);) {
        if (line.find('-') != std::string::npos && line.find(':') > line.find('-') && std::isxdigit(static_cast<unsigned char>(line[0]))) is_here = line.starts_with(begin);
        if (is_here && line.starts_with("Rss:")) return std::stoul(line.substr(4)) * 1024;
    }
    return 0;
}

TEST(ReleaseMapped, GivesPagesBackThatNobodyHasWrittenTo) {
    const std::filesystem::path path = std::filesystem::temp_directory_path() / "fovea_release_mapped";
    constexpr std::size_t size = std::size_t{4} << 20, page = 4096;
    {
        std::ofstream file(path, std::ios::binary);
        for (std::size_t i = 0; i < size; ++i) file.put(static_cast<char>(i % 251));
    }
    const MappedFile file(path.string());
    const std::shared_ptr<std::byte[]> bytes = file.piece(0, size);
    const auto sum = [&] {
        std::size_t total = 0;
        for (std::size_t i = 0; i < size; ++i) total += static_cast<std::size_t>(bytes[i]);
        return total;
    };
    std::size_t want = sum();
    ASSERT_GE(resident(bytes.get()), size / 2);
    // A byte of one's own must outlive what is given back around it.
    const std::size_t written = 100 * page + 5;
    want += 255 - static_cast<std::size_t>(bytes[written]);
    bytes[written] = std::byte{255};
    release_mapped(bytes.get(), size);
    if (std::ifstream("/proc/self/pagemap")) {
        EXPECT_LE(resident(bytes.get()), 4 * page);
    }
    EXPECT_EQ(bytes[written], std::byte{255});
    EXPECT_EQ(sum(), want);
    std::filesystem::remove(path);
}

TEST(ReleaseMapped, LeavesOtherMemoryAlone) {
    const std::shared_ptr<std::byte[]> own = allocate(1 << 20);
    own[12345] = std::byte{7};
    release_mapped(own.get(), 1 << 20);
    EXPECT_EQ(own[12345], std::byte{7});
}

}  // namespace
}  // namespace fovea
