#include "train/run_directory.h"

#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>

#include "core/text.h"
#include "fovea/io.h"
#include "train/tensorboard.h"

namespace fovea {

namespace {

constexpr const char* metrics_name = "metrics.jsonl";
constexpr std::string_view events_prefix = "events.out.tfevents.";

/// Seconds since 1970, to the millisecond.
double now() { return std::round(std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count() * 1000) / 1000; }

}  // namespace

void RunDirectory::create() const {
    if (!is_on()) return;
    std::error_code error;
    std::filesystem::create_directories(path_, error);
    require(!error, "run directory '{}' cannot be made: {}", path_.string(), error.message());
    const bool is_writable = ::access(path_.c_str(), W_OK) == 0;  // before the message, which asks for errno
    require(is_writable, "run directory '{}' cannot be written to: {}", path_.string(), std::strerror(errno));
}

void RunDirectory::remove_leftovers() const {
    if (!is_on()) return;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(path_, ignored)) {
        const std::string name = entry.path().filename().string();
        for (const std::string_view written : {"checkpoint-last.safetensors.", "checkpoint-best.safetensors.", "config.json.", "recipe.toml.", "metrics.jsonl.", "evaluation.json."})
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
    const std::filesystem::path file = path_ / metrics_name;
    std::string kept, events;
    double begun = now();
    if (updates > 0) {
        std::ifstream in(file);
        for (std::string line; std::getline(in, line);) {
            const Json json = Json::parse(line, nullptr, false);
            if (json.is_discarded() || !json.is_object()) break;  // the line during which the run was killed
            const std::string kind = json.value("kind", "");
            const bool stays = kind == "end" ? false : kind == "step" ? json.value("update", std::int64_t{0}) <= updates : json.value("epoch", std::int64_t{0}) < epochs;
            if (!stays) continue;
            if (kept.empty()) begun = json.value("time", begun);
            kept += line + "\n";
            events += event_of(json);
            seconds_before_ = json.value("seconds", seconds_before_);
        }
    }
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(path_, ignored))
        if (entry.path().filename().string().starts_with(events_prefix)) std::filesystem::remove(entry.path(), ignored);
    events_name_ = fmt::format("{}{}.fovea", events_prefix, static_cast<std::int64_t>(begun));
    events_ = begin_file(events_name_, first_event(begun) + events);
    metrics_ = begin_file(metrics_name, kept);
    ::flock(::fileno(metrics_.get()), LOCK_EX | LOCK_NB);  // only a sign: a file system without locks shows running runs as killed ones
}

RunDirectory::File RunDirectory::begin_file(const std::string& name, const std::string& bytes) const {
    const std::string path = (path_ / name).string();
    write_file_atomically(path, bytes);
    File file(std::fopen(path.c_str(), "ae"));
    if (!file) fail_writing(name);
    return file;
}

void RunDirectory::append(const File& file, const std::string& name, const std::string& bytes) const {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file.get()) != bytes.size() || std::fflush(file.get()) != 0) fail_writing(name);
}

void RunDirectory::log(Json line) {
    if (!metrics_) return;
    line["time"] = now();
    append(metrics_, metrics_name, line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
    append(events_, events_name_, event_of(line));
}

void RunDirectory::log_end(Json line) noexcept {
    try {
        Json end{{"kind", "end"}};
        end.update(line);
        log(std::move(end));
    } catch (const std::exception&) {
    }
}

void RunDirectory::write_evaluation(std::int64_t epoch, const std::string& dataset, const Evaluation& evaluation) const {
    if (!is_on()) return;
    Json confusion = Json::array(), worst = Json::array();
    for (const auto& [cell, count] : evaluation.confusion.cells()) confusion.push_back({cell.first, cell.second, count});
    for (const Mistake& m : evaluation.worst)
        worst.push_back({{"index", m.index}, {"label", m.label}, {"predicted", m.predicted}, {"of_label", m.of_label}, {"of_predicted", m.of_predicted}});
    const Json json{{"epoch", epoch},       {"dataset", dataset},      {"images", evaluation.images},    {"skipped", evaluation.skipped}, {"loss", evaluation.loss},
                    {"top1", evaluation.top1}, {"topk", evaluation.topk}, {"k", evaluation.k}, {"classes", evaluation.confusion.classes()}, {"confusion", std::move(confusion)}, {"worst", std::move(worst)},
                    {"calibration", Json::parse(to_text(evaluation.reliability))}};
    write_file_atomically((path_ / "evaluation.json").string(), json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

void RunDirectory::sync_metrics() {
    if (metrics_) ::fsync(::fileno(metrics_.get()));
}

void RunDirectory::fail_writing(const std::string& name) const {
    const int reason = errno;
    fail("'{}' cannot be written: {}; the last checkpoint is whole, go on from it with resume", (path_ / name).string(), std::strerror(reason));
}

}  // namespace fovea
