// CSV lists, tar shards, splits by hash, weighted drawing.
#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include "data/formats.h"
#include "files.h"
#include "fovea/data.h"
#include "support.h"

namespace fovea {
namespace {

std::vector<std::byte> bytes_of(std::string_view text) {
    const auto all = std::as_bytes(std::span(text));
    return {all.begin(), all.end()};
}

/// `count` pictures of one grey each, labels in turn.
DatasetPtr greys(std::int64_t count, std::int64_t classes = 3) {
    MemoryImages images{8, 6, 3, {}, {}};
    for (std::int64_t i = 0; i < count; ++i) {
        images.pixels.insert(images.pixels.end(), 8 * 6 * 3, static_cast<std::uint8_t>(i));
        images.labels.push_back(static_cast<std::int32_t>(i % classes));
    }
    std::vector<std::string> names;
    for (std::int64_t c = 0; c < classes; ++c) names.push_back(fmt::format("class {}", c));
    return memory_dataset("greys", names, std::move(images));
}

TEST(Csv, QuotesLineEndsAndMarksAreUnderstood) {
    EXPECT_EQ(parse_csv(bytes_of("\xEF\xBB\xBF" "a,b\r\n\"x, y\",\"say \"\"no\"\"\"\r\n1,\n"), "t"),
              (std::vector<std::vector<std::string>>{{"a", "b"}, {"x, y", "say \"no\""}, {"1", ""}}));
    EXPECT_EQ(test::message_of<FormatError>([] { (void)parse_csv(bytes_of("a,b\n1\n"), "t"); }), "read 't': row 2 has 1 cells, the first has 2");
    EXPECT_EQ(test::message_of<FormatError>([] { (void)parse_csv(bytes_of("a,\"b\n"), "t"); }), "read 't': line 1: a quotation mark inside a cell, or one that is not closed");
    EXPECT_EQ(test::message_of<FormatError>([] { (void)parse_csv({}, "t"); }), "read 't': the file is empty, expected a line of column names");
}

TEST(Csv, LabelsAreNumbersOrNamesAndASplitIsAColumn) {
    const PictureList numbers = parse_picture_list(bytes_of("file,index,name\na.jpg,2,cat\nb.jpg,0,dog\n"), "t", Split::train);
    EXPECT_EQ(numbers.classes, (std::vector<std::string>{"dog", "1", "cat"}));
    ASSERT_EQ(numbers.files.size(), 2u);
    EXPECT_EQ(numbers.files[0].label, 2);
    const std::string named = "Split,Path,Class\ntrain,a.png,bee\nval,b.png,ant\nTRAIN,c.png,ant\n";
    const PictureList train = parse_picture_list(bytes_of(named), "t", Split::train), val = parse_picture_list(bytes_of(named), "t", Split::val);
    EXPECT_EQ(train.classes, (std::vector<std::string>{"ant", "bee"}));
    EXPECT_EQ(val.classes, train.classes) << "classes are those of all rows";
    EXPECT_EQ(train.files.size(), 2u);
    EXPECT_EQ(val.files.size(), 1u);
    EXPECT_EQ(parse_picture_list(bytes_of(named), "t", Split::test).files.at(0).path, "b.png") << "val stands in for test";
    EXPECT_EQ(test::message_of<FormatError>([] { (void)parse_picture_list(bytes_of("split,path,class\ntrain,a.png,bee\n"), "t", Split::test); }), "read 't': no picture of split 'val'");
    EXPECT_EQ(test::message_of<FormatError>([] { (void)parse_picture_list(bytes_of("split,path,class\ntrainign,a.png,bee\n"), "t", Split::train); }),
              "read 't': row 2: split 'trainign', expected train, val or test");
    EXPECT_EQ(test::message_of<FormatError>([] { (void)parse_picture_list(bytes_of("picture,label\n"), "t", Split::train); }),
              "read 't': no column of files; one of file, path, filename, image, image_path is needed, there are: picture, label");
    EXPECT_EQ(test::message_of<FormatError>([] { (void)parse_picture_list(bytes_of("file,label\na,-1\n"), "t", Split::train); }), "read 't': row 2: label -1, expected 0 or more");
}

TEST(Csv, APictureMayHaveSeveralClasses) {
    const PictureList list = parse_picture_list(bytes_of("file,label\na.png,cat; dog\nb.png,dog\nc.png,ant;cat;cat\n"), "t", Split::train);
    EXPECT_EQ(list.classes, (std::vector<std::string>{"ant", "cat", "dog"}));
    const DatasetPtr data = picture_files("t", list.classes, list.files);
    EXPECT_TRUE(data->has_tags());
    EXPECT_EQ(data->tags(0), (std::vector<std::int64_t>{1, 2}));
    EXPECT_EQ(data->label(0), 1);
    EXPECT_EQ(data->tags(1), (std::vector<std::int64_t>{2}));
    EXPECT_EQ(subset(data, 2, 1)->tags(0), (std::vector<std::int64_t>{0, 1}));
    EXPECT_EQ(with_classes(data, {"dog", "cat", "ant"})->tags(0), (std::vector<std::int64_t>{1, 0}));
    EXPECT_EQ(parse_picture_list(bytes_of("file,label\na.png,3;1\n"), "t", Split::train).files.at(0).tags, (std::vector<std::int64_t>{3, 1}));
    EXPECT_FALSE(picture_files("t", {"0"}, {{"a.png", 0}})->has_tags());
    EXPECT_EQ(test::message_of<FormatError>([] { (void)parse_picture_list(bytes_of("file,label\na.png,cat;;dog\n"), "t", Split::train); }),
              "read 't': row 2: nothing between two semicolons of the labels 'cat;;dog'");
}

TEST(Csv, PicturesMayWeighMore) {
    const std::string rows = "file,label,weight\na.png,0,1\nb.png,0,2.5\nc.png,1,0\n";
    const PictureList list = parse_picture_list(bytes_of(rows), "t", Split::train);
    const DatasetPtr data = picture_files("t", list.classes, list.files);
    EXPECT_EQ(own_weights(*data), (std::vector<double>{1, 2.5, 0}));
    EXPECT_EQ(own_weights(*subset(data, 0, 1)), std::vector<double>{}) << "all are 1";
    EXPECT_EQ(balanced_weights(*data), (std::vector<double>{1 / 3.5, 2.5 / 3.5, 0}));
    EXPECT_EQ(test::message_of<FormatError>([] { (void)parse_picture_list(bytes_of("file,label,weight\na.png,0,-1\n"), "t", Split::train); }), "read 't': row 2: weight '-1', expected a number from 0 to 1e12");
}

TEST(Csv, PicturesLieBesideTheFile) {
    const TemporaryFolder directory;
    write_png(directory.path() / "a.png", Image(5, 4, 3, 77));
    std::ofstream(directory.path() / "list.csv") << "file,label\na.png,7\ngone.png,0\n";
    const DatasetPtr data = open_dataset(fmt::format("csv:{}", (directory.path() / "list.csv").string()), Split::train);
    EXPECT_EQ(data->size(), 2);
    EXPECT_EQ(data->classes().size(), 8u);
    EXPECT_EQ(data->get(0).image, Image(5, 4, 3, 77));
    EXPECT_EQ(data->get(0).label, 7);
    EXPECT_THROW((void)data->get(1), Error);
}

TEST(Csv, BatchesOfTagsHaveTargets) {
    const TemporaryFolder directory;
    for (const char* name : {"a.png", "c.png"}) write_png(directory.path() / name, Image(4, 4, 3, 77));
    std::ofstream(directory.path() / "list.csv") << "file,label\na.png,x;z\ngone.png,y\nc.png,y\n";
    const DatasetPtr data = open_dataset(fmt::format("csv:{}", (directory.path() / "list.csv").string()), Split::train);
    const Loader loader(data, {.batch = 3, .threads = 0, .preprocess = {.resize_width = 4, .resize_height = 4, .channels = 3}});
    const std::optional<Batch> batch = loader.epoch(0).next();
    ASSERT_TRUE(batch);
    EXPECT_EQ(batch->skipped, 1);
    EXPECT_EQ(batch->targets.shape(), (Shape{2, 3}));
    EXPECT_EQ(test::values_of(batch->targets), (std::vector<double>{1, 0, 1, 0, 1, 0}));
}

class ShardFiles : public testing::Test {
protected:
    TemporaryFolder directory_;
    [[nodiscard]] std::string place() const { return directory_.path().string(); }
};

TEST_F(ShardFiles, AreReadBackPictureByPictureWhateverTheirNumber) {
    const DatasetPtr data = greys(50);
    const PackReport packed = write_shards(*data, directory_.path(), {.prefix = "train", .shard_bytes = 1000});
    EXPECT_GT(packed.shards, 3);
    EXPECT_EQ(packed.pictures, 50);
    const DatasetPtr read = open_dataset("shards:" + place(), Split::train);
    EXPECT_EQ(read->classes(), data->classes());
    ASSERT_EQ(read->size(), 50);
    EXPECT_EQ(static_cast<std::int64_t>(read->runs().size()), packed.shards);
    std::set<std::string> keys;
    for (std::int64_t i = 0; i < 50; ++i) {
        const std::int64_t was = std::stoll(read->key(i));
        EXPECT_EQ(read->get(i).image, data->get(was).image) << was;
        EXPECT_EQ(read->label(i), data->label(was)) << was;
        keys.insert(read->key(i));
    }
    EXPECT_EQ(keys.size(), 50u);
    EXPECT_TRUE(read->damaged().empty());
    EXPECT_EQ(test::message_of<FormatError>([&] { (void)open_dataset("shards:" + place(), Split::val); }), fmt::format("open '{}': no val-*.tar there", place()));
}

TEST_F(ShardFiles, CutShortGiveWhatTheyHold) {
    (void)write_shards(*greys(20), directory_.path(), {.prefix = "train", .shuffle = false});
    const fs::path shard = directory_.path() / "train-000000.tar";
    const auto whole = fs::file_size(shard);
    for (const std::uintmax_t size : {whole / 2, whole / 2 + 300, whole / 3 + 100}) {
        fs::resize_file(shard, size);
        const DatasetPtr read = shards(directory_.path(), Split::train);
        EXPECT_GT(read->size(), 3);
        EXPECT_LT(read->size(), 20);
        ASSERT_EQ(read->damaged().size(), 1u);
        EXPECT_TRUE(read->damaged()[0].find("is cut short after sample '") != std::string::npos) << read->damaged()[0];
        EXPECT_EQ(read->get(read->size() - 1).image.pixels[0], read->size() - 1);
    }
    fs::resize_file(shard, 700);
    EXPECT_TRUE(test::message_of<FormatError>([&] { (void)shards(directory_.path(), Split::train); }).starts_with(fmt::format("read '{}': no tar, or one that ends in its first sample", shard.string())));
    fs::resize_file(shard, 0);
    EXPECT_EQ(test::message_of<FormatError>([&] { (void)shards(directory_.path(), Split::train); }), fmt::format("open '{}': the shard is empty", shard.string()));
}

TEST_F(ShardFiles, AreReadNearlyInOrderAndEachPictureOnce) {
    (void)write_shards(*greys(200), directory_.path(), {.prefix = "train", .shard_bytes = 4000});
    const DatasetPtr data = shards(directory_.path(), Split::train);
    const Loader loader(data, {.batch = 16, .shuffle = true, .seed = 5, .preprocess = {.resize_width = 4, .resize_height = 4}});
    const auto order = loader.order(0);
    EXPECT_EQ(std::set<std::int64_t>(order.begin(), order.end()).size(), 200u);
    EXPECT_EQ(order, loader.order(0));
    EXPECT_NE(order, loader.order(1));
}

TEST(SplitByHash, IsStableDisjointAndOfTheRightSize) {
    const DatasetPtr data = greys(250), longer = greys(255);
    const DatasetPtr train = split_by_hash(data, 0.2, Split::train), held = split_by_hash(data, 0.2, Split::val);
    EXPECT_EQ(train->size() + held->size(), 250);
    EXPECT_NEAR(static_cast<double>(held->size()), 50, 4 * std::sqrt(250 * 0.2 * 0.8));  // four standard deviations of the binomial
    std::set<std::string> keys;
    for (std::int64_t i = 0; i < held->size(); ++i) keys.insert(held->key(i));
    for (std::int64_t i = 0; i < train->size(); ++i) EXPECT_FALSE(keys.contains(train->key(i)));
    // A longer set keeps every picture on its side.
    const DatasetPtr later = split_by_hash(longer, 0.2, Split::val);
    std::set<std::string> later_keys;
    for (std::int64_t i = 0; i < later->size(); ++i) later_keys.insert(later->key(i));
    EXPECT_TRUE(std::ranges::includes(later_keys, keys));
    EXPECT_THROW((void)split_by_hash(data, 1, Split::val), ArgumentError);
}

TEST(FewPerClass, TakesAsManyOfEachClassAndTheSameEachTime) {
    MemoryImages images{2, 2, 1, std::vector<std::uint8_t>(92, 0), std::vector<std::int32_t>(23, 0)};
    for (const std::size_t i : {2, 9, 20}) images.labels[i] = 1;  // 20 of one class, 3 of the other
    const DatasetPtr data = memory_dataset("skewed", {"many", "few"}, std::move(images)), five = few_per_class(data, 5), two = few_per_class(data, 2);
    EXPECT_EQ(five->size(), 5 + 3);
    EXPECT_EQ(two->size(), 2 + 2);
    EXPECT_EQ(five->name(), "skewed 5 of each class");
    std::set<std::string> keys;
    for (std::int64_t i = 0; i < five->size(); ++i) keys.insert(five->key(i));
    EXPECT_EQ(keys.size(), 8u);
    for (std::int64_t i = 0; i < two->size(); ++i) EXPECT_TRUE(keys.contains(two->key(i))) << "fewer are some of more";
    EXPECT_EQ(test::message_of<ArgumentError>([&] { (void)few_per_class(data, 0); }), "few_per_class of 'skewed': at least one picture of a class, got 0");
}

TEST(Weights, DrawInProportion) {
    MemoryImages images{2, 2, 1, std::vector<std::uint8_t>(4000, 0), std::vector<std::int32_t>(1000, 0)};
    for (std::size_t i = 0; i < 100; ++i) images.labels[i] = 1;  // 900 of one class, 100 of the other
    const DatasetPtr data = memory_dataset("skewed", {"many", "few"}, std::move(images));
    const Loader loader(data, {.batch = 10, .shuffle = true, .weights = balanced_weights(*data)});
    std::int64_t few = 0, total = 0;
    for (std::int64_t epoch = 0; epoch < 10; ++epoch)
        for (const std::int64_t index : loader.order(epoch)) few += data->label(index), ++total;
    EXPECT_EQ(total, 10'000);
    EXPECT_NEAR(static_cast<double>(few), 5000, 4 * std::sqrt(10'000 * 0.25));  // four standard deviations of the binomial
    EXPECT_EQ(test::message_of<ArgumentError>([&] { Loader(data, {.shuffle = true, .weights = {1.0, 2.0}}); }), "loader: 2 weights for 1000 pictures; there is one each, with shuffle");
}

TEST(Verify, FindsDamageAndDuplicates) {
    const TemporaryFolder directory;
    fs::create_directories(directory.path() / "a");
    fs::create_directories(directory.path() / "b");
    write_png(directory.path() / "a/1.png", Image(5, 4, 3, 10));
    write_png(directory.path() / "a/2.png", Image(9, 3, 3, 20));
    write_png(directory.path() / "b/3.png", Image(5, 4, 3, 10));
    std::ofstream(directory.path() / "b/4.png") << "no picture";
    const DatasetPtr data = image_folder(directory.path(), Split::train);
    const DatasetReport report = verify(*data);
    EXPECT_EQ(report.pictures, 4);
    EXPECT_EQ(report.readable, 3);
    EXPECT_EQ(report.per_class, (std::vector<std::int64_t>{2, 1}));
    EXPECT_EQ(std::pair(report.least_width, report.most_width), std::pair(std::int64_t{5}, std::int64_t{9}));
    ASSERT_EQ(report.damaged.size(), 1u);
    ASSERT_EQ(report.duplicates.size(), 1u);
    EXPECT_EQ(data->key(report.duplicates[0].first), "b/3.png");
    EXPECT_EQ(data->key(report.duplicates[0].second), "a/1.png");
}

TEST(RealData, Imagenet500OpensWithAllThousandClasses) {
    const char* root = std::getenv("FOVEA_DATA");
    if (!root) GTEST_SKIP() << "FOVEA_DATA is not set";
    const DatasetPtr data = open_dataset(fmt::format("imagenet500:{}/imagenet500", root), Split::test);
    EXPECT_EQ(data->size(), 500);
    EXPECT_EQ(data->classes().size(), 1000u);
    EXPECT_EQ(data->classes()[0], "tench");
    EXPECT_EQ(data->classes()[static_cast<std::size_t>(data->label(1))], "goldfish");
    EXPECT_GT(data->get(0).image.width, 100);
}

}  // namespace
}  // namespace fovea
