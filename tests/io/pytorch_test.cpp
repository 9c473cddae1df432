#include <cstdlib>

#include "files.h"

namespace fovea {
namespace {

using test::content;
using test::fixture;

class PyTorchFile : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(BothContainers, PyTorchFile, testing::Values("checkpoint.pth", "checkpoint_old.pth"));

TEST_P(PyTorchFile, GivesEveryTensorOfTheStateDict) {
    Metadata metadata;
    const Parameters p = load_weights(fixture(GetParam()), &metadata);
    EXPECT_EQ(p.names(), (std::vector<std::string>{"conv.weight", "conv.view", "half", "brain", "double", "long", "short", "flag", "bn.num_batches_tracked", "parameter"}));
    EXPECT_EQ(p.at("conv.weight").shape(), (Shape{2, 3, 4}));
    EXPECT_EQ(p.at("conv.weight").at(23), 23.0 / 8);
    EXPECT_EQ(p.at("conv.view").shape(), (Shape{4, 3}));
    EXPECT_EQ(test::values_of(p.at("conv.view")), (std::vector<double>{1.5, 2, 2.5, 1.625, 2.125, 2.625, 1.75, 2.25, 2.75, 1.875, 2.375, 2.875}));
    EXPECT_EQ(test::values_of(p.at("half")), (std::vector<double>{1.5, -0.25, 65504}));
    EXPECT_EQ(test::values_of(p.at("brain")), (std::vector<double>{1.5, -3}));
    EXPECT_EQ(p.at("double").dtype(), DType::f64);
    EXPECT_EQ(test::values_of(p.at("double")), (std::vector<double>{0.1, 0.2}));
    EXPECT_EQ(p.at("long").data<std::int64_t>()[1], std::int64_t{1} << 40);
    EXPECT_EQ(test::values_of(p.at("short")), (std::vector<double>{-7, 300}));
    EXPECT_EQ(test::values_of(p.at("flag")), (std::vector<double>{1, 0, 1}));
    EXPECT_EQ(p.at("bn.num_batches_tracked").shape(), Shape{});
    EXPECT_EQ(p.at("bn.num_batches_tracked").at(0), 5);
    EXPECT_EQ(metadata, (Metadata{{"arch", "tiny"}, {"best_prec1", "91.7"}, {"epoch", "3"}}));
}

TEST(PyTorchFiles, AnythingButTensorsAndContainersIsRefusedByName) {
    const std::string message = test::message_of<FormatError>([] { (void)load_pytorch(fixture("attack.pth")); });
    EXPECT_NE(message.find("'posix.system' is not a tensor or a plain container and is not loaded"), std::string::npos) << message;
}

TEST(PyTorchFiles, AHugeExpandedTensorIsRefused) {
    using namespace std::string_literals;
    const std::string preamble = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."s + "\x80\x02M\xe9\x03."s + "\x80\x02}."s;  // magic, protocol 1001, system
    // _rebuild_tensor_v2(storage of one float, offset 0, size (2^31 - 1,), stride (0,), False, None)
    const std::string tensor = "\x80\x02" "ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01" "0U\x03" "cpuK\x01tQ"s + "K\0J\xff\xff\xff\x7f\x85K\0\x85\x89NtR."s;
    const std::string file = preamble + tensor;
    EXPECT_EQ(test::message_of<FormatError>([&] { (void)parse_pytorch(std::as_bytes(std::span(file.data(), file.size())), "x"); }),
              "load 'x': pickle at byte 93: a tensor of 2147483647 elements reaching element 0 of a storage of 1");
}

/// A stream of the older form around one pickled object and its storages.
std::string stream(const std::string& object, const std::string& rest = {}) {
    using namespace std::string_literals;
    return "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."s + "\x80\x02M\xe9\x03."s + "\x80\x02}U\x0dlittle_endian\x88s."s + "\x80\x02" + object + "." + rest;
}

TEST(PyTorchFiles, AContainerThatHoldsItselfIsRefused) {
    EXPECT_EQ(test::refusal(stream("]q\x01h\x01"
                                   "a")),
              "load 'x': pickle at byte 0: 1 bytes are needed, 0 are left");
    EXPECT_NE(test::refusal(stream("]q\x01h\x01"
                                   "a",
                                   "\x80\x02]."))
                  .find("containers nested too deeply"),
              std::string::npos);
}

TEST(PyTorchFiles, ABigEndianFileIsRefused) {
    std::string file = stream("}");
    file.replace(file.find("\x88s."), 1, "\x89");
    EXPECT_EQ(test::refusal(file), "load 'x': written on a big-endian machine");
}

TEST(PyTorchFiles, NegativeSizesAreRefused) {
    using namespace std::string_literals;
    const std::string tensor = "ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x01" "0U\x03" "cpuK\x01tQ"s + "K\0J\xff\xff\xff\xff\x85K\x01\x85\x89NtR"s;
    EXPECT_NE(test::refusal(stream(tensor)).find("a size or stride is not a whole number"), std::string::npos);
}

TEST(PyTorchFiles, TheOtherPublishedCheckpointsLoadCompletely) {
    const char* data = std::getenv("FOVEA_DATA");
    if (data == nullptr) GTEST_SKIP() << "FOVEA_DATA is not set";
    const std::string folder = std::string(data) + "/weights/";
    EXPECT_EQ(test::scalars_of(load_weights(folder + "blazeface/blazeface.pth")), 101390);
    EXPECT_EQ(test::scalars_of(load_weights(folder + "blazeface/blazefaceback.pth")), 136240);
    EXPECT_EQ(load_weights(folder + "yunet/yunet_n.pth").size(), 208U);
}

TEST(PyTorchFiles, ThePublishedResNetWeightsLoad) {
    const char* data = std::getenv("FOVEA_DATA");
    if (data == nullptr) GTEST_SKIP() << "FOVEA_DATA is not set";
    Metadata metadata;
    const Parameters p = load_weights(std::string(data) + "/weights/resnet_cifar10/resnet20-12fca82f.th", &metadata);
    EXPECT_EQ(p.names().front(), "module.conv1.weight");
    EXPECT_EQ(p.at("module.linear.weight").shape(), (Shape{10, 64}));
    EXPECT_TRUE(metadata.contains("best_prec1"));
    std::int64_t values = 0;
    for (const auto& name : p.names())
        if (name.find("running") == std::string::npos && name.find("tracked") == std::string::npos) values += p.at(name).elements();
    EXPECT_EQ(values, 269722);
}

}  // namespace
}  // namespace fovea
