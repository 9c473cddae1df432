// What the parts of `fovea bench` share: what is measured, its times, its profile by node, its sweeps.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "command.h"
#include "fovea/runtime.h"

namespace fovea::cli {

struct BenchArguments {
    Common common;
    MemoryOptions memory;
    Computing computing;
    std::string what, trace, answers, sweep, svg, quantized;
    std::vector<double> values;  ///< of a sweep; empty: the usual ones
    std::int64_t batch = 1, size = 0, least_runs = 3, sessions = 1;
    bool is_training = false, profile = false, without_peak = false;
    double seconds = 2;
};

/// What is measured, ready to run: run() is one step or one inference.
struct Bench {
    std::string title;
    Executable executable;
    std::shared_ptr<State> state;
    std::function<std::vector<Tensor>()> run;
    std::map<std::string, Tensor> inputs;
    std::int64_t images = 0;  ///< per run; 0 for a single op
    std::int64_t operations = 0;
    double inputs_ms = 0;     ///< what making the inputs took
    std::shared_ptr<void> owner;
};
/// A network by name or file, or one op by its problem.
[[nodiscard]] Bench make_bench(const BenchArguments& a);

[[nodiscard]] inline double now_ms() { return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

struct Times {
    double median_ms = 0, min_ms = 0, mean_ms = 0, p99_ms = 0, first_ms = 0;
    double first_at = 0;  ///< the clock when the first run ended, milliseconds since 1970: who started the process can tell how long it took
    std::int64_t runs = 0;
};
/// Runs until `seconds` have passed, `least` times at least; the first run is reported apart.
[[nodiscard]] Times measure(double seconds, std::int64_t least, const std::function<void()>& run);

/// What the machine gives to all threads() together.
struct Peak {
    double operations_per_ms = 0, bytes_per_ms = 0;  ///< 0: not measured
};
/// Operations of a large matrix product in the program's precision, bytes of a copy that no cache holds.
[[nodiscard]] Peak attainable(const BenchArguments& a);

/// The calls of one node in a profiled run: all its pieces, on all threads.
struct NodeTime {
    PlanLine plan;
    double ms = 0;  ///< of all pieces together; the least of the runs
    int pieces = 0;
    double share = 0;  ///< of all nodes' time
    /// The least time its operations and its bytes would take, whichever is more, as a share of its own; above 1 where the data come
    /// from a cache, or a kernel needs fewer operations than a direct sum. 0: no peak was measured, or there is nothing to count.
    double of_peak = 0;
    bool is_bound_by_memory = false;
};
/// Of several runs' profiles; the dearest node first.
[[nodiscard]] std::vector<NodeTime> node_times(const std::vector<std::vector<ProfileLine>>& runs, const Peak& peak);
/// What the nodes would take on all threads if each took its least time; 0 without a peak.
[[nodiscard]] double roofline_ms(const std::vector<NodeTime>& nodes);
[[nodiscard]] std::string profile_table(const std::vector<NodeTime>& nodes);
[[nodiscard]] Json profile_json(const std::vector<NodeTime>& nodes);

/// --sweep: prints a table (or the document) of time and memory against what is swept, and writes the chart.
void bench_sweep(const BenchArguments& a);

}  // namespace fovea::cli
