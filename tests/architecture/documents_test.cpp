// What the documents show is what is built and tested: their code blocks are the examples' text.

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "places.h"

namespace {

std::string read(const std::string& path) {
    std::ifstream file(fovea::test::source_path(path));
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

std::vector<std::string> code_blocks(const std::string& text, const std::string& language) {
    std::vector<std::string> blocks;
    const std::string fence = "```" + language + "\n";
    for (std::size_t at = text.find(fence); at != std::string::npos; at = text.find(fence, at)) {
        at += fence.size();
        const std::size_t end = text.find("```", at);
        blocks.push_back(text.substr(at, end - at));
        at = end + 3;
    }
    return blocks;
}

TEST(Documents, TheReadmesExampleIsTheOneThatIsRun) {
    const auto blocks = code_blocks(read("README.md"), "cpp");
    ASSERT_EQ(blocks.size(), 1u);
    EXPECT_EQ(blocks[0], read("examples/fashion.cpp"));
}

TEST(Documents, TheRewriteOfAGraphIsTheOneThatIsRun) {
    const auto blocks = code_blocks(read("docs/skip-connections.md"), "cpp");
    ASSERT_EQ(blocks.size(), 1u);
    EXPECT_EQ(blocks[0], read("examples/skip_connections.cpp"));
}

TEST(Documents, EveryFolderIsInTheArchitecture) {
    const std::string text = read("docs/architecture.md");
    std::istringstream lines(read("cmake/arrows.txt"));
    std::size_t last = 0;
    for (std::string line; std::getline(lines, line);) {
        if (line.empty() || line[0] == '#') continue;
        const std::string folder = line.substr(0, line.find(':'));
        const std::size_t at = text.find("**`" + folder + "`**");
        EXPECT_NE(at, std::string::npos) << folder;
        EXPECT_GT(at, last) << folder << " is out of order";
        last = at;
    }
}

}  // namespace
