// A run directory as train/run_directory.cpp writes it -> RunRecord.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "core/text.h"
#include "fovea/runs.h"

namespace fovea {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr double none = std::numeric_limits<double>::quiet_NaN();

std::string text_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

Json json_of(const fs::path& path) {
    Json json = Json::parse(text_of(path), nullptr, false);
    require<FormatError>(json.is_object(), "'{}' is no JSON object", path.string());
    return json;
}

/// null, which stands for NaN and the infinite, and what is missing are NaN.
double number(const Json& line, const char* key) {
    const auto found = line.find(key);
    return found != line.end() && found->is_number() ? found->get<double>() : none;
}
std::optional<double> number_if_any(const Json& line, const char* key) {
    if (!line.contains(key)) return {};
    return number(line, key);
}

/// {"optimizer": {"lr": 0.1}} as "optimizer.lr", "0.1".
void flatten(const Json& json, const std::string& prefix, std::vector<std::pair<std::string, std::string>>& out) {
    for (const auto& [key, value] : json.items()) {
        if (prefix.empty() && (key == "classes" || key == "listing")) continue;  // long, and no settings
        if (value.is_object()) flatten(value, prefix + key + ".", out);
        else out.emplace_back(prefix + key, value.is_string() ? value.get<std::string>() : value.dump());
    }
}

/// From 0; people count from 1, so there must be a next one.
std::int64_t epoch_number(const Json& line) {
    const double epoch = number(line, "epoch");
    require<FormatError>(epoch >= 0 && epoch < 1e9, "metrics.jsonl: a line of epoch {}", epoch);
    return static_cast<std::int64_t>(epoch);
}

RunStep step_of(const Json& line, std::int64_t steps_per_epoch) {
    return {static_cast<double>(epoch_number(line)) + (number(line, "step") + 1) / static_cast<double>(std::max<std::int64_t>(1, steps_per_epoch)), number(line, "loss"), number(line, "accuracy"), number(line, "lr"),
            number(line, "images_per_second"), number(line, "loader_wait")};
}

RunEpoch epoch_of(const Json& line) {
    return {epoch_number(line) + 1, number(line, "train_loss"), number(line, "train_accuracy"), number_if_any(line, "loss"), number_if_any(line, "top1"), number_if_any(line, "topk"),
            number(line, "lr"), number(line, "images_per_second"), number(line, "loader_wait"), number(line, "seconds")};
}

RunProbe probe_of(const Json& line) {
    RunProbe probe{epoch_number(line) + 1, {}, {}};
    if (!line.contains("gradient_norms")) return probe;  // every picture of it was damaged
    for (const auto& [layer, norm] : line.at("gradient_norms").items()) probe.gradient_norms.emplace_back(layer, norm.is_number() ? norm.get<double>() : none);
    for (const Json& a : line.at("activations")) probe.activations.push_back({a.at("layer"), a.at("op"), number(a, "zero"), number(a, "dead"), number(a, "saturated")});
    return probe;
}

void read_metrics(RunRecord& run) {
    std::ifstream file(run.path / "metrics.jsonl");
    for (std::string text; std::getline(file, text);) {
        const Json line = Json::parse(text, nullptr, false);
        if (!line.is_object()) break;  // the line that was being written
        const std::string kind = line.value("kind", "");
        if (kind == "step") run.steps.push_back(step_of(line, run.steps_per_epoch));
        else if (kind == "epoch") run.epochs.push_back(epoch_of(line));
        else if (kind == "probe") run.probes.push_back(probe_of(line));
        else if (kind == "end") run.status = line.value("status", ""), run.why = line.value("why", "");
        if (const double seconds = number(line, "seconds"); std::isfinite(seconds)) run.seconds = seconds;
    }
}

/// The run itself holds a lock on its metrics as long as it lives.
bool is_locked(const fs::path& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    const bool is_taken = ::flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    ::close(file);
    return is_taken;
}

/// Counts that add up to no more than `images`, shares within 0..1: whatever is computed and drawn from it is finite.
Reliability reliability_of(const Json& json, double images, const std::string& file) {
    const Json& bins = json.at("bins");
    require<FormatError>(bins.is_array() && !bins.empty() && bins.size() <= 1000, "'{}': a calibration in {} bins", file, bins.size());
    const auto within = [&](const Json& of, const char* key, double most) {
        const double value = number(of, key);
        require<FormatError>(value >= 0 && value <= most, "'{}': a calibration with \"{}\" {}, 0 to {} is possible", file, key, value, most);
        return value;
    };
    Reliability reliability{.bins = std::vector<Reliability::Bin>(bins.size())};
    double left = std::min(images, 0x1p53), all = 0;
    for (std::size_t b = 0; b < bins.size(); ++b) {
        const double count = std::floor(within(bins[b], "images", left));
        if (count == 0) continue;
        left -= count, all += count;
        reliability.bins[b] = {static_cast<std::int64_t>(count), std::llround(within(bins[b], "accuracy", 1) * count), within(bins[b], "confidence", 1) * count};
    }
    reliability.squares = within(json, "brier", 2) * all;
    return reliability;
}

void read_evaluation(RunRecord& run) {
    if (!fs::exists(run.path / "evaluation.json")) return;
    const std::string file = (run.path / "evaluation.json").string();
    const Json json = json_of(file);
    Evaluation evaluation;
    evaluation.images = json.at("images");
    evaluation.skipped = json.at("skipped");
    evaluation.loss = number(json, "loss");
    evaluation.top1 = json.at("top1");
    evaluation.topk = json.at("topk");
    evaluation.k = json.at("k");
    const std::int64_t classes = json.at("classes");
    require<FormatError>(classes >= 0 && classes <= 100'000, "'{}': {} classes", file, classes);
    evaluation.confusion = ConfusionMatrix(classes);
    std::int64_t left = evaluation.images;
    for (const Json& cell : json.at("confusion")) {
        const std::int64_t label = cell.at(0), predicted = cell.at(1), count = cell.at(2);
        require<FormatError>(std::min(label, predicted) >= 0 && std::max(label, predicted) < classes, "'{}': a picture of class {} taken for {}, of {} classes", file, label, predicted, classes);
        require<FormatError>(count >= 0 && count <= left, "'{}': more predictions than pictures", file);
        left -= count;
        evaluation.confusion.add(label, predicted, count);
    }
    for (const Json& m : json.at("worst")) evaluation.worst.push_back({m.at("index"), m.at("label"), m.at("predicted"), m.at("of_label"), m.at("of_predicted")});
    if (json.contains("calibration")) evaluation.reliability = reliability_of(json.at("calibration"), static_cast<double>(evaluation.images), file);
    run.evaluation = std::move(evaluation);
    run.evaluated_on = json.at("dataset");
}

/// Other programs write a config.json too; a run has its metrics beside it from its first moments on.
bool holds_run(const fs::path& path) { return fs::exists(path / "config.json") && fs::exists(path / "metrics.jsonl"); }

std::string name_of_directory(const fs::path& path) {
    const fs::path whole = fs::absolute(path).lexically_normal();
    return whole.filename().empty() ? whole.parent_path().filename().string() : whole.filename().string();
}

}  // namespace

double RunRecord::metric_of(const RunEpoch& epoch) const {
    if (metric == "loss") return epoch.loss.value_or(epoch.train_loss);
    if (metric == "topk") return epoch.topk.value_or(none);
    return epoch.top1.value_or(epoch.train_accuracy);
}

const RunEpoch* RunRecord::best() const {
    const RunEpoch* best = nullptr;
    for (const RunEpoch& epoch : epochs)
        if (best == nullptr || (metric == "loss" ? metric_of(epoch) < metric_of(*best) : metric_of(epoch) > metric_of(*best))) best = &epoch;
    return best;
}

RunRecord read_run(const fs::path& path) {
    RunRecord run;
    run.path = path;
    run.name = name_of_directory(path);
    require<FormatError>(fs::exists(path / "config.json"), "'{}' holds no run: it has no config.json", path.string());
    const Json config = json_of(path / "config.json");
    try {
        run.model = config.value("model", "");
        run.dataset = config.value("dataset", "");
        run.metric = config.value("metric", "top1");
        run.images = config.value("images", std::int64_t{0});
        run.parameters = config.value("parameters", std::int64_t{0});
        run.steps_per_epoch = config.value("steps_per_epoch", std::int64_t{1});
        run.epochs_wanted = config.value("epochs", std::int64_t{0});
        run.classes = config.value("classes", std::vector<std::string>{});
        flatten(config, "", run.settings);
        if (fs::exists(path / "recipe.toml")) run.recipe = text_of(path / "recipe.toml");
        read_metrics(run);
        read_evaluation(run);
    } catch (const nlohmann::json::exception& error) {
        fail<FormatError>("run '{}' cannot be read: {}", path.string(), error.what());
    }
    if (run.status.empty()) run.status = is_locked(path / "metrics.jsonl") ? "running" : "killed";
    return run;
}

std::vector<RunRecord> read_runs(const fs::path& directory) {
    require(fs::is_directory(directory), "there is no directory '{}' with runs: 'fovea train' makes one", directory.string());
    std::vector<fs::path> paths;
    if (holds_run(directory)) paths.push_back(directory);
    for (const auto& entry : fs::directory_iterator(directory))
        if (entry.is_directory() && holds_run(entry.path())) paths.push_back(entry.path());
    std::ranges::sort(paths);
    std::vector<RunRecord> runs;
    for (const fs::path& path : paths) {
        try {
            runs.push_back(read_run(path));
        } catch (const FormatError& error) {
            RunRecord damaged;
            damaged.path = path;
            damaged.name = name_of_directory(path);
            damaged.status = "unreadable";
            damaged.why = error.what();
            runs.push_back(std::move(damaged));
        }
    }
    return runs;
}

}  // namespace fovea
