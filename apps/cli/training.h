// From a recipe to a run: what `train`, `finetune` and `study` share.
#pragma once

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

#include "command.h"
#include "data_options.h"
#include "fovea/train.h"
#include "network.h"

namespace fovea::cli {

/// How a run is made, beside its recipe.
struct RunOptions {
    std::filesystem::path out{};  ///< the run directory
    bool resume = false;
    double save_every_minutes = 10;
    std::int64_t save_every_steps = 0;
    int loader_threads = 1;
    MemoryOptions memory{};
    PlanOptions plan{};
};

/// What fit() takes; `spec` has everything but starting values, callbacks and the run directory.
struct Training {
    Network network;
    FitSpec spec;
};
/// What training goes on with, where it does.
struct EarlierRun {
    bool is_there = false;
    std::string listing{};  ///< of the network, which a run carries: the file may be gone, or say something else by now
};
[[nodiscard]] EarlierRun earlier_run(const RunOptions& options);
/// The recipe's network for these pictures and how it is trained.
[[nodiscard]] Training prepare_training(const Recipe& recipe, const RunData& data, const RunOptions& options, const EarlierRun& earlier);
/// Where the parameters begin: a weights file, an ONNX file's own, a scheme, filters that whiten the pictures; nothing for the model's own start. Says on stderr what was taken.
[[nodiscard]] std::optional<Parameters> start_of(const Network& network, const Recipe& recipe, const FitSpec& spec);
/// report.html of the run, its path; one that cannot be written takes nothing from it and is noted.
std::filesystem::path write_run_report(const FitSpec& spec);

/// A bar that is redrawn on a terminal; plain lines, one per epoch, elsewhere.
class TrainingProgress {
public:
    /// `title` stands before each line.
    TrainingProgress(std::int64_t epochs, std::FILE* out, std::string title = {}) : epochs_(epochs), out_(out), title_(std::move(title)) {}
    /// What draws it, for FitSpec::callbacks; lives no longer than this.
    [[nodiscard]] Callback callback();
    void clear() { line_.clear(); }

private:
    void step(const StepReport& report);
    void epoch(const EpochReport& report);
    std::int64_t epochs_;
    std::FILE* out_;
    std::string title_;
    ProgressLine line_;
};

/// Set by Ctrl-C, SIGTERM and SIGUSR1, which mpirun hands on to all ranks at once, after catch_interrupts() was called; a second Ctrl-C ends the process at once.
[[nodiscard]] const std::atomic<bool>& stop_wanted();
void catch_interrupts();

}  // namespace fovea::cli
