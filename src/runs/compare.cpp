// Several runs: as a list, side by side, over one another.
#include <algorithm>
#include <set>

#include "explain/chart.h"
#include "runs/text.h"

namespace fovea {

namespace {

std::string epochs_text(const RunRecord& run) { return fmt::format("{}/{}", run.epochs.size(), run.epochs_wanted); }

}  // namespace

Sheet runs_sheet(const std::vector<RunRecord>& runs) {
    Sheet sheet;
    sheet.columns = {{"run", "run"}, {"model", "model"}, {"data", "data"}, {"epochs", "epochs", true}, {"best", "best", true}, {"at", "best_epoch", true}, {"time", "time", true}, {"status", "status"}};
    for (const RunRecord& run : runs) {
        const RunEpoch* best = run.best();
        sheet.rows.push_back({run.name, run.model, run.dataset, epochs_text(run), best ? metric_text(run, *best) : "", best ? fmt::format("{}", best->epoch) : "", time_text(run.seconds), run.status});
        if (!run.why.empty()) sheet.notes.push_back(fmt::format("{}: {}", run.name, run.why));
    }
    return sheet;
}

Sheet runs_comparison(const std::vector<RunRecord>& runs) {
    Sheet sheet;
    sheet.columns = {{"run", "run"},
                     {"model", "model"},
                     {"parameters", "parameters", true},
                     {"epochs", "epochs", true},
                     {"training loss", "train_loss", true},
                     {"accuracy", "train_accuracy", true},
                     {"test loss", "loss", true},
                     {"accuracy", "top1", true},
                     {"best", "best", true},
                     {"at", "best_epoch", true},
                     {"images/s", "images_per_second", true},
                     {"time", "time", true},
                     {"status", "status"}};
    for (const RunRecord& run : runs) {
        const RunEpoch nothing{.train_loss = RunProbe::Activation::none, .train_accuracy = RunProbe::Activation::none, .images_per_second = RunProbe::Activation::none};
        const RunEpoch& last = run.epochs.empty() ? nothing : run.epochs.back();
        const RunEpoch* best = run.best();
        sheet.rows.push_back({run.name, run.model, run.parameters, epochs_text(run), number_text(last.train_loss), percent_text(last.train_accuracy), number_text(last.loss), percent_text(last.top1),
                              best ? metric_text(run, *best) : "", best ? fmt::format("{}", best->epoch) : "", std::isfinite(last.images_per_second) ? fmt::format("{:.0f}", last.images_per_second) : "",
                              time_text(run.seconds), run.status});
    }
    return sheet;
}

Sheet runs_differences(const std::vector<RunRecord>& runs) {
    Sheet sheet{.title = "settings that differ"};
    sheet.columns = {{"setting", "setting"}};
    for (const RunRecord& run : runs) sheet.columns.push_back({run.name, run.name});
    std::vector<std::string> keys;
    std::set<std::string> known;
    for (const RunRecord& run : runs)
        for (const auto& [key, value] : run.settings)
            if (known.insert(key).second) keys.push_back(key);
    for (const std::string& key : keys) {
        std::vector<Sheet::Cell> row{key};
        bool differs = false;
        for (const RunRecord& run : runs) {
            const auto found = std::ranges::find(run.settings, key, &std::pair<std::string, std::string>::first);
            row.emplace_back(found == run.settings.end() ? std::string("-") : found->second);
            differs |= row.back().text != row[1].text;
        }
        if (differs) sheet.rows.push_back(std::move(row));
    }
    return sheet;
}

std::string runs_chart(const std::vector<RunRecord>& runs) {
    constexpr double width = 620, height = 340;
    std::vector<Series> losses, accuracies, norms;
    for (std::size_t r = 0; r < runs.size(); ++r) {
        const RunRecord& run = runs[r];
        Series train{run.name + ", training", {}, run_colour(r), 0.8}, test{run.name, {}, run_colour(r), 2.4}, train_accuracy = train, test_accuracy = test;
        for (const RunEpoch& epoch : run.epochs) {
            const auto x = static_cast<double>(epoch.epoch);
            train.points.emplace_back(x, epoch.train_loss);
            train_accuracy.points.emplace_back(x, epoch.train_accuracy);
            if (epoch.loss) test.points.emplace_back(x, *epoch.loss);
            if (epoch.top1) test_accuracy.points.emplace_back(x, *epoch.top1);
        }
        losses.push_back(train), losses.push_back(test);
        accuracies.push_back(train_accuracy), accuracies.push_back(test_accuracy);
        if (run.probes.empty()) continue;
        Series norm{run.name, {}, run_colour(r), 2};
        for (std::size_t i = 0; i < run.probes.back().gradient_norms.size(); ++i) norm.points.emplace_back(static_cast<double>(i + 1), run.probes.back().gradient_norms[i].second);
        norms.push_back(std::move(norm));
    }
    return fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:g}\" height=\"{1:g}\" viewBox=\"0 0 {0:g} {1:g}\">\n<rect width=\"{0:g}\" height=\"{1:g}\" fill=\"white\"/>\n", width, 3 * height) +
           line_chart({.title = "Loss", .x_title = "epoch", .width = width, .height = height}, losses) +
           line_chart({.title = "Accuracy", .x_title = "epoch", .is_share = true, .y = height, .width = width, .height = height}, accuracies) +
           line_chart({.title = "Gradient norm by depth, after the last epoch", .x_title = "layer", .is_logarithmic = true, .y = 2 * height, .width = width, .height = height}, norms) + "</svg>\n";
}

}  // namespace fovea
