// runs/NAME: config.json, recipe.toml, metrics.jsonl and the checkpoints.
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
    /// Creates the directory; throws Error in one sentence when that, or writing into it, cannot be done.
    explicit RunDirectory(std::filesystem::path path);

    [[nodiscard]] bool is_on() const { return !path_.empty(); }
    [[nodiscard]] std::filesystem::path last() const { return path_ / "checkpoint-last.safetensors"; }
    [[nodiscard]] std::filesystem::path best() const { return path_ / "checkpoint-best.safetensors"; }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    /// What writers that were killed left behind: "checkpoint-last.safetensors.Xa81b2".
    void remove_leftovers() const;
    /// config.json, and recipe.toml where there is a recipe.
    void write_config(const Json& config, const std::string& recipe) const;

    /// Opens metrics.jsonl, without the lines that lie after `updates` updates and `epochs` finished epochs: a resumed run writes them again.
    void open_metrics(std::int64_t updates, std::int64_t epochs);
    void log(const Json& line);
    /// What was logged so far reaches the disk.
    void sync_metrics();

private:
    struct Closer {
        void operator()(std::FILE* file) const { std::fclose(file); }
    };
    [[noreturn]] void fail_writing() const;
    std::filesystem::path path_;
    std::unique_ptr<std::FILE, Closer> metrics_;
};

}  // namespace fovea
