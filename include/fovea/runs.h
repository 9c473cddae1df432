// What training runs have written, read back: lists, comparisons, and a report as one HTML page.
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fovea/data.h"
#include "fovea/explain.h"
#include "fovea/train.h"

namespace fovea {

/// A line of metrics.jsonl. Numbers that were not finite are NaN here.
struct RunStep {
    double epoch = 0;  ///< passed so far, with the fraction of the one under way
    double loss = 0, accuracy = 0, lr = 0, images_per_second = 0, loader_wait = 0;
};
struct RunEpoch {
    std::int64_t epoch = 0;  ///< finished: from 1
    double train_loss = 0, train_accuracy = 0;
    std::optional<double> loss, top1, topk;  ///< of the validation set
    double lr = 0, images_per_second = 0, loader_wait = 0;
    double seconds = 0;      ///< since the run began
};
struct RunProbe {
    struct Activation {
        static constexpr double none = std::numeric_limits<double>::quiet_NaN();
        std::string layer, op;
        double zero = none, dead = none, saturated = none;  ///< shares, 0..1; NaN where the op has no such thing
    };
    std::int64_t epoch = 0;  ///< after which it was taken: from 1
    std::vector<std::pair<std::string, double>> gradient_norms;  ///< by layer, in the order of the network
    std::vector<Activation> activations;
};

struct RunRecord {
    std::filesystem::path path;
    std::string name;         ///< of the directory
    std::string model, dataset, metric;
    std::vector<std::string> classes;
    std::int64_t images = 0, parameters = 0, steps_per_epoch = 1;
    std::int64_t epochs_wanted = 0;
    std::vector<std::pair<std::string, std::string>> settings;  ///< config.json, "optimizer.lr" and the like
    std::string recipe;       ///< TOML; empty where the run had none
    std::vector<RunStep> steps;
    std::vector<RunEpoch> epochs;
    std::vector<RunProbe> probes;
    std::optional<Evaluation> evaluation;  ///< after the last epoch
    std::string evaluated_on; ///< its data set
    double seconds = 0;
    std::string status;       ///< "running", "finished", "stopped", "diverged", "failed", "killed", "unreadable"
    std::string why;          ///< a sentence, where there is more to say

    /// The epoch that is best by the run's metric; nullptr before the first.
    [[nodiscard]] const RunEpoch* best() const;
    /// Of an epoch, the run's metric: of the validation set, or of training where there is none.
    [[nodiscard]] double metric_of(const RunEpoch& epoch) const;
};

/// Reads a run directory, also one that is being written. Throws FormatError when it holds no run or its files are damaged.
[[nodiscard]] RunRecord read_run(const std::filesystem::path& path);
/// The runs in a directory (or the run that it is), by name; damaged ones as "unreadable" with the reason. Throws Error when there is no
/// such directory.
[[nodiscard]] std::vector<RunRecord> read_runs(const std::filesystem::path& directory);

/// Name, model, data, epochs, best metric, time, status.
[[nodiscard]] Sheet runs_sheet(const std::vector<RunRecord>& runs);
/// Results side by side.
[[nodiscard]] Sheet runs_comparison(const std::vector<RunRecord>& runs);
/// The settings in which they differ, a column for each run.
[[nodiscard]] Sheet runs_differences(const std::vector<RunRecord>& runs);
/// Loss, accuracy, and each layer's gradient norm by depth after the last epoch, the runs over one another: an SVG document.
[[nodiscard]] std::string runs_chart(const std::vector<RunRecord>& runs);

/// Everything about a run as one HTML page that needs nothing else: curves, learning rate, gradient norms, saturated and dead units,
/// confusion matrix, calibration, worst mistakes, filters of the first layer, settings and machine. Thumbnails of the mistakes are shown when
/// `validation` is the set that was evaluated.
[[nodiscard]] std::string report_html(const RunRecord& run, const DatasetPtr& validation = {});

}  // namespace fovea
