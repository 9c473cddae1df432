// A first layer that whitens: its answers to the pictures it was made from are uncorrelated and of size 1.
#include <cmath>

#include "small_run.h"

namespace fovea {
namespace {

const Preprocess grey{.channels = 1, .mean = {0.4, 0.4, 0.4}, .std = {0.25, 0.25, 0.25}};

TEST(Whitening, AnswersAreUncorrelatedAndOfSizeOne) {
    const DatasetPtr pictures = test::quadrants(400, "whitening");
    const Tensor filters = whitening_filters(pictures, grey, {8, 1, 2, 2}, 0);
    std::vector<double> moments(16, 0);
    double patches = 0;
    for (const Batch& batch : Loader(pictures, {.batch = 100, .threads = 0, .preprocess = grey}).epoch(0))
        for (std::int64_t n = 0; n < 100; ++n)
            for (std::int64_t y = 0; y < 7; ++y)
                for (std::int64_t x = 0; x < 7; ++x, ++patches) {
                    double answers[4] = {};
                    for (std::int64_t k = 0; k < 4; ++k)
                        for (std::int64_t i = 0; i < 4; ++i) answers[k] += filters.at(k * 4 + i) * batch.images.at(n * 64 + (y + i / 2) * 8 + x + i % 2);
                    for (std::size_t i = 0; i < 16; ++i) moments[i] += answers[i / 4] * answers[i % 4];
                }
    // 1e-4: the filters are rounded to f32, the smallest eigenvalue is a hundredth of the largest.
    for (std::size_t i = 0; i < 16; ++i) EXPECT_NEAR(moments[i] / patches, i / 4 == i % 4 ? 1 : 0, 1e-4) << i;
    for (std::int64_t i = 0; i < 16; ++i) EXPECT_EQ(filters.at(16 + i), -filters.at(i));
}

TEST(Whitening, TheFirstFilterSeesWhatVariesMost) {
    // The quadrants' brightness is common to a patch: four equal signs. Fewer filters are the first of more.
    const DatasetPtr pictures = test::quadrants(200, "whitening");
    const Tensor all = whitening_filters(pictures, grey, {8, 1, 2, 2}), two = whitening_filters(pictures, grey, {2, 1, 2, 2});
    for (std::int64_t i = 0; i < 4; ++i) {
        EXPECT_GT(two.at(i), 0);
        EXPECT_EQ(two.at(i), all.at(i));
        EXPECT_EQ(two.at(4 + i), all.at(16 + i));
    }
}

TEST(Whitening, OtherShapesAreRefused) {
    const DatasetPtr pictures = test::quadrants(10, "whitening");
    EXPECT_EQ(test::message_of<ShapeError>([&] { (void)whitening_filters(pictures, grey, {9, 1, 2, 2}); }), "whitening filters are a weight [K, C, k, k] with an even K of at most 2 C k k, not [9, 1, 2, 2]");
    EXPECT_EQ(test::message_of<ShapeError>([&] { (void)whitening_filters(pictures, grey, {8, 3, 2, 2}); }), "whitening filters [8, 3, 2, 2] do not fit pictures [10, 1, 8, 8]");
}

}  // namespace
}  // namespace fovea
