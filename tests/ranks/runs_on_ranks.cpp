// Whole runs and evaluations on several ranks.
#include "ranks/ranks.h"
#include "train/small_run.h"

namespace fovea::test {
namespace {

/// The same directory for all ranks.
class SharedDirectory {
public:
    explicit SharedDirectory(const std::string& name) {
        if (ranks().rank() == 0) own_ = std::make_unique<TemporaryDirectory>(name);
        path_ = from_first(&ranks(), own_ ? own_->path().string() : "");
    }
    ~SharedDirectory() { ranks().barrier(); }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::unique_ptr<TemporaryDirectory> own_;
    std::filesystem::path path_;
};

FitSpec run_of(const std::filesystem::path& out, Communicator* together, std::int64_t epochs = 2) {
    FitSpec spec = small_fit(out, epochs);
    spec.ranks = together;
    spec.sync_batch_norm = true;
    spec.probe = 8;
    return spec;
}

TEST(Runs, EqualThoseOfOneRank) {
    const FitResult alone = fit(small_network(), run_of({}, nullptr)), together = fit(small_network(), run_of({}, &ranks()));
    EXPECT_LT(largest_difference(together.parameters, alone.parameters), 1e-5);  // 20 updates, augmentation, dropout, synchronised norms
    EXPECT_EQ(together.updates, alone.updates);
    ASSERT_EQ(together.history.size(), alone.history.size());
    for (std::size_t i = 0; i < alone.history.size(); ++i) EXPECT_NEAR(together.history[i], alone.history[i], 0.0101);  // of 100 pictures one may fall otherwise
    EXPECT_TRUE(is_same_everywhere(together.parameters));
}

TEST(Runs, RepeatToTheByte) {
    const SharedDirectory a("ranks_a"), b("ranks_b");
    (void)fit(small_network(), run_of(a.path(), &ranks()));
    (void)fit(small_network(), run_of(b.path(), &ranks()));
    ranks().barrier();
    for (const char* file : {"checkpoint-last.safetensors", "checkpoint-best.safetensors"}) EXPECT_EQ(bytes_of(a.path() / file), bytes_of(b.path() / file)) << file;
}

TEST(Runs, StoppedByOneRankAndResumedEndAsIfNeverStopped) {
    const SharedDirectory whole("ranks_whole"), parts("ranks_parts");
    (void)fit(small_network(), run_of(whole.path(), &ranks()));
    FitSpec first = run_of(parts.path(), &ranks());
    const int last = ranks().size() - 1;
    if (ranks().rank() == last) first.callbacks.push_back({.on_step = [](const StepReport& report) { return report.update < 7; }});
    const FitResult stopped = fit(small_network(), first);
    EXPECT_TRUE(stopped.is_stopped);
    EXPECT_EQ(stopped.updates, 7);
    FitSpec rest = run_of(parts.path(), &ranks());
    rest.resume = true;
    (void)fit(small_network(), rest);
    ranks().barrier();
    EXPECT_EQ(bytes_of(parts.path() / "checkpoint-last.safetensors"), bytes_of(whole.path() / "checkpoint-last.safetensors"));
}

TEST(Runs, GoOnOnAnotherNumberOfRanks) {
    // All ranks, then rank 0 alone, then all again: as one rank would have trained, up to rounding.
    const SharedDirectory directory("ranks_other");
    const FitResult alone = fit(small_network(), run_of({}, nullptr, 3));
    const auto go_on = [&](Communicator* together, std::int64_t until) {
        FitSpec spec = run_of(directory.path(), together, 3);
        spec.resume = true;
        spec.callbacks.push_back({.on_step = [until](const StepReport& report) { return report.update < until; }});
        return fit(small_network(), spec);
    };
    (void)go_on(&ranks(), 8);
    ranks().barrier();
    if (ranks().rank() == 0) {
        EXPECT_EQ(go_on(nullptr, 17).resumed_from, 8);
    }
    ranks().barrier();
    const FitResult together = go_on(&ranks(), 1000);
    EXPECT_EQ(together.resumed_from, 17);
    EXPECT_LT(largest_difference(together.parameters, alone.parameters), 1e-5);
    EXPECT_EQ(together.updates, alone.updates);
}

TEST(Runs, OnlyRankZeroWrites) {
    const SharedDirectory directory("ranks_writes");
    FitSpec spec = run_of(directory.path(), &ranks(), 1);
    if (ranks().rank() > 0) spec.out = "/nowhere/at/all";  // a directory that no other rank may touch
    (void)fit(small_network(), spec);
    if (ranks().rank() == 0) {
        EXPECT_TRUE(std::filesystem::exists(directory.path() / "evaluation.json"));
    }
    EXPECT_FALSE(std::filesystem::exists("/nowhere"));
}

TEST(Runs, AveragedWeightsGetStatisticsOfAllPictures) {
    const auto spec = [](Communicator* together) {
        FitSpec s = run_of({}, together, 3);
        s.swa_from = 2;
        return s;
    };
    const FitResult alone = fit(small_network(), spec(nullptr)), together = fit(small_network(), spec(&ranks()));
    EXPECT_TRUE(is_same_everywhere(together.parameters));
    // Re-estimation normalises by the batches each rank has: the mean over all pictures is the same, the deviation nearly.
    EXPECT_LT(relative_l2(together.parameters.at("bn1.running_mean"), alone.parameters.at("bn1.running_mean")), 1e-4);
}

TEST(Runs, TheNodeOfANaNIsFoundWhereverItsPictureIs) {
    FitSpec spec = run_of({}, &ranks(), 2);
    spec.optimizer = Sgd{.lr = 1e30};
    spec.schedule = {};
    Graph net;  // without norms, which would bring large values back
    const Value x = relu(conv2d(net.input("image", {dynamic, 1, 8, 8}), {.out = 4, .kernel = 3}, "conv"));
    net.output("logits", linear(flatten(x), {.out = 4}, "fc"));
    const std::string message = message_of<Error>([&] { (void)fit(net, spec); });
    EXPECT_NE(message.find("epoch 1 step"), std::string::npos) << message;
    EXPECT_NE(message.find(" it began in "), std::string::npos) << message;
    const auto all = gathered(&ranks(), message);
    EXPECT_EQ(std::ranges::count(all, message), std::ssize(all));
}

TEST(Evaluations, EqualThatOfOneRank) {
    const Graph net = small_network();
    const Parameters parameters = make_parameters(net, 3);
    for (const std::int64_t pictures : {100, 7, 2}) {
        const DatasetPtr data = quadrants(pictures, "evaluated");
        EvaluateSpec spec{.batch = 8, .k = 2, .worst = 5, .average_precision = true, .preprocess = {.channels = 1}};
        const Evaluation alone = evaluate(net, parameters, data, spec);
        spec.ranks = &ranks();
        const Evaluation together = evaluate(net, parameters, data, spec);
        EXPECT_EQ(together.images, pictures);
        EXPECT_EQ(together.top1, alone.top1);
        EXPECT_EQ(together.topk, alone.topk);
        EXPECT_NEAR(together.loss, alone.loss, 1e-6);  // each picture's in f32
        EXPECT_EQ(together.reliability.images(), pictures);
        EXPECT_NEAR(together.reliability.expected_error(), alone.reliability.expected_error(), 1e-6);
        EXPECT_NEAR(together.reliability.brier(), alone.reliability.brier(), 1e-6);
        ASSERT_EQ(together.average_precision.size(), 4U);
        EXPECT_NEAR(together.mean_average_precision(), alone.mean_average_precision(), 1e-6);
        for (std::int64_t label = 0; label < 4; ++label)
            for (std::int64_t predicted = 0; predicted < 4; ++predicted) EXPECT_EQ(together.confusion.at(label, predicted), alone.confusion.at(label, predicted));
        ASSERT_EQ(together.worst.size(), alone.worst.size());
        for (std::size_t i = 0; i < alone.worst.size(); ++i) EXPECT_EQ(together.worst[i].index, alone.worst[i].index);
    }
}

}  // namespace
}  // namespace fovea::test
