// What a run refuses before it begins or goes on, and what it makes of pictures that cannot be read.
#include <atomic>

#include <nlohmann/json.hpp>

#include "small_run.h"

namespace fovea {
namespace {

using test::bytes_of;
using test::small_fit;
using test::small_network;
using test::TemporaryDirectory;

/// Another set, of which some pictures cannot be read.
class Damaged : public Dataset {
public:
    Damaged(DatasetPtr whole, std::function<bool(std::int64_t)> is_damaged) : Dataset(whole->name(), whole->classes()), whole_(std::move(whole)), is_damaged_(std::move(is_damaged)) {}
    std::int64_t size() const override { return whole_->size(); }
    Shape image_shape() const override { return whole_->image_shape(); }
    std::int64_t label(std::int64_t index) const override { return whole_->label(index); }
    Sample get(std::int64_t index) const override {
        if (is_damaged_(index)) throw FormatError("picture " + std::to_string(index) + " is damaged");
        return whole_->get(index);
    }

private:
    DatasetPtr whole_;
    std::function<bool(std::int64_t)> is_damaged_;
};

TEST(Start, CountsThePicturesThatAreLeftOut) {
    const TemporaryDirectory directory("left_out");
    FitSpec spec = small_fit(directory.path(), 6);
    // Every second batch of one picture is lost, now and then the last ones of an epoch, which no other batch follows.
    spec.train = std::make_shared<Damaged>(subset(spec.train, 0, 12), [](std::int64_t i) { return i % 2 == 1; });
    spec.batch = 1;
    spec.optimizer = Sgd{.lr = 0.01};
    spec.schedule = {};
    spec.callbacks = {{.on_epoch = [](const EpochReport& report) {
        EXPECT_EQ(report.images, 6);
        EXPECT_EQ(report.skipped, 6);
        return true;
    }}};
    const FitResult result = fit(small_network(), spec);
    EXPECT_EQ(result.skipped, 6);
    EXPECT_EQ(result.warnings.size(), 6U);
    EXPECT_NE(bytes_of(directory.path() / "metrics.jsonl").find(R"("images":6,"skipped":6)"), std::string::npos);
}

TEST(Start, NothingIsEvaluatedOnNoPictures) {
    const FitSpec spec = small_fit({}, 1);
    const Parameters parameters = fit(small_network(), spec).parameters;
    const auto none = std::make_shared<Damaged>(spec.validation, [](std::int64_t) { return true; });
    const std::string why = "'validation' cannot be evaluated: none of its 100 pictures can be read; picture 0 is damaged";
    EXPECT_EQ(test::message_of<FormatError>([&] { (void)evaluate(small_network(), parameters, none, {.preprocess = spec.preprocess}); }), why);
    const Graph network = small_network();
    const std::vector<Member> members{{&network, &parameters, spec.preprocess, false}};
    EXPECT_EQ(test::message_of<FormatError>([&] { (void)evaluate_views(members, none, {.crops = 2}); }), why);
}

TEST(Start, ValidationThatFailsCostsNothingTrained) {
    const TemporaryDirectory whole("validated"), parts("not_validated"), never("never_validated");
    std::atomic<bool> is_gone = false;
    const auto run_in = [&](const std::filesystem::path& out) {
        FitSpec spec = small_fit(out, 3);
        spec.schedule = {};
        spec.swa_from = 2;
        spec.validation = std::make_shared<Damaged>(spec.validation, [&](std::int64_t) { return is_gone.load(); });
        return spec;
    };
    fit(small_network(), run_in(whole.path()));
    FitSpec spec = run_in(parts.path());
    spec.resume = true;
    spec.callbacks = {{.on_step = [&](const StepReport& report) {
        is_gone = report.update == 20;
        return true;
    }}};
    const std::string why = test::message_of<FormatError>([&] { fit(small_network(), spec); });
    EXPECT_EQ(why, "'validation' cannot be evaluated: none of its 100 pictures can be read; picture 0 is damaged");
    is_gone = false;
    spec = run_in(parts.path());
    spec.resume = true;
    EXPECT_EQ(fit(small_network(), spec).resumed_from, 20);
    for (const char* file : {"checkpoint-last.safetensors", "checkpoint-best.safetensors"}) EXPECT_TRUE(bytes_of(parts.path() / file) == bytes_of(whole.path() / file)) << file;
    is_gone = true;
    EXPECT_EQ(test::message_of<FormatError>([&] { fit(small_network(), run_in(never.path())); }), why) << "where it is gone from the beginning, before an epoch";
    EXPECT_TRUE(std::filesystem::is_empty(never.path()));
}

TEST(Start, OneThatFailsLeavesNoDirectory) {
    const TemporaryDirectory directory("no_start");
    FitSpec spec = small_fit(directory.path() / "run");
    spec.validation = memory_dataset("five", {"a", "b", "c", "d", "e"}, {8, 8, 1, std::vector<std::uint8_t>(64), {4}});
    EXPECT_EQ(test::message_of<ArgumentError>([&] { fit(small_network(), spec); }), "data set 'five' has 5 classes, the network tells 4 apart");
    std::vector<StepSpec> wrong(4);
    wrong[0].frozen = {"nosuch"};
    wrong[1].clip_norm = -1;
    wrong[2].lookahead_every = -1;
    wrong[3].groups = {{.name = "empty"}};
    for (const StepSpec& step : wrong) {
        spec = small_fit(directory.path() / "run");
        spec.step = step;
        EXPECT_THROW(fit(small_network(), spec), Error);
    }
    EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(Start, ARunGoesOnWithItsOwnPicturesAndSettingsOnly) {
    const TemporaryDirectory directory("own_pictures");
    const std::filesystem::path last = directory.path() / "checkpoint-last.safetensors";
    FitSpec spec = small_fit(directory.path(), 1);
    spec.schedule = {};
    fit(small_network(), spec);
    spec.resume = true;
    spec.epochs = 2;
    const auto refusal = [&](const FitSpec& other) {
        const std::string message = test::message_of<ArgumentError>([&] { fit(small_network(), other); }), begin = "'" + last.string() + "' was ", end = ": it would not continue the same run";
        EXPECT_TRUE(message.starts_with(begin) && message.ends_with(end)) << message;
        return message.size() < begin.size() + end.size() ? message : message.substr(begin.size(), message.size() - begin.size() - end.size());
    };
    // As many pictures under the same name.
    const auto with_classes_of = [&](const std::vector<std::string>& classes) {
        FitSpec other = spec;
        other.train = memory_dataset("train", classes, {8, 8, 1, std::vector<std::uint8_t>(310 * 64), std::vector<std::int32_t>(310)});
        return other;
    };
    EXPECT_EQ(refusal(with_classes_of(spec.train->classes())), "trained on other pictures or labels than \"train\" holds by now");
    EXPECT_EQ(refusal(with_classes_of({"top-left", "top-right", "lower left", "bottom-right"})), "trained with class 2 called \"bottom-left\", 'train' calls it \"lower left\" by now");
    FitSpec other = with_classes_of({"all"});
    other.model_options = R"({"classes": 1})";  // follows from the pictures
    EXPECT_EQ(refusal(other), "trained on 4 classes, 'train' has 1 by now");
    other = spec;
    other.validation = memory_dataset("validation", spec.train->classes(), {8, 8, 1, std::vector<std::uint8_t>(64), {0}});
    EXPECT_EQ(refusal(other), "tested on other pictures or labels than \"validation\" holds by now");
    other = spec;
    other.batch = 16;
    other.optimizer = Sgd{.lr = 0.1, .momentum = 0.9, .nesterov = true, .weight_decay = 1e-3};
    EXPECT_EQ(refusal(other), "made with batch 32, this run has 16; with optimizer.lr 0.05, this run has 0.1");
    other = spec;
    other.optimizer = make_optimizer("adam", {});
    other.augment = {RandomCrop{.padding = 2, .fill = mean_fill}};
    EXPECT_EQ(refusal(other), "made with optimizer.name \"sgd\", this run has \"adam\"; with augment.random_crop.padding 1, this run has 2");
    other = spec;
    other.augment = {};
    EXPECT_EQ(refusal(other), "made with augment \"random_crop\", this run has nothing");
    // Checkpoints of before there were fingerprints go on.
    Checkpoint old = load_checkpoint(last);
    auto facts = nlohmann::ordered_json::parse(old.facts);
    EXPECT_EQ(facts.at("recipe").erase("pictures") + facts.at("recipe").erase("validation_pictures"), 2U);
    old.facts = facts.dump();
    save_checkpoint(old, last);
    EXPECT_EQ(fit(small_network(), spec).updates, 20);
}

TEST(Start, WhereTheLastCheckpointIsDamagedTheBestOneCanTakeItsPlace) {
    const TemporaryDirectory directory("cut_short");
    const std::filesystem::path last = directory.path() / "checkpoint-last.safetensors", best = directory.path() / "checkpoint-best.safetensors";
    FitSpec spec = small_fit(directory.path(), 1);
    spec.schedule = {};
    fit(small_network(), spec);
    std::filesystem::resize_file(last, std::filesystem::file_size(last) / 2);
    spec.resume = true;
    spec.epochs = 2;
    const std::string message = test::message_of<FormatError>([&] { fit(small_network(), spec); });
    EXPECT_TRUE(message.ends_with("; '" + best.string() + "' is whole: copied to its place, the run goes on behind epoch 1")) << message;
    std::filesystem::copy_file(best, last, std::filesystem::copy_options::overwrite_existing);
    EXPECT_EQ(fit(small_network(), spec).resumed_from, 10);
    for (const auto& file : {last, best}) std::filesystem::resize_file(file, 1000);
    EXPECT_EQ(test::message_of<FormatError>([&] { fit(small_network(), spec); }).find("is whole"), std::string::npos);
}

}  // namespace
}  // namespace fovea
