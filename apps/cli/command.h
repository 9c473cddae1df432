// What the commands of `fovea` share: options every command takes, and how results and messages reach the user.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "fovea/core.h"
#include "fovea/explain.h"
#include "fovea/runtime.h"

namespace fovea::cli {

using Json = nlohmann::ordered_json;

/// --json, --threads, --pin, --seed. With --json stdout carries one document and nothing else; messages always go to stderr.
struct Common {
    bool json = false, pin = false;
    int threads = 0;  ///< 0: one per core the process may use, or OMP_NUM_THREADS
    std::uint64_t seed = 0;

    /// Adds the options to a command.
    void add_to(CLI::App& command);
    /// Applies --threads and --pin.
    void apply() const;
};

/// --tune and --plan-cache: convolutions run in the way that was measured to be the fastest on this machine.
struct PlanOptions {
    bool is_tuning = false;
    std::string cache{"default"};

    void add_to(CLI::App& command);
    /// A run that is to be repeated to the byte takes only what it measures: `reads` is false there, unless --tune or --plan-cache is given.
    void apply_to(CompileOptions& options, bool reads = true) const;
};

/// --backend and --precision of a command that runs a network; --tune and --plan-cache.
struct Computing {
    std::string backend = "cpu", precision = "f32";
    PlanOptions plan{};
    /// int8 is a matter of the network, so only a command that makes its own takes it here: its program computes in f32.
    void add_to(CLI::App& command, bool takes_int8 = false);
    [[nodiscard]] CompileOptions options() const;
    /// The same, with a note where the precision cannot be had.
    [[nodiscard]] CompileOptions noted_options() const;
};

/// Each command adds itself: its options, and a callback that runs it.
void add_models(CLI::App& app);
void add_summary(CLI::App& app);
void add_train(CLI::App& app);
void add_finetune(CLI::App& app);
void add_recipes(CLI::App& app);
void add_runs(CLI::App& app);
void add_study(CLI::App& app);
void add_eval(CLI::App& app);
void add_predict(CLI::App& app);
void add_bench(CLI::App& app);
void add_compare(CLI::App& app);
void add_scale(CLI::App& app);
void add_rf(CLI::App& app);
void add_table(CLI::App& app);
void add_errata(CLI::App& app);
void add_graph(CLI::App& app);
void add_autodiff(CLI::App& app);
void add_filters(CLI::App& app);
void add_convert(CLI::App& app);
void add_export(CLI::App& app);
void add_quantize(CLI::App& app);

/// --recompute and --memory-limit: how much a training step keeps of its forward pass.
struct MemoryOptions {
    std::string recompute = "none", limit;

    void add_to(CLI::App& command);
    void apply_to(CompileOptions& options) const;
};
/// "  again    cheap: 57 values, about 6 % more time", with a line's end; empty where nothing is.
[[nodiscard]] std::string recomputed_text(const Executable& executable);
void add_data(CLI::App& app);

/// --format of a command that prints a sheet, and --convention of one that counts.
void add_format(CLI::App& command, std::string& format);
void add_convention(CLI::App& command, std::string& convention);
/// What --format says, unless --json does.
[[nodiscard]] TableFormat chosen_format(const Common& common, const std::string& format);

/// Prints the one document of --json.
void print_document(const Json& document);
/// One line on stderr: "fovea: text".
void note(std::string_view text);
/// A process that is one of several leaves notes to the first.
void set_quiet(bool on);

/// A line on stderr that is written again while work goes on, ten times a second at most; on a terminal only, and gone in the end.
class ProgressLine {
public:
    ~ProgressLine() { clear(); }
    /// Whether to write now; the last state of something `is_last` always is worth it.
    [[nodiscard]] bool is_due(bool is_last);
    void write(std::string_view text);
    /// Makes room for other lines.
    void clear();

private:
    std::chrono::steady_clock::time_point written_{};
    bool is_written_ = false;
};

/// Columns padded to their widest cell; `align` holds '<' or '>' per column. The first row is the heading.
[[nodiscard]] std::string table(const std::vector<std::vector<std::string>>& rows, std::string_view align);
/// "1,234,567"
[[nodiscard]] std::string commas(std::int64_t value);
/// "12.3 MiB"
[[nodiscard]] std::string bytes_text(double bytes);
/// "800M", "2GiB", "1500000": bytes; K, M, G count in 1024. Throws ArgumentError naming the option.
[[nodiscard]] std::size_t bytes_given(std::string_view option, const std::string& text);
/// "3.2 M", "41.1 k": for multiply-adds and images per second.
[[nodiscard]] std::string short_count(double value);
/// `part` in 0..1 as a bar of `width` eighth-steps: "██████▍   ".
[[nodiscard]] std::string bar(double part, int width);
/// "1:02:03", "2:05", "7 s"
[[nodiscard]] std::string duration(double seconds);
/// What the machine can give to programs without paging, 0 where that is not known.
[[nodiscard]] std::size_t available_memory_bytes();
/// Peak resident memory of this process.
[[nodiscard]] std::size_t peak_memory_bytes();

}  // namespace fovea::cli
