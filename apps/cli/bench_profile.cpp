// fovea bench ... --profile: the pieces of a node put together, and how near each comes to what the machine can do.

#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "bench.h"
#include "fovea/nn.h"

namespace fovea::cli {

namespace {

/// Bytes read and written per ms by copies on all threads, of arrays that no cache holds.
double attainable_bytes_per_ms() {
    constexpr std::int64_t elements = 32 << 20;
    Graph graph;
    graph.output("y", relu(graph.input("x", {elements})));
    const Executable executable = compile(graph, {}, {.inference = true});
    Session session(executable, std::make_shared<State>(Parameters{}));
    const std::map<std::string, Tensor> inputs{{"x", Tensor({elements})}};
    std::vector<double> all;
    session.set_profiling(true);
    for (int run = 0; run < 4; ++run) {
        session.run(inputs);
        double begin = 1e30, end = 0;  // of the kernel alone: a run also copies its result for the caller
        for (const ProfileLine& line : session.profile()) begin = std::min(begin, line.start_ms), end = std::max(end, line.start_ms + line.ms);
        if (run > 0) all.push_back(end - begin);
    }
    return 2.0 * elements * sizeof(float) / std::ranges::min(all);
}

}  // namespace

Peak attainable(const BenchArguments& a) {
    Peak peak;
    const bool is_half = a.computing.precision == "bf16" || a.what.ends_with(" bf16");
    const Problem problem = parse_problem(is_half ? "linear n1024c1024 k1024 bf16" : "linear n1024c1024 k1024 f32");
    CompileOptions options{.backend = a.computing.backend, .inference = true};
    options.precision = problem.precision;
    const Executable executable = compile(problem.graph, {}, options);
    Session session(executable, std::make_shared<State>(make_parameters(problem.graph, 0)));
    const std::map<std::string, Tensor> inputs{{executable.inputs()[0].name, Tensor(executable.inputs()[0].type.shape)}};
    peak.operations_per_ms = 2.0 * 1024 * 1024 * 1024 / measure(0.25, 3, [&] { session.run(inputs); }).min_ms;
    if (a.profile) peak.bytes_per_ms = attainable_bytes_per_ms();
    return peak;
}

std::vector<NodeTime> node_times(const std::vector<std::vector<ProfileLine>>& runs, const Peak& peak) {
    using Key = std::tuple<std::string, std::string, std::string, std::string>;
    std::map<Key, NodeTime> nodes;
    for (const auto& run : runs) {
        std::map<Key, NodeTime> here;
        for (const ProfileLine& line : run) {
            NodeTime& node = here[{line.plan.path, line.plan.op, line.plan.kernel, line.plan.layout}];
            node.plan = line.plan, node.ms += line.ms, ++node.pieces;
        }
        for (auto& [key, node] : here)
            if (const auto [it, is_new] = nodes.try_emplace(key, node); !is_new && node.ms < it->second.ms) it->second = node;
    }
    std::vector<NodeTime> sorted;
    for (auto& [key, node] : nodes) sorted.push_back(std::move(node));
    std::ranges::stable_sort(sorted, std::greater<>{}, &NodeTime::ms);
    const double total = std::accumulate(sorted.begin(), sorted.end(), 0.0, [](double sum, const NodeTime& node) { return sum + node.ms; });
    for (NodeTime& node : sorted) {
        node.share = total > 0 ? node.ms / total : 0;
        if (peak.operations_per_ms <= 0 || peak.bytes_per_ms <= 0 || node.ms <= 0) continue;
        // The peaks are of all threads together, a node's time the sum over them.
        const double all = node.ms / threads(), compute = static_cast<double>(node.plan.operations) / peak.operations_per_ms, memory = static_cast<double>(node.plan.bytes) / peak.bytes_per_ms;
        node.is_bound_by_memory = memory > compute;
        node.of_peak = std::max(compute, memory) / all;
    }
    return sorted;
}

double roofline_ms(const std::vector<NodeTime>& nodes) {
    return std::accumulate(nodes.begin(), nodes.end(), 0.0, [](double sum, const NodeTime& node) { return sum + node.of_peak * node.ms; }) / threads();
}

std::string profile_table(const std::vector<NodeTime>& nodes) {
    std::vector<std::vector<std::string>> rows{{"node", "ms", "share", "of peak", "", "bytes", "pieces", "kernel", "problem"}};
    double total = 0;
    const double least = roofline_ms(nodes);
    for (const NodeTime& node : nodes) {
        total += node.ms;
        rows.push_back({node.plan.path, fmt::format("{:.3f}", node.ms), fmt::format("{:.1f} %", 100 * node.share), node.of_peak > 0 ? fmt::format("{:.0f} %", 100 * node.of_peak) : "",
                        node.of_peak > 0 ? (node.is_bound_by_memory ? "memory" : "compute") : "", bytes_text(static_cast<double>(node.plan.bytes)), commas(node.pieces), node.plan.kernel,
                        node.plan.problem});
    }
    return table(rows, "<>>><>><<") +
           fmt::format("{:.3f} ms in all: time on every thread added up, of each node the least of the runs. \"of peak\": the least time its operations (or bytes, \"memory\") could take on this machine,\n"
                       "by its own; more than 100 % where caches hold the bytes or the kernel needs fewer operations than a direct sum\n", total) +
           (least > 0 ? fmt::format("roofline {:.3f} ms on {} threads: the least times added up, {:.0f} % of the {:.3f} ms that the nodes took\n", least, threads(), 100 * least * threads() / total, total / threads()) : "");
}

Json profile_json(const std::vector<NodeTime>& nodes) {
    Json lines = Json::array();
    for (const NodeTime& node : nodes) {
        lines.push_back({{"node", node.plan.path}, {"op", node.plan.op}, {"kernel", node.plan.kernel}, {"layout", node.plan.layout}, {"problem", node.plan.problem}, {"ms", node.ms}, {"share", node.share},
                         {"pieces", node.pieces}, {"bytes", node.plan.bytes}, {"operations", node.plan.operations}});
        if (node.of_peak > 0) lines.back()["of_peak"] = node.of_peak, lines.back()["bound_by"] = node.is_bound_by_memory ? "memory" : "compute";
    }
    return lines;
}

}  // namespace fovea::cli
