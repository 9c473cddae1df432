// Studies: that their runs differ in what is studied alone, and that tables, pictures and sentences say what came out, either way.
#include "fovea/studies.h"

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include <nlohmann/json.hpp>

#include "fovea/models.h"
#include "support.h"
#include "train/small_run.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using test::message_of;

std::string study_name(const testing::TestParamInfo<std::string>& info) {
    std::string name = info.param;
    std::ranges::replace(name, '-', '_');
    return name;
}
std::vector<std::string> study_names() {
    std::vector<std::string> names;
    for (const Study& study : studies()) names.push_back(study.name);
    return names;
}

/// "optimizer.lr" -> "0.1": a recipe's keys as TOML has them.
std::map<std::string, std::string> keys_of(const Recipe& recipe) {
    std::map<std::string, std::string> keys;
    std::istringstream lines(to_toml(recipe));
    std::string section;
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("[")) section = line.substr(1, line.find(']') - 1) + ".";
        else if (const std::size_t at = line.find(" = "); at != std::string::npos) keys[section + line.substr(0, at)] = line.substr(at + 3);
    }
    return keys;
}

class EveryStudy : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Studies, EveryStudy, testing::ValuesIn(study_names()), study_name);

TEST_P(EveryStudy, HasRunsThatCanBeTrained) {
    const Study& study = find_study(GetParam());
    for (const std::string* text : {&study.about, &study.paper, &study.claim, &study.time, &study.short_time}) EXPECT_FALSE(text->empty());
    for (const bool is_short : {false, true}) {
        const StudyOptions options{.is_short = is_short, .data_root = "D", .seed = 5, .precision = "bf16"};
        std::set<std::string> names;
        for (const StudyArm& arm : study.arms(options)) {
            EXPECT_TRUE(arm.begins_with.empty() || names.contains(arm.begins_with)) << arm.name << " begins with what is not there yet";
            EXPECT_TRUE(names.insert(arm.name).second) << arm.name;
            const Recipe recipe = recipe_of(arm, options, "out");
            EXPECT_TRUE(has_model(recipe.model)) << recipe.model;
            EXPECT_EQ(recipe.seed, 5);
            EXPECT_EQ(recipe.precision, "bf16");
            EXPECT_EQ(recipe.weights, arm.begins_with.empty() ? "" : "out/" + arm.begins_with);
            EXPECT_NE(recipe.data.find(":D/"), std::string::npos) << recipe.data;
            if (study.name != "transfer") {
                EXPECT_EQ(recipe.data, "cifar10:D/cifar10");
            }
        }
        EXPECT_GE(names.size(), 2U);
        for (const StudyArm& arm : study.arms({.is_short = is_short, .epochs = 1})) EXPECT_EQ(recipe_of(arm, {}, "out").epochs, 1) << arm.name;
    }
}

TEST_P(EveryStudy, ChangesNothingButWhatIsStudied) {
    const std::map<std::string, std::set<std::string>> studied{{"relu-vs-tanh", {"model", "optimizer.lr"}},
                                                               {"degradation", {"model"}},
                                                               {"preactivation", {"model"}},
                                                               {"stochastic-depth", {"network.drop_path"}},
                                                               {"dropout", {"network.dropout"}},
                                                               {"batch-norm", {"model", "optimizer.lr"}},
                                                               {"transfer", {"data", "augment.steps", "per_class", "weights", "freeze", "optimizer.lr"}}};
    ASSERT_TRUE(studied.contains(GetParam()));
    for (const bool is_short : {false, true}) {
        const StudyOptions options{.is_short = is_short};
        std::optional<std::map<std::string, std::string>> first;
        for (const StudyArm& arm : find_study(GetParam()).arms(options)) {
            if (arm.name == "source") continue;  // its result is what the others begin with
            const auto keys = keys_of(recipe_of(arm, options, "out"));
            if (!first) first = keys;
            for (const auto& [key, value] : keys)
                if (!studied.at(GetParam()).contains(key) && !key.starts_with("augment.")) {
                    EXPECT_EQ(first->count(key) ? first->at(key) : "", value) << arm.name << " " << key;
                }
        }
    }
}

/// The ops of a network in order, with one called otherwise.
std::vector<std::string> ops_of(const std::string& model, const std::string& op = {}, const std::string& as = {}) {
    std::vector<std::string> ops;
    const Graph net = build_model(model);
    for (const Node& node : net.nodes()) ops.emplace_back(op_name(node) == op ? as : std::string(op_name(node)));
    return ops;
}

TEST(StudiedNetworks, DifferInOneThing) {
    EXPECT_EQ(ops_of("cifar_convnet", "relu", "activation"), ops_of("cifar_convnet_tanh", "tanh", "activation"));
    EXPECT_NE(ops_of("cifar_convnet"), ops_of("cifar_convnet_tanh"));
    // Batch norm takes the place of the bias, and adds a scale and a shift per map.
    EXPECT_EQ(find_model("cifar_convnet_bn").parameters - find_model("cifar_convnet").parameters, 32 + 32 + 64);
    for (const char* depth : {"20", "56"}) {
        const Graph plain = build_model(std::string("cifar_plain") + depth), residual = build_model(std::string("cifar_resnet") + depth);
        const auto names = [](const Graph& net) {
            std::vector<std::string> all;
            for (const ParameterInfo& info : net.parameters()) all.push_back(info.name + " " + info.type.shape.str());
            return all;
        };
        EXPECT_EQ(names(plain), names(residual));
    }
    for (const StudyOptions& options : {StudyOptions{}, StudyOptions{.is_short = true}}) {
        std::set<std::int64_t> counts;
        for (const StudyArm& arm : find_study("preactivation").arms(options)) counts.insert(find_model(recipe_of(arm, options, "").model).parameters);
        EXPECT_EQ(counts.size(), 1U);
    }
}

TEST(Studies, TheNearestNameIsListed) {
    EXPECT_EQ(message_of<ArgumentError>([] { (void)find_study("relu-vs-than"); }).substr(0, 47), "no study 'relu-vs-than'; nearest: relu-vs-tanh,");
    EXPECT_EQ(studies_sheet().rows.size(), studies().size());
}

// ---- results that were not trained ------------------------------------------------------------

/// A run with these training and test errors by epoch.
RunRecord run_with(const std::vector<double>& training, const std::vector<double>& test, const std::string& status = "finished") {
    RunRecord run;
    run.metric = "top1";
    run.status = status;
    run.parameters = 1234;
    run.classes.resize(10);
    for (std::size_t i = 0; i < training.size(); ++i) {
        RunEpoch epoch{.epoch = static_cast<std::int64_t>(i + 1), .train_loss = training[i], .train_accuracy = 1 - training[i], .seconds = 2.0 * static_cast<double>(i + 1)};
        epoch.loss = test[i], epoch.top1 = 1 - test[i];
        run.epochs.push_back(epoch);
    }
    return run;
}

/// The study with these runs: conclude()'s answer.
StudyReport with_runs(const std::string& name, const std::map<std::string, RunRecord>& runs, const StudyOptions& options = {}) {
    StudyReport report{.study = &find_study(name), .options = options};
    for (const StudyArm& arm : report.study->arms(options)) {
        ArmResult result{.arm = arm};
        if (const auto found = runs.find(arm.name); found != runs.end()) {
            result.run = found->second;
            result.epochs_wanted = std::ssize(found->second.epochs);
            result.has_reached_goal = report.study->goal > 0 && epochs_to(*result.run, report.study->goal).has_value();
        }
        report.arms.push_back(result);
    }
    if (report.is_done()) report.conclusion = report.study->conclude(report.arms);
    return report;
}

TEST(EpochsTo, IsInterpolatedBetweenTheMiddlesOfEpochs) {
    const RunRecord run = run_with({0.6, 0.4, 0.3, 0.2}, {0.6, 0.4, 0.3, 0.2});
    EXPECT_DOUBLE_EQ(*epochs_to(run, 0.25), 3.0);  // middles at 2.5 (0.3) and 3.5 (0.2)
    EXPECT_DOUBLE_EQ(*epochs_to(run, 0.3), 2.5);
    EXPECT_DOUBLE_EQ(*epochs_to(run, 0.9), 0.5);
    EXPECT_FALSE(epochs_to(run, 0.1));
    EXPECT_FALSE(epochs_to(RunRecord{}, 0.1));
}

TEST(ReluVsTanh, IsConcludedEitherWay) {
    const std::vector<double> fast{0.5, 0.3, 0.2}, slow{0.7, 0.6, 0.5, 0.45, 0.4, 0.35, 0.3, 0.28, 0.26, 0.24};
    const auto conclude = [](const std::vector<double>& relu, const std::vector<double>& tanh) {
        return with_runs("relu-vs-tanh", {{"relu", run_with(relu, relu)}, {"tanh", run_with(tanh, tanh)}}).conclusion;
    };
    const Conclusion expected = conclude(fast, slow);
    EXPECT_EQ(expected.text, "ReLU reached 25 % training error after 2.0 epochs, tanh after 9.0: 4.5 times as long; the paper has six.");
    EXPECT_EQ(expected.holds, true);
    const Conclusion too_little = conclude(fast, {0.6, 0.5, 0.3, 0.2});
    EXPECT_EQ(too_little.text, "ReLU reached 25 % training error after 2.0 epochs, tanh after 3.0: 1.5 times as long, less than the 3 times expected; the paper has six.");
    EXPECT_EQ(too_little.holds, false);
    EXPECT_EQ(conclude(slow, fast).holds, false);
    EXPECT_EQ(conclude(fast, {0.6, 0.5, 0.5, 0.5, 0.5, 0.5}).holds, true);  // six epochs for 2.0: three times or more
    EXPECT_EQ(conclude(fast, {0.6, 0.5, 0.5}).holds, std::nullopt);
    EXPECT_EQ(conclude({0.6, 0.5}, {0.7, 0.6}).holds, std::nullopt);
    EXPECT_EQ(conclude({0.6, 0.5}, fast).holds, false);
}

TEST(Degradation, IsConcludedEitherWay) {
    const auto conclude = [](double plain20, double plain56, double resnet20, double resnet56) {
        const auto run = [](double error) { return run_with({0.5, error}, {0.6, error + 0.02}); };
        return with_runs("degradation", {{"plain20", run(plain20)}, {"plain56", run(plain56)}, {"resnet20", run(resnet20)}, {"resnet56", run(resnet56)}}).conclusion;
    };
    const Conclusion both = conclude(0.1, 0.15, 0.08, 0.06);
    EXPECT_EQ(both.text,
              "Without shortcuts 56 layers have 5.00 points more test error than 20 (17.00 % against 12.00 %) and 5.00 points more training error (15.00 % against 10.00 %); with shortcuts 56 layers have 2.00 points less "
              "test error than 20 (8.00 % against 10.00 %) and 2.00 points less training error (6.00 % against 8.00 %). This shows the degradation, and that shortcuts cure it.");
    EXPECT_EQ(both.holds, true);
    EXPECT_EQ(conclude(0.1, 0.15, 0.06, 0.08).holds, false);
    EXPECT_NE(conclude(0.1, 0.15, 0.06, 0.08).text.find("the degradation, but not"), std::string::npos);
    EXPECT_NE(conclude(0.15, 0.1, 0.08, 0.06).text.find("but not the degradation"), std::string::npos);
    EXPECT_NE(conclude(0.15, 0.1, 0.06, 0.08).text.find("neither"), std::string::npos);
}

TEST(Preactivation, IsConcludedEitherWay) {
    const auto conclude = [](double full, double after) {
        const auto run = [](double error) { return run_with({error}, {error}); };
        return with_runs("preactivation", {{"original", run(0.2)}, {"bn_after_add", run(after)}, {"relu_before_add", run(0.25)}, {"relu_only", run(0.21)}, {"full", run(full)}}).conclusion;
    };
    EXPECT_EQ(conclude(0.18, 0.3).holds, true);
    EXPECT_TRUE(conclude(0.18, 0.3).text.starts_with("Test errors from the best: full pre-activation 18.00 %, original 20.00 %, ReLU-only pre-activation 21.00 %, ")) << conclude(0.18, 0.3).text;
    EXPECT_EQ(conclude(0.22, 0.3).holds, false);
    EXPECT_NE(conclude(0.22, 0.3).text.find("full pre-activation is best (not here)"), std::string::npos);
    EXPECT_EQ(conclude(0.18, 0.19).holds, false);
}

TEST(StochasticDepthStudy, IsConcludedEitherWay) {
    const auto conclude = [](double constant, double stochastic) {
        return with_runs("stochastic-depth", {{"constant", run_with({0.01}, {constant})}, {"stochastic", run_with({0.03}, {stochastic})}}).conclusion;
    };
    EXPECT_EQ(conclude(0.07, 0.06).holds, true);
    EXPECT_NE(conclude(0.07, 0.06).text.find("1.00 points less (6.00 % against 7.00 %)"), std::string::npos) << conclude(0.07, 0.06).text;
    EXPECT_EQ(conclude(0.06, 0.07).holds, false);
    EXPECT_NE(conclude(0.06, 0.07).text.find("long training"), std::string::npos);
}

TEST(DropoutStudy, IsConcludedEitherWay) {
    const RunRecord early = run_with({0.5, 0.3, 0.1, 0.05, 0.02, 0.01}, {0.5, 0.35, 0.3, 0.32, 0.34, 0.36}), late = run_with({0.6, 0.5, 0.4, 0.3, 0.25, 0.2}, {0.6, 0.5, 0.4, 0.35, 0.3, 0.25});
    const Conclusion expected = with_runs("dropout", {{"without", early}, {"dropout", late}}).conclusion;
    EXPECT_EQ(expected.holds, true);
    EXPECT_TRUE(expected.text.starts_with("The test loss is lowest after 3 epochs without dropout and after 6, the last, with it: 2.0 times as long")) << expected.text;
    EXPECT_EQ(with_runs("dropout", {{"without", late}, {"dropout", early}}).conclusion.holds, false);
    EXPECT_EQ(with_runs("dropout", {{"without", run_with({}, {}, "diverged")}, {"dropout", late}}).conclusion.holds, std::nullopt);
}

TEST(BatchNormStudy, IsConcludedEitherWay) {
    std::map<std::string, RunRecord> runs;
    for (const char* rate : {"0.003", "0.03", "0.3", "3"})
        for (const char* kind : {"norm_", "plain_"}) runs[std::string(kind) + rate] = run_with({0.3}, {std::string(kind) == "norm_" ? 0.2 : 0.3});
    EXPECT_EQ(with_runs("batch-norm", runs).conclusion.holds, false);  // both learn at every rate
    runs["plain_3"] = run_with({}, {}, "diverged");
    runs["plain_0.3"] = run_with({0.9}, {0.9});  // learns nothing
    const StudyReport report = with_runs("batch-norm", runs);
    EXPECT_EQ(report.conclusion.holds, true);
    EXPECT_EQ(report.conclusion.text, "The best test error with batch norm is 20.00 % (rate 0.003), without 30.00 % (rate 0.003): 10.00 points less. The largest rate at which the network learns is 3 with batch norm and 0.03 without.");
    EXPECT_NE(to_text(study_sheet(report), TableFormat::csv).find("\"plain, 3\",\"1,234\",0/0,,,,,diverged"), std::string::npos) << to_text(study_sheet(report), TableFormat::csv);
}

TEST(TransferStudy, IsConcludedEitherWayAndTakesWeights) {
    const auto conclude = [](double near_frozen, double far_frozen) {
        const auto run = [](double error) { return run_with({error}, {error}); };
        return with_runs("transfer", {{"source", run(0.2)}, {"near_scratch", run(0.4)}, {"near_frozen", run(near_frozen)}, {"near_tuned", run(0.2)}, {"far_scratch", run(0.1)}, {"far_frozen", run(far_frozen)}, {"far_tuned", run(0.1)}})
            .conclusion;
    };
    EXPECT_EQ(conclude(0.2, 0.3).holds, true);
    EXPECT_NE(conclude(0.2, 0.3).text.find("by -50 % of itself on the near set and by +200 % on the far one: the nearer set gains more"), std::string::npos) << conclude(0.2, 0.3).text;
    EXPECT_EQ(conclude(0.4, 0.05).holds, false);
    const auto arms = find_study("transfer").arms({.weights = "net.th"});
    EXPECT_EQ(arms.size(), 6U);
    EXPECT_EQ(recipe_of(arms[0], {}, "out").weights, "");
    EXPECT_EQ(recipe_of(arms[1], {}, "out").weights, "net.th");
}

TEST(StudyReport, SaysWhatIsMissing) {
    const StudyReport report = with_runs("relu-vs-tanh", {{"relu", run_with({0.5, 0.2}, {0.5, 0.3}, "stopped")}});
    EXPECT_FALSE(report.is_done());
    EXPECT_TRUE(report.arms[0].is_done());  // stopped at its goal
    const std::string csv = to_text(study_sheet(report), TableFormat::csv);
    EXPECT_NE(csv.find("ReLU,\"1,234\",2/2,20.00 %,30.00 %,30.00 %,1.3,2.0,done"), std::string::npos) << csv;
    EXPECT_NE(csv.find("tanh,,0/0,,,,,,not begun"), std::string::npos) << csv;
    const auto json = nlohmann::json::parse(study_json(report));
    EXPECT_EQ(json.at("is_done"), false);
    EXPECT_TRUE(json.at("holds").is_null());
    EXPECT_DOUBLE_EQ(json.at("arms").at(0).at("test_error").get<double>(), 0.3);
    EXPECT_TRUE(json.at("arms").at(1).at("test_error").is_null());
    const std::string svg = study_chart(report);
    for (const char* part : {"Training error", "Test error", "25 %", "</svg>"}) EXPECT_NE(svg.find(part), std::string::npos) << part;
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    EXPECT_NE(study_markdown(report, "fovea study relu-vs-tanh").find("the same command goes on"), std::string::npos);
}

TEST(StudyReport, KnowsAnotherStudyInItsDirectory) {
    const test::TemporaryDirectory directory("study");
    const Study &study = find_study("dropout"), &other = find_study("degradation");
    EXPECT_NO_THROW(check_same_study(study, {}, directory.path()));
    EXPECT_FALSE(read_study(study, {}, directory.path()).is_done());
    std::ofstream(directory.path() / "study.json") << study_json(with_runs("dropout", {}, {.epochs = 3}));
    EXPECT_NO_THROW(check_same_study(study, {.epochs = 3}, directory.path()));
    EXPECT_EQ(message_of<ArgumentError>([&] { check_same_study(study, {.epochs = 4}, directory.path()); }),
              "'" + directory.path().string() + "' holds this study with epochs 3, now it is 4: its runs could not be compared; another --out begins anew");
    EXPECT_EQ(message_of<ArgumentError>([&] { check_same_study(other, {.epochs = 3}, directory.path()); }), "'" + directory.path().string() + "' holds the study dropout: another --out is needed for degradation");
    std::ofstream(directory.path() / "study.json") << "[1]";
    EXPECT_EQ(message_of<FormatError>([&] { check_same_study(study, {}, directory.path()); }), "'" + (directory.path() / "study.json").string() + "' is no result of a study");
}

}  // namespace
}  // namespace fovea
