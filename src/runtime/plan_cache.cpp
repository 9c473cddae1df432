#include "runtime/plan_cache.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "backends/backend.h"
#include "core/file.h"
#include "core/text.h"
#include "fovea/io.h"
#include "fovea/runtime.h"

namespace fovea {

namespace {

constexpr std::string_view format_name = "fovea plan cache 1";
constexpr std::size_t most_bytes = std::size_t{64} << 20;  // every network of the zoo at every batch takes less than one

/// Letters and digits alone, for the name of a file.
std::string slug(std::string_view text) {
    std::string name;
    for (const char c : text) {
        const bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (is_plain) name += c;
        else if (!name.empty() && name.back() != '-') name += '-';
    }
    while (name.ends_with('-')) name.pop_back();
    return name;
}

}  // namespace

std::string PlanMachine::str() const { return fmt::format("fovea {}, {}, {} thread{}", version, cpu, threads, threads == 1 ? "" : "s"); }

PlanMachine this_machine(std::string_view cpu) { return {.version = FOVEA_VERSION, .cpu = std::string(cpu), .threads = threads()}; }

std::string default_plan_cache() {
    if (const char* named = std::getenv("FOVEA_PLAN_CACHE")) return std::string_view(named) == "off" ? "" : named;
    const auto folder_in = [](const char* variable) {
        const char* value = std::getenv(variable);
        return value && *value == '/' ? std::filesystem::path(value) : std::filesystem::path();
    };
    std::filesystem::path folder = folder_in("XDG_CACHE_HOME");
    if (folder.empty() && !folder_in("HOME").empty()) folder = folder_in("HOME") / ".cache";
    if (folder.empty()) return {};
    const PlanMachine machine = this_machine(find_backend("cpu").machine());
    return (folder / "fovea" / fmt::format("plan-{}-{}-{}.json", machine.version, slug(machine.cpu), machine.threads)).string();
}

PlanFile parse_plan_file(std::string_view text, std::string_view name) {
    PlanFile file;
    try {
        const auto document = nlohmann::json::parse(text);
        require<FormatError>(document.is_object() && document.value("format", "") == format_name, "plan cache '{}': not a file of plans", name);
        const auto& machine = document.at("machine");
        file.machine = {.version = machine.at("version").get<std::string>(), .cpu = machine.at("cpu").get<std::string>(), .threads = machine.at("threads").get<int>()};
        for (const auto& [problem, ways] : document.at("problems").items()) {
            MeasuredWays measured;
            for (const auto& [way, ms] : ways.items()) {
                const auto value = ms.get<double>();
                require<FormatError>(std::isfinite(value) && value > 0, "plan cache '{}': '{}' of '{}' took {} ms", name, way, problem, value);
                measured.emplace(way, value);
            }
            file.problems.emplace(problem, std::move(measured));
        }
    } catch (const nlohmann::json::exception& error) {
        fail<FormatError>("plan cache '{}': damaged ({})", name, error.what());
    }
    return file;
}

std::string to_text(const PlanFile& file) {
    nlohmann::json problems = nlohmann::json::object();
    for (const auto& [problem, ways] : file.problems) problems[problem] = ways;
    const nlohmann::json document{{"format", format_name}, {"machine", {{"version", file.machine.version}, {"cpu", file.machine.cpu}, {"threads", file.machine.threads}}}, {"problems", problems}};
    return document.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::shared_ptr<PlanCache> PlanCache::open(const std::string& path, const PlanMachine& machine) {
    static std::mutex mutex;
    static std::map<std::pair<std::string, std::string>, std::shared_ptr<PlanCache>> all;
    const std::lock_guard lock(mutex);
    auto& cache = all[{path, machine.str()}];
    if (!cache) cache = std::make_shared<PlanCache>(path, machine);
    return cache;
}

PlanCache::PlanCache(std::string path, PlanMachine machine) : path_(std::move(path)), machine_(std::move(machine)) {
    if (auto file = read(&trouble_)) problems_ = std::move(file->problems);
}

std::optional<PlanFile> PlanCache::read(std::string* trouble) const {
    std::error_code error;
    if (path_.empty() || !std::filesystem::exists(path_, error)) return {};
    const auto leave = [&](std::string why) {
        if (trouble) *trouble = std::move(why) + "; it is left aside, the cost model chooses";
        return std::nullopt;
    };
    try {
        if (!std::filesystem::is_regular_file(path_) || std::filesystem::file_size(path_) > most_bytes) return leave(fmt::format("plan cache '{}': not a file of plans", path_));
        const auto bytes = read_file(path_);
        PlanFile file = parse_plan_file({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path_);
        if (file.machine != machine_) return leave(fmt::format("plan cache '{}' is of {}; this is {}", path_, file.machine.str(), machine_.str()));
        return file;
    } catch (const std::exception& problem) {
        return leave(problem.what());
    }
}

std::optional<MeasuredWays> PlanCache::find(std::string_view problem) const {
    const std::lock_guard lock(mutex_);
    const auto it = problems_.find(problem);
    return it == problems_.end() ? std::nullopt : std::optional(it->second);
}

void PlanCache::add(const std::string& problem, MeasuredWays ways) {
    const std::lock_guard lock(mutex_);
    problems_.insert_or_assign(problem, std::move(ways));
    is_changed_ = true;
}

void PlanCache::save() {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(is_changed_, false) || path_.empty()) return;
    PlanFile file{.machine = machine_, .problems = problems_};
    if (const auto there = read(nullptr)) file.problems.insert(there->problems.begin(), there->problems.end());
    try {
        if (const auto folder = std::filesystem::path(path_).parent_path(); !folder.empty()) std::filesystem::create_directories(folder);
        write_file_atomically(path_, to_text(file));
    } catch (const std::exception& error) {
        trouble_ = fmt::format("plan cache '{}' is not written: {}", path_, error.what());
    }
}

std::string PlanCache::take_trouble() {
    const std::lock_guard lock(mutex_);
    return std::exchange(trouble_, {});
}

}  // namespace fovea
