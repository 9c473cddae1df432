// fovea bench resnet20 --batch 128 --train      and      fovea bench "conv2d n8c64h56w56 k128r3s3 stride2 pad1 f32"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <numeric>
#include <thread>

#include <fmt/format.h>

#include "bench_loader.h"
#include "command.h"
#include "fovea/calibrate.h"
#include "fovea/io.h"
#include "fovea/nn.h"
#include "fovea/ops.h"
#include "fovea/runtime.h"
#include "fovea/train.h"
#include "network.h"

namespace fovea::cli {

namespace {

struct BenchArguments {
    Common common;
    MemoryOptions memory;
    Computing computing;
    std::string what, trace, answers;
    std::int64_t batch = 1, least_runs = 3, sessions = 1;
    bool is_training = false, profile = false, without_peak = false;
    double seconds = 2;
};

double now_ms() { return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Uniform in 0..1, labels below `classes`, the optimiser's scalars as in a first step.
std::map<std::string, Tensor> inputs_for(const Executable& executable, std::int64_t classes, std::uint64_t seed) {
    std::map<std::string, Tensor> inputs;
    for (const auto& [name, type] : executable.inputs()) {
        Tensor tensor(type.shape, type.dtype);
        const Rng rng(seed, hash_name(name));
        for (std::int64_t i = 0; i < tensor.elements(); ++i) {
            const auto at = static_cast<std::uint64_t>(i);
            if (name == "lr") tensor.set(i, 1e-3);
            else if (name == "t") tensor.set(i, 1);
            else if (name == "momentum") tensor.set(i, 0.9);
            else if (type.dtype == DType::f32) tensor.data<float>()[static_cast<std::size_t>(i)] = static_cast<float>(rng.uniform(at));
            else if (type.dtype == DType::f64) tensor.set(i, rng.uniform(at));
            else tensor.set(i, static_cast<double>(rng.below(at, classes)));
        }
        inputs[name] = std::move(tensor);
    }
    return inputs;
}

struct Times {
    double median_ms = 0, min_ms = 0, mean_ms = 0, p99_ms = 0, first_ms = 0;
    double first_at = 0;  ///< the clock when the first run ended, milliseconds since 1970: who started the process can tell how long it took
    std::int64_t runs = 0;
};

/// Runs until `seconds` have passed, `least` times at least; the first run is reported apart.
template <class F> Times measure(double seconds, std::int64_t least, F&& run) {
    Times times;
    double begin = now_ms();
    run();
    times.first_ms = now_ms() - begin;
    times.first_at = std::chrono::duration<double, std::milli>(std::chrono::system_clock::now().time_since_epoch()).count();
    std::vector<double> all;
    const double end = now_ms() + seconds * 1000;
    do {
        begin = now_ms();
        run();
        all.push_back(now_ms() - begin);
    } while (now_ms() < end || static_cast<std::int64_t>(all.size()) < least);
    std::sort(all.begin(), all.end());
    times.runs = static_cast<std::int64_t>(all.size());
    times.min_ms = all.front();
    times.median_ms = all[all.size() / 2];
    times.p99_ms = all[std::min(all.size() - 1, all.size() * 99 / 100)];
    times.mean_ms = std::accumulate(all.begin(), all.end(), 0.0) / static_cast<double>(all.size());
    return times;
}

/// Runs per second of `count` sessions at once, each on a thread of its own, for `seconds`.
double runs_per_second(const Executable& executable, const std::shared_ptr<State>& state, const std::map<std::string, Tensor>& inputs, std::int64_t count, double seconds) {
    std::vector<Session> sessions;
    for (std::int64_t i = 0; i < count; ++i) sessions.emplace_back(executable, state).run(inputs);
    std::vector<std::int64_t> runs(sessions.size());
    const double begin = now_ms(), end = begin + seconds * 1000;
    {
        std::vector<std::jthread> callers;
        for (std::size_t i = 0; i < sessions.size(); ++i)
            callers.emplace_back([&, i] {
                while (now_ms() < end) sessions[i].run(inputs), ++runs[i];
            });
    }
    return static_cast<double>(std::accumulate(runs.begin(), runs.end(), std::int64_t{0})) / (now_ms() - begin) * 1000;
}

/// Throughput of several sessions at once and of one, in short turns; of each the best, since other work on the machine only takes away.
struct Shared {
    double one = 0, together = 0;  ///< runs per second
};
Shared measure_sessions(const Executable& executable, const std::shared_ptr<State>& state, const std::map<std::string, Tensor>& inputs, std::int64_t count, double seconds) {
    constexpr int turns = 5;
    Shared shared;
    for (int turn = 0; turn < turns; ++turn) {
        shared.one = std::max(shared.one, runs_per_second(executable, state, inputs, 1, seconds / turns / 2));
        shared.together = std::max(shared.together, runs_per_second(executable, state, inputs, count, seconds / turns / 2));
    }
    return shared;
}

/// What a large matrix product reaches on this machine with these threads: the yardstick for "share of peak".
double attainable_operations_per_ms(const BenchArguments& a) {
    const Problem problem = parse_problem("linear n1024c1024 k1024 f32");
    const Executable executable = compile(problem.graph, {}, {.backend = a.computing.backend, .inference = true});
    Session session(executable, std::make_shared<State>(make_parameters(problem.graph, 0)));
    const auto inputs = inputs_for(executable, 1, 0);
    const Times times = measure(0.25, 3, [&] { session.run(inputs); });
    return 2.0 * 1024 * 1024 * 1024 / times.min_ms;
}

std::string profile_table(const std::vector<ProfileLine>& lines, double peak) {
    double total = 0;
    for (const ProfileLine& line : lines) total += line.ms;
    std::vector<const ProfileLine*> sorted;
    for (const ProfileLine& line : lines) sorted.push_back(&line);
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto* x, const auto* y) { return x->ms > y->ms; });
    std::vector<std::vector<std::string>> rows{{"node", "ms", "share", "of peak", "kernel", "problem"}};
    for (const ProfileLine* line : sorted) {
        const double operations_per_ms = line->ms > 0 ? static_cast<double>(line->plan.operations) / line->ms : 0;
        rows.push_back({line->plan.path, fmt::format("{:.3f}", line->ms), fmt::format("{:.1f} %", total > 0 ? 100 * line->ms / total : 0.0),
                        line->plan.operations && peak > 0 ? fmt::format("{:.0f} %", 100 * operations_per_ms / peak) : "", line->plan.kernel, line->plan.problem});
    }
    return table(rows, "<>>><<");
}

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

CompileOptions options_of(const BenchArguments& a) {
    CompileOptions options = a.computing.options();
    a.memory.apply_to(options);
    return options;
}

Bench bench_session(std::string title, const Graph& graph, const Parameters& parameters, const std::map<std::string, Shape>& shapes, const CompileOptions& options, std::int64_t classes,
                    std::uint64_t seed) {
    const Executable executable = compile(graph, shapes, options);
    auto state = std::make_shared<State>(parameters);
    auto session = std::make_shared<Session>(executable, state);
    const double begin = now_ms();
    auto inputs = inputs_for(executable, classes, seed);
    return {std::move(title), executable, state, [session, inputs] { return session->run(inputs); }, inputs, 0, 0, now_ms() - begin, session};
}

Bench bench_problem(const BenchArguments& a) {
    const Problem problem = parse_problem(a.what);
    CompileOptions options = options_of(a);
    options.precision = problem.precision;
    if (options.precision == Precision::f64) options.backend = "reference";
    return bench_session(a.what, problem.graph, make_parameters(problem.graph, a.common.seed), {}, options, 1, a.common.seed);
}

/// The network on grids: those of the file where `fovea quantize` wrote it, of random pictures otherwise, which is as fast.
Graph in_int8(const Network& network, std::uint64_t seed) {
    for (const Node& node : network.graph.nodes())
        if (op_name(node) == "fake_quantize") return network.graph.clone();
    note(fmt::format("'{}' has no grids for int8: calibrated on random input, so its answers mean nothing; 'fovea quantize' makes real ones", network.model));
    constexpr std::int64_t pictures = 2;
    Shape shape = network.graph.inputs().front().shape();
    shape[0] = pictures;
    Tensor batch(shape);
    const Rng rng(seed, hash_name("image"));
    for (std::int64_t i = 0; i < batch.elements(); ++i) batch.data<float>()[static_cast<std::size_t>(i)] = static_cast<float>(rng.uniform(static_cast<std::uint64_t>(i)));
    return quantized(network.graph, calibrate(network.graph, network.parameters, [&](const auto& each) { each(batch); }, {.method = Calibration::minmax}));
}

Bench bench_model(const BenchArguments& a) {
    Network model = std::filesystem::exists(a.what) ? load_network(a.what, "") : named_network(a.what);
    if (model.parameters.size() == 0 && !a.is_training) model.parameters = make_parameters(model.graph, a.common.seed);
    const Value logits = scores_of(model.graph);
    const std::int64_t classes = logits.shape()[1];
    Shape image = model.graph.inputs().front().shape();
    image[0] = a.batch;
    const CompileOptions options = options_of(a);
    Bench bench = [&]() -> Bench {
        if (!a.is_training) {
            CompileOptions inference = options;
            inference.inference = true;
            if (a.computing.precision == "int8") model.graph = in_int8(model, a.common.seed);
            return bench_session(fmt::format("{} {} inference", model.model, image.str()), model.graph, model.parameters, {{"image", image}}, inference, classes, a.common.seed);
        }
        Graph graph = model.graph.clone();
        const Value scores = scores_of(graph);
        const Value loss = model_loss(model.loss, scores, graph.input("label", {dynamic}, DType::i32));
        auto trainer = std::make_shared<Trainer>(loss, Sgd{.lr = 1e-3, .momentum = 0.9}, TrainerSpec{.seed = a.common.seed, .compile = options});
        if (model.parameters.size() > 0) trainer->load(model.parameters);
        const Executable executable = trainer->program().executable({{"image", image}, {"label", Shape{a.batch}}});
        const double begin = now_ms();
        auto all = inputs_for(executable, classes, a.common.seed);
        std::map<std::string, Tensor> inputs{{"image", all["image"]}, {"label", all["label"]}};
        return {fmt::format("{} {} training step", model.model, image.str()), executable, trainer->program().state(), 
                [trainer, inputs] { (void)trainer->step(inputs); return std::vector<Tensor>{}; }, all, 0, 0, now_ms() - begin, trainer};
    }();
    bench.images = a.batch;
    return bench;
}

/// Inputs and outputs of one run under their names, for another program to compare with.
void save_answers(const std::string& path, const Bench& bench) {
    Parameters answers;
    for (const auto& [name, tensor] : bench.inputs) answers.set(name, tensor);
    const std::vector<Tensor> outputs = bench.run();
    for (std::size_t i = 0; i < outputs.size(); ++i) answers.set(bench.executable.outputs()[i].name, outputs[i]);
    save_safetensors(path, answers);
}

void bench(const BenchArguments& a) {
    a.common.apply();
    const bool is_problem = !std::filesystem::exists(a.what) && a.what.find_first_of(" [") != std::string::npos;
    if (a.sessions > 1 && a.is_training) throw ArgumentError("--sessions is for inference: a training step owns its parameters");
    if (is_problem && a.is_training) throw ArgumentError("--train is for a network; the backward ops have problems of their own: conv2d_backward_input, conv2d_backward_weight");
    const double begin = now_ms();
    Bench bench = is_problem ? bench_problem(a) : bench_model(a);
    const double compile_ms = now_ms() - begin - bench.inputs_ms;
    for (const PlanLine& line : bench.executable.plan()) bench.operations += line.operations;
    const Times times = measure(a.seconds, a.least_runs, bench.run);
    const std::size_t memory = peak_memory_bytes();  // before the yardstick, which needs its own

    const Shared shared = a.sessions > 1 ? measure_sessions(bench.executable, bench.state, bench.inputs, a.sessions, a.seconds) : Shared{};

    std::vector<ProfileLine> profile;
    if (a.profile || !a.trace.empty()) {
        Session session(bench.executable, bench.state);
        session.run(bench.inputs);
        session.set_profiling(true);
        session.run(bench.inputs);
        profile = session.profile();
    }
    if (!a.trace.empty()) write_file_atomically(a.trace, chrome_trace(profile));
    if (!a.answers.empty()) save_answers(a.answers, bench);
    const double peak = a.without_peak ? 0 : attainable_operations_per_ms(a);
    const double share = a.without_peak ? 0 : static_cast<double>(bench.operations) / times.min_ms / peak;
    if (a.common.json) {
        Json document{{"command", "bench"}, {"what", bench.title}, {"backend", a.computing.backend}, {"precision", a.computing.precision}, {"threads", threads()}, {"batch", a.batch}, {"is_training", a.is_training},
                      {"median_ms", times.median_ms}, {"min_ms", times.min_ms}, {"mean_ms", times.mean_ms}, {"p99_ms", times.p99_ms}, {"first_ms", times.first_ms}, {"first_at_ms", times.first_at}, {"compile_ms", compile_ms},
                      {"inputs_ms", bench.inputs_ms}, {"runs", times.runs},
                      {"operations", bench.operations}, {"operations_per_second", static_cast<double>(bench.operations) / times.min_ms * 1e3},
                      {"arena_bytes", bench.executable.arena_bytes()}, {"state_bytes", bench.state->bytes()}, {"peak_memory_bytes", memory}, {"fallbacks", bench.executable.fallbacks()}};
        if (const Recomputed& again = bench.executable.recomputed(); again.mode != Recompute::none)
            document["recomputed"] = {{"mode", name_of(again.mode)}, {"nodes", again.nodes}, {"more_time", again.more_time}};
        if (!a.without_peak) document["share_of_peak"] = share;
        if (a.sessions > 1) document["sessions"] = {{"count", a.sessions}, {"runs_per_second", shared.together}, {"runs_per_second_of_one", shared.one}, {"ratio", shared.together / shared.one}};
        if (bench.images) document["images_per_second"] = static_cast<double>(bench.images) / times.median_ms * 1e3;
        if (!profile.empty()) {
            Json lines = Json::array();
            for (const ProfileLine& line : profile)
                lines.push_back({{"node", line.plan.path}, {"op", line.plan.op}, {"kernel", line.plan.kernel}, {"layout", line.plan.layout}, {"problem", line.plan.problem}, {"ms", line.ms},
                                 {"bytes", line.plan.bytes}, {"operations", line.plan.operations}});
            document["profile"] = std::move(lines);
        }
        print_document(document);
        return;
    }
    fmt::print("{}, {} backend, {} thread{}\n", bench.title, a.computing.backend, threads(), threads() == 1 ? "" : "s");
    fmt::print("  time     median {:.3f} ms, minimum {:.3f} ms, 99 of 100 below {:.3f} ms, {} runs (first {:.1f} ms, compiled in {:.1f} ms)\n", times.median_ms, times.min_ms, times.p99_ms, commas(times.runs), times.first_ms, compile_ms);
    if (a.sessions > 1) fmt::print("  sessions {} at once: {:.1f} runs/s, one alone {:.1f}: {:.2f} x\n", a.sessions, shared.together, shared.one, shared.together / shared.one);
    if (bench.images) fmt::print("  rate     {} images/s\n", short_count(static_cast<double>(bench.images) / times.median_ms * 1e3));
    if (bench.operations) fmt::print("  work     {} operations, {} per second{}\n", short_count(static_cast<double>(bench.operations)),
                                     short_count(static_cast<double>(bench.operations) / times.min_ms * 1e3),
                                     a.without_peak ? "" : fmt::format(": {:.0f} % of a large matrix product's here", 100 * share));
    fmt::print("  memory   {} activations, {} parameters and state; process peak {}\n", bytes_text(static_cast<double>(bench.executable.arena_bytes())),
               bytes_text(static_cast<double>(bench.state->bytes())), bytes_text(static_cast<double>(memory)));
    fmt::print("{}", recomputed_text(bench.executable));
    if (const auto& fallbacks = bench.executable.fallbacks(); !fallbacks.empty())
        note(fallbacks.size() == 1 ? fallbacks[0] : fmt::format("{} nodes run as plain loops, the first: {}; 'fovea summary MODEL --explain-plan' names all", fallbacks.size(), fallbacks[0]));
    if (a.profile) fmt::print("\n{}", profile_table(profile, peak));
    if (!a.trace.empty()) fmt::print("trace    {} (chrome://tracing or ui.perfetto.dev)\n", a.trace);
}

}  // namespace

void add_bench(CLI::App& app) {
    auto a = std::make_shared<BenchArguments>();
    CLI::App* command = app.add_subcommand("bench", "Time, rate, memory of a network or of one op");
    command->add_option("what", a->what, "A name of 'fovea models', a run or weights file, or a problem in quotes as --explain-plan and --profile print it");
    command->add_option("--batch", a->batch, "Pictures per run")->check(CLI::Range(1, 1'000'000));
    command->add_flag("--train", a->is_training, "A whole training step: forward, loss, backward, SGD with momentum");
    command->add_flag("--profile", a->profile, "Time per node");
    command->add_option("--trace", a->trace, "Chrome trace of one run, to this file");
    command->add_option("--seconds", a->seconds, "How long to measure")->check(CLI::Range(0.0, 3600.0));
    command->add_option("--least-runs", a->least_runs, "Measure at least so often, whatever the seconds")->check(CLI::Range(1, 1'000'000));
    command->add_flag("--no-peak", a->without_peak, "Without the share of the machine's peak, which takes a moment to measure");
    command->add_option("--sessions", a->sessions, "Then so many sessions at once, each called from a thread of its own, beside one alone")->check(CLI::Range(1, 256));
    command->add_option("--answers", a->answers, "Inputs and outputs of one run, as safetensors, to this file");
    a->memory.add_to(*command);
    a->computing.add_to(*command, true);
    a->common.add_to(*command);
    add_bench_loader(*command);
    command->callback([a, command] {
        if (!command->get_subcommands().empty()) return;
        if (a->what.empty()) throw CLI::RequiredError("what");
        bench(*a);
    });
}

}  // namespace fovea::cli
