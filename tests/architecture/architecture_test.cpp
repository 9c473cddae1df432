// Reads every #include of src/ and include/fovea and holds it against cmake/arrows.txt and the list of wrapped libraries.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "places.h"

namespace {

namespace fs = std::filesystem;

const fs::path root = fovea::test::source_path("");

std::string read(const fs::path& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

/// folder -> the folders it may include, itself among them.
std::map<std::string, std::set<std::string>> read_arrows() {
    std::map<std::string, std::set<std::string>> arrows;
    std::istringstream lines(read(root / "cmake/arrows.txt"));
    for (std::string line; std::getline(lines, line);) {
        if (line.empty() || line[0] == '#') continue;
        std::istringstream words(line);
        std::string folder;
        words >> folder;
        folder.pop_back();  // the colon
        std::set<std::string>& allowed = arrows[folder];
        allowed.insert(folder);
        for (std::string other; words >> other;) allowed.insert(other);
    }
    return arrows;
}

/// A library's headers, and the only places that may include them: STYLE.md, "Layout".
struct Wrapped {
    std::regex header;
    std::vector<std::string> places;
};
const std::vector<Wrapped>& wrapped() {
    static const std::vector<Wrapped> list{
        {std::regex("(oneapi/dnnl/.*|dnnl.*)"), {"src/backends/cpu/"}},
        {std::regex("hwy/.*"), {"src/backends/cpu/"}},
        {std::regex("(cuda|cudnn|cublas|nvrtc).*"), {"src/backends/cuda/"}},
        {std::regex("(jpeglib|jerror|jmorecfg|turbojpeg|png|pngconf)\\.h"), {"src/image/"}},
        {std::regex("(archive|archive_entry|zlib)\\.h"), {"src/data/", "src/io/"}},
        {std::regex("mpi\\.h"), {"src/comm/mpi/"}},
        {std::regex("(google/protobuf/.*|.*\\.pb\\.h)"), {"src/io/"}},
    };
    return list;
}

/// Folder a public header counts as, from its path below include/fovea: graph.h, ops/losses.h.
std::string folder_of_public(const fs::path& below) { return below.begin()->stem().string(); }

/// The folder an include of `file` points at; "" when it is not one of ours.
std::string folder_of(const std::string& file, const std::string& header, const std::map<std::string, std::set<std::string>>& arrows) {
    const std::string first = header.substr(0, header.find('/'));
    if (first == "fovea") return folder_of_public(header.substr(first.size() + 1));
    if (arrows.contains(first) && header.find('/') != std::string::npos) return first;
    return fs::path(file).begin() == fs::path(file).end() ? "" : (++fs::path(file).begin())->string();  // beside the file
}

/// What is wrong with the includes of one file, a sentence each. `file` is relative to the root.
std::vector<std::string> problems(const std::string& file, const std::string& text, const std::map<std::string, std::set<std::string>>& arrows) {
    const bool is_public = file.starts_with("include/");
    const std::string own = is_public ? folder_of_public(fs::path(file).lexically_relative("include/fovea")) : (++fs::path(file).begin())->string();
    std::vector<std::string> found;
    if (own == "fovea") return found;  // fovea.h includes all
    if (!arrows.contains(own)) return {file + ": folder '" + own + "' is not in cmake/arrows.txt"};
    static const std::regex include(R"(^\s*#\s*include\s*([<"])([^>"]+)[>"])");
    std::istringstream lines(text);
    int number = 0;
    for (std::string line; std::getline(lines, line);) {
        ++number;
        std::smatch match;
        if (!std::regex_search(line, match, include)) continue;
        const std::string header = match[2];
        const std::string where = file + ":" + std::to_string(number) + ": ";
        if (match[1] == "\"" || header.starts_with("fovea/")) {
            const std::string folder = folder_of(file, header, arrows);
            if (folder == "fovea") found.push_back(where + "only users include fovea.h");
            else if (!arrows.contains(folder)) found.push_back(where + "\"" + header + "\" is in no folder of cmake/arrows.txt");
            else if (!arrows.at(own).contains(folder)) found.push_back(where + own + " may not include " + folder + " (\"" + header + "\"): a back arrow");
            if (is_public && !header.starts_with("fovea/")) found.push_back(where + "a public header includes private \"" + header + "\"");
            continue;
        }
        if (is_public && header.find_first_of("./") != std::string::npos) found.push_back(where + "a public header includes <" + header + ">, which is not the standard library's");
        for (const Wrapped& library : wrapped()) {
            if (!std::regex_match(header, library.header)) continue;
            bool is_allowed = false;
            for (const std::string& place : library.places) is_allowed |= file.starts_with(place);
            if (!is_allowed) found.push_back(where + "<" + header + "> belongs in " + library.places.front());
        }
    }
    return found;
}

TEST(Architecture, EveryIncludeFollowsTheArrows) {
    const auto arrows = read_arrows();
    ASSERT_GE(arrows.size(), 15u);
    int files = 0;
    for (const char* top : {"src", "include/fovea"}) {
        for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
            const std::string extension = entry.path().extension().string();
            if (extension != ".cpp" && extension != ".h") continue;
            ++files;
            for (const std::string& problem : problems(fs::relative(entry.path(), root).string(), read(entry.path()), arrows)) ADD_FAILURE() << problem;
        }
    }
    EXPECT_GT(files, 30);
}

TEST(Architecture, ArrowsHaveNoWayBack) {
    // In the order of the file, each folder may use earlier ones alone: so there is no circle.
    std::set<std::string> earlier;
    std::istringstream lines(read(root / "cmake/arrows.txt"));
    const auto arrows = read_arrows();
    for (std::string line; std::getline(lines, line);) {
        if (line.empty() || line[0] == '#') continue;
        const std::string folder = line.substr(0, line.find(':'));
        earlier.insert(folder);
        for (const std::string& other : arrows.at(folder)) EXPECT_TRUE(earlier.contains(other)) << folder << " -> " << other;
    }
}

TEST(Architecture, ABrokenIncludeIsFound) {
    const auto arrows = read_arrows();
    const auto one = [&](const std::string& file, const std::string& include) {
        const auto found = problems(file, "// a comment\n#include " + include + "\n", arrows);
        return found.size() == 1 ? found[0] : std::to_string(found.size()) + " problems";
    };
    EXPECT_EQ(one("src/graph/graph.cpp", "\"ops/conv2d.h\""), "src/graph/graph.cpp:2: graph may not include ops (\"ops/conv2d.h\"): a back arrow");
    EXPECT_EQ(one("src/core/shape.cpp", "\"fovea/graph.h\""), "src/core/shape.cpp:2: core may not include graph (\"fovea/graph.h\"): a back arrow");
    EXPECT_EQ(one("include/fovea/graph.h", "\"fovea/train.h\""), "include/fovea/graph.h:2: graph may not include train (\"fovea/train.h\"): a back arrow");
    EXPECT_EQ(one("include/fovea/ops/losses.h", "\"fovea/runtime.h\""), "include/fovea/ops/losses.h:2: ops may not include runtime (\"fovea/runtime.h\"): a back arrow");
    EXPECT_EQ(one("src/graph/graph.cpp", "\"fovea/ops/losses.h\""), "src/graph/graph.cpp:2: graph may not include ops (\"fovea/ops/losses.h\"): a back arrow");
    EXPECT_EQ(one("include/fovea/core.h", "<fmt/format.h>"), "include/fovea/core.h:2: a public header includes <fmt/format.h>, which is not the standard library's");
    EXPECT_EQ(one("include/fovea/graph.h", "\"core/text.h\""), "include/fovea/graph.h:2: a public header includes private \"core/text.h\"");
    EXPECT_EQ(one("src/runtime/compile.cpp", "<oneapi/dnnl/dnnl.hpp>"), "src/runtime/compile.cpp:2: <oneapi/dnnl/dnnl.hpp> belongs in src/backends/cpu/");
    EXPECT_EQ(one("src/data/folder.cpp", "<jpeglib.h>"), "src/data/folder.cpp:2: <jpeglib.h> belongs in src/image/");
    EXPECT_EQ(one("src/models/lenet.cpp", "<archive.h>"), "src/models/lenet.cpp:2: <archive.h> belongs in src/data/");
    EXPECT_EQ(one("src/train/trainer.cpp", "\"fovea/fovea.h\""), "src/train/trainer.cpp:2: only users include fovea.h");
    EXPECT_EQ(one("src/graph/graph.cpp", "\"core/text.h\""), "0 problems");
    EXPECT_EQ(one("src/image/png.cpp", "<png.h>"), "0 problems");
    EXPECT_EQ(one("src/image/png.cpp", "\"codecs.h\""), "0 problems");
}

}  // namespace
