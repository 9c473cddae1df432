// fovea study [NAME] [--short] [--out DIR]: what papers claim of training, tried again; the same command goes on where it stopped.

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "command.h"
#include "fovea/io.h"
#include "fovea/studies.h"
#include "training.h"

namespace fovea::cli {

namespace {

namespace fs = std::filesystem;

struct StudyArguments {
    Common common;
    PlanOptions plan;
    StudyOptions options;
    std::string name, out, format = "table";
    std::vector<std::string> arms;
    int loader_threads = 1;
};

/// The command that makes this study, and goes on with it.
std::string command_line(const StudyArguments& a) {
    std::string text = "fovea study " + a.name;
    const auto add = [&](const char* flag, const std::string& value) {
        if (!value.empty()) text += fmt::format(" {} {}", flag, value);
    };
    if (a.options.is_short) text += " --short";
    add("--epochs", a.options.epochs > 0 ? std::to_string(a.options.epochs) : "");
    add("--data", a.options.data);
    add("--near", a.options.near);
    add("--far", a.options.far);
    add("--weights", a.options.weights);
    add("--seed", a.common.seed > 0 ? std::to_string(a.common.seed) : "");
    add("--precision", a.options.precision == "f32" ? "" : a.options.precision);
    add("--out", a.out);
    return text;
}

void list(const StudyArguments& a) { fmt::print("{}", to_text(studies_sheet(), chosen_format(a.common, a.format))); }

/// Each data set is read once, however many runs learn from it.
class OpenData {
public:
    const RunData& of(const Recipe& recipe) {
        const std::string key = fmt::format("{}|{}|{}|{}", recipe.data, recipe.validation, recipe.val_split, recipe.per_class);
        const auto found = open_.find(key);
        return found != open_.end() ? found->second : open_.emplace(key, open_run_data(recipe)).first->second;
    }

private:
    std::map<std::string, RunData> open_;
};

/// Seconds that one epoch of the run takes, tests after it included, by a few steps of it.
double measure_epoch(const Recipe& recipe, const RunData& data, const StudyArguments& a) {
    using Clock = std::chrono::steady_clock;
    constexpr std::int64_t steps = 5;  // the first one also touches all memory for the first time
    Training training = prepare_training(recipe, data, {.loader_threads = a.loader_threads, .plan = a.plan}, {});
    FitSpec& spec = training.spec;
    spec.validation.reset(), spec.epochs = 1;
    std::vector<Clock::time_point> times{Clock::now()};
    std::int64_t steps_per_epoch = 1;
    spec.callbacks.push_back({.on_step = [&](const StepReport& report) {
        times.push_back(Clock::now());
        steps_per_epoch = report.steps_per_epoch;
        return report.step + 1 < steps;
    }});
    (void)fit(training.network.graph, spec);
    const std::size_t first = times.size() > 2 ? 1 : 0;
    const double per_step = std::chrono::duration<double>(times.back() - times[first]).count() / static_cast<double>(times.size() - 1 - first);
    // Forward alone is a third of a step's operations.
    const double tested = data.validation ? static_cast<double>(data.validation->size()) / static_cast<double>(recipe.batch) / 3 : 0;
    return per_step * (static_cast<double>(steps_per_epoch) + tested);
}

struct Estimate {
    double seconds = 0;
    std::int64_t epochs = 0;
};

/// Of all that is left to do. Runs of the same network and data take the same time, so each kind is measured once.
Estimate estimate(const StudyReport& report, const std::vector<const ArmResult*>& left, const fs::path& out, OpenData& data, const StudyArguments& a) {
    Estimate all;
    std::map<std::string, double> measured;
    for (const ArmResult* result : left) {
        Recipe recipe = recipe_of(result->arm, report.options, out);
        recipe.weights.clear();  // they need not be there yet
        const std::string kind = fmt::format("{}|{}|{}|{}|{}|{}|{}", recipe.model, recipe.data, recipe.per_class, recipe.batch, recipe.dropout, recipe.drop_path, fmt::join(recipe.step.frozen, ","));
        if (!measured.contains(kind)) measured[kind] = measure_epoch(recipe, data.of(recipe), a);
        const std::int64_t epochs = result->epochs_wanted - (result->run ? std::ssize(result->run->epochs) : 0);
        all.epochs += epochs;
        all.seconds += measured[kind] * static_cast<double>(epochs);
        if (stop_wanted()) break;
    }
    return all;
}

/// Trains one run to its end; false where it was stopped.
bool train_arm(const Study& study, const ArmResult& result, const StudyOptions& options, const fs::path& out, OpenData& data, const StudyArguments& a, std::FILE* messages) {
    const Recipe recipe = recipe_of(result.arm, options, out);
    const RunOptions run{.out = out / result.arm.name, .resume = true, .loader_threads = a.loader_threads, .plan = a.plan};
    const EarlierRun earlier = earlier_run(run);
    auto [network, spec] = prepare_training(recipe, data.of(recipe), run, earlier);
    spec.out = run.out;
    if (!earlier.is_there) spec.initial = start_of(network, recipe, spec);
    TrainingProgress progress(spec.epochs, messages, result.arm.title + ": ");
    spec.callbacks.push_back(progress.callback());
    if (study.goal > 0) spec.callbacks.push_back({.on_epoch = [&](const EpochReport& report) { return 1 - report.train_accuracy > study.goal; }});
    try {
        const FitResult done = fit(network.graph, spec);
        progress.clear();
        for (const std::string& warning : done.warnings) note(warning);
        (void)write_run_report(spec);
    } catch (const DivergenceError& error) {
        progress.clear();
        note(fmt::format("{} diverged, which is its result: {}", result.arm.title, error.what()));
    }
    return !stop_wanted();
}

void write(const StudyReport& report, const fs::path& out, const std::string& command) {
    std::error_code error;
    fs::create_directories(out, error);
    if (error) throw Error(fmt::format("'{}' cannot be made: {}", out.string(), error.message()));
    write_file_atomically((out / "study.json").string(), study_json(report));
    write_file_atomically((out / "study.svg").string(), study_chart(report));
    write_file_atomically((out / "study.md").string(), study_markdown(report, command));
}

/// Runs that are wanted and not done, in an order in which weights are there before they are needed.
std::vector<const ArmResult*> left_of(const StudyReport& report, const std::vector<std::string>& wanted) {
    std::vector<std::string> names;
    for (const ArmResult& result : report.arms) names.push_back(result.arm.name);
    for (const std::string& name : wanted)
        if (std::ranges::find(names, name) == names.end()) throw ArgumentError(fmt::format("{} has no run '{}'; it has {}", report.study->name, name, fmt::join(names, ", ")));
    std::vector<const ArmResult*> left;
    for (const ArmResult& result : report.arms) {
        const bool is_wanted = wanted.empty() || std::ranges::find(wanted, result.arm.name) != wanted.end();
        if (!is_wanted || result.is_done()) continue;
        if (result.run && result.run->status == "running") throw ArgumentError(fmt::format("another program is training '{}'", result.run->path.string()));
        const auto source = std::ranges::find_if(report.arms, [&](const ArmResult& other) { return other.arm.name == result.arm.begins_with; });
        if (source != report.arms.end() && !source->is_done() && std::ranges::find(left, &*source) == left.end())
            throw ArgumentError(fmt::format("'{}' begins with the weights of '{}', which is not done", result.arm.name, source->arm.name));
        left.push_back(&result);
    }
    return left;
}

void check_options(const Study& study, const StudyOptions& options) {
    if (study.name == "transfer") return;
    for (const auto& [flag, value] : {std::pair("--near", &options.near), std::pair("--far", &options.far), std::pair("--weights", &options.weights)})
        if (!value->empty()) throw ArgumentError(fmt::format("{} belongs to the study transfer, not to {}", flag, study.name));
}

void run_study(StudyArguments a) {
    a.common.apply();
    const Study& study = find_study(a.name);
    check_options(study, a.options);
    a.options.seed = static_cast<std::int64_t>(a.common.seed);
    if (const char* root = std::getenv("FOVEA_DATA")) a.options.data_root = root;
    const fs::path out = a.out.empty() ? fs::path("runs") / fmt::format("study-{}{}", study.name, a.options.is_short ? "-short" : "") : fs::path(a.out);
    check_same_study(study, a.options, out);
    const std::string typed = command_line(a);
    std::FILE* messages = a.common.json ? stderr : stdout;
    StudyReport report = read_study(study, a.options, out);
    OpenData data;
    if (const auto left = left_of(report, a.arms); !left.empty()) {
        fmt::print(messages, "{}: {}\n{}\n", study.name, study.about, study.paper);
        std::fflush(messages);
        if (const std::string unmet = unmet_precision({.precision = precision_named(a.options.precision)}); !unmet.empty()) note(unmet);
        catch_interrupts();
        const Estimate needed = estimate(report, left, out, data, a);
        fmt::print(messages, "{} of {} runs, {}{} epochs: about {}, by a few steps of each; {}\n", left.size(), report.arms.size(), study.goal > 0 ? "at most " : "", needed.epochs, duration(needed.seconds), out.string());
        std::fflush(messages);
        write(report, out, typed);
        for (const ArmResult* result : left) {
            const bool is_ended = !stop_wanted() && train_arm(study, *result, a.options, out, data, a, messages);
            const StudyReport now = read_study(study, a.options, out);
            write(now, out, typed);
            if (is_ended) continue;
            note(fmt::format("stopped and saved; the same command goes on: {}", typed));
            throw CLI::RuntimeError(130);  // what a shell gives a program that Ctrl-C ended
        }
        report = read_study(study, a.options, out);
    }
    if (a.common.json) return print_document(Json::parse(study_json(report)));
    fmt::print("\n{}\n", to_text(study_sheet(report), chosen_format(a.common, a.format)));
    if (report.is_done()) fmt::print("{}\n", report.conclusion.text);
    fmt::print("{}, {}\n", (out / "study.svg").string(), (out / "study.md").string());
}

}  // namespace

void add_study(CLI::App& app) {
    auto a = std::make_shared<StudyArguments>();
    CLI::App* command = app.add_subcommand("study", "What papers claim of training, tried again: runs that differ in one thing, their table, picture and a sentence");
    command->add_option("name", a->name, "Which (without: a list of them)");
    command->add_flag("--short", a->options.is_short, "Smaller networks or fewer epochs: what two cores finish in minutes");
    command->add_option("--epochs", a->options.epochs, "Of every run (default: the study's)")->check(CLI::Range(1, 1'000'000));
    command->add_option("--data", a->options.data, "DATASET to learn (default: cifar10 in FOVEA_DATA, or in data/)");
    command->add_option("--near", a->options.near, "transfer: the set of few pictures like --data (default: folder:hymenoptera in FOVEA_DATA)");
    command->add_option("--far", a->options.far, "transfer: the one unlike it (default: mnist in FOVEA_DATA)");
    command->add_option("--weights", a->options.weights, "transfer: a run or weights file of cifar_resnet20, instead of training one");
    command->add_option("--arms", a->arms, "Only these runs, joined by commas; the others another time")->delimiter(',');
    command->add_option("--precision", a->options.precision, "f32 or bf16")->check(CLI::IsMember({"f32", "bf16"}));
    command->add_option("--out", a->out, "Directory of the study (default: runs/study-NAME, with -short behind it for --short)");
    command->add_option("--loader-threads", a->loader_threads, "Threads that prepare pictures")->check(CLI::Range(0, 256));
    add_format(*command, a->format);
    a->plan.add_to(*command);
    a->common.add_to(*command);
    command->callback([a] {
        if (a->name.empty()) list(*a);
        else run_study(*a);
    });
}

}  // namespace fovea::cli
