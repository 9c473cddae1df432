// runs/NAME: config.json, recipe.toml, metrics.jsonl, the same for TensorBoard, evaluation.json and the checkpoints.
#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>

#include "train/facts.h"

namespace fovea {

/// The files of one run; does nothing when `path` is empty.
class RunDirectory {
public:
    explicit RunDirectory(std::filesystem::path path) : path_(std::move(path)) {}

    /// Makes the directory where there is none: only a run that begins leaves one. Throws Error in one sentence when that, or writing into it, cannot be done.
    void create() const;
    [[nodiscard]] bool is_on() const { return !path_.empty(); }
    [[nodiscard]] std::filesystem::path last() const { return path_ / "checkpoint-last.safetensors"; }
    [[nodiscard]] std::filesystem::path best() const { return path_ / "checkpoint-best.safetensors"; }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    /// What writers that were killed left behind: "checkpoint-last.safetensors.Xa81b2".
    void remove_leftovers() const;
    /// config.json, and recipe.toml where there is a recipe.
    void write_config(const Json& config, const std::string& recipe) const;

    /// Opens metrics.jsonl, without the lines that lie after `updates` updates and `epochs` finished epochs: a resumed run writes them again.
    /// The event file is written anew from the lines that stay. While it is open metrics.jsonl is locked: who lists runs sees this one run.
    void open_metrics(std::int64_t updates, std::int64_t epochs);
    /// Adds the time of day to the line.
    void log(Json line);
    /// The last line, {"kind": "end", ...}: a run that has none was killed. Reports no error, because what it tells may be one.
    void log_end(Json line) noexcept;
    /// "seconds" of the last line that stayed when the metrics were opened: what the run had taken before.
    [[nodiscard]] double seconds_before() const { return seconds_before_; }
    /// evaluation.json: the confusion matrix, as [label, predicted, count] where that is not 0, and the worst mistakes.
    void write_evaluation(std::int64_t epoch, const std::string& dataset, const Evaluation& evaluation) const;
    /// What was logged so far reaches the disk.
    void sync_metrics();

private:
    struct Closer {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    using File = std::unique_ptr<std::FILE, Closer>;
    [[noreturn]] void fail_writing(const std::string& name) const;
    /// The file with these bytes, open to append.
    [[nodiscard]] File begin_file(const std::string& name, const std::string& bytes) const;
    void append(const File& file, const std::string& name, const std::string& bytes) const;
    std::filesystem::path path_;
    std::string events_name_;
    File metrics_, events_;
    double seconds_before_ = 0;
};

}  // namespace fovea
