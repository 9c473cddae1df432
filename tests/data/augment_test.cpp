#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "data/augment/steps.h"
#include "data/files.h"

namespace fovea {
namespace {

const AugmentFrame frame{.width = 48, .height = 40, .mean = {124, 116, 104}};

Augment every_moving_step() {
    return {RandomCrop{.padding = 6}, RandomResizedCrop{.scale = {0.4, 1}}, RandomHorizontalFlip{}, RandomVerticalFlip{}, RandomRotation{.degrees = {-40, 40}, .interpolation = Filter::bilinear},
            RandomRotation{.degrees = {-40, 40}, .interpolation = Filter::bilinear, .inscribed = true},
            RandomAffine{.degrees = {-20, 20}, .translate = {0.1, 0.1}, .scale = {0.8, 1.2}, .shear = {-10, 10}, .interpolation = Filter::bilinear}, ElasticTransform{.alpha = 40, .sigma = 6},
            RandomResize{.min_size = 30, .max_size = 70}, ScaleJitter{.scale = {0.7, 1.5}}, RandAugment{.interpolation = Filter::bilinear}, TrivialAugmentWide{.interpolation = Filter::bilinear},
            AutoAugment{.policy = "cifar10", .interpolation = Filter::bilinear}};
}

/// A green rectangle on black, its box and mask, and a red blob with its point.
Annotated scene() {
    Annotated scene{.image = Image(80, 60, 3), .boxes = {{22, 18, 50, 44}}, .box_labels = {7}, .mask = Image(80, 60, 1), .points = {{61.5, 30.5}}};
    fill_rect(scene.image, 22, 18, 28, 26, {0, 200, 0});
    fill_rect(scene.mask, 22, 18, 28, 26, {9, 9, 9});
    fill_rect(scene.image, 58, 27, 7, 7, {250, 0, 0});
    return scene;
}

struct Spot {
    double weight = 0, x = 0, y = 0;
};
/// The middle of what is one channel brighter than another.
Spot spot_of(const Image& image, int channel, int over) {
    Spot spot;
    for (std::int64_t y = 0; y < image.height; ++y)
        for (std::int64_t x = 0; x < image.width; ++x) {
            const double w = std::max(0, image.at(x, y, channel) - image.at(x, y, over) - 40);
            spot.weight += w, spot.x += w * (static_cast<double>(x) + 0.5), spot.y += w * (static_cast<double>(y) + 0.5);
        }
    if (spot.weight > 0) spot.x /= spot.weight, spot.y /= spot.weight;
    return spot;
}

TEST(Augment, ImageBoxesMaskAndPointsMoveTogether) {
    for (const AugmentStep& step : every_moving_step()) {
        SCOPED_TRACE(std::string(name_of(step)));
        int compared_points = 0, compared_boxes = 0;
        for (std::int64_t sample = 0; sample < 60; ++sample) {
            Annotated got = scene();
            augment(got, {step}, frame, {.seed = 3, .sample = sample});
            ASSERT_EQ(got.mask.width, got.image.width);
            ASSERT_EQ(got.mask.height, got.image.height);
            ASSERT_EQ(got.boxes.size(), got.box_labels.size());
            // The mask is where the picture is green: colours of policies may wash it out, so pixels that are clearly one or the other count.
            double differs = 0, counted = 0;
            for (std::int64_t y = 1; y + 1 < got.image.height; ++y)
                for (std::int64_t x = 1; x + 1 < got.image.width; ++x) {
                    const bool is_inside = got.mask.at(x, y) == 9 && got.mask.at(x - 1, y) == 9 && got.mask.at(x + 1, y) == 9 && got.mask.at(x, y - 1) == 9 && got.mask.at(x, y + 1) == 9;
                    const bool is_outside = got.mask.at(x, y) != 9 && got.mask.at(x - 1, y) != 9 && got.mask.at(x + 1, y) != 9 && got.mask.at(x, y - 1) != 9 && got.mask.at(x, y + 1) != 9;
                    const bool is_green = got.image.at(x, y, 1) > got.image.at(x, y, 0) + 40 && got.image.at(x, y, 1) > got.image.at(x, y, 2) + 40;
                    counted += is_inside || is_outside;
                    differs += (is_inside && !is_green) || (is_outside && is_green);
                }
            const bool changes_colours = std::holds_alternative<RandAugment>(step) || std::holds_alternative<TrivialAugmentWide>(step) || std::holds_alternative<AutoAugment>(step);
            // Nearest and bilinear sampling disagree by a pixel at corners; a colour policy may turn green into grey everywhere.
            if (!changes_colours) {
                EXPECT_LE(differs, 0.01 * counted) << sample;
            }
            // Every pixel of the mask lies in the box, and where the whole object is left the box is no wider than a pixel more on each side
            // than the bounds of the turned rectangle.
            PixelRect bounds{got.image.width, got.image.height, 0, 0};
            for (std::int64_t y = 0; y < got.mask.height; ++y)
                for (std::int64_t x = 0; x < got.mask.width; ++x)
                    if (got.mask.at(x, y) == 9) bounds = {std::min(bounds.x, x), std::min(bounds.y, y), std::max(bounds.width, x + 1), std::max(bounds.height, y + 1)};
            if (!got.boxes.empty()) {
                const Box& box = got.boxes[0];
                EXPECT_EQ(got.box_labels[0], 7);
                EXPECT_TRUE(box.x0 >= 0 && box.y0 >= 0 && box.x1 <= static_cast<double>(got.image.width) && box.y1 <= static_cast<double>(got.image.height));
                if (bounds.width > 0) {
                    EXPECT_LE(box.x0, static_cast<double>(bounds.x) + 1) << sample;
                    EXPECT_LE(box.y0, static_cast<double>(bounds.y) + 1) << sample;
                    EXPECT_GE(box.x1, static_cast<double>(bounds.width) - 1) << sample;
                    EXPECT_GE(box.y1, static_cast<double>(bounds.height) - 1) << sample;
                    ++compared_boxes;
                }
            } else {
                EXPECT_LT(std::min(bounds.width - bounds.x, bounds.height - bounds.y), 3) << sample;  // what is dropped was a sliver
            }
            const Spot red = spot_of(got.image, 0, 1);
            const Point& point = got.points[0];
            const bool is_well_inside = point.is_visible && point.x > 6 && point.y > 6 && point.x < static_cast<double>(got.image.width) - 6 && point.y < static_cast<double>(got.image.height) - 6;
            if (is_well_inside && red.weight > 0 && !changes_colours) {
                EXPECT_NEAR(red.x, point.x, 1.0) << sample;
                EXPECT_NEAR(red.y, point.y, 1.0) << sample;
                ++compared_points;
            }
        }
        EXPECT_GT(compared_boxes, 20);
        if (step.index() < 10) {
            EXPECT_GT(compared_points, 10);
        }
    }
}

TEST(Augment, MirroringExchangesPairsOfPoints) {
    Annotated face{.image = Image(10, 4, 1), .boxes = {{1, 1, 4, 3}}, .points = {{2, 1}, {8, 1}, {5, 2}}, .point_pairs = {{0, 1}}};
    augment(face, {RandomHorizontalFlip{.p = 1}}, frame, {});
    EXPECT_EQ(face.boxes[0], (Box{6, 1, 9, 3}));
    EXPECT_EQ(face.points[0], (Point{2, 1}));  // what was the right eye at 8 is the left one, at 2
    EXPECT_EQ(face.points[1], (Point{8, 1}));
    EXPECT_EQ(face.points[2], (Point{5, 2}));
}

TEST(Augment, WhatLeavesThePictureIsCutOffOrGoes) {
    Annotated picture{.image = Image(20, 20, 1), .boxes = {{0, 0, 8, 8}, {12, 12, 20, 20}, {0, 12, 10.5, 20}}, .box_labels = {1, 2, 3}, .points = {{2, 2}, {15, 15}}};
    cut(picture, {10, 10, 8, 8}, {});
    EXPECT_EQ(picture.boxes, (std::vector<Box>{{2, 2, 8, 8}}));  // the third has half a pixel left
    EXPECT_EQ(picture.box_labels, (std::vector<std::int64_t>{2}));
    EXPECT_FALSE(picture.points[0].is_visible);
    EXPECT_EQ(picture.points[1], (Point{5, 5}));
}

TEST(Augment, AStepsDrawsDependOnNoOtherStep) {
    for (std::int64_t sample = 0; sample < 20; ++sample) {
        Annotated alone = scene(), after = scene();
        augment(alone, {RandomAffine{.degrees = {-20, 20}}}, frame, {.seed = 1, .epoch = 2, .sample = sample});
        augment(after, {RandomHorizontalFlip{.p = 0}, ColorJitter{}, RandomAffine{.degrees = {-20, 20}}}, frame, {.seed = 1, .epoch = 2, .sample = sample});
        EXPECT_EQ(alone.image, after.image);
    }
}

TEST(Augment, TheLoaderDoesTheSameSteps) {
    // The loader cuts, mirrors and normalises in one go, and decodes only what it needs: the same values as step by step.
    const TemporaryFolder folder;
    fs::create_directories(folder.path() / "a");
    for (int i = 0; i < 12; ++i) {
        Image image(70 + i, 55 + 2 * i, 3);
        for (std::size_t p = 0; p < image.pixels.size(); ++p) image.pixels[p] = static_cast<std::uint8_t>((p * p / 7 + static_cast<std::size_t>(i) * 31) % 251);
        write_png(folder.path() / "a" / fmt::format("{:02}.png", i), image);
    }
    const auto dataset = image_folder(folder.path(), Split::train);
    const Preprocess card{.resize_shorter = 50, .crop_width = 44, .crop_height = 36, .mean = {0.4, 0.5, 0.6}, .std = {0.2, 0.3, 0.4}};
    const AugmentFrame input{.width = 44, .height = 36, .mean = {102, 128, 153}};
    const Augment moving{RandomRotation{.fill = Fill{9}}, ColorJitter{.brightness = 0.3}};
    for (const Augment& steps : {Augment{}, Augment{RandomCrop{}}, Augment{RandomHorizontalFlip{}}, Augment{RandomCrop{.padding = 9, .fill = Fill{3}}, RandomHorizontalFlip{}}, moving,
                                 Augment{RandomResizedCrop{}}, Augment{RandomResizedCrop{}, RandomHorizontalFlip{}}, Augment{RandomResizedCrop{}, RandomRotation{}, RandomCrop{.padding = 2}},
                                 Augment{RandomResize{.min_size = 20, .max_size = 60}, RandomCrop{}}, Augment{RandomHorizontalFlip{}, RandomCrop{.padding = 3}, RandomVerticalFlip{}}}) {
        const Loader loader(dataset, {.batch = 12, .seed = 8, .augment = steps, .preprocess = card});
        auto epoch = loader.epoch(5);
        const auto batch = epoch.next();
        ASSERT_TRUE(batch);
        for (std::int64_t i = 0; i < 12; ++i) {
            Annotated picture{.image = dataset->get(i).image};
            if (steps.empty() || !resizes(steps[0])) picture.image = resize_shorter_side(picture.image, 50);
            augment(picture, steps, input, {.seed = 8, .epoch = 5, .sample = i});
            const Tensor expected = to_tensor(picture.image, {.crop_width = 44, .crop_height = 36, .mean = card.mean, .std = card.std});
            EXPECT_EQ(std::memcmp(batch->images.raw() + static_cast<std::size_t>(i) * expected.bytes(), expected.raw(), expected.bytes()), 0)
                << i << " with " << (steps.empty() ? "nothing" : name_of(steps[0]));
        }
    }
}

/// Chi-square of counts against equal expectations.
double chi_square(const std::vector<int>& counts) {
    double total = 0, sum = 0;
    for (const int c : counts) total += c;
    const double expected = total / static_cast<double>(counts.size());
    for (const int c : counts) sum += (c - expected) * (c - expected) / expected;
    return sum;
}

TEST(Distribution, RandomCropTakesEveryPlaceEquallyOften) {  // G01
    std::vector<int> counts(33 * 33);
    for (std::int64_t sample = 0; sample < 20'000; ++sample) {
        Draws draws({.seed = 4, .sample = sample}, "random_crop");
        const PixelRect window = random_window({}, 256, 256, 224, 224, draws);
        ++counts[static_cast<std::size_t>(window.y * 33 + window.x)];
    }
    // 1088 degrees of freedom: mean 1088, deviation sqrt(2 * 1088) = 46.6; a fair draw lies beyond four deviations once in 15,000, and the seed is fixed.
    EXPECT_LT(chi_square(counts), 1088 + 4 * 46.6);
}

TEST(Distribution, ResizedCropsAreaIsUniformAndItsShapeLogUniform) {
    std::vector<int> areas(10), ratios(10);
    for (std::int64_t sample = 0; sample < 10'000; ++sample) {
        Draws draws({.seed = 5, .sample = sample}, "random_resized_crop");
        // Parts of at most half a large square: no try fails, and rounding to pixels is small.
        const PixelRect part = random_resized_window({.scale = {0.1, 0.5}}, 4000, 4000, draws);
        const auto w = static_cast<double>(part.width), h = static_cast<double>(part.height);
        ++areas[static_cast<std::size_t>(std::clamp((w * h / 16e6 - 0.1) / 0.4 * 10, 0.0, 9.99))];
        ++ratios[static_cast<std::size_t>(std::clamp((std::log(w / h) - std::log(0.75)) / std::log(16.0 / 9) * 10, 0.0, 9.99))];
        ASSERT_TRUE(part.x >= 0 && part.y >= 0 && part.x + part.width <= 4000 && part.y + part.height <= 4000);
    }
    EXPECT_LT(chi_square(areas), 27.9);  // 9 degrees of freedom: passed once in 1000 by a fair draw
    EXPECT_LT(chi_square(ratios), 27.9);
}

TEST(Distribution, MirrorsHalfAndAlternatesWhenAsked) {  // G02
    int mirrored = 0;
    for (std::int64_t sample = 0; sample < 4000; ++sample) mirrored += is_flipped({}, {.seed = 6, .epoch = 3, .sample = sample}, 0);
    EXPECT_NEAR(mirrored, 2000, 5 * 31.6);  // five deviations of 4000 fair coins
    int first = 0;
    for (std::int64_t sample = 0; sample < 4000; ++sample) {
        const bool begins = is_flipped({.alternating = true}, {.seed = 6, .epoch = 0, .sample = sample}, 0);
        first += begins;
        for (std::int64_t epoch = 1; epoch < 5; ++epoch) EXPECT_EQ(is_flipped({.alternating = true}, {.seed = 6, .epoch = epoch, .sample = sample}, 0), begins != (epoch % 2 == 1));
    }
    EXPECT_NEAR(first, 2000, 5 * 31.6);
}

TEST(Distribution, AnInscribedRotationLeavesNoCornerOutside) {  // G03
    for (std::int64_t sample = 0; sample < 200; ++sample) {
        Annotated white{.image = Image(50, 31, 3, 255)};
        augment(white, {RandomRotation{.degrees = {-180, 180}, .interpolation = Filter::bilinear, .inscribed = true}}, frame, {.sample = sample});
        for (const std::uint8_t v : white.image.pixels) ASSERT_EQ(v, 255) << sample;
    }
}

TEST(Distribution, LightingMovesColoursByItsDeviation) {  // G04
    // Along the first component alone the deviation is 255 * 0.1 * 0.2175 = 5.55; red's share of it 0.5675, the others add little.
    double sum = 0, squares = 0;
    for (std::int64_t sample = 0; sample < 4000; ++sample) {
        Annotated grey{.image = Image(1, 1, 3, 128)};
        augment(grey, {PcaLighting{}}, frame, {.seed = 2, .sample = sample});
        const double moved = grey.image.at(0, 0, 0) - 128.0;
        sum += moved, squares += moved * moved;
    }
    const double along[] = {0.5675 * 0.2175, 0.7192 * 0.0188, 0.4009 * 0.0045};
    double variance = 1.0 / 12;  // of rounding
    for (const double a : along) variance += 25.5 * 25.5 * a * a;
    EXPECT_NEAR(sum / 4000, 0, 5 * std::sqrt(variance / 4000));
    EXPECT_NEAR(squares / 4000, variance, 5 * variance * std::sqrt(2.0 / 4000));
}

TEST(Distribution, PoliciesDrawEachOperationEquallyOften) {
    // 14 operations; that of a grey ramp which changes nothing (identity, autocontrast, saturation ...) cannot be told apart, so first words of the draw are counted.
    std::vector<int> counts(14);
    for (std::int64_t sample = 0; sample < 14'000; ++sample) ++counts[static_cast<std::size_t>(Draws({.seed = 9, .sample = sample}, "rand_augment").below(14))];
    EXPECT_LT(chi_square(counts), 34.5);  // 13 degrees of freedom: once in 1000
}

TEST(Erasing, TakesARectangleOfTheAskedAreaAndShape) {
    int happened = 0;
    for (std::int64_t sample = 0; sample < 2000; ++sample) {
        Draws draws({.seed = 1, .sample = sample}, "random_erasing");
        const auto window = erased_window({}, 400, 300, draws);
        if (!window) continue;
        ++happened;
        const auto area = static_cast<double>(window->width * window->height) / 120'000, ratio = static_cast<double>(window->height) / static_cast<double>(window->width);
        EXPECT_TRUE(area > 0.019 && area < 0.335 && ratio > 0.29 && ratio < 3.4) << area << " " << ratio;
        EXPECT_TRUE(window->x >= 0 && window->y >= 0 && window->x + window->width <= 400 && window->y + window->height <= 300);
    }
    EXPECT_NEAR(happened, 1000, 5 * 22.4 + 20);  // five deviations of 2000 coins, and few shapes do not fit
    const auto white = memory_dataset("white", {"white"}, {8, 8, 1, std::vector<std::uint8_t>(64 * 50, 255), std::vector<std::int32_t>(50)});
    Loader loader(white, {.batch = 50, .augment = {RandomErasing{.p = 1}}, .preprocess = {.mean = {0.5, 0.5, 0.5}}});
    auto epoch = loader.epoch(0);
    std::set<float> values;
    for (const float v : epoch.next()->images.data<float>()) values.insert(v);
    EXPECT_EQ(values, (std::set<float>{0.0f, 0.5f}));
}

/// Pictures whose pixels all are their number times 10, each a class of its own.
DatasetPtr levels(std::int64_t count) {
    MemoryImages images{6, 10, 1, {}, {}};
    std::vector<std::string> classes;
    for (std::int64_t i = 0; i < count; ++i) {
        images.pixels.insert(images.pixels.end(), 60, static_cast<std::uint8_t>(10 * i));
        images.labels.push_back(static_cast<std::int32_t>(i));
        classes.push_back(std::to_string(i));
    }
    return memory_dataset("levels", classes, std::move(images));
}

TEST(Mixing, SharesOfClassesAreSharesOfPictures) {
    const auto dataset = levels(8);
    std::vector<double> shares;
    for (const Augment& steps : {Augment{MixUp{.alpha = 0.4}}, Augment{CutMix{}}, Augment{MixUp{}, CutMix{}}}) {
        Loader loader(dataset, {.batch = 4, .seed = 3, .threads = 2, .augment = steps, .preprocess = {.scale = 1}});
        for (std::int64_t e = 0; e < 100; ++e) {
            auto epoch = loader.epoch(e);
            while (const auto batch = epoch.next()) {
                ASSERT_EQ(batch->targets.shape(), (Shape{4, 8}));
                for (std::size_t n = 0; n < 4; ++n) {
                    const auto targets = batch->targets.data<float>().subspan(8 * n, 8), pixels = batch->images.data<float>().subspan(60 * n, 60);
                    double sum = 0, expected = 0, mean = 0;
                    for (std::size_t c = 0; c < 8; ++c) sum += targets[c], expected += 10.0 * static_cast<double>(c) * targets[c];
                    for (const float p : pixels) mean += p / 60.0;
                    EXPECT_NEAR(sum, 1, 1e-6);        // f32 shares
                    EXPECT_NEAR(mean, expected, 1e-4);  // f32 sums of 60 values below 80
                    const std::int32_t own = batch->labels.data<std::int32_t>()[n], before = batch->labels.data<std::int32_t>()[(n + 3) % 4];
                    EXPECT_NEAR(targets[static_cast<std::size_t>(own)] + targets[static_cast<std::size_t>(before)], 1, 1e-6);
                    if (std::holds_alternative<MixUp>(steps[0]) && steps.size() == 1) shares.push_back(targets[static_cast<std::size_t>(own)]);
                }
            }
        }
    }
    // Beta(0.4, 0.4): mean 1/2, variance 1 / (4 (2 * 0.4 + 1)) = 0.139; 200 draws, one a batch.
    double mean = 0, square = 0;
    for (const double s : shares) mean += s / static_cast<double>(shares.size()), square += (s - 0.5) * (s - 0.5) / static_cast<double>(shares.size());
    EXPECT_NEAR(mean, 0.5, 5 * std::sqrt(0.139 / 200));
    EXPECT_NEAR(square, 0.139, 5 * 0.1 / std::sqrt(200.0));  // the squared distance's own deviation is at most 0.125
}

TEST(Mixing, RepeatsAreDifferentChangesOfFewerPictures) {
    const auto dataset = levels(12);
    const Loader loader(dataset, {.batch = 12, .shuffle = true, .seed = 1, .augment = {ColorJitter{.brightness = 0.9}}, .preprocess = {.scale = 1}, .repeats = 3});
    const auto order = loader.order(0);
    EXPECT_EQ(order.size(), 12u);
    EXPECT_EQ(std::set<std::int64_t>(order.begin(), order.end()).size(), 4u);
    auto epoch = loader.epoch(0);
    const auto batch = epoch.next();
    std::map<std::int32_t, std::set<float>> seen;
    for (std::size_t n = 0; n < 12; ++n) seen[batch->labels.data<std::int32_t>()[n]].insert(batch->images.data<float>()[60 * n]);
    for (const auto& [label, values] : seen)
        if (label > 3) {
            EXPECT_EQ(values.size(), 3u) << label;  // brightness 0.1 .. 1.9 of 40 and more
        }
}

TEST(Augment, TakesPicturesOfAnySize) {
    Augment all = every_moving_step();
    for (const AugmentStep& step : Augment{ColorJitter{.brightness = 0.4, .contrast = 0.4, .saturation = 0.4, .hue = 0.1}, RandomGrayscale{.p = 1}, GaussianBlur{}, PcaLighting{}, RandomInvert{.p = 1},
                                           RandomPosterize{.p = 1}, RandomSolarize{.p = 1}, RandomAdjustSharpness{.p = 1}, RandomAutocontrast{.p = 1}, RandomEqualize{.p = 1}, RandomErasing{.p = 1}})
        all.push_back(step);
    for (const AugmentStep& step : all)
        for (const int channels : {1, 3})
            for (const auto& [width, height] : {std::pair(1, 1), std::pair(1, 300), std::pair(257, 2)})
                for (std::int64_t sample = 0; sample < 4; ++sample) {
                    Annotated picture{.image = Image(width, height, channels, 100)};
                    augment(picture, {step}, frame, {.sample = sample});
                    EXPECT_FALSE(picture.image.is_empty()) << name_of(step);
                    EXPECT_EQ(picture.image.channels, channels);
                }
}

TEST(Augment, SaysWhatDoesNotFit) {
    const auto refused = [](const Augment& steps) { return message_of<ArgumentError>([&] { check(steps); }); };
    EXPECT_EQ(refused({RandomHorizontalFlip{.p = 1.5}}), "random_horizontal_flip.p lies in 0..1, got 1.5");
    EXPECT_EQ(refused({MixUp{}, RandomCrop{}}), "random_crop stands behind mixup: what mixes batches comes last");
    EXPECT_EQ(refused({RandomErasing{}, RandomHorizontalFlip{}}), "random_horizontal_flip stands behind random_erasing: random_erasing, of normalised values, comes last");
    EXPECT_EQ(refused({RandomRotation{.interpolation = Filter::bicubic}}), "random_rotation.interpolation is nearest or bilinear, got bicubic");
    EXPECT_EQ(refused({AutoAugment{.policy = "cifar"}}), "auto_augment.policy is imagenet, cifar10 or svhn, got 'cifar'");
    EXPECT_EQ(message_of<ArgumentError>([] { (void)augment_named({"mirrror"}); }).substr(0, 43), "no augmentation 'mirrror'; nearest: mirror,");
    EXPECT_EQ(augment_named({"random-crop", "mirror", "none"}), (Augment{RandomCrop{}, RandomHorizontalFlip{}}));
    Annotated wrong{.image = Image(4, 4, 3), .mask = Image(3, 4, 1)};
    EXPECT_EQ(message_of<ArgumentError>([&] { augment(wrong, {}, frame, {}); }), "augment: the mask is 3x4 with 1 channels, the picture 4x4; a mask has the picture's size and one channel");
    EXPECT_EQ(message_of<ArgumentError>([] { Loader(levels(3), {.repeats = 2}); }), "loader: repeats is at least 1, and above 1 needs shuffle without weights, got 2");
}

}  // namespace
}  // namespace fovea
