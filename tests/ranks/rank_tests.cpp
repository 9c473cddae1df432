// main() of the tests on several ranks, and those of the Communicator itself.
#include "ranks/ranks.h"

#include <numeric>

namespace fovea::test {

namespace {
std::unique_ptr<Communicator> opened;
}  // namespace

Communicator& ranks() { return *opened; }

namespace {

TEST(Communicator, KnowsItsPlace) {
    EXPECT_GE(ranks().size(), 1);
    std::vector<std::int64_t> expected(static_cast<std::size_t>(ranks().size()));
    std::iota(expected.begin(), expected.end(), 0);
    EXPECT_EQ(gathered(&ranks(), ranks().rank()), expected);
}

TEST(Communicator, TextsArriveWhole) {
    const std::string mine(static_cast<std::size_t>(3 * ranks().rank()), static_cast<char>('a' + ranks().rank()));  // rank 0's is empty
    const auto all = gathered(&ranks(), mine);
    ASSERT_EQ(all.size(), static_cast<std::size_t>(ranks().size()));
    for (std::size_t r = 0; r < all.size(); ++r) EXPECT_EQ(all[r], std::string(3 * r, static_cast<char>('a' + r)));
    EXPECT_EQ(from_first(&ranks(), ranks().rank() == 0 ? "of rank 0" : "of another"), "of rank 0");
    EXPECT_EQ(from_first(&ranks(), ""), "");
}

/// A value whose sum depends on the order of its terms.
template <class T> T value_of(int rank, std::size_t i) { return static_cast<T>(Rng(9, static_cast<std::uint64_t>(rank)).normal(i) * std::pow(10.0, static_cast<double>((i + static_cast<std::size_t>(rank) * 3) % 7))); }

template <class T> std::vector<T> sum_in_order(std::size_t first, std::size_t count) {
    std::vector<T> sum(count);
    for (std::size_t i = 0; i < count; ++i) {
        sum[i] = value_of<T>(0, first + i);
        for (int r = 1; r < ranks().size(); ++r) sum[i] += value_of<T>(r, first + i);
    }
    return sum;
}

template <class T> void expect_sums(const std::vector<std::size_t>& counts, bool backwards) {
    std::vector<std::vector<T>> all;
    std::size_t first = 0;
    for (const std::size_t count : counts) {
        std::vector<T>& values = all.emplace_back(count);
        for (std::size_t i = 0; i < count; ++i) values[i] = value_of<T>(ranks().rank(), first + i);
        first += count;
    }
    for (auto& values : all) ranks().start_sum(std::as_writable_bytes(std::span(values)), dtype_of<T>());
    for (std::size_t k = 0; k < all.size(); ++k) ranks().finish_sum(std::as_bytes(std::span(all[backwards ? all.size() - 1 - k : k])).data());
    first = 0;
    for (std::size_t k = 0; k < all.size(); ++k) {
        const auto expected = sum_in_order<T>(first, counts[k]);
        EXPECT_TRUE(std::ranges::equal(all[k], expected)) << "sum " << k << " of " << counts[k] << " values";  // to the bit
        first += counts[k];
    }
}

TEST(Communicator, SumsAreThoseInTheOrderOfRanksToTheBit) {
    expect_sums<float>({1, 3, 8192, 8193, 100'000, 5}, false);
    expect_sums<double>({7, 4096, 4097, 65'537}, false);
}

TEST(Communicator, SumsMayBeWaitedForInAnyOrder) { expect_sums<float>({50'000, 10, 200'000, 20'000}, true); }

TEST(Communicator, CuttingTheValuesOtherwiseChangesNoBit) {
    const std::size_t count = 90'000;
    const auto whole = sum_in_order<float>(0, count);
    for (const std::size_t piece : {count, count / 3, std::size_t{1000}}) {
        std::vector<float> values(count);
        for (std::size_t i = 0; i < count; ++i) values[i] = value_of<float>(ranks().rank(), i);
        for (std::size_t at = 0; at < count; at += piece) ranks().start_sum(std::as_writable_bytes(std::span(values).subspan(at, std::min(piece, count - at))), DType::f32);
        for (std::size_t at = 0; at < count; at += piece) ranks().finish_sum(std::as_bytes(std::span(values).subspan(at)).data());
        EXPECT_TRUE(std::ranges::equal(values, whole)) << piece;
    }
}

TEST(Communicator, NothingIsASumToo) {
    std::vector<float> none;
    ranks().start_sum(std::as_writable_bytes(std::span(none)), DType::f32);
    ranks().finish_sum(std::as_bytes(std::span(none)).data());
    ranks().barrier();
}

}  // namespace

}  // namespace fovea::test

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    fovea::set_threads(1);
    fovea::test::opened = fovea::open_communicator();
    const int code = RUN_ALL_TESTS();
    // A rank whose tests passed must not hide another's that failed.
    const auto codes = fovea::gathered(&fovea::test::ranks(), static_cast<std::int64_t>(code));
    fovea::test::opened.reset();
    return std::ranges::count(codes, 0) == std::ssize(codes) ? 0 : 1;
}
