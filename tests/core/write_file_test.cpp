// Files that are replaced in one step.
#include <filesystem>
#include <fstream>
#include <sstream>

#include <unistd.h>

#include "fovea/core.h"
#include "support.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

std::string text_of(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

class WriteFile : public testing::Test {
protected:
    WriteFile() : folder(fs::path(testing::TempDir()) / ("write_file_" + std::to_string(::getpid()))) { fs::create_directories(folder); }
    ~WriteFile() override { fs::remove_all(folder); }
    [[nodiscard]] std::string path(const std::string& name) const { return (folder / name).string(); }
    fs::path folder;
};

TEST_F(WriteFile, ReplacesAndLeavesNothingElse) {
    write_file_atomically(path("a"), "first");
    write_file_atomically(path("a"), "second");
    EXPECT_EQ(text_of(path("a")), "second");
    EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator()), 1);
}

TEST_F(WriteFile, ALinkStaysOne) {
    write_file_atomically(path("a"), "old");
    fs::create_symlink("a", path("link"));
    write_file_atomically(path("link"), "new");
    EXPECT_TRUE(fs::is_symlink(path("link")));
    EXPECT_EQ(text_of(path("a")), "new");
}

TEST_F(WriteFile, ADeviceIsWrittenToAndGivesItsReason) {
    fs::create_symlink("/dev/full", path("full"));  // through a link: were the name replaced, it would be the link's
    EXPECT_EQ(test::message_of<Error>([&] { write_file_atomically(path("full"), "text"); }), "write '" + path("full") + "': No space left on device after 0 of 4 bytes");
    EXPECT_TRUE(fs::is_symlink(path("full")));
}

TEST_F(WriteFile, ADirectoryThatIsNotThereIsNamed) {
    EXPECT_EQ(test::message_of<Error>([&] { write_file_atomically(path("none/a"), "text"); }), "write '" + path("none/a") + "': No such file or directory");
    fs::create_directory(path("folder"));
    EXPECT_EQ(test::message_of<Error>([&] { write_file_atomically(path("folder"), "text"); }), "write '" + path("folder") + "': Is a directory");
}

}  // namespace
}  // namespace fovea
