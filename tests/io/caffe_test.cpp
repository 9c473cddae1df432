#include <cstdlib>

#include "files.h"

namespace fovea {
namespace {

using test::floats;
using test::raw;
using test::refusal;

// ---- a .caffemodel by hand: protobuf's wire format ----

std::string varint(std::uint64_t value) {
    std::string bytes;
    for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
    return bytes + static_cast<char>(value);
}
std::string number(int field, std::int64_t value) { return varint(static_cast<std::uint64_t>(field) << 3) + varint(static_cast<std::uint64_t>(value)); }
std::string message(int field, const std::string& content) { return varint(static_cast<std::uint64_t>(field) << 3 | 2) + varint(content.size()) + content; }

std::string blob(std::initializer_list<std::int64_t> shape, const std::string& values) {
    std::string dims;
    for (const std::int64_t dim : shape) dims += varint(static_cast<std::uint64_t>(dim));
    return message(7, message(1, dims)) + message(5, values);
}
std::string old_blob(std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w, const std::string& values) {
    return number(1, n) + number(2, c) + number(3, h) + number(4, w) + message(5, values);
}
std::string layer(const std::string& name, const std::string& type, const std::string& bottom, const std::string& top, const std::vector<std::string>& blobs) {
    std::string text = message(1, name) + message(2, type) + message(3, bottom) + message(4, top);
    for (const std::string& b : blobs) text += message(7, b);
    return message(100, text);
}

const std::string net = message(1, "small") + layer("data", "Input", "", "data", {}) + layer("conv1", "Convolution", "data", "c", {blob({2, 1, 1, 2}, floats(4, 1)), blob({2}, floats(2, 5))}) +
                        layer("bn", "BatchNorm", "c", "n", {blob({2}, floats(2, 10)), blob({2}, floats(2, 20)), blob({1}, floats(1, 2))}) +
                        layer("scale", "Scale", "n", "n", {blob({2}, floats(2, 30)), blob({2}, floats(2, 40))}) +
                        layer("fc", "InnerProduct", "n", "f", {blob({3, 2}, floats(6, 50)), blob({3}, floats(3, 60))});

TEST(Caffe, LayersGiveTheirNamesAndBatchNormWithScaleBecomesOne) {
    Metadata metadata;
    const Parameters p = parse_weights(test::bytes_of(net), "x", &metadata);
    EXPECT_EQ(p.names(), (std::vector<std::string>{"conv1.weight", "conv1.bias", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var", "fc.weight", "fc.bias"}));
    EXPECT_EQ(p.at("conv1.weight").shape(), (Shape{2, 1, 1, 2}));
    EXPECT_EQ(test::values_of(p.at("bn.weight")), (std::vector<double>{30, 31}));
    EXPECT_EQ(test::values_of(p.at("bn.running_mean")), (std::vector<double>{5, 5.5}));  // 10 and 11, summed twice
    EXPECT_EQ(test::values_of(p.at("bn.running_var")), (std::vector<double>{10, 10.5}));
    EXPECT_EQ(p.at("fc.weight").shape(), (Shape{3, 2}));
    EXPECT_EQ(metadata, (Metadata{{"name", "small"}}));
}

TEST(Caffe, TheFormsOf2013And2014AreRead) {
    const std::vector<std::string> blobs{old_blob(2, 1, 1, 2, floats(4, 1)), old_blob(1, 1, 1, 2, floats(2, 5))}, matrices{old_blob(1, 1, 3, 2, floats(6, 1)), old_blob(1, 1, 1, 3, floats(3, 9))};
    std::string v1, v0;
    v1 += message(2, message(4, "conv") + number(5, 4) + message(6, blobs[0]) + message(6, blobs[1])) + message(2, message(4, "ip") + number(5, 14) + message(6, matrices[0]) + message(6, matrices[1]));
    v0 += message(2, message(1, message(1, "conv") + message(2, "conv") + message(50, blobs[0]) + message(50, blobs[1]))) +
          message(2, message(1, message(1, "ip") + message(2, "innerproduct") + message(50, matrices[0]) + message(50, matrices[1])));
    for (const std::string& file : {v1, v0}) {
        const Parameters p = parse_weights(test::bytes_of(file), "x");
        EXPECT_EQ(p.names(), (std::vector<std::string>{"conv.weight", "conv.bias", "ip.weight", "ip.bias"}));
        EXPECT_EQ(p.at("conv.weight").shape(), (Shape{2, 1, 1, 2}));
        EXPECT_EQ(p.at("conv.bias").shape(), Shape{2});
        EXPECT_EQ(p.at("ip.weight").shape(), (Shape{3, 2}));
        EXPECT_EQ(p.at("ip.bias").at(2), 11);
    }
}

TEST(Caffe, APrototxtChoosesAndChecksLayers) {
    const auto names = [](const std::string& prototxt) { return parse_weights(test::bytes_of(net), "x", nullptr, test::bytes_of(prototxt)).names(); };
    EXPECT_EQ(names(R"(name: 'deploy' # as shipped
        input: "data" input_dim: 1
        layer { name: "fc" type: "InnerProduct" bottom: "n" inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
        layer { name: "relu" type: "ReLU" param: { lr_mult: [1, 2.5e-3] } }
        layer { name: "conv1", type: "Convolution"; convolution_param < num_output: 2 > })"),
              (std::vector<std::string>{"fc.weight", "fc.bias", "conv1.weight", "conv1.bias"}));
    const auto refused = [](const std::string& prototxt) { return refusal(net, prototxt); };
    EXPECT_EQ(refused("layer { name: 'fc8' inner_product_param { num_output: 4 } }"), "load 'x': 'description' wants weights of layer 'fc8', the file has none");
    EXPECT_EQ(refused("layer { name: 'fc' inner_product_param { num_output: 4 } }"), "load 'x': layer 'fc' has 3 outputs, 'description' says 4");
    EXPECT_EQ(refused("layer {\n name: 'fc'"), "read 'description': line 2: a message without end");
    EXPECT_EQ(refused("layer {\n name 'fc' }"), "read 'description': line 2: ':' or '{' is expected behind 'name', got 'fc'");
    EXPECT_EQ(refused("}"), "read 'description': line 1: a '}' too many");
    EXPECT_EQ(refused("a: 'b"), "read 'description': line 1: a text without end");
    std::string deep;
    for (int i = 0; i < 100; ++i) deep += "a { ";
    EXPECT_EQ(refused(deep), "read 'description': line 1: messages nested too deeply");
}

TEST(Caffe, ABlobThatIsNotItsShapeIsRefused) {
    const auto with = [](const std::string& b) { return layer("fc", "InnerProduct", "a", "b", {b}); };
    EXPECT_EQ(refusal(with(blob({3, 2}, floats(5, 1)))), "load 'x': a blob of 'fc' is [3, 2] but has 5 values");
    EXPECT_EQ(refusal(with(blob({-3, -2}, floats(6, 1)))), "load 'x': a blob of 'fc' is [-3, -2] but has 6 values");
    EXPECT_EQ(refusal(with(blob({1LL << 40, 1LL << 40}, floats(1, 1)))), "load 'x': a blob of 'fc' is [1099511627776, 1099511627776] but has 1 values");
    EXPECT_EQ(refusal(with(blob({2}, floats(2, 1))) + with(blob({2}, floats(2, 1)))), "load 'x': 'fc.weight' stands twice");
    EXPECT_EQ(refusal(layer("relu", "ReLU", "a", "b", {})), "load 'x': a Caffe network without weights");
}

TEST(Caffe, ThePublishedLeNetAndUltraFaceLoadCompletely) {
    const char* data = std::getenv("FOVEA_DATA");
    if (data == nullptr) GTEST_SKIP() << "FOVEA_DATA is not set";
    const std::string folder = std::string(data) + "/weights/";
    const Parameters lenet = load_weights(folder + "lenet_mnist/lenet_iter_10000.caffemodel", nullptr, folder + "lenet_mnist/lenet.prototxt");
    EXPECT_EQ(lenet.names(), (std::vector<std::string>{"conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "ip1.weight", "ip1.bias", "ip2.weight", "ip2.bias"}));
    EXPECT_EQ(test::scalars_of(lenet), 431080);
    const Parameters face = load_weights(folder + "ultraface/RFB-320.caffemodel"), deployed = load_weights(folder + "ultraface/RFB-320.caffemodel", nullptr, folder + "ultraface/RFB-320.prototxt");
    EXPECT_EQ(face.names(), deployed.names());
    for (const std::string& name : face.names())
        for (const double value : test::values_of(face.at(name))) ASSERT_TRUE(std::isfinite(value)) << name;
}

}  // namespace
}  // namespace fovea
