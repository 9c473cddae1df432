// The zip of torch.save: what may stand in it, and what fovea writes.
#include <zlib.h>

#include "files.h"
#include "io/zip.h"

namespace fovea {
namespace {

using test::raw;
using test::refusal;

Source source_of(const std::string& bytes) { return {test::bytes_of(bytes), "x"}; }

std::string zip_refusal(const std::string& bytes) {
    return test::message_of<FormatError>([&] {
        const ZipReader zip(source_of(bytes));
        std::vector<std::byte> unpacked;
        for (const auto& member : zip.members()) (void)zip.read(member, unpacked);
    });
}

std::string two_members() {
    ZipWriter zip;
    zip.add("a", "first");
    zip.add("../../b", std::string(200, 'b'));
    return zip.finish();
}

/// `bytes` with the number at the `nth` place where `before` ends replaced.
template <class T> std::string with(std::string bytes, std::size_t at, T value) { return bytes.replace(at, sizeof value, raw(value)); }

std::size_t directory_of(const std::string& zip) { return zip.find("PK\x01\x02"); }

TEST(Zip, MembersComeBackAndLieOnCacheLines) {
    const std::string bytes = two_members();
    const ZipReader zip(source_of(bytes));
    ASSERT_EQ(zip.members().size(), 2U);
    EXPECT_EQ(zip.members()[1].name, "../../b");  // a name, never a path: nothing is unpacked to disk
    std::vector<std::byte> unpacked;
    for (const auto& member : zip.members()) EXPECT_EQ((zip.read(member, unpacked).data() - test::bytes_of(bytes).data()) % 64, 0);
    EXPECT_EQ(zip.read(zip.members()[0], unpacked).size(), 5U);
    EXPECT_EQ(bytes, two_members());
}

TEST(Zip, EveryDamageIsOneSentence) {
    const std::string zip = two_members();
    const std::size_t directory = directory_of(zip), second = zip.find("PK\x01\x02", directory + 1), end = zip.find("PK\x05\x06"), data = zip.find("first");
    EXPECT_EQ(zip_refusal(with(zip, data, 'F')), "load 'x': member 'a' is damaged: checksum 53b0c153, its entry says 9271ee57");
    EXPECT_EQ(zip_refusal(with(zip, directory + 8, std::uint16_t{1})), "load 'x': zip: member 'a' is encrypted");
    EXPECT_EQ(zip_refusal(with(zip, directory + 10, std::uint16_t{99})), "load 'x': zip: member 'a' is packed with method 99, read are 0 (stored) and 8 (deflate)");
    EXPECT_EQ(zip_refusal(with(zip, directory + 24, std::uint32_t{1'000'000'000})), "load 'x': zip: member 'a' is stored in 5 bytes but has 1000000000");
    EXPECT_EQ(zip_refusal(with(zip, directory + 42, std::uint32_t{7})), "load 'x': zip: member 'a' does not begin at byte 7");
    EXPECT_EQ(zip_refusal(with(zip, directory + 46, 'z')), "load 'x': zip: member 'z' has another name where it lies");
    EXPECT_EQ(zip_refusal(with(zip, second, 'X')), "load 'x': zip: entry 1 of its directory is damaged");
    EXPECT_EQ(zip_refusal(with(zip, end + 10, std::uint16_t{60000})), "load 'x': zip: 60000 members in a directory of 100 bytes");
    EXPECT_EQ(zip_refusal(zip.substr(0, zip.size() - 1)), "load 'x': a zip without its directory: the file is cut off");
    // The directory names the first member twice: what it holds would count twice.
    std::string twice = zip.substr(0, second) + zip.substr(directory, second - directory);
    twice += with(zip.substr(end), 12, static_cast<std::uint32_t>(2 * (second - directory)));
    EXPECT_EQ(zip_refusal(twice), "load 'x': zip: the members at 0 and 0 overlap");
}

/// One deflated member that claims to unpack to `claim` bytes.
std::string packed(const std::string& content, std::uint32_t claim) {
    uLongf size = compressBound(static_cast<uLong>(content.size()));
    std::string stream(size, '\0');
    compress2(reinterpret_cast<Bytef*>(stream.data()), &size, reinterpret_cast<const Bytef*>(content.data()), static_cast<uLong>(content.size()), 9);
    const std::string deflated = stream.substr(2, size - 6);  // without zlib's own head and tail
    const auto crc = static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()));
    const std::string common = raw(std::uint16_t{20}) + raw(std::uint16_t{0}) + raw(std::uint16_t{8}) + raw(std::uint32_t{0}) + raw(crc) + raw(static_cast<std::uint32_t>(deflated.size())) + raw(claim) +
                               raw(std::uint16_t{1}) + raw(std::uint16_t{0});
    const std::string local = "PK\x03\x04" + common + "m" + deflated, entry = "PK\x01\x02" + raw(std::uint16_t{20}) + common + std::string(14, '\0') + "m";
    return local + entry + "PK\x05\x06" + std::string(4, '\0') + raw(std::uint16_t{1}) + raw(std::uint16_t{1}) + raw(static_cast<std::uint32_t>(entry.size())) + raw(static_cast<std::uint32_t>(local.size())) +
           std::string(2, '\0');
}

TEST(Zip, APackedMemberIsUnpackedToItsClaimAndNoFurther) {
    const std::string content(1000, 'c');
    const std::string bytes = packed(content, 1000);
    const ZipReader zip(source_of(bytes));
    std::vector<std::byte> unpacked;
    EXPECT_EQ(zip.read(zip.members()[0], unpacked).size(), 1000U);
    EXPECT_EQ(zip_refusal(packed(content, 999)), "load 'x': zip: member 'm' is damaged: it unpacks to 999 bytes, its entry says 999");
    EXPECT_EQ(zip_refusal(packed(content, 1001)), "load 'x': zip: member 'm' is damaged: it unpacks to 1000 bytes, its entry says 1001");
    EXPECT_EQ(zip_refusal(packed(std::string(1'000'000, 'c'), 1'000'000)), "load 'x': zip: member 'm' unpacks to 1000000 bytes, more than 32 times the file");
}

// ---- PyTorch's side ----

Parameters sample() {
    Parameters p;
    p.set("conv.weight", Tensor::of({1.F, -2.F, 3.5F, 4.F, 5.F, 6.F}, {2, 3}));
    p.set("bn.num_batches_tracked", Tensor::of({std::int64_t{-7}}, {}));
    p.set("double", Tensor::of({0.1, 0.2}, {2, 1, 1}));
    p.set("bytes", Tensor::of({std::uint8_t{1}, std::uint8_t{255}}, {2}));
    p.set("ints", Tensor::of({-1, 2}, {1, 2}));
    p.set("empty", Tensor(Shape{0, 4}));
    return p;
}

TEST(ToPyTorch, WhatIsWrittenIsReadAgain) {
    const Parameters saved = sample();
    const std::string bytes = to_pytorch(saved);
    const Parameters loaded = parse_weights(test::bytes_of(bytes), "x");
    EXPECT_EQ(loaded.names(), saved.names());
    for (const auto& name : saved.names()) {
        EXPECT_EQ(loaded.at(name).shape(), saved.at(name).shape()) << name;
        EXPECT_EQ(loaded.at(name).dtype(), saved.at(name).dtype()) << name;
        EXPECT_EQ(test::values_of(loaded.at(name)), test::values_of(saved.at(name))) << name;
    }
    EXPECT_EQ(bytes, to_pytorch(saved.clone()));
}

// The bytes that torch.load (1.13, also with weights_only) was seen to open: whoever changes them has to look again.
TEST(ToPyTorch, TheBytesAreThoseThatTorchLoadOpens) {
    const std::string bytes = to_pytorch(sample());
    EXPECT_EQ(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()), 3867383143U) << bytes.size();
}

TEST(LoadWeights, MappedTensorsOutliveTheFileAndKeepWhatIsWrittenToThemselves) {
    const std::string path = testing::TempDir() + "/fovea_mapped.safetensors";
    save_safetensors(path, sample());
    Parameters p = load_weights(path);
    Tensor weight = p.at("conv.weight");
    p = {};
    std::remove(path.c_str());
    weight.set(0, 9);
    EXPECT_EQ(test::values_of(weight), (std::vector<double>{9, -2, 3.5, 4, 5, 6}));
}

TEST(LoadWeights, AFileIsWhatItsContentSaysNotItsName) {
    const std::string path = testing::TempDir() + "/fovea_wrong_name.onnx";
    save_pytorch(path, sample());
    EXPECT_EQ(weights_format(path), WeightsFormat::pytorch);
    EXPECT_EQ(load_weights(path).names(), sample().names());
    save_safetensors(path, sample());
    EXPECT_EQ(load_weights(path).names(), sample().names());
    std::remove(path.c_str());
    EXPECT_EQ(refusal(""), "load 'x': the file is empty");
    EXPECT_EQ(refusal("abc"), "load 'x': 3 bytes are too few for any weights file");
    EXPECT_EQ(refusal("GIF89a............"), "load 'x': not a weights file of any known format (safetensors, PyTorch, Caffe, Darknet, Keras, dlib, ONNX); it begins with 47 49 46 38 39 61 2e 2e");
}

}  // namespace
}  // namespace fovea
