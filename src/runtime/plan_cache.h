// Measured choices in a file: which way of running a convolution was the fastest here.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace fovea {

/// Milliseconds of each way of running one problem, by the way's name.
using MeasuredWays = std::map<std::string, double, std::less<>>;

/// What the choices of a file hold for.
struct PlanMachine {
    std::string version, cpu;
    int threads = 1;
    bool operator==(const PlanMachine&) const = default;
    [[nodiscard]] std::string str() const;
};
/// Of this process: `cpu` is what the backend says of the processor.
[[nodiscard]] PlanMachine this_machine(std::string_view cpu);

struct PlanFile {
    PlanMachine machine;
    std::map<std::string, MeasuredWays, std::less<>> problems;
};
/// Any bytes: throws FormatError where they are not a plan cache.
[[nodiscard]] PlanFile parse_plan_file(std::string_view text, std::string_view name);
[[nodiscard]] std::string to_text(const PlanFile& file);

/// A file of choices, shared by all compilations of the process that name it.
class PlanCache {
public:
    /// Of a path, for a machine; "" is a cache of this process alone.
    [[nodiscard]] static std::shared_ptr<PlanCache> open(const std::string& path, const PlanMachine& machine);
    PlanCache(std::string path, PlanMachine machine);

    [[nodiscard]] std::optional<MeasuredWays> find(std::string_view problem) const;
    void add(const std::string& problem, MeasuredWays ways);
    /// Writes what was added, beside what other processes have added meanwhile; atomically. A place that cannot be written is a trouble.
    void save();
    /// Why the file was left aside, or could not be written; said once, then empty.
    [[nodiscard]] std::string take_trouble();
    /// Held while something is measured: two at once would measure each other.
    [[nodiscard]] std::mutex& measuring() { return measuring_; }

private:
    /// The choices in the file; nothing where there is none, or it is another machine's or damaged.
    [[nodiscard]] std::optional<PlanFile> read(std::string* trouble) const;

    const std::string path_;
    const PlanMachine machine_;
    mutable std::mutex mutex_;
    std::mutex measuring_;
    std::map<std::string, MeasuredWays, std::less<>> problems_;
    bool is_changed_ = false;
    std::string trouble_;
};

}  // namespace fovea
