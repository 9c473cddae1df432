#include <cstdlib>

#include "files.h"

namespace fovea {
namespace {

using test::floats;
using test::raw;
using test::refusal;

const std::string header = raw(std::int32_t{0}) + raw(std::int32_t{2}) + raw(std::int32_t{5}) + raw(std::uint64_t{32013312});
const std::string cfg = R"([net]
# a small network
height=8
width=6
channels=2

[convolutional]
batch_normalize=1
filters=4
size=3
stride=2
pad=1
groups=2
activation=leaky

[maxpool]
size=2
stride=1

[convolutional]
filters = 3
size=1

[route]
layers=-1, 0

[dropout]

[connected]
output=2
)";
// bias, scale, mean, variance, kernel [4, 1, 3, 3]; bias, kernel [3, 4, 1, 1]; bias, matrix of (3 + 4) * 4 * 3 inputs
const std::string values = floats(4, 1) + floats(4, 10) + floats(4, 20) + floats(4, 30) + floats(36, 100) + floats(3, 200) + floats(12, 300) + floats(2, 400) + floats(168, 500);

TEST(Darknet, TheCfgSaysWhichFloatsAreWhose) {
    Metadata metadata;
    const std::string file = header + values;
    const Parameters p = parse_weights(test::bytes_of(file), "x", &metadata, test::bytes_of(cfg));
    EXPECT_EQ(p.names(), (std::vector<std::string>{"layers.0.conv.weight", "layers.0.bn.weight", "layers.0.bn.bias", "layers.0.bn.running_mean", "layers.0.bn.running_var", "layers.2.conv.weight",
                                                   "layers.2.conv.bias", "layers.5.linear.weight", "layers.5.linear.bias"}));
    EXPECT_EQ(p.at("layers.0.conv.weight").shape(), (Shape{4, 1, 3, 3}));
    EXPECT_EQ(p.at("layers.0.conv.weight").at(0), 100);
    EXPECT_EQ(test::values_of(p.at("layers.0.bn.bias")), (std::vector<double>{1, 2, 3, 4}));
    EXPECT_EQ(test::values_of(p.at("layers.0.bn.weight")), (std::vector<double>{10, 11, 12, 13}));
    EXPECT_EQ(p.at("layers.0.bn.running_mean").at(0), 20);
    EXPECT_EQ(p.at("layers.0.bn.running_var").at(0), 30);
    EXPECT_EQ(p.at("layers.2.conv.weight").shape(), (Shape{3, 4, 1, 1}));
    EXPECT_EQ(p.at("layers.2.conv.bias").at(0), 200);
    EXPECT_EQ(p.at("layers.5.linear.weight").shape(), (Shape{2, 84}));
    EXPECT_EQ(p.at("layers.5.linear.weight").at(167), 667);
    EXPECT_EQ(metadata, (Metadata{{"darknet_version", "0.2.5"}, {"seen", "32013312"}}));
}

TEST(Darknet, AFileOfAnotherLengthThanTheCfgAsksForIsRefused) {
    EXPECT_EQ(refusal(header + values + floats(1, 0), cfg), "load 'x': byte 968: the cfg 'description' asks for 237 floats, the file has 238");
    EXPECT_EQ(refusal(header + values.substr(0, values.size() - 4), cfg), "load 'x': byte 296: layers.5.linear.weight takes 672 bytes, the file has 668 more");
    EXPECT_EQ(refusal(header + values), "load 'x': Darknet weights are floats without names: the network's .cfg is needed, beside the file or named");
}

TEST(Darknet, ADamagedCfgIsRefusedByLine) {
    const std::string file = header + values;
    EXPECT_EQ(refusal(file, "[convolutional]\n"), "read 'description': a Darknet .cfg begins with [net]");
    EXPECT_EQ(refusal(file, "[net]\nchannels\n"), "read 'description': line 2: 'name=value' is expected, got 'channels'");
    EXPECT_EQ(refusal(file, "[net]\n[convolutional]\nfilters=many\n"), "read 'description': line 2: filters of [convolutional] is a whole number, got 'many'");
    EXPECT_EQ(refusal(file, "[net]\n[convolutional]\nfilters=-4\n"), "read 'description': line 2: filters of [convolutional] must be positive, got -4");
    EXPECT_EQ(refusal(file, "[net]\n[route]\nlayers=7\n"), "read 'description': line 2: [route] refers to layer 7, there are 0 before it");
    EXPECT_EQ(refusal(file, "[net]\n[shortcut]\nfrom=\n"), "read 'description': line 2: from of [shortcut] names no layer");
    EXPECT_EQ(refusal(file, "[net]\n[gru]\n"), "read 'description': line 2: layers [gru] are not read");
    // More values than the file has are never asked memory for.
    EXPECT_EQ(refusal(file, "[net]\nchannels=16000000\n[convolutional]\nfilters=16000000\nsize=16000000\n"), "load 'x': byte 20: layers.0.conv.bias [16000000] is more than the file's 948 bytes");
}

TEST(Darknet, ThePublishedYoloFastestIsReadToItsLastFloat) {
    const char* data = std::getenv("FOVEA_DATA");
    if (data == nullptr) GTEST_SKIP() << "FOVEA_DATA is not set";
    const Parameters p = load_weights(std::string(data) + "/weights/yolo_fastest/yolo-fastest-1.1.weights");
    std::int64_t count = 0;
    for (const std::string& name : p.names()) count += p.at(name).elements();
    EXPECT_EQ(count, 346062);
    EXPECT_EQ(p.at("layers.0.conv.weight").shape(), (Shape{8, 3, 3, 3}));
    // Variances come fourth of five in the file: one float of shift and some would be negative.
    for (const std::string& name : p.names())
        if (name.ends_with("running_var")) {
            for (const double value : test::values_of(p.at(name))) ASSERT_GE(value, 0) << name;
        }
}

}  // namespace
}  // namespace fovea
