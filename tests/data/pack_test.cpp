// Tar shards as they are written: order, names, what is left out, what is there already, a full disk.
#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include <gtest/gtest.h>

#include "data/files.h"
#include "data/shards.h"
#include "fovea/data.h"

namespace fovea {
namespace {

std::string png(std::uint8_t grey) {
    const auto bytes = encode_png(Image(5, 4, 3, grey));
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// `count` pictures of one pixel, the first half of one class and the rest of another.
DatasetPtr halves(std::int64_t count) {
    MemoryImages images{1, 1, 1, std::vector<std::uint8_t>(static_cast<std::size_t>(count), 7), {}};
    for (std::int64_t i = 0; i < count; ++i) images.labels.push_back(i < count / 2 ? 0 : 1);
    return memory_dataset("halves", {"first", "second"}, std::move(images));
}

std::vector<std::int64_t> labels_of(const Dataset& dataset) {
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < dataset.size(); ++i) labels.push_back(dataset.label(i));
    return labels;
}

std::set<std::string> keys_of(const Dataset& dataset) {
    std::set<std::string> keys;
    for (std::int64_t i = 0; i < dataset.size(); ++i) keys.insert(dataset.key(i));
    return keys;
}

std::set<std::string> names_in(const fs::path& directory) {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory)) names.insert(entry.path().filename().string());
    return names;
}

TEST(ShardNames, AreKeysThatHaveNoDotsAndComeBack) {
    EXPECT_EQ(member_of_key("17"), "17");
    EXPECT_EQ(member_of_key("cat/0001.v2.jpg"), "cat/0001%2Ev2%2Ejpg");
    EXPECT_EQ(member_of_key("cat/0001.jpg", 2), "cat/0001%2Ejpg%-2");
    EXPECT_EQ(member_of_key("/50 %"), "%2F50 %25");
    for (const char* key : {"17", "cat/1.jpg", "../x", "/abs", "50%.png", "K\xC3\xA4se/\xFC.jpg", "a%-2", "%2E", "line\nbreak", ""}) {
        EXPECT_EQ(key_of_member(member_of_key(key)), key);
        EXPECT_EQ(key_of_member(member_of_key(key, 3)), key);
        EXPECT_EQ(member_of_key(key).find('.'), std::string::npos);
    }
    for (const char* foreign : {"000123", "train/n01440764_18", "50%", "50%z1", "a%-b", "a-2"}) EXPECT_EQ(key_of_member(foreign), foreign);
}

class Pack : public testing::Test {
protected:
    TemporaryFolder directory_;
    [[nodiscard]] fs::path place(const char* name) const { return directory_.path() / name; }
    [[nodiscard]] DatasetPtr folder() const { return image_folder(place("folder"), Split::train); }
    [[nodiscard]] std::vector<std::byte> bytes_of(const char* name) const { return read_file(directory_.path() / name / "train-000000.tar"); }
};

TEST_F(Pack, OrderIsRandomBySeedOrTheSetsOwn) {
    const DatasetPtr data = halves(400);
    (void)write_shards(*data, place("a"), {.prefix = "train", .seed = 1});
    (void)write_shards(*data, place("b"), {.prefix = "train", .seed = 1});
    (void)write_shards(*data, place("c"), {.prefix = "train", .seed = 2});
    (void)write_shards(*data, place("d"), {.prefix = "train", .shuffle = false});
    EXPECT_EQ(bytes_of("a"), bytes_of("b"));
    EXPECT_NE(bytes_of("a"), bytes_of("c"));
    EXPECT_EQ(labels_of(*shards(place("d"), Split::train)), labels_of(*data));
    const std::vector<std::int64_t> labels = labels_of(*shards(place("a"), Split::train));
    EXPECT_NEAR(static_cast<double>(std::count(labels.begin(), labels.begin() + 200, 1)), 100, 4 * std::sqrt(400 * 0.25 * 0.25));  // four standard deviations of drawing half of them
}

TEST_F(Pack, ASetInTheOrderOfItsClassesSaysSoWhenOpened) {
    const DatasetPtr data = halves(9000);
    (void)write_shards(*data, place("sorted"), {.prefix = "train", .shard_bytes = 100'000, .shuffle = false});
    (void)write_shards(*data, place("shuffled"), {.prefix = "train"});
    (void)write_shards(*subset(data, 0, 8000), place("small"), {.prefix = "train", .shuffle = false});
    const DatasetPtr sorted = shards(place("sorted"), Split::train);
    ASSERT_EQ(sorted->notes().size(), 1u);
    EXPECT_NE(sorted->notes()[0].find("holds its pictures class after class, and training mixes only 8,192"), std::string::npos) << sorted->notes()[0];
    EXPECT_EQ(subset(sorted, 0, 10)->notes(), sorted->notes());
    EXPECT_TRUE(shards(place("shuffled"), Split::train)->notes().empty());
    EXPECT_TRUE(shards(place("small"), Split::train)->notes().empty()) << "the loader mixes all of it";
    EXPECT_TRUE(data->notes().empty());
}

TEST_F(Pack, ASplitByHashIsThatOfTheFolder) {
    for (int i = 0; i < 60; ++i) directory_.write(fmt::format("folder/{}/{}.v1.5.png", i % 3 == 0 ? "a.b" : "c", i), png(static_cast<std::uint8_t>(i)));
    (void)write_shards(*folder(), place("shards"), {.prefix = "train", .shard_bytes = 3000});
    const DatasetPtr read = shards(place("shards"), Split::train);
    EXPECT_EQ(keys_of(*read), keys_of(*folder()));
    EXPECT_TRUE(keys_of(*read).contains("a.b/0.v1.5.png"));
    const auto held = keys_of(*split_by_hash(read, 0.25, Split::val));
    EXPECT_EQ(held, keys_of(*split_by_hash(folder(), 0.25, Split::val)));
    EXPECT_GT(held.size(), 3u);
    // A set packed again, from shards, and one with more pictures: the same keys.
    (void)write_shards(*read, place("again"), {.prefix = "train"});
    EXPECT_EQ(keys_of(*shards(place("again"), Split::train)), keys_of(*read));
}

TEST_F(Pack, PicturesThatShareAKeyStayApart) {
    directory_.write("x/a/1.png", png(10));
    directory_.write("y/a/1.png", png(20));
    directory_.write("list.csv", "file,label\nx/a/1.png,0\ny/a/1.png,1\n");
    const std::string longest(200, 'n');
    MemoryImages images{1, 1, 1, {1, 2}, {0, 0}, {longest + "/" + longest + ".jpg", "K\xC3\xA4se.png"}};
    (void)write_shards(*csv_pictures(directory_.path() / "list.csv", Split::train), place("shards"), {.prefix = "train"});
    (void)write_shards(*memory_dataset("names", {"a"}, std::move(images)), place("names"), {.prefix = "train"});
    const DatasetPtr read = shards(place("shards"), Split::train), names = shards(place("names"), Split::train);
    ASSERT_EQ(read->size(), 2);
    EXPECT_EQ(keys_of(*read), std::set<std::string>{"a/1.png"});
    for (std::int64_t i = 0; i < 2; ++i) EXPECT_EQ(read->get(i).image.pixels[0], read->label(i) == 0 ? 10 : 20);
    EXPECT_EQ(keys_of(*names), (std::set<std::string>{longest + "/" + longest + ".jpg", "K\xC3\xA4se.png"}));
}

TEST_F(Pack, WhatCannotBeReadIsLeftOutAndNamed) {
    directory_.write("folder/a/1.png", png(1));
    directory_.write("folder/a/2.png", "");
    directory_.write("folder/b/3.png", png(3));
    directory_.write("folder/b/4.png", "no picture");
    directory_.write("list.csv", "file,label\nfolder/a/1.png,0\ngone.png,1\n");
    const DatasetPtr data = folder(), listed = csv_pictures(directory_.path() / "list.csv", Split::train);
    std::int64_t seen = 0;
    const PackReport packed = write_shards(*data, place("shards"), {.prefix = "train", .on_picture = [&](std::int64_t done) { seen = done; }});
    EXPECT_EQ(std::tuple(packed.shards, packed.pictures, packed.skipped, seen), std::tuple(1, 2, 2, 4));
    auto damaged = data->damaged();
    std::ranges::sort(damaged);
    ASSERT_EQ(damaged.size(), 2u);
    EXPECT_EQ(damaged[0], "decode 'a/2.png': the file is empty, expected a picture");
    EXPECT_TRUE(damaged[1].starts_with("decode 'b/4.png': none of JPEG")) << damaged[1];
    EXPECT_EQ(keys_of(*shards(place("shards"), Split::train)), (std::set<std::string>{"a/1.png", "b/3.png"}));
    EXPECT_EQ(write_shards(*listed, place("listed"), {.prefix = "train"}).skipped, 1);
    EXPECT_NE(listed->damaged().at(0).find("gone.png': No such file or directory"), std::string::npos);
    EXPECT_TRUE(message_of([&] { (void)write_shards(*subset(listed, 1, 1), place("none"), {.prefix = "train"}); }).starts_with("write shards: none of the 1 pictures of '"));
    EXPECT_TRUE(names_in(place("none")).empty());
}

TEST_F(Pack, AnEmptyMemberIsOneDamagedPicture) {
    directory_.write("shards/train-000000.tar", tar({{"a.png", png(1)}, {"a.cls", "0"}, {"b.png", ""}, {"b.cls", "1"}, {"c.png", png(2)}, {"c.cls", "1"}, {"d.png", png(3)}, {"d.cls", ""},
                                                     {"e.png", png(4)}, {"e.cls", "0"}}));
    const std::string name = place("shards/train-000000.tar").string();
    const DatasetPtr data = shards(place("shards"), Split::train);
    const DatasetReport report = verify(*data);
    EXPECT_EQ(report.pictures, 4);
    EXPECT_EQ(report.readable, 3);
    EXPECT_EQ(report.damaged, (std::vector<std::string>{fmt::format("decode '{}:b': the file is empty, expected a picture", name)}));
    EXPECT_EQ(report.faults, (std::vector<std::string>{fmt::format("read '{}': member 'd.cls' holds no class number", name)}));
    const DatasetReport again = verify(*data);
    EXPECT_EQ(again.damaged, report.damaged);
    EXPECT_EQ(again.faults, report.faults);
}

TEST_F(Pack, ShardsOfTwoSetsAreNotMixed) {
    const fs::path out = place("shards");
    const auto pack = [&](const DatasetPtr& data, const PackSpec& spec) { return write_shards(*data, out, spec); };
    const PackReport many = pack(halves(20), {.prefix = "train", .shard_bytes = 300});
    ASSERT_GT(many.shards, 2);
    EXPECT_EQ(message_of<ArgumentError>([&] { (void)pack(halves(4), {.prefix = "train"}); }),
              fmt::format("write shards: '{}' holds {} shards of this name already, 'train-000000.tar' first: write to another folder, with another prefix (--prefix), or over them (--overwrite)", out.string(),
                          many.shards));
    EXPECT_EQ(shards(out, Split::train)->size(), 20);
    directory_.write("shards/train-more.tar", "");
    EXPECT_EQ(pack(halves(4), {.prefix = "train", .overwrite = true}).shards, 1);
    EXPECT_EQ(names_in(out), (std::set<std::string>{"train-000000.tar", "train-more.tar", "classes.txt"})) << "only its own go";
    fs::remove(out / "train-more.tar");
    EXPECT_EQ(shards(out, Split::train)->size(), 4);
    (void)pack(halves(6), {.prefix = "val"});
    const DatasetPtr other = memory_dataset("other", {"second", "first"}, {1, 1, 1, {1}, {1}});
    EXPECT_EQ(message_of<ArgumentError>([&] { (void)pack(other, {.prefix = "test"}); }),
              fmt::format("write shards: '{}' names other classes than 'other' has, and 'train-000000.tar' goes by it: write to another folder", (out / "classes.txt").string()));
    EXPECT_EQ(names_in(out), (std::set<std::string>{"train-000000.tar", "val-000000.tar", "classes.txt"}));
    EXPECT_EQ(message_of<ArgumentError>([&] { (void)pack(other, {.prefix = "a/b"}); }), "write shards: the prefix is the beginning of a file's name, got 'a/b'");
}

TEST_F(Pack, AFullDiskIsNamedAndLeavesNothing) {
    // Whatever is written to /dev/full meets a full disk.
    fs::create_directories(place("tar"));
    fs::create_symlink("/dev/full", place("tar/train-000001.tar.partial"));
    const std::string message = message_of<Error>([&] { (void)write_shards(*halves(20), place("tar"), {.prefix = "train", .shard_bytes = 300}); });
    EXPECT_EQ(message, fmt::format("write '{}': Write error: No space left on device", place("tar/train-000001.tar").string()));
    EXPECT_TRUE(names_in(place("tar")).empty());
    fs::create_directories(place("names"));
    fs::create_symlink("/dev/full", place("names/classes.txt"));
    EXPECT_EQ(message_of<Error>([&] { (void)write_shards(*halves(20), place("names"), {.prefix = "train"}); }),
              fmt::format("write '{}': No space left on device after 0 of 13 bytes", place("names/classes.txt").string()));
    EXPECT_EQ(names_in(place("names")), std::set<std::string>{"classes.txt"});
}

TEST(CifarJpegs, AreCalledByTheirFiles) {
    std::vector<std::string> damaged;
    const std::string bytes = tar({{"set/b/2.png", png(1)}, {"set/a/1.png", png(2)}, {"a/3.png", "no picture"}, {"a/4.png", png(3)}});
    EXPECT_TRUE(parse_image_tar(as_span(bytes), "t", {"a", "b"}, 4, damaged).keys.empty()) << "pictures of another size";
    const auto square = encode_png(Image(4, 4, 3, 9));
    const std::string picture(reinterpret_cast<const char*>(square.data()), square.size());
    const std::string good = tar({{"set/b/2.png", picture}, {"set/a/1.png", picture}, {"a/3.png", "no picture"}, {"a/4.png", picture}});
    const MemoryImages images = parse_image_tar(as_span(good), "t", {"a", "b"}, 4, damaged);
    EXPECT_EQ(images.keys, (std::vector<std::string>{"a/4.png", "a/1.png", "b/2.png"}));
    const DatasetPtr data = memory_dataset("t", {"a", "b"}, images);
    EXPECT_EQ(data->key(2), "b/2.png");
    EXPECT_EQ(message_of<ArgumentError>([] { (void)memory_dataset("t", {"a"}, {1, 1, 1, {1, 2}, {0, 0}, {"one"}}); }), "data set 't': 2 labels and 1 keys");
}

}  // namespace
}  // namespace fovea
