#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>

#include "data/files.h"

namespace fovea {
namespace {

/// Pictures of 8x8: the top left pixel holds the number of the picture, the rest a pattern.
DatasetPtr numbered(std::int64_t count, int channels = 3) {
    MemoryImages images{8, 8, channels, {}, {}};
    for (std::int64_t i = 0; i < count; ++i) {
        for (int p = 0; p < 64 * channels; ++p) images.pixels.push_back(static_cast<std::uint8_t>(p < channels ? i : (i * 7 + p * 3) % 251));
        images.labels.push_back(static_cast<std::int32_t>(i % 3));
    }
    return memory_dataset("numbered", {"a", "b", "c"}, std::move(images));
}

std::vector<Batch> all(Epoch epoch) {
    std::vector<Batch> batches;
    while (auto batch = epoch.next()) batches.push_back(std::move(*batch));
    return batches;
}

bool is_same(const Tensor& a, const Tensor& b) { return a.shape() == b.shape() && a.dtype() == b.dtype() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0; }

const Augment everything{RandomAffine{.degrees = {-10, 10}, .translate = {0.1, 0.1}, .scale = {0.9, 1.1}, .shear = {-5, 5}}, ElasticTransform{.alpha = 16, .sigma = 2},
                         RandomRotation{.interpolation = Filter::bilinear, .inscribed = true}, RandomVerticalFlip{}, ColorJitter{.brightness = 0.4, .contrast = 0.4, .saturation = 0.4, .hue = 0.1},
                         RandomCrop{.padding = 2, .fill = mean_fill}, RandomHorizontalFlip{}};

TEST(Loader, GivesTheSameBytesWhateverTheNumberOfThreads) {
    const auto dataset = numbered(101);
    LoaderSpec spec{.batch = 8, .shuffle = true, .seed = 5, .threads = 0, .augment = everything};
    const auto expected = all(Loader(dataset, spec).epoch(3));
    ASSERT_EQ(expected.size(), 13u);
    EXPECT_EQ(expected.back().labels.elements(), 5);
    for (const int threads : {1, 2, 4})
        for (const int prefetch : {1, 5}) {
            spec.threads = threads;
            spec.prefetch = prefetch;
            const auto got = all(Loader(dataset, spec).epoch(3));
            ASSERT_EQ(got.size(), expected.size());
            for (std::size_t i = 0; i < got.size(); ++i) {
                EXPECT_TRUE(is_same(got[i].images, expected[i].images)) << i;
                EXPECT_TRUE(is_same(got[i].labels, expected[i].labels)) << i;
                EXPECT_EQ(got[i].step, static_cast<std::int64_t>(i));
            }
        }
}

TEST(Loader, StartsInTheMiddleOfAnEpochAsIfItHadNeverStopped) {
    const Loader loader(numbered(50), {.batch = 8, .shuffle = true, .seed = 9, .threads = 2, .augment = everything});
    const auto whole = all(loader.epoch(4)), rest = all(loader.epoch(4, 5));
    ASSERT_EQ(whole.size(), 7u);
    ASSERT_EQ(rest.size(), 2u);
    for (std::size_t i = 0; i < rest.size(); ++i) {
        EXPECT_TRUE(is_same(rest[i].images, whole[i + 5].images));
        EXPECT_TRUE(is_same(rest[i].labels, whole[i + 5].labels));
        EXPECT_EQ(rest[i].step, static_cast<std::int64_t>(i + 5));
    }
    EXPECT_TRUE(all(loader.epoch(4, 7)).empty());
    EXPECT_EQ(message_of<ArgumentError>([&] { (void)loader.epoch(4, 8); }), "loader: cannot start at step 8 of epoch 4; an epoch has 7 steps");
}

TEST(Loader, PartsOfItsBatchesAreDisjointAndTogetherTheWhole) {
    Augment mixed = everything;
    mixed.push_back(MixUp{.alpha = 0.4, .p = 0.7});
    mixed.push_back(CutMix{.p = 0.7});
    for (const Augment& augment : {everything, mixed})
        for (const int parts : {2, 3, 4, 10}) {
            LoaderSpec spec{.batch = 8, .shuffle = true, .seed = 5, .threads = 1, .augment = augment};
            const auto whole = all(Loader(numbered(50), spec).epoch(2));  // the last batch has two pictures
            std::vector<std::vector<Batch>> shares;
            spec.parts = parts;
            for (spec.part = 0; spec.part < parts; ++spec.part) shares.push_back(all(Loader(numbered(50), spec).epoch(2)));
            for (std::size_t step = 0; step < whole.size(); ++step) {
                std::vector<float> images, targets;
                std::vector<std::int32_t> labels;
                const auto append = [](auto& to, std::span<const typename std::decay_t<decltype(to)>::value_type> from) { to.insert(to.end(), from.begin(), from.end()); };
                for (const auto& share : shares) {
                    ASSERT_EQ(share.size(), whole.size());
                    append(images, share[step].images.data<float>().first(static_cast<std::size_t>(share[step].images.elements())));
                    append(labels, share[step].labels.data<std::int32_t>().first(static_cast<std::size_t>(share[step].labels.elements())));
                    if (!whole[step].targets.is_empty() && share[step].labels.elements() > 0) append(targets, share[step].targets.data<float>());
                }
                EXPECT_TRUE(std::ranges::equal(images, whole[step].images.data<float>())) << parts << " parts, step " << step;
                EXPECT_TRUE(std::ranges::equal(labels, whole[step].labels.data<std::int32_t>())) << parts << " parts, step " << step;
                if (whole[step].targets.is_empty()) continue;
                EXPECT_TRUE(std::ranges::equal(targets, whole[step].targets.data<float>())) << parts << " parts, step " << step;
            }
        }
}

TEST(Loader, MeetsEveryPictureOncePerEpochInAnOrderOfItsOwn) {
    Loader loader(numbered(60, 1), {.batch = 7, .shuffle = true, .seed = 1, .preprocess = {.scale = 1}});
    std::vector<std::vector<float>> orders;
    for (int epoch = 0; epoch < 2; ++epoch) {
        std::vector<float> numbers;
        for (const Batch& batch : loader) {
            EXPECT_EQ(batch.epoch, epoch);
            for (std::int64_t i = 0; i < batch.labels.elements(); ++i) {
                numbers.push_back(batch.images.data<float>()[static_cast<std::size_t>(i * 64)]);
                EXPECT_EQ(batch.labels.data<std::int32_t>()[static_cast<std::size_t>(i)], static_cast<int>(numbers.back()) % 3);
            }
        }
        EXPECT_EQ(std::set<float>(numbers.begin(), numbers.end()).size(), 60u);
        EXPECT_EQ(numbers.size(), 60u);
        EXPECT_FALSE(std::ranges::is_sorted(numbers));
        orders.push_back(numbers);
    }
    EXPECT_NE(orders[0], orders[1]);
    EXPECT_NE(Loader(numbered(60), {.shuffle = true, .seed = 2}).order(0), loader.order(0));
}

TEST(Loader, DropLastLeavesOutTheSmallBatch) {
    EXPECT_EQ(Loader(numbered(20), {.batch = 8, .drop_last = true}).steps(), 2);
    EXPECT_EQ(all(Loader(numbered(20), {.batch = 8, .drop_last = true}).epoch(0)).size(), 2u);
    EXPECT_EQ(Loader(numbered(20), {.batch = 8}).steps(), 3);
    EXPECT_EQ(all(Loader(numbered(3), {.batch = 8, .drop_last = true}).epoch(0)).size(), 0u);
}

TEST(Loader, NormalisesAsToTensorDoes) {
    const auto dataset = numbered(5);
    for (Preprocess preprocess : {Preprocess{.mean = {0.4, 0.5, 0.6}, .std = {0.2, 0.3, 0.4}}, Preprocess{.is_bgr = true, .scale = 1, .mean = {104, 117, 123}},
                                  Preprocess{.channels = 1}, Preprocess{.resize_width = 12, .resize_height = 12, .crop_width = 8, .crop_height = 8}}) {
        const Loader loader(dataset, {.batch = 5, .preprocess = preprocess});
        const auto batches = all(loader.epoch(0));
        for (std::int64_t i = 0; i < 5; ++i) {
            const Tensor expected = to_tensor(dataset->get(i).image, preprocess);
            EXPECT_EQ((Shape{1, loader.image_shape()[0], loader.image_shape()[1], loader.image_shape()[2]}), expected.shape());
            EXPECT_EQ(std::memcmp(batches[0].images.raw() + static_cast<std::size_t>(i) * expected.bytes(), expected.raw(), expected.bytes()), 0);
        }
    }
}

TEST(Loader, ABatchThatIsKeptIsNotOverwritten) {
    const Loader loader(numbered(400), {.batch = 4, .threads = 2, .prefetch = 3});
    auto epoch = loader.epoch(0);
    std::vector<Tensor> kept, copies;
    for (int i = 0; auto batch = epoch.next(); ++i) {
        if (i % 3) continue;
        copies.push_back(batch->images.clone());
        kept.push_back(batch->images.reshape({4, 192}));
    }
    for (std::size_t i = 0; i < kept.size(); ++i) EXPECT_EQ(std::memcmp(kept[i].raw(), copies[i].raw(), copies[i].bytes()), 0);
}

TEST(Loader, AnEpochMayBeLeftEarly) {
    const Loader loader(numbered(200), {.batch = 2, .threads = 3});
    for (int i = 0; i < 20; ++i) {
        auto epoch = loader.epoch(i);
        EXPECT_TRUE(epoch.next().has_value());
    }
}

TEST(Loader, PadCropMovesThePictureByUpToThePadding) {
    // One white pixel in the middle: where it lands is the offset.
    MemoryImages images{9, 9, 1, std::vector<std::uint8_t>(81 * 2000), std::vector<std::int32_t>(2000)};
    for (std::size_t i = 0; i < 2000; ++i) images.pixels[81 * i + 40] = 255;
    const auto dataset = memory_dataset("dots", {"dot"}, std::move(images));
    const auto batches = all(Loader(dataset, {.batch = 2000, .augment = {RandomCrop{.padding = 4}}}).epoch(0));
    std::array<int, 81> seen{};
    for (std::size_t i = 0; i < 2000; ++i) {
        const auto values = batches[0].images.data<float>().subspan(81 * i, 81);
        const auto white = std::ranges::find(values, 1.0f) - values.begin();
        ASSERT_LT(white, 81);
        ++seen[static_cast<std::size_t>(white)];
    }
    // Chi-square of 81 places, expected 24.7 each: 80 degrees of freedom, 124.8 is passed once in 1000 by a fair draw; the seed is fixed.
    double chi_square = 0;
    for (const int count : seen) chi_square += (count - 2000.0 / 81) * (count - 2000.0 / 81) / (2000.0 / 81);
    EXPECT_LT(chi_square, 124.8);
}

TEST(Loader, MirrorTurnsHalfOfThePictures) {
    MemoryImages images{1, 2, 1, {}, std::vector<std::int32_t>(1000)};
    for (int i = 0; i < 1000; ++i) images.pixels.insert(images.pixels.end(), {255, 0});
    const auto batches = all(Loader(memory_dataset("pairs", {"pair"}, std::move(images)), {.batch = 1000, .augment = {RandomHorizontalFlip{}}}).epoch(0));
    double mirrored = 0;
    for (std::size_t i = 0; i < 1000; ++i) mirrored += batches[0].images.data<float>()[2 * i + 1];
    EXPECT_NEAR(mirrored, 500, 5 * 15.8);  // five standard deviations of 1000 fair coins
}

TEST(Loader, PadCropAndMirrorEqualTheirImageFunctions) {
    const auto dataset = numbered(40);
    const auto batches = all(Loader(dataset, {.batch = 40, .augment = {RandomCrop{.padding = 3}, RandomHorizontalFlip{}}}).epoch(1));
    for (std::int64_t i = 0; i < 40; ++i) {
        const Image padded = pad(dataset->get(i).image, 3, 3, 3, 3), got = to_image(batches[0].images, i, {});
        int matches = 0;
        for (std::int64_t y = 0; y <= 6; ++y)
            for (std::int64_t x = 0; x <= 6; ++x) matches += crop(padded, x, y, 8, 8) == got || mirror(crop(padded, x, y, 8, 8)) == got;
        EXPECT_EQ(matches, 1) << i;
    }
}

TEST(Loader, TheBorderIsTheMeanUnlessBlackIsAskedFor) {
    const auto dataset = memory_dataset("white", {"white"}, {4, 4, 1, std::vector<std::uint8_t>(16 * 20, 255), std::vector<std::int32_t>(20)});
    const Preprocess half{.mean = {0.5, 0.5, 0.5}, .std = {0.25, 0.25, 0.25}};
    for (const auto& [fill, border] : {std::pair(mean_fill, 0.0f), std::pair(Fill{}, -2.0f)}) {
        const auto batches = all(Loader(dataset, {.batch = 20, .augment = {RandomCrop{.padding = 2, .fill = fill}}, .preprocess = half}).epoch(0));
        std::int64_t at_border = 0;
        for (const float value : batches[0].images.data<float>()) {
            ASSERT_TRUE(value == 2.0f || value == border) << value;
            at_border += value == border;
        }
        EXPECT_GT(at_border, 0);
    }
}

/// `count` white discs of radius 8.7 in the middle of 28x28.
DatasetPtr discs(std::size_t count) {
    MemoryImages images{28, 28, 1, {}, std::vector<std::int32_t>(count)};
    for (std::size_t i = 0; i < count; ++i)
        for (int y = 0; y < 28; ++y)
            for (int x = 0; x < 28; ++x) images.pixels.push_back((2 * x - 27) * (2 * x - 27) + (2 * y - 27) * (2 * y - 27) < 300 ? 255 : 0);
    return memory_dataset("discs", {"disc"}, std::move(images));
}

/// Sum of the values and their centre along x.
std::pair<double, double> ink_and_centre(std::span<const float> picture) {
    double ink = 0, moment = 0;
    for (std::size_t p = 0; p < picture.size(); ++p) ink += picture[p], moment += picture[p] * static_cast<double>(p % 28);
    return {ink, moment / ink};
}

TEST(Loader, AffineWarpsScaleTheAreaAndKeepTheCentre) {
    const auto dataset = discs(200);
    const auto before = ink_and_centre(to_tensor(dataset->get(0).image, {}).data<float>());
    const auto batches = all(Loader(dataset, {.batch = 200, .augment = {RandomAffine{.degrees = {-15, 15}, .scale = {0.9, 1.1}, .shear = {-5, 5}, .interpolation = Filter::bilinear}}}).epoch(0));
    double smallest = 1e9, largest = 0;
    for (std::size_t i = 0; i < 200; ++i) {
        const auto [ink, centre] = ink_and_centre(batches[0].images.data<float>().subspan(784 * i, 784));
        smallest = std::min(smallest, ink / before.first), largest = std::max(largest, ink / before.first);
        EXPECT_NEAR(centre, 13.5, 0.1);  // sampling a jagged edge moves it by a fraction of a pixel
    }
    // 0.9^2 .. 1.1^2, 2 % for the edge; 200 uniform draws come within 2 % of the ends of the range.
    EXPECT_NEAR(smallest, 0.81, 0.03);
    EXPECT_NEAR(largest, 1.21, 0.03);
    const auto still = all(Loader(dataset, {.batch = 2, .augment = {RandomAffine{.interpolation = Filter::bilinear}}}).epoch(0));  // the identity, through the sampling
    EXPECT_EQ(to_image(still[0].images, 0, {}), dataset->get(0).image);
}

TEST(Loader, ShiftsMoveTheCentreByUpToTheirRange) {
    const auto batches = all(Loader(discs(400), {.batch = 400, .augment = {RandomAffine{.translate = {3.0 / 28, 0}}}}).epoch(0));
    double mean_square = 0;
    for (std::size_t i = 0; i < 400; ++i) {
        const double moved = ink_and_centre(batches[0].images.data<float>().subspan(784 * i, 784)).second - 13.5;
        EXPECT_NEAR(moved, std::round(moved), 1e-3);  // whole pixels, and none of the disc is lost
        EXPECT_LE(std::abs(moved), 3.05);
        mean_square += moved * moved / 400;
    }
    // Uniform in +-3, rounded: -3 .. 3 with 1/12, 1/6 (five times), 1/12; mean square (2 * 9 + 4 * 4 + 4 * 1) / 12; five standard errors of 400 draws.
    EXPECT_NEAR(mean_square, 38.0 / 12, 5 * std::sqrt((2 * 81 + 4 * 16 + 4) / 12.0 - 38.0 / 12 * 38.0 / 12) / 20);
}

TEST(Loader, ElasticFieldsMovePixelsByTheirStandardDeviation) {
    // Noise uniform in +-1 (0.577) smoothed by a Gaussian of sigma 4 keeps 0.577 / (2 sqrt(pi) 4) = 0.0407; times 68 / 2: 1.38 pixels at a
    // point. The centre of a disc of radius 8.7 moves by the average over it: less than that, but not by nothing.
    const auto batches = all(Loader(discs(200), {.batch = 200, .augment = {ElasticTransform{.alpha = 68, .sigma = 4}}}).epoch(0));
    double mean_square = 0;
    for (std::size_t i = 0; i < 200; ++i) {
        const double moved = ink_and_centre(batches[0].images.data<float>().subspan(784 * i, 784)).second - 13.5;
        mean_square += moved * moved / 200;
    }
    EXPECT_LT(std::sqrt(mean_square), 1.38);
    EXPECT_GT(std::sqrt(mean_square), 0.3);
}

TEST(Loader, RandomCropStaysInsideThePicture) {
    const TemporaryFolder folder;
    Image image(20, 10, 3);
    for (std::int64_t y = 0; y < 10; ++y)
        for (std::int64_t x = 0; x < 20; ++x) image.row(y)[3 * x] = static_cast<std::uint8_t>(x + 1), image.row(y)[3 * x + 1] = static_cast<std::uint8_t>(y + 1);
    fs::create_directory(folder.path() / "a");
    for (int i = 0; i < 64; ++i) write_png(folder.path() / "a" / fmt::format("{}.png", i), image);
    const auto dataset = image_folder(folder.path(), Split::train);
    const auto batches = all(Loader(dataset, {.batch = 64, .threads = 2, .augment = {RandomCrop{}}, .preprocess = {.crop_width = 8, .crop_height = 8, .scale = 1}}).epoch(0));
    std::set<float> lefts, tops;
    for (std::size_t i = 0; i < 64; ++i) {
        const auto values = batches[0].images.data<float>().subspan(192 * i, 192);
        lefts.insert(values[0]), tops.insert(values[64]);
        EXPECT_EQ(values[7], values[0] + 7);
    }
    EXPECT_EQ(tops, (std::set<float>{1, 2, 3}));
    EXPECT_EQ(lefts.size(), 13u);  // every offset of 0..12, met in 64 draws with this seed
}

TEST(Loader, SaysWhatDoesNotFit) {
    const TemporaryFolder folder;
    fs::create_directory(folder.path() / "a");
    write_png(folder.path() / "a/1.png", Image(3, 3, 3));
    const auto dataset = image_folder(folder.path(), Split::train);
    EXPECT_EQ(message_of<ArgumentError>([&] { Loader(dataset, {}); }),
              fmt::format("loader: pictures of 'folder:{} (undivided)' differ in size; give the preprocessing a crop or an exact resize", folder.path().string()));
    EXPECT_EQ(message_of<ArgumentError>([&] { Loader(numbered(3), {.batch = 0}); }), "loader: batch must be at least 1, got 0");
}

/// Fails as a bug would, not as a damaged file.
class BrokenDataset : public Dataset {
public:
    BrokenDataset() : Dataset("broken", {"a"}) {}
    std::int64_t size() const override { return 10; }
    Shape image_shape() const override { return {2, 2, 3}; }
    std::int64_t label(std::int64_t) const override { return 0; }
    Sample get(std::int64_t index) const override {
        if (index == 5) throw Error("disk on fire");
        return {Image(2, 2, 3), 0};
    }
};

TEST(Loader, WhatFailsInAWorkerIsThrownToTheCaller) {
    for (const int threads : {0, 1, 3}) {
        Loader loader(std::make_shared<BrokenDataset>(), {.batch = 2, .threads = threads});
        auto epoch = loader.epoch(0);
        EXPECT_TRUE(epoch.next());
        EXPECT_TRUE(epoch.next());
        EXPECT_EQ(message_of<Error>([&] { (void)epoch.next(); }), "disk on fire");
    }
}

}  // namespace
}  // namespace fovea
