// Every format's files cut off everywhere and with bits flipped everywhere: parameters or one sentence, nothing else.
#include <filesystem>

#include "files.h"

namespace fovea {
namespace {

std::vector<std::string> samples() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(test::fixture("")))
        if (const std::string name = entry.path().filename().string(); !name.ends_with(".py")) names.push_back(name);
    std::ranges::sort(names);
    return names;
}

class Damaged : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Fixtures, Damaged, testing::ValuesIn(samples()), [](const auto& test) {
    std::string name = test.param;
    std::ranges::replace_if(name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
    return name;
});

/// True when it is refused; any other exception fails the test.
bool is_refused(const std::string& bytes) {
    try {
        (void)parse_weights(test::bytes_of(bytes), "x");
        return false;
    } catch (const FormatError& error) {
        const std::string_view message = error.what();
        EXPECT_TRUE(message.starts_with("load 'x': ")) << message;
        EXPECT_EQ(message.find('\n'), std::string_view::npos) << message;
        EXPECT_LT(message.size(), 500U) << message;
        return true;
    }
}

TEST_P(Damaged, CutOffAnywhereIsRefused) {
    const std::string file = test::content(test::fixture(GetParam()));
    const std::size_t step = std::max<std::size_t>(1, file.size() / 200);
    for (std::size_t length = 0; length < file.size(); length += step) EXPECT_TRUE(is_refused(file.substr(0, length))) << length;
}

TEST_P(Damaged, FlippedBitsGiveParametersOrASentence) {
    std::string file = test::content(test::fixture(GetParam()));
    const std::size_t step = std::max<std::size_t>(1, file.size() / 500);
    for (std::size_t at = 0; at < file.size(); at += step)
        for (const int bit : {0, 3, 7}) {
            const char before = file[at];
            file[at] = static_cast<char>(before ^ (1 << bit));
            (void)is_refused(file);
            file[at] = before;
        }
}

}  // namespace
}  // namespace fovea
