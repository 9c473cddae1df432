#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "fovea/io.h"
#include "support.h"

namespace fovea {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text.data(), text.size())); }

/// A file with this header and this many bytes of data.
std::string file_with(const std::string& header, std::size_t data_bytes) {
    std::string text(8, '\0');
    const std::uint64_t length = header.size();
    std::memcpy(text.data(), &length, 8);
    return text + header + std::string(data_bytes, '\1');
}

std::string refusal(const std::string& file) {
    return test::message_of<FormatError>([&] { (void)parse_safetensors(bytes_of(file), "x"); });
}

Parameters mixed() {
    Parameters p;
    p.set("b.weight", Tensor::of({1.F, -2.F, 3.5F, 4.F, 5.F, 6.F}, {2, 3}));
    p.set("a.count", Tensor::of({std::int64_t{-7}}, {}));
    p.set("a.wide", Tensor::of({0.1, 0.2}, {2}));
    p.set("a.bytes", Tensor::of({std::uint8_t{1}, std::uint8_t{255}, std::uint8_t{3}}, {3}));
    p.set("a.ints", Tensor::of({-1, 2}, {1, 2}));
    p.set("empty", Tensor(Shape{0, 4}));
    return p;
}

TEST(Safetensors, WhatIsSavedIsLoadedInTheSameOrder) {
    const Parameters saved = mixed();
    Metadata metadata;
    const Parameters loaded = parse_safetensors(bytes_of(to_safetensors(saved, {{"model", "lenet5"}, {"step", "12"}})), "x", &metadata);
    EXPECT_EQ(loaded.names(), saved.names());
    for (const auto& name : saved.names()) {
        EXPECT_EQ(loaded.at(name).shape(), saved.at(name).shape()) << name;
        EXPECT_EQ(loaded.at(name).dtype(), saved.at(name).dtype()) << name;
        EXPECT_EQ(0, std::memcmp(loaded.at(name).raw(), saved.at(name).raw(), saved.at(name).bytes())) << name;
    }
    EXPECT_EQ(metadata, (Metadata{{"model", "lenet5"}, {"step", "12"}}));
}

TEST(Safetensors, EqualParametersGiveEqualBytes) { EXPECT_EQ(to_safetensors(mixed(), {{"b", "1"}, {"a", "2"}}), to_safetensors(mixed().clone(), {{"a", "2"}, {"b", "1"}})); }

TEST(Safetensors, EveryTensorIsAlignedToItsElement) {
    const std::string file = to_safetensors(mixed());
    std::uint64_t header = 0;
    std::memcpy(&header, file.data(), 8);
    EXPECT_EQ((header + 8) % 64, 0U) << "data begin on a cache line";
    // 8-byte elements first: a.count and a.wide fill 24 bytes, then b.weight.
    EXPECT_NE(file.find(R"("b.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[24,48]})"), std::string::npos) << file.substr(8, header);
}

TEST(Safetensors, HalvesBecomeFloatsExactly) {
    std::string file = file_with(R"({"h":{"dtype":"F16","shape":[4],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[8,10]}})", 10);
    const std::uint16_t values[] = {0x3C00, 0xC000, 0x0001, 0x7C00, 0x3FC0};  // 1, -2, the smallest subnormal, infinity; bf16 1.5
    std::memcpy(file.data() + file.size() - 10, values, 10);
    const Parameters p = parse_safetensors(bytes_of(file), "x");
    EXPECT_EQ(p.at("h").dtype(), DType::f32);
    EXPECT_EQ(p.at("h").at(0), 1);
    EXPECT_EQ(p.at("h").at(1), -2);
    EXPECT_EQ(p.at("h").at(2), std::ldexp(1.0, -24));
    EXPECT_TRUE(std::isinf(p.at("h").at(3)));
    EXPECT_EQ(p.at("b").at(0), 1.5);
}

TEST(Safetensors, DamagedFilesAreRefusedWithOneSentence) {
    EXPECT_EQ(refusal("abc"), "load 'x': 3 bytes are no safetensors file, its header length alone takes 8");
    EXPECT_EQ(refusal(file_with("{}", 0).replace(0, 1, "\x7f")), "load 'x': header of 127 bytes in a file of 10");
    EXPECT_EQ(refusal(file_with(R"({"w":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})", 4)), "load 'x': the header nests deeper than any safetensors header");
    EXPECT_EQ(refusal(file_with(R"({"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4)), "load 'x': a size of 'w' is not a whole number");
    EXPECT_EQ(refusal(std::string("\0\0\0\0\0\0\0\x10{}", 10)), "load 'x': header of 1152921504606846976 bytes in a file of 10");  // a length of the other byte order
    EXPECT_EQ(refusal(file_with("[1]", 0)), "load 'x': the header is not a JSON object");
    EXPECT_EQ(refusal(file_with(R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4)), "load 'x': 'w' lies at 0..8, the file has 4 bytes of data");
    EXPECT_EQ(refusal(file_with(R"({"w":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8)), "load 'x': 'w' [3] of F32 takes 12 bytes, data_offsets give 8");
    EXPECT_EQ(refusal(file_with(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8)), "load 'x': 'w' begins at 4, the tensor before it ends at 0");
    EXPECT_EQ(refusal(file_with(R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 8)), "load 'x': the tensors end at 4 of 8 bytes of data");
    EXPECT_EQ(refusal(file_with(R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1)),
              "load 'x': 'w' stands twice in the header");
    EXPECT_EQ(refusal(file_with(R"({"w":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}})", 8)),
              "load 'x': 'w' has dtype C64, known are F32 F64 F16 BF16 I8 I16 I32 I64 U8 BOOL");
    EXPECT_NE(refusal(file_with(R"({"w":{"dtype":"U8","shape":[1099511627776,1099511627776],"data_offsets":[0,0]}})", 0)).find("larger than any file"), std::string::npos);
}

TEST(Safetensors, EveryTruncationOfAFileIsRefused) {
    const std::string file = to_safetensors(mixed(), {{"k", "v"}});
    for (std::size_t length = 0; length < file.size(); ++length) EXPECT_THROW((void)parse_safetensors(bytes_of(file.substr(0, length)), "x"), FormatError) << length;
}

TEST(Safetensors, SavingReplacesTheFileInOneStepAndLeavesNoOther) {
    const auto folder = std::filesystem::path(testing::TempDir()) / "fovea_safetensors_test";
    std::filesystem::remove_all(folder);
    std::filesystem::create_directory(folder);
    const std::string path = (folder / "w.safetensors").string();
    save(mixed(), path);
    Parameters other;
    other.set("w", Tensor::of({1.F}, {1}));
    save_safetensors(path, other, {{"note", "second"}});
    EXPECT_EQ(load_weights(path).names(), std::vector<std::string>{"w"});
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 1);
    EXPECT_EQ(test::message_of<Error>([&] { save(other, (folder / "no" / "w").string()); }), "write '" + (folder / "no" / "w").string() + "': No such file or directory");
    std::filesystem::remove_all(folder);
}

// ---- matching names ----

Parameters with(std::initializer_list<std::pair<std::string, Shape>> items) {
    Parameters p;
    double value = 1;
    for (const auto& [name, shape] : items) {
        Tensor t(shape);
        for (std::int64_t i = 0; i < t.elements(); ++i) t.set(i, value);
        p.set(name, t);
        ++value;
    }
    return p;
}

TEST(LoadInto, ARenamedParameterIsPointedOut) {
    Parameters target = with({{"conv.weight", {2}}, {"fc.weight", {10, 4}}});
    const Parameters source = with({{"conv.weight", {2}}, {"head.weight", {10, 4}}});
    EXPECT_EQ(test::message_of<FormatError>([&] { load_into(target, source, {.name = "r50.safetensors"}); }),
              "load 'r50.safetensors': missing 'fc.weight' [10, 4]; unexpected 'head.weight' has that shape. Renamed?");
    EXPECT_EQ(target.at("conv.weight").at(0), 1) << "nothing may change on an error";
}

TEST(LoadInto, AnotherShapeIsNeverAllowed) {
    Parameters target = with({{"fc.weight", {10, 4}}});
    EXPECT_EQ(test::message_of<FormatError>([&] { load_into(target, with({{"fc.weight", {100, 4}}}), {.name = "w", .allow_missing = true, .allow_unexpected = true}); }),
              "load 'w': 'fc.weight' is [10, 4] in the network and [100, 4] in the file");
}

TEST(LoadInto, TheDataParallelPrefixIsTakenOffWhenEveryNameHasIt) {
    Parameters target = with({{"a", {1}}, {"b", {1}}, {"bn.num_batches_tracked", {}}});
    const LoadReport report = load_into(target, with({{"module.b", {1}}, {"module.a", {1}}}));
    EXPECT_TRUE(report.is_exact());
    EXPECT_EQ(target.at("b").at(0), 1);
    EXPECT_EQ(target.at("a").at(0), 2);
    EXPECT_THROW(load_into(target, with({{"module.b", {1}}, {"a", {1}}})), FormatError);
}

TEST(LoadInto, DifferencesThatTheOptionsAllowAreReported) {
    Parameters target = with({{"a", {1}}, {"b", {1}}});
    const LoadReport report = load_into(target, with({{"b", {1}}, {"c", {1}}}), {.allow_missing = true, .allow_unexpected = true});
    EXPECT_EQ(report.missing, std::vector<std::string>{"a"});
    EXPECT_EQ(report.unexpected, std::vector<std::string>{"c"});
    EXPECT_FALSE(report.is_exact());
}

TEST(LoadInto, WithoutAnyCommonNameTensorsAreTakenInOrderWhenEveryShapeAgrees) {
    Parameters target = with({{"conv1.weight", {2, 1, 3, 3}}, {"bn1.weight", {2}}, {"bn1.num_batches_tracked", {}}, {"fc.weight", {4, 2}}});
    const Parameters source = with({{"con1.weight", {2, 1, 3, 3}}, {"con2.weight", {2}}, {"fc1.weight", {4, 2}}});
    const LoadReport report = load_into(target, source);
    EXPECT_TRUE(report.is_in_order);
    EXPECT_EQ(report.matched, (std::vector<std::pair<std::string, std::string>>{{"conv1.weight", "con1.weight"}, {"bn1.weight", "con2.weight"}, {"fc.weight", "fc1.weight"}}));
    EXPECT_EQ(target.at("fc.weight").at(0), 3);
    const Parameters turned = with({{"con1.weight", {2, 1, 3, 3}}, {"con2.weight", {2}}, {"fc1.weight", {2, 4}}});
    EXPECT_EQ(test::message_of<FormatError>([&] { load_into(target, turned, {.name = "w"}); }),
              "load 'w': missing 'conv1.weight' [2, 1, 3, 3], 'bn1.weight' [2], 'fc.weight' [4, 2]; unexpected 'con1.weight' has that shape. Renamed?");
    EXPECT_THROW(load_into(target, source, {.in_order = false}), FormatError);
}

TEST(LoadInto, ANewHeadAndOtherPrefixesKeepTheirValues) {
    Parameters target = with({{"features.0.weight", {2}}, {"features.1.weight", {3}}, {"head.weight", {5, 4}}});
    const Parameters source = with({{"features.1.weight", {3}}, {"features.0.weight", {2}}, {"head.weight", {10, 4}}});
    LoadReport report = load_into(target, source, {.keep = {"head.weight"}});
    EXPECT_EQ(report.kept, std::vector<std::string>{"head.weight"});
    EXPECT_EQ(target.at("head.weight").at(0), 3);
    EXPECT_EQ(target.at("features.0.weight").at(0), 2);
    target = with({{"features.0.weight", {2}}, {"features.1.weight", {3}}, {"head.weight", {5, 4}}});
    report = load_into(target, source, {.only = "features.1"});
    EXPECT_EQ(report.kept, (std::vector<std::string>{"features.0.weight", "head.weight"}));
    EXPECT_EQ(target.at("features.0.weight").at(0), 1);
    EXPECT_EQ(target.at("features.1.weight").at(0), 1);
    EXPECT_EQ(test::message_of<FormatError>([&] { load_into(target, source, {.name = "w", .only = "neck"}); }), "load 'w': no parameter begins with 'neck'");
}

TEST(Compare, EveryMissingTensorHasItsNearestCandidate) {
    const LoadReport report = compare(with({{"a", {1}}, {"fc.weight", {10, 4}}, {"fc.bias", {10}}}), with({{"a", {1}}, {"fc.w", {9, 4}}, {"head.weight", {10, 4}}, {"head.bias", {10}}}));
    EXPECT_EQ(report.nearest, (std::map<std::string, std::string>{{"fc.weight", "head.weight"}, {"fc.bias", "head.bias"}}));
}

}  // namespace
}  // namespace fovea
