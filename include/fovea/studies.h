// Studies: what papers and lectures claim of training, tried again. A study is a list of runs that differ in one thing, a table and a
// picture of them, and a sentence about what came out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fovea/explain.h"
#include "fovea/runs.h"
#include "fovea/train.h"

namespace fovea {

/// What decides a study's runs beside its definition.
struct StudyOptions {
    bool is_short = false;          ///< smaller networks or fewer epochs, which two cores finish
    std::int64_t epochs = 0;        ///< of every run; 0: the study's own
    std::string data{};             ///< what is learnt; empty: CIFAR-10 in data_root
    std::string data_root = "data"; ///< folder of the data sets that are not named
    std::string near{}, far{};      ///< transfer: the set like `data` and the one unlike it; empty: hymenoptera and MNIST in data_root
    std::string weights{};          ///< transfer: of a network trained before, instead of training one
    std::int64_t seed = 0;
    std::string precision = "f32";
    friend bool operator==(const StudyOptions&, const StudyOptions&) = default;
};

/// One of the runs that are compared: a recipe with settings over it.
struct StudyArm {
    std::string name;                ///< of its run directory
    std::string title;               ///< in tables and pictures
    std::string recipe;              ///< a shipped one
    std::vector<std::pair<std::string, std::string>> settings{};
    std::string begins_with{};       ///< the arm whose weights it begins with
    double x = 0;                    ///< where a study goes over a quantity: its value
    std::string group{};             ///< ... and the line through the arms of this group
    std::string published{};         ///< what the paper says of it
};

/// A run as far as it has come.
struct ArmResult {
    StudyArm arm;
    std::optional<RunRecord> run{};  ///< nothing before it begins
    std::int64_t epochs_wanted = 0;
    bool has_reached_goal = false;

    [[nodiscard]] bool is_diverged() const { return run && run->status == "diverged"; }
    /// Whether nothing is left to do; a run that diverged is a result too.
    [[nodiscard]] bool is_done() const;
    /// After the last epoch, 0..1; 1 for a run that diverged. Throws Error where there is none.
    [[nodiscard]] double train_error() const;
    [[nodiscard]] double test_error() const;
    [[nodiscard]] double best_test_error() const;
};

struct Conclusion {
    std::string text{};
    std::optional<bool> holds{};  ///< nothing while runs are missing, or where the runs cannot say
};

struct Study {
    std::string name, about, paper, claim;  ///< claim: what is expected, in one sentence
    std::string time, short_time;           ///< on two cores, roughly
    std::vector<StudyArm> (*arms)(const StudyOptions& options);
    Conclusion (*conclude)(const std::vector<ArmResult>& arms);  ///< of arms that are all done
    double goal = 0;                        ///< training error at which a run has shown what it is for and ends; 0: none
    std::string x_title{};                  ///< of a study that goes over a quantity
};

[[nodiscard]] const std::vector<Study>& studies();
/// Throws ArgumentError naming the nearest.
[[nodiscard]] const Study& find_study(std::string_view name);
/// Name, what it shows, paper, time.
[[nodiscard]] Sheet studies_sheet();

/// The recipe of an arm: its shipped one, its settings, the options; `out` is the study's directory, where the arm it begins with lies.
[[nodiscard]] Recipe recipe_of(const StudyArm& arm, const StudyOptions& options, const std::filesystem::path& out);

/// Epochs until the mean training error of an epoch is `error`, between epochs by a straight line; an epoch's mean stands for its middle.
/// 0.5 where the first is below it already, nothing where it is never reached.
[[nodiscard]] std::optional<double> epochs_to(const RunRecord& run, double error);

struct StudyReport {
    const Study* study = nullptr;
    StudyOptions options{};
    std::vector<ArmResult> arms;
    Conclusion conclusion{};

    [[nodiscard]] bool is_done() const;
};
/// What lies in a study's directory by now.
[[nodiscard]] StudyReport read_study(const Study& study, const StudyOptions& options, const std::filesystem::path& out);
/// Throws ArgumentError when the directory holds another study, or this one with other options: its runs could not be compared.
void check_same_study(const Study& study, const StudyOptions& options, const std::filesystem::path& out);

/// A row for each arm.
[[nodiscard]] Sheet study_sheet(const StudyReport& report);
/// Errors by epoch, the arms over one another, and what a study goes over: an SVG document.
[[nodiscard]] std::string study_chart(const StudyReport& report);
/// One JSON document, and a page of Markdown with the command that makes the study.
[[nodiscard]] std::string study_json(const StudyReport& report);
[[nodiscard]] std::string study_markdown(const StudyReport& report, const std::string& command);

}  // namespace fovea
