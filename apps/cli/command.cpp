#include "command.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>

#include <fmt/format.h>

#include "fovea/runtime.h"

namespace fovea::cli {

void Common::add_to(CLI::App& command) {
    command.add_flag("--json", json, "One JSON document on stdout; messages go to stderr");
    command.add_option("--threads", threads, "Threads to compute with (default: one per core)")->check(CLI::Range(1, 1024));
    command.add_flag("--pin", pin, "Keep each helping thread on a core of its own: for a machine that runs nothing else");
    command.add_option("--seed", seed, "Of everything random (default 0)");
}

void Common::apply() const {
    if (threads > 0) set_threads(threads);
    set_thread_pinning(pin);
}

void MemoryOptions::add_to(CLI::App& command) {
    command.add_option("--recompute", recompute,
                       "What a training step makes again instead of keeping it, with equal results: none; cheap (norms, activations, sums, concatenations); blocks (whole segments)")
        ->check(CLI::IsMember({"none", "cheap", "blocks"}));
    command.add_option("--memory-limit", limit, "Largest arena (800M, 2GiB): the first of none, cheap, blocks that fits, from --recompute on");
}

void MemoryOptions::apply_to(CompileOptions& options) const {
    options.recompute = recompute_named(recompute);
    if (!limit.empty()) options.memory_limit = bytes_given("--memory-limit", limit);
}

std::string recomputed_text(const Executable& executable) {
    const Recomputed& done = executable.recomputed();
    if (done.mode == Recompute::none) return {};
    return fmt::format("  again    {}: {} values, by estimate {:.0f} % more time\n", name_of(done.mode), commas(done.nodes), 100 * done.more_time);
}

void add_format(CLI::App& command, std::string& format) {
    command.add_option("--format", format, "table, json, csv, md or html")->check(CLI::IsMember({"table", "json", "csv", "md", "html"}));
}

void add_convention(CLI::App& command, std::string& convention) {
    command.add_option("--convention", convention, "Who counts: torch, keras, sifre, cs231n, paper (docs/analysis.md)")->check(CLI::IsMember({"torch", "keras", "sifre", "cs231n", "paper"}));
}

void PlanOptions::add_to(CLI::App& command) {
    command.add_flag("--tune", is_tuning, "Time the ways to run each convolution, some milliseconds each, and keep the results in the plan cache");
    command.add_option("--plan-cache", cache, "File of measured choices; 'off': a cost model chooses (default: FOVEA_PLAN_CACHE, or a file for this machine in the user's cache directory)");
}

void PlanOptions::apply_to(CompileOptions& options, bool reads) const {
    options.autotune = is_tuning;
    if (cache == "default") options.plan_cache = reads || is_tuning ? default_plan_cache() : "";
    else options.plan_cache = cache == "off" ? "" : cache;
}

void Computing::add_to(CLI::App& command, bool takes_int8) {
    command.add_option("--backend", backend, "cpu or reference")->check(CLI::IsMember({"cpu", "reference"}));
    std::vector<std::string> names{"f32", "bf16", "f64"};
    if (takes_int8) names.emplace_back("int8");
    command.add_option("--precision", precision, std::string("f32, bf16 (maps and weights of 8 bits of mantissa, sums in f32), ") + (takes_int8 ? "int8 (inference), " : "") + "or f64 on the reference backend")
        ->check(CLI::IsMember(names));
    plan.add_to(command);
}

CompileOptions Computing::options() const {
    CompileOptions options;
    options.backend = backend;
    plan.apply_to(options);
    options.precision = precision == "int8" ? Precision::f32 : precision_named(precision);
    return options;
}

CompileOptions Computing::noted_options() const {
    if (const std::string unmet = unmet_precision(options()); !unmet.empty()) note(unmet);
    return options();
}

TableFormat chosen_format(const Common& common, const std::string& format) { return common.json ? TableFormat::json : table_format_of(format); }

void print_document(const Json& document) { fmt::print("{}\n", document.dump(2, ' ', false, Json::error_handler_t::replace)); }

bool ProgressLine::is_due(bool is_last) {
    static const bool is_terminal = ::isatty(STDERR_FILENO) == 1;
    const auto now = std::chrono::steady_clock::now();
    if (!is_terminal || (!is_last && now - written_ < std::chrono::milliseconds(100))) return false;
    written_ = now;
    return true;
}

void ProgressLine::write(std::string_view text) {
    fmt::print(stderr, "\r{}\x1b[K", text);
    std::fflush(stderr);
    is_written_ = true;
}

void ProgressLine::clear() {
    if (is_written_) fmt::print(stderr, "\r\x1b[K");
    is_written_ = false;
}

namespace {
bool is_quiet = false;
}  // namespace

void set_quiet(bool on) { is_quiet = on; }

void note(std::string_view text) {
    if (is_quiet) return;
    std::fflush(stdout);
    fmt::print(stderr, "fovea: {}\n", text);
}

namespace {

/// Columns a terminal gives the text: UTF-8 continuation bytes take none.
std::size_t width_of(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

std::string table(const std::vector<std::vector<std::string>>& rows, std::string_view align) {
    std::vector<std::size_t> widths(align.size(), 0);
    for (const auto& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
    std::string text;
    for (std::size_t r = 0; r < rows.size(); ++r) {
        std::string line;
        for (std::size_t i = 0; i < rows[r].size(); ++i) {
            const std::string gap(widths[i] - width_of(rows[r][i]), ' ');
            line += i ? "  " : "";
            line += align[i] == '>' ? gap + rows[r][i] : rows[r][i] + gap;
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + "\n";
        if (r == 0) {
            std::size_t total = 2 * (widths.size() - 1);
            for (const std::size_t width : widths) total += width;
            for (std::size_t i = 0; i < total; ++i) text += "─";
            text += "\n";
        }
    }
    return text;
}

std::string commas(std::int64_t value) {
    std::string digits = std::to_string(std::abs(value));
    for (std::ptrdiff_t at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<std::size_t>(at), ",");
    return value < 0 ? "-" + digits : digits;
}

std::size_t bytes_given(std::string_view option, const std::string& text) {
    const std::size_t digits = text.find_first_not_of("0123456789.");
    std::string unit = digits == std::string::npos ? "" : text.substr(digits);
    for (char& c : unit) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    const std::size_t power = unit.empty() || unit == "b" ? 0 : std::string("kmgt").find(unit[0]) + 1;
    const bool is_unit = power == 0 || unit.size() == 1 || unit.substr(1) == "b" || unit.substr(1) == "ib";
    if (digits == 0 || text.empty() || power > 4 || !is_unit) throw ArgumentError(fmt::format("{} takes bytes, for instance 800M or 2GiB, got '{}'", option, text));
    return static_cast<std::size_t>(std::stod(text) * std::pow(1024.0, static_cast<double>(power)));
}

std::string bytes_text(double bytes) {
    if (bytes < 1024) return fmt::format("{:.0f} B", bytes);
    if (bytes < 1024 * 1024) return fmt::format("{:.1f} KiB", bytes / 1024);
    if (bytes < 1024.0 * 1024 * 1024) return fmt::format("{:.1f} MiB", bytes / (1024 * 1024));
    return fmt::format("{:.2f} GiB", bytes / (1024.0 * 1024 * 1024));
}

std::string short_count(double value) {
    if (value < 1e3) return value < 10 && value != std::floor(value) ? fmt::format("{:.2f}", value) : fmt::format("{:.0f}", value);
    if (value < 1e6) return fmt::format("{:.1f} k", value / 1e3);
    if (value < 1e9) return fmt::format("{:.1f} M", value / 1e6);
    return fmt::format("{:.2f} G", value / 1e9);
}

std::string bar(double part, int width) {
    static constexpr const char* eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    const int steps = static_cast<int>(std::lround(std::clamp(std::isnan(part) ? 0.0 : part, 0.0, 1.0) * width * 8));
    std::string text;
    for (int i = 0; i < steps / 8; ++i) text += "█";
    text += eighths[steps % 8];
    text.append(static_cast<std::size_t>(width - steps / 8 - (steps % 8 ? 1 : 0)), ' ');
    return text;
}

std::string duration(double seconds) {
    const auto whole = static_cast<std::int64_t>(std::max(0.0, seconds) + 0.5);
    if (whole < 60) return fmt::format("{} s", whole);
    if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::size_t available_memory_bytes() {
    std::ifstream file("/proc/meminfo");
    std::string word;
    for (std::size_t kilobytes = 0; file >> word;)
        if (word == "MemAvailable:" && file >> kilobytes) return kilobytes * 1024;
    return 0;
}

std::size_t peak_memory_bytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<std::size_t>(usage.ru_maxrss) * 1024;  // Linux counts in KiB
}

}  // namespace fovea::cli
