// What came out: a table, a picture, JSON and Markdown.
#include <algorithm>
#include <cmath>

#include "core/markup.h"
#include "core/text.h"
#include "explain/chart.h"
#include "runs/text.h"
#include "studies/options_json.h"
#include "studies/studies.h"

namespace fovea {

namespace {

std::string state_of(const ArmResult& result) {
    if (!result.run) return "not begun";
    if (result.is_diverged()) return "diverged";
    return result.is_done() ? "done" : result.run->status == "running" ? "running" : "unfinished";
}

bool has_epochs(const ArmResult& result) { return result.run && !result.run->epochs.empty(); }

bool any_of(const StudyReport& report, bool (*is)(const ArmResult&)) { return std::ranges::any_of(report.arms, is); }

double seconds_per_epoch(const ArmResult& result) {
    const RunEpoch& last = result.run->epochs.back();
    return last.seconds / static_cast<double>(last.epoch);
}

/// Lines of one panel: an arm's value at each epoch.
std::vector<Series> by_epoch(const StudyReport& report, double (*value)(const RunEpoch&), double width) {
    std::vector<Series> lines;
    for (std::size_t i = 0; i < report.arms.size(); ++i) {
        Series line{report.arms[i].arm.title, {}, run_colour(i), width};
        if (report.arms[i].run)
            for (const RunEpoch& epoch : report.arms[i].run->epochs) line.points.emplace_back(static_cast<double>(epoch.epoch), value(epoch));
        lines.push_back(std::move(line));
    }
    return lines;
}

/// The best test error over what the study goes over, a line for each group.
std::vector<Series> by_quantity(const StudyReport& report) {
    std::vector<Series> lines;
    for (const ArmResult& result : report.arms) {
        auto line = std::ranges::find(lines, result.arm.group, &Series::name);
        if (line == lines.end()) line = lines.insert(lines.end(), Series{result.arm.group, {}, run_colour(lines.size()), 2.4});
        if (result.is_done()) line->points.emplace_back(std::log10(result.arm.x), result.best_test_error());
    }
    for (Series& line : lines) std::ranges::sort(line.points);
    return lines;
}

StudyJson number_or_null(const ArmResult& result, double (ArmResult::*value)() const) {
    if (!has_epochs(result) && !result.is_diverged()) return nullptr;
    return (result.*value)();
}

}  // namespace

Sheet study_sheet(const StudyReport& report) {
    const bool has_goal = report.study->goal > 0, is_published = any_of(report, [](const ArmResult& r) { return !r.arm.published.empty(); });
    Sheet sheet{.title = report.study->claim};
    sheet.columns = {{"run", "run"}, {"parameters", "parameters", true}, {"epochs", "epochs", true}, {"training error", "train_error", true}, {"test error", "test_error", true}, {"best", "best_test_error", true}};
    if (has_goal) sheet.columns.push_back({fmt::format("epochs to {:g} %", 100 * report.study->goal), "epochs_to_goal", true});
    sheet.columns.push_back({"s/epoch", "seconds_per_epoch", true});
    if (is_published) sheet.columns.push_back({"published", "published", true});
    sheet.columns.push_back({"state", "state"});
    for (const ArmResult& result : report.arms) {
        const bool has_numbers = has_epochs(result);
        std::vector<Sheet::Cell> row{result.arm.title};
        row.emplace_back(result.run ? with_commas(result.run->parameters) : "");
        row.emplace_back(fmt::format("{}/{}", result.run ? result.run->epochs.size() : 0, result.epochs_wanted));
        for (const auto value : {&ArmResult::train_error, &ArmResult::test_error, &ArmResult::best_test_error}) row.emplace_back(has_numbers && !result.is_diverged() ? percent((result.*value)()) : "");
        if (has_goal) {
            const std::optional<double> reached = result.run ? epochs_to(*result.run, report.study->goal) : std::nullopt;
            row.emplace_back(reached ? fmt::format("{:.1f}", *reached) : "");
        }
        row.emplace_back(has_numbers ? fmt::format("{:.1f}", seconds_per_epoch(result)) : "");
        if (is_published) row.emplace_back(result.arm.published);
        row.emplace_back(state_of(result));
        sheet.rows.push_back(std::move(row));
    }
    return sheet;
}

std::string study_chart(const StudyReport& report) {
    constexpr double width = 940, height = 330;
    std::vector<std::string> panels;
    const auto add = [&](const std::string& title, const std::string& x_title, const std::vector<Series>& lines) {
        panels.push_back(line_chart({.title = title, .x_title = x_title, .is_share = true, .y = 26 + height * static_cast<double>(panels.size()), .width = width, .height = height}, lines));
    };
    std::vector<Series> training = by_epoch(report, [](const RunEpoch& epoch) { return 1 - epoch.train_accuracy; }, 1.8);
    if (report.study->goal > 0) {
        double last = 1;
        for (const ArmResult& result : report.arms) last = std::max(last, result.run ? static_cast<double>(result.run->epochs.size()) : 1);
        training.push_back({fmt::format("{:g} %", 100 * report.study->goal), {{1, report.study->goal}, {last, report.study->goal}}, "#999", 0.8});
    }
    if (!report.study->x_title.empty()) add("Best test error", report.study->x_title, by_quantity(report));
    add("Training error", "epoch", training);
    add("Test error", "epoch", by_epoch(report, [](const RunEpoch& epoch) { return epoch.top1 ? 1 - *epoch.top1 : RunProbe::Activation::none; }, 1.8));
    std::string svg = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:g}\" height=\"{1:g}\" viewBox=\"0 0 {0:g} {1:g}\" font-family=\"sans-serif\">\n<rect width=\"{0:g}\" height=\"{1:g}\" "
                                  "fill=\"white\"/>\n<text x=\"14\" y=\"20\" font-size=\"14\">{2}</text>\n",
                                  width, 26 + height * static_cast<double>(panels.size()), markup_escaped(report.study->name + ": " + report.study->about));
    for (const std::string& panel : panels) svg += panel;
    return svg + "</svg>\n";
}

std::string study_json(const StudyReport& report) {
    const Study& study = *report.study;
    StudyJson arms = StudyJson::array();
    for (const ArmResult& result : report.arms) {
        StudyJson arm{{"name", result.arm.name}, {"title", result.arm.title}, {"recipe", result.arm.recipe}, {"settings", StudyJson::object()}, {"state", state_of(result)},
                      {"epochs", result.run ? result.run->epochs.size() : 0}, {"epochs_wanted", result.epochs_wanted}};
        for (const auto& [key, value] : result.arm.settings) arm["settings"][key] = value;
        arm["train_error"] = number_or_null(result, &ArmResult::train_error);
        arm["test_error"] = number_or_null(result, &ArmResult::test_error);
        arm["best_test_error"] = number_or_null(result, &ArmResult::best_test_error);
        if (study.goal > 0) {
            const std::optional<double> reached = result.run ? epochs_to(*result.run, study.goal) : std::nullopt;
            arm["epochs_to_goal"] = reached ? StudyJson(*reached) : StudyJson(nullptr);
        }
        arm["seconds"] = result.run ? StudyJson(result.run->seconds) : StudyJson(nullptr);
        arms.push_back(std::move(arm));
    }
    StudyJson document{{"command", "study"}, {"study", study.name}, {"claim", study.claim}, {"paper", study.paper}, {"options", options_json(report.options)}, {"is_done", report.is_done()}};
    document["conclusion"] = report.conclusion.text;
    document["holds"] = report.conclusion.holds ? StudyJson(*report.conclusion.holds) : StudyJson(nullptr);
    document["arms"] = std::move(arms);
    return document.dump(2, ' ', false, StudyJson::error_handler_t::replace) + "\n";
}

std::string study_markdown(const StudyReport& report, const std::string& command) {
    Sheet sheet = study_sheet(report);
    sheet.title.clear();
    const Study& study = *report.study;
    return fmt::format("# {}: {}\n\n{}\n\n{}\n\n```sh\n{}\n```\n\n{}\n{}\n\n![errors by epoch](study.svg)\n", study.name, study.about, study.claim, study.paper, command, to_text(sheet, TableFormat::md),
                       report.is_done() ? report.conclusion.text : "Some runs are not done yet: the same command goes on.");
}

}  // namespace fovea
