#include <gtest/gtest.h>

#include <numeric>

#include "data/files.h"

namespace fovea {
namespace {

std::vector<int> count_per_class(const Dataset& dataset) {
    std::vector<int> counts(dataset.classes().size());
    for (std::int64_t i = 0; i < dataset.size(); ++i) ++counts.at(static_cast<std::size_t>(dataset.label(i)));
    return counts;
}

std::string pixels_of(const Dataset& dataset) {
    std::string text;
    for (std::int64_t i = 0; i < dataset.size(); ++i) text.append(reinterpret_cast<const char*>(dataset.pixels(i)), static_cast<std::size_t>(dataset.image_shape().elements()));
    return text;
}

/// The set as one CIFAR-10 binary file.
std::string as_cifar_records(const Dataset& dataset) {
    std::string text;
    for (std::int64_t i = 0; i < dataset.size(); ++i) {
        text += static_cast<char>(dataset.label(i));
        for (int c = 0; c < 3; ++c)
            for (int p = 0; p < 1024; ++p) text += static_cast<char>(dataset.pixels(i)[3 * p + c]);
    }
    return text;
}

TEST(Sha256, EqualsThePublishedExample) { EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); }

TEST(OpenDataset, NamesTheNearestAndAsksForADirectory) {
    EXPECT_EQ(message_of<ArgumentError>([] { (void)open_dataset("cifar:x", Split::train); }), "no data set 'cifar'; nearest: cifar10, cifar100, csv");
    EXPECT_EQ(message_of<ArgumentError>([] { (void)open_dataset("mnist", Split::train); }), "data set 'mnist' needs its directory: mnist:DIR");
    EXPECT_EQ(message_of<ArgumentError>([] { (void)cifar10("x", Split::val); }), "data set 'cifar10:x (val)' has no val split; take a part of train with subset()");
    EXPECT_EQ(message_of([] { (void)open_dataset("folder:no/such", Split::train); }), "open 'no/such': no such file or directory");
}

TEST(RealData, MnistIsTheOriginal) {
    if (real_data().empty()) GTEST_SKIP() << "FOVEA_DATA is not set";
    const auto train = open_dataset("mnist:" + (real_data() / "mnist").string(), Split::train), test = open_dataset("mnist:" + (real_data() / "mnist").string(), Split::test);
    EXPECT_EQ(train->size(), 60000);
    EXPECT_EQ(test->size(), 10000);
    EXPECT_EQ(count_per_class(*train), (std::vector<int>{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}));
    EXPECT_EQ(count_per_class(*test), (std::vector<int>{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009}));
    EXPECT_EQ(train->label(0), 5);
    EXPECT_EQ(train->get(0).image.at(12, 5), 3);  // the first ink of the first digit
    EXPECT_EQ(train->get(0).image.at(13, 5), 18);
    const auto statistics = channel_statistics(*train);
    EXPECT_NEAR(statistics.mean[0], 0.1307, 5e-5);  // the published numbers, to their digits
    EXPECT_NEAR(statistics.std[0], 0.3081, 5e-5);
}

TEST(RealData, FashionMnistComesWithDebian) {
    if (!fs::exists(fashion_mnist_directory)) GTEST_SKIP() << "the package dataset-fashion-mnist is not installed";
    const auto train = open_dataset("fashion-mnist", Split::train), test = open_dataset("fashion-mnist", Split::test);
    EXPECT_EQ(count_per_class(*train), std::vector<int>(10, 6000));
    EXPECT_EQ(count_per_class(*test), std::vector<int>(10, 1000));
    EXPECT_EQ(train->label(0), 9);
    EXPECT_EQ(train->classes().at(9), "Ankle boot");
    EXPECT_EQ(test->label(0), 9);
}

TEST(RealData, CifarJpegsDecodeToTheRecordedPixels) {
    if (real_data().empty()) GTEST_SKIP() << "FOVEA_DATA is not set";
    const auto name = "cifar10:" + (real_data() / "cifar10").string();
    const auto test = open_dataset(name, Split::test);
    EXPECT_EQ(count_per_class(*test), std::vector<int>(10, 1000));
    EXPECT_TRUE(test->damaged().empty());
    // Recorded beside the data: Pillow's pixels, in class order then file-name order, as CIFAR-10 records.
    EXPECT_EQ(sha256(as_cifar_records(*test)), "cf28711b3059b27ed8a78d6529b5ba5b5c94130096ca62a1a924268a9a9ec05b");
    const auto train = open_dataset(name, Split::train);
    EXPECT_EQ(count_per_class(*train), std::vector<int>(10, 5000));
    EXPECT_EQ(sha256(as_cifar_records(*train)), "fb1ee981abf5e8bf78f49a6f1bf84dcc9e5860c134f8a3900dafce77e7caac60");
}

TEST(RealData, LosslessCifarIsTheOriginal) {
    if (real_data().empty()) GTEST_SKIP() << "FOVEA_DATA is not set";
    const auto lossless = open_dataset("cifar10-lossless:" + (real_data() / "cifar10").string(), Split::test);
    ASSERT_EQ(lossless->size(), 4000);
    EXPECT_EQ(sha256(as_cifar_records(*lossless)), "0993cf8b8e43bc207603aef9787006995746513f5e3fa5a52e06d1b069926330");
    const std::vector<std::int64_t> first{6, 9, 9, 4, 1, 1, 2, 7, 8, 3};
    for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(lossless->label(static_cast<std::int64_t>(i)), first[i]);
}

TEST(RealData, FoldersHoldTheirClasses) {
    if (real_data().empty()) GTEST_SKIP() << "FOVEA_DATA is not set";
    const auto name = "folder:" + (real_data() / "hymenoptera").string();
    const auto train = open_dataset(name, Split::train), val = open_dataset(name, Split::val), test = open_dataset(name, Split::test);
    EXPECT_EQ(train->classes(), (std::vector<std::string>{"ants", "bees"}));
    EXPECT_EQ(count_per_class(*train), (std::vector<int>{123, 121}));
    EXPECT_EQ(count_per_class(*val), (std::vector<int>{70, 83}));
    EXPECT_EQ(test->size(), val->size());  // no test/: val/ stands in
    EXPECT_EQ(std::min(train->get(0).image.width, train->get(0).image.height) <= 256, true);
}

std::string png_bytes(std::int64_t width, std::int64_t height, std::uint8_t grey) {
    const auto bytes = encode_png(Image(width, height, 3, grey));
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(ImageFolder, FindsClassesInOrderAndSplitsWhereTheyAre) {
    const TemporaryFolder folder;
    folder.write("cats/2.PNG", png_bytes(3, 4, 2));
    folder.write("cats/1.png", png_bytes(5, 4, 1));
    folder.write("cats/notes.txt", "no picture");
    folder.write("ants/x.png", png_bytes(2, 2, 7));
    folder.write(".hidden/y.png", png_bytes(2, 2, 7));
    const auto whole = image_folder(folder.path(), Split::test);
    EXPECT_EQ(whole->classes(), (std::vector<std::string>{"ants", "cats"}));
    ASSERT_EQ(whole->size(), 3);
    EXPECT_EQ(whole->name(), fmt::format("folder:{} (undivided)", folder.path().string()));
    EXPECT_EQ(whole->label(1), 1);
    EXPECT_EQ(whole->get(1).image.width, 5);
    EXPECT_EQ(whole->get(2).image.width, 3);
    const TemporaryFolder divided;
    divided.write("train/a/1.png", png_bytes(2, 2, 0));
    EXPECT_EQ(message_of([&] { (void)image_folder(divided.path(), Split::test); }), fmt::format("open '{}': no val/ and no test/ there", divided.path().string()));
    divided.write("val/a/notes.txt", "");
    EXPECT_EQ(message_of([&] { (void)image_folder(divided.path(), Split::val); }),
              fmt::format("open '{}': no *.jpg, *.png, *.webp, *.bmp or *.ppm in its 1 class folders", (divided.path() / "val").string()));
}

TEST(ImageFolder, AClassHasOneNumberInAllSplits) {
    const TemporaryFolder folder;
    folder.write("train/a/1.png", png_bytes(2, 2, 0));
    folder.write("train/b/1.png", png_bytes(2, 2, 0));
    folder.write("test/b/1.png", png_bytes(2, 2, 0));
    folder.write("test/c/1.png", png_bytes(2, 2, 0));
    const auto train = image_folder(folder.path(), Split::train), test = image_folder(folder.path(), Split::test);
    EXPECT_EQ(train->classes(), (std::vector<std::string>{"a", "b", "c"}));
    EXPECT_EQ(test->classes(), train->classes());
    EXPECT_EQ(train->label(1), 1);
    EXPECT_EQ(test->label(0), 1);
    EXPECT_EQ(test->label(1), 2);
}

TEST(WithClasses, NumbersByNameAndNamesAStranger) {
    const auto data = memory_dataset("greys", {"b", "c"}, {.height = 1, .width = 1, .channels = 1, .pixels = {7, 8, 9}, .labels = {0, 1, 0}});
    const auto wider = with_classes(data, {"a", "c", "b"});
    EXPECT_EQ(wider->classes(), (std::vector<std::string>{"a", "c", "b"}));
    EXPECT_EQ(wider->name(), "greys");
    for (std::int64_t i = 0; i < 3; ++i) {
        EXPECT_EQ(wider->label(i), i == 1 ? 1 : 2);
        EXPECT_EQ(wider->get(i).label, wider->label(i));
        EXPECT_EQ(wider->pixels(i), data->pixels(i));
    }
    EXPECT_EQ(with_classes(data, {"b", "c"}), data);
    EXPECT_EQ(message_of<ArgumentError>([&] { (void)with_classes(data, {"a", "b"}); }), "data set 'greys': its class 'c' is none of the 2 wanted");
}

TEST(ImageFolder, ADamagedPictureIsCountedAndNamedOnce) {
    const TemporaryFolder folder;
    for (int i = 0; i < 5; ++i) folder.write(fmt::format("a/{}.png", i), png_bytes(4, 4, static_cast<std::uint8_t>(i)));
    const auto bad = folder.write("a/2.png", png_bytes(4, 4, 2).substr(0, 40));
    const auto dataset = image_folder(folder.path(), Split::train);
    Loader loader(dataset, {.batch = 2, .preprocess = {.resize_width = 4, .resize_height = 4}});
    for (int epoch = 0; epoch < 2; ++epoch) {
        std::int64_t pictures = 0, skipped = 0;
        for (const Batch& batch : loader) {
            EXPECT_EQ(batch.images.shape()[0], batch.labels.shape()[0]);
            pictures += batch.labels.elements();
            skipped += batch.skipped;
            if (batch.step == 1) {  // pictures 2 and 3: 3 is what is left
                EXPECT_FLOAT_EQ(batch.images.data<float>()[0], 3 / 255.0f);
            }
        }
        EXPECT_EQ(pictures, 4);
        EXPECT_EQ(skipped, 1);
    }
    EXPECT_EQ(dataset->damaged(), (std::vector<std::string>{fmt::format("decode '{}': PNG ends after 40 bytes, before its picture is complete", bad)}));
}

TEST(Subset, NumbersFromItsFirst) {
    const auto whole = memory_dataset("m", {"a", "b", "c", "d"}, {1, 1, 1, {10, 11, 12, 13}, {0, 1, 2, 3}});
    const auto part = subset(whole, 1, 2);
    EXPECT_EQ(part->size(), 2);
    EXPECT_EQ(part->label(1), 2);
    EXPECT_EQ(*part->pixels(0), 11);
    EXPECT_EQ(pixels_of(*part), "\x0B\x0C");
    EXPECT_EQ(message_of<ArgumentError>([&] { (void)part->get(2); }), "data set 'm [1, 3)': no picture 2 of 2");
    EXPECT_EQ(message_of<ArgumentError>([&] { (void)subset(whole, 2, 3); }), "subset of 'm': pictures 2 to 5 of 4");
    EXPECT_EQ(message_of<ArgumentError>([] { (void)memory_dataset("m", {"a"}, {1, 1, 1, {10}, {1}}); }), "data set 'm': label 1, expected 0..0");
}

TEST(ChannelStatistics, AreThoseOfAllPixels) {
    const auto dataset = memory_dataset("m", {"a"}, {1, 2, 3, {0, 10, 20, 51, 10, 40}, {0}});
    const auto statistics = channel_statistics(*dataset);
    EXPECT_DOUBLE_EQ(statistics.mean[0], 25.5 / 255);
    EXPECT_DOUBLE_EQ(statistics.std[0], 25.5 / 255);
    EXPECT_DOUBLE_EQ(statistics.std[1], 1.0 / 255);  // a constant channel: one grey level, so that nothing divides by zero
    EXPECT_DOUBLE_EQ(statistics.mean[2], 30.0 / 255);
}

}  // namespace
}  // namespace fovea
