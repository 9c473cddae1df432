#include "train/run_directory.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "core/text.h"
#include "fovea/io.h"

namespace fovea {

RunDirectory::RunDirectory(std::filesystem::path path) : path_(std::move(path)) {
    if (!is_on()) return;
    std::error_code error;
    std::filesystem::create_directories(path_, error);
    require(!error, "run directory '{}' cannot be made: {}", path_.string(), error.message());
    require(::access(path_.c_str(), W_OK) == 0, "run directory '{}' cannot be written to: {}", path_.string(), std::strerror(errno));
}

void RunDirectory::remove_leftovers() const {
    if (!is_on()) return;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(path_, ignored)) {
        const std::string name = entry.path().filename().string();
        for (const std::string_view written : {"checkpoint-last.safetensors.", "checkpoint-best.safetensors.", "config.json.", "recipe.toml.", "metrics.jsonl."})
            if (name.starts_with(written) && name.size() == written.size() + 6) std::filesystem::remove(entry.path(), ignored);
    }
}

void RunDirectory::write_config(const Json& config, const std::string& recipe) const {
    if (!is_on()) return;
    write_file_atomically((path_ / "config.json").string(), config.dump(2) + "\n");
    if (!recipe.empty()) write_file_atomically((path_ / "recipe.toml").string(), recipe);
}

void RunDirectory::open_metrics(std::int64_t updates, std::int64_t epochs) {
    if (!is_on()) return;
    const std::filesystem::path file = path_ / "metrics.jsonl";
    std::string kept;
    if (updates > 0) {
        std::ifstream in(file);
        for (std::string line; std::getline(in, line);) {
            const Json json = Json::parse(line, nullptr, false);
            if (json.is_discarded() || !json.is_object()) break;  // the line during which the run was killed
            const bool is_epoch = json.value("kind", "") == "epoch";
            if (is_epoch ? json.value("epoch", std::int64_t{0}) < epochs : json.value("update", std::int64_t{0}) <= updates) kept += line + "\n";
        }
    }
    write_file_atomically(file.string(), kept);
    metrics_.reset(std::fopen(file.c_str(), "a"));
    if (!metrics_) fail_writing();
}

void RunDirectory::log(const Json& line) {
    if (!metrics_) return;
    const std::string text = line.dump() + "\n";
    if (std::fwrite(text.data(), 1, text.size(), metrics_.get()) != text.size() || std::fflush(metrics_.get()) != 0) fail_writing();
}

void RunDirectory::sync_metrics() {
    if (metrics_) ::fsync(::fileno(metrics_.get()));
}

void RunDirectory::fail_writing() const {
    const int reason = errno;
    fail("'{}' cannot be written: {}; the last checkpoint is whole, go on from it with resume", (path_ / "metrics.jsonl").string(), std::strerror(reason));
}

}  // namespace fovea
