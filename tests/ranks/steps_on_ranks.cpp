// Training steps that several ranks make together, against the same steps of one.
#include "ranks/ranks.h"

namespace fovea::test {
namespace {

struct Made {
    Parameters parameters, state;
    std::vector<double> losses;
};

Trainer trainer_for(const Graph& net, const Optimizer& optimizer, TrainerSpec spec, Communicator* together) {
    Graph graph = net.clone();
    const Value loss = cross_entropy(graph.find_output("logits"), graph.input("label", {dynamic}, DType::i32));
    spec.seed = 5;
    spec.ranks = together;
    return Trainer(loss, optimizer, spec);
}

/// Steps with these numbers of rows, shared out where `together`.
Made steps(const Graph& net, const Optimizer& optimizer, const TrainerSpec& spec, const std::vector<std::int64_t>& rows, Communicator* together) {
    Trainer trainer = trainer_for(net, optimizer, spec, together);
    Made made;
    for (std::size_t step = 0; step < rows.size(); ++step) {
        const Share mine = together ? share_of(rows[step], together->rank(), together->size()) : Share{0, rows[step]};
        const StepResult result = trainer.step(rows_of(static_cast<std::int64_t>(step), mine.begin, mine.size()), 0.1);
        EXPECT_EQ(result.rows, rows[step]);
        made.losses.push_back(result.loss);
    }
    made.parameters = trainer.parameters();
    made.state = trainer.optimizer_state();
    return made;
}

const Sgd sgd{.lr = 0.1, .momentum = 0.9, .weight_decay = 1e-3};

void expect_equal(const Graph& net, const Optimizer& optimizer, TrainerSpec spec, const std::vector<std::int64_t>& rows, double limit) {
    const Made alone = steps(net, optimizer, spec, rows, nullptr), together = steps(net, optimizer, spec, rows, &ranks());
    EXPECT_LT(largest_difference(together.parameters, alone.parameters), limit);
    // The slope of a bias in front of a batch norm is 0 but for rounding, about 1e-8 of sums of a thousand f32 numbers: so is its momentum.
    EXPECT_LT(largest_difference(together.state, alone.state, 1e-2), limit);
    for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_NEAR(together.losses[i], alone.losses[i], limit * 10) << "step " << i;
    EXPECT_TRUE(is_same_everywhere(together.parameters));
    EXPECT_TRUE(is_same_everywhere(together.state));
    // And once more: the same bits.
    const Made again = steps(net, optimizer, spec, rows, &ranks());
    EXPECT_EQ(fingerprint(again.parameters), fingerprint(together.parameters));
    EXPECT_EQ(fingerprint(again.state), fingerprint(together.state));
    EXPECT_EQ(again.losses, together.losses);
}

// 1e-5 is what the issue of data-parallel training asks of f32; five steps of rounding differences stay well below it.
constexpr double f32_limit = 1e-5;
// In f64 only the order of some sums differs: 1e-16 a step, larger by the condition of a norm.
constexpr double f64_limit = 1e-11;

TEST(Steps, EqualThoseOfOneRank) { expect_equal(net_of({}), sgd, {}, {24, 24, 24, 24, 24}, f32_limit); }

TEST(Steps, EqualThoseOfOneRankInF64) { expect_equal(net_of({}), sgd, {.compile = {.backend = "reference", .precision = Precision::f64}}, {9, 9, 9}, f64_limit); }

TEST(Steps, RowsMayBeSharedOutUnevenlyAndSomeRanksHaveNone) { expect_equal(net_of({}), sgd, {}, {11, 7, 1, 2, 3}, f32_limit); }

TEST(Steps, DropoutGoesByThePlaceInTheWholeBatch) {
    expect_equal(net_of({.drop = true}), sgd, {}, {24, 13, 24, 5}, f32_limit);
    expect_equal(net_of({.drop = true}), sgd, {.compile = {.backend = "reference", .precision = Precision::f64}}, {9, 7, 1}, f64_limit);
}

TEST(Steps, SynchronisedBatchNormEqualsThatOfTheWholeBatch) {
    expect_equal(net_of({.norm = true}), sgd, {.synchronises_norms = true}, {24, 24, 13, 24}, f32_limit);
    expect_equal(net_of({.norm = true}), sgd, {.compile = {.backend = "reference", .precision = Precision::f64}, .synchronises_norms = true}, {9, 9, 8, 3}, f64_limit);
}

TEST(Steps, SynchronisedBatchNormCountsNoRankWithoutRows) {
    // A single row has no variance to normalise by: two of them at least.
    expect_equal(net_of({.norm = true}), sgd, {.compile = {.backend = "reference", .precision = Precision::f64}, .synchronises_norms = true}, {8, 2, 8}, f64_limit);
}

TEST(Steps, SynchronisedBatchNormMayBeMadeAgain) {
    for (const Recompute mode : {Recompute::cheap, Recompute::blocks}) {
        CompileOptions options;
        options.recompute = mode;
        const std::vector<std::int64_t> rows{24, 24};
        const Made kept = steps(net_of({.norm = true}), sgd, {.synchronises_norms = true}, rows, &ranks());
        const Made again = steps(net_of({.norm = true}), sgd, {.compile = options, .synchronises_norms = true}, rows, &ranks());
        EXPECT_EQ(fingerprint(again.parameters), fingerprint(kept.parameters));
    }
}

TEST(Steps, LocalBatchNormLeavesTheSameStatisticsOnAllRanks) {
    const Made made = steps(net_of({.norm = true}), sgd, {}, {24, 24, 24}, &ranks());
    EXPECT_TRUE(is_same_everywhere(made.parameters));
    // Means of equally large parts have the whole batch's mean.
    const Made alone = steps(net_of({.norm = true}), sgd, {}, {24}, nullptr), one = steps(net_of({.norm = true}), sgd, {}, {24}, &ranks());
    if (24 % ranks().size() == 0) {
        EXPECT_LT(relative_l2(one.parameters.at("bn1.running_mean"), alone.parameters.at("bn1.running_mean")), 1e-5);
    }
}

TEST(Steps, BucketsChangeNoBit) {
    const std::vector<std::int64_t> rows{24, 24, 10};
    const Made one = steps(net_of({.norm = true, .drop = true}), sgd, {.bucket_bytes = 1 << 30}, rows, &ranks());
    for (const std::int64_t bytes : {std::int64_t{1}, std::int64_t{2000}}) {
        const Made many = steps(net_of({.norm = true, .drop = true}), sgd, {.bucket_bytes = bytes}, rows, &ranks());
        EXPECT_EQ(fingerprint(many.parameters), fingerprint(one.parameters)) << bytes;
    }
}

TEST(Steps, ThreadsChangeNoBit) {
    const std::vector<std::int64_t> rows{24, 24};
    const TrainerSpec spec{.synchronises_norms = true, .bucket_bytes = 2000};
    const Made one = steps(net_of({.norm = true}), sgd, spec, rows, &ranks());
    set_threads(3);
    const Made three = steps(net_of({.norm = true}), sgd, spec, rows, &ranks());
    set_threads(1);
    EXPECT_EQ(fingerprint(three.parameters), fingerprint(one.parameters));
}

TEST(Steps, ClippingAveragesAndOtherOptimisersSeeTheWholeGradient) {
    TrainerSpec spec;
    spec.step.clip_norm = 0.5;
    spec.step.ema = 0.9;
    spec.step.lookahead_every = 2;
    expect_equal(net_of({}), sgd, spec, {24, 24, 17}, f32_limit);
    // Adam divides by the root of small squares: what differs in the last bits of a gradient near 0 is larger in the step.
    expect_equal(net_of({}), AdamW{.lr = 1e-3, .weight_decay = 1e-2}, {.compile = {.backend = "reference", .precision = Precision::f64}}, {9, 9, 9}, 1e-9);
}

TEST(Steps, AccumulatedGradientsAreSummedOnce) {
    TrainerSpec spec;
    spec.step.accumulate = 2;
    expect_equal(net_of({}), sgd, spec, {24, 24, 24, 13}, f32_limit);
}

TEST(Steps, ManyLargeBucketsTravelAtOnce) {
    // Beyond the short messages of a few kilobytes.
    Graph net;
    Value x = net.input("image", {dynamic, 2, 8, 8});
    x = flatten(x);
    for (int i = 0; i < 4; ++i) x = relu(linear(x, {.out = 300}, "fc" + std::to_string(i)));
    net.output("logits", linear(x, {.out = 4}, "last"));
    expect_equal(net, sgd, {.bucket_bytes = 100'000}, {24, 24, 24}, f32_limit);
}

TEST(AllReduce, SumsValuesAndTheirGradients) {
    Graph graph;
    const Value x = graph.input("x", {2, 3}), y = graph.input("y", {4});
    const std::vector<Value> sums = all_reduce({x, y});
    const Value total = sum(square(sums[0])) + sum(sums[1]);
    const std::vector<Value> slopes = gradients(total, std::vector<Value>{x, y});
    graph.output("sum", sums[0]);
    graph.output("dx", slopes[0]);
    graph.output("dy", slopes[1]);
    const double n = ranks().size(), r = ranks().rank();
    Tensor a({2, 3}), b({4});
    for (std::int64_t i = 0; i < 6; ++i) a.set(i, static_cast<double>(i) + r);
    for (const char* backend : {"cpu", "reference"}) {
        CompileOptions options;
        options.backend = backend;
        Program program(graph.clone(), std::make_shared<State>(Parameters()), options);
        const auto results = program.run({{"x", a}, {"y", b}}, {.place = {.ranks = &ranks()}});
        for (std::int64_t i = 0; i < 6; ++i) {
            const double s = n * static_cast<double>(i) + n * (n - 1) / 2;
            EXPECT_DOUBLE_EQ(results[0].at(i), s);
            EXPECT_DOUBLE_EQ(results[1].at(i), n * 2 * s);  // each rank's total has this slope
        }
        for (std::int64_t i = 0; i < 4; ++i) EXPECT_DOUBLE_EQ(results[2].at(i), n);
        // Alone the values are the sums.
        const auto alone = program.run({{"x", a}, {"y", b}});
        for (std::int64_t i = 0; i < 6; ++i) EXPECT_DOUBLE_EQ(alone[0].at(i), a.at(i));
    }
}

TEST(AllReduce, GathersChannelsInTheOrderOfRanks) {
    Graph graph;
    const Value x = graph.input("x", {1, 2, 2, 1});
    graph.output("all", all_gather_channels(x, ranks().rank(), ranks().size()));
    Tensor mine({1, 2, 2, 1});
    for (std::int64_t i = 0; i < 4; ++i) mine.set(i, 10.0 * ranks().rank() + static_cast<double>(i));
    Program program(graph.clone(), std::make_shared<State>(Parameters()));
    const Tensor all = program.run({{"x", mine}}, {.place = {.ranks = &ranks()}})[0];
    ASSERT_EQ(all.shape(), (Shape{1, 2 * ranks().size(), 2, 1}));
    for (std::int64_t i = 0; i < all.elements(); ++i) EXPECT_EQ(all.at(i), 10.0 * static_cast<double>(i / 4) + static_cast<double>(i % 4));
}

}  // namespace
}  // namespace fovea::test
