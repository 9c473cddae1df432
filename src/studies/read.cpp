// A study's directory: its runs, and study.json, which says with which options they were made.
#include <algorithm>
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "core/text.h"
#include "studies/options_json.h"
#include "studies/studies.h"

namespace fovea {

namespace {

namespace fs = std::filesystem;

const RunEpoch& last_epoch(const ArmResult& result) {
    require(result.run && !result.run->epochs.empty(), "run '{}' has no epoch yet", result.arm.name);
    return result.run->epochs.back();
}
double test_error_of(const RunEpoch& epoch) { return 1 - epoch.top1.value_or(epoch.train_accuracy); }

}  // namespace

bool ArmResult::is_done() const { return run && (is_diverged() || (run->status == "finished" && std::ssize(run->epochs) >= epochs_wanted) || (has_reached_goal && run->status == "stopped")); }
double ArmResult::train_error() const { return is_diverged() ? 1 : 1 - last_epoch(*this).train_accuracy; }
double ArmResult::test_error() const { return is_diverged() ? 1 : test_error_of(last_epoch(*this)); }
double ArmResult::best_test_error() const {
    if (is_diverged()) return 1;
    double best = test_error_of(last_epoch(*this));
    for (const RunEpoch& epoch : run->epochs) best = std::min(best, test_error_of(epoch));
    return best;
}

std::optional<double> epochs_to(const RunRecord& run, double error) {
    for (std::size_t i = 0; i < run.epochs.size(); ++i) {
        const double now = 1 - run.epochs[i].train_accuracy;
        if (now > error) continue;
        if (i == 0) return 0.5;
        const double before = 1 - run.epochs[i - 1].train_accuracy;
        return static_cast<double>(i) - 0.5 + (before - error) / (before - now);
    }
    return {};
}

bool StudyReport::is_done() const { return std::ranges::all_of(arms, &ArmResult::is_done); }

StudyReport read_study(const Study& study, const StudyOptions& options, const fs::path& out) {
    StudyReport report{.study = &study, .options = options};
    for (StudyArm& arm : study.arms(options)) {
        ArmResult result{.arm = std::move(arm)};
        result.epochs_wanted = recipe_of(result.arm, options, out).epochs;
        const fs::path path = out / result.arm.name;
        if (fs::exists(path / "config.json")) {
            result.run = read_run(path);
            result.has_reached_goal = study.goal > 0 && epochs_to(*result.run, study.goal).has_value();
        }
        report.arms.push_back(std::move(result));
    }
    if (report.is_done()) report.conclusion = study.conclude(report.arms);
    return report;
}

void check_same_study(const Study& study, const StudyOptions& options, const fs::path& out) {
    const fs::path file = out / "study.json";
    if (!fs::exists(file)) return;
    std::ifstream stream(file, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    const StudyJson json = StudyJson::parse(text.str(), nullptr, false);
    require<FormatError>(json.is_object() && json.value("study", StudyJson()).is_string() && json.value("options", StudyJson()).is_object(), "'{}' is no result of a study", file.string());
    const std::string other = json.at("study");
    require<ArgumentError>(other == study.name, "'{}' holds the study {}: another --out is needed for {}", out.string(), other, study.name);
    const StudyJson then = json.at("options"), now = options_json(options);
    for (const auto& [key, value] : now.items())
        require<ArgumentError>(then.contains(key) && then.at(key) == value, "'{}' holds this study with {} {}, now it is {}: its runs could not be compared; another --out begins anew", out.string(), key,
                               then.contains(key) ? then.at(key).dump() : "of another kind", value.dump());
}

}  // namespace fovea
