// fovea bench resnet20 --batch 128 --train      and      fovea bench "conv2d n8c64h56w56 k128r3s3 stride2 pad1 f32"

#include <filesystem>
#include <numeric>
#include <thread>

#include <fmt/format.h>

#include "bench_loader.h"
#include "bench_scaling.h"
#include "command.h"
#include "fovea/calibrate.h"
#include "fovea/io.h"
#include "fovea/nn.h"
#include "fovea/ops.h"
#include "fovea/runtime.h"
#include "fovea/train.h"
#include "bench.h"
#include "network.h"

namespace fovea::cli {

namespace {

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

}  // namespace

Times measure(double seconds, std::int64_t least, const std::function<void()>& run) {
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

namespace {

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
Graph in_int8(const Network& network, const std::string& file, std::uint64_t seed) {
    for (const Node& node : network.graph.nodes())
        if (op_name(node) == "fake_quantize") return network.graph.clone();
    note(fmt::format("'{}' has no grids for int8: calibrated on random input, so its answers mean nothing; 'fovea quantize' makes real ones", network.model));
    constexpr std::int64_t pictures = 2;
    Shape shape = network.graph.inputs().front().shape();
    shape[0] = pictures;
    Tensor batch(shape);
    const Rng rng(seed, hash_name("image"));
    for (std::int64_t i = 0; i < batch.elements(); ++i) batch.data<float>()[static_cast<std::size_t>(i)] = static_cast<float>(rng.uniform(static_cast<std::uint64_t>(i)));
    const QuantizationTable grids = calibrate(network.graph, network.parameters, [&](const auto& each) { each(batch); }, {.method = Calibration::minmax});
    if (!file.empty()) save_quantized(file, network, grids);
    return quantized(network.graph, grids);
}

Bench bench_model(const BenchArguments& a) {
    Network model = std::filesystem::exists(a.what) ? load_network(a.what, "") : named_network(a.what, {.height = a.size, .width = a.size});
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
            if (a.computing.precision == "int8") model.graph = in_int8(model, a.quantized, a.common.seed);
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

bool is_problem(const BenchArguments& a) { return !std::filesystem::exists(a.what) && a.what.find_first_of(" [") != std::string::npos; }

/// Inputs and outputs of one run under their names, for another program to compare with.
void save_answers(const std::string& path, const Bench& bench) {
    Parameters answers;
    for (const auto& [name, tensor] : bench.inputs) answers.set(name, tensor);
    const std::vector<Tensor> outputs = bench.run();
    for (std::size_t i = 0; i < outputs.size(); ++i) answers.set(bench.executable.outputs()[i].name, outputs[i]);
    save_safetensors(path, answers);
}

}  // namespace

Bench make_bench(const BenchArguments& a) { return is_problem(a) ? bench_problem(a) : bench_model(a); }

namespace {

void bench(const BenchArguments& a) {
    a.common.apply();
    if (a.sessions > 1 && a.is_training) throw ArgumentError("--sessions is for inference: a training step owns its parameters");
    if (is_problem(a) && a.is_training) throw ArgumentError("--train is for a network; the backward ops have problems of their own: conv2d_backward_input, conv2d_backward_weight");
    if (!a.sweep.empty()) {
        if (is_problem(a)) throw ArgumentError("--sweep is for a network; a problem says its own sizes");
        return bench_sweep(a);
    }
    const double begin = now_ms();
    Bench bench = make_bench(a);
    const double compile_ms = now_ms() - begin - bench.inputs_ms;
    for (const PlanLine& line : bench.executable.plan()) bench.operations += line.operations;
    const Times times = measure(a.seconds, a.least_runs, bench.run);
    const std::size_t memory = peak_memory_bytes();  // before the yardstick, which needs its own

    const Shared shared = a.sessions > 1 ? measure_sessions(bench.executable, bench.state, bench.inputs, a.sessions, a.seconds) : Shared{};

    std::vector<std::vector<ProfileLine>> profiles;
    if (a.profile || !a.trace.empty()) {
        Session session(bench.executable, bench.state);
        session.run(bench.inputs);
        session.set_profiling(true);
        constexpr std::size_t least = 3, most = 50;
        for (const double end = now_ms() + a.seconds * 1000; profiles.size() < (a.profile ? least : 1) || (a.profile && profiles.size() < most && now_ms() < end);) {
            session.run(bench.inputs);
            profiles.push_back(session.profile());
        }
    }
    if (!a.trace.empty()) write_file_atomically(a.trace, chrome_trace(profiles.back()));
    if (!a.answers.empty()) save_answers(a.answers, bench);
    const Peak peak = a.without_peak ? Peak{} : attainable(a);
    const double share = a.without_peak ? 0 : static_cast<double>(bench.operations) / times.min_ms / peak.operations_per_ms;
    const std::vector<NodeTime> nodes = a.profile ? node_times(profiles, peak) : std::vector<NodeTime>{};
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
        if (a.profile) document["profile"] = profile_json(nodes), document["roofline_ms"] = roofline_ms(nodes);
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
    if (a.profile) fmt::print("\n{}", profile_table(nodes));
    if (!a.trace.empty()) fmt::print("trace    {} (chrome://tracing or ui.perfetto.dev)\n", a.trace);
}

}  // namespace

void add_bench(CLI::App& app) {
    auto a = std::make_shared<BenchArguments>();
    CLI::App* command = app.add_subcommand("bench", "Time, rate, memory of a network or of one op");
    command->add_option("what", a->what, "A name of 'fovea models', a run or weights file, or a problem in quotes as --explain-plan and --profile print it");
    command->add_option("--batch", a->batch, "Pictures per run")->check(CLI::Range(1, 1'000'000));
    command->add_flag("--train", a->is_training, "A whole training step: forward, loss, backward, SGD with momentum");
    command->add_flag("--profile", a->profile, "Time per node: all its pieces on all threads, and how near that is to the machine's peak of operations or bytes");
    command->add_option("--sweep", a->sweep, "Time and memory against one quantity")->check(CLI::IsMember({"batch", "size", "depth", "threads"}));
    command->add_option("--values", a->values, "What --sweep goes through instead of its usual values")->delimiter(',')->needs("--sweep");
    command->add_option("--svg", a->svg, "Charts of --sweep, to this file")->needs("--sweep");
    command->add_option("--trace", a->trace, "Chrome trace of one run, to this file");
    command->add_option("--seconds", a->seconds, "How long to measure")->check(CLI::Range(0.0, 3600.0));
    command->add_option("--least-runs", a->least_runs, "Measure at least so often, whatever the seconds")->check(CLI::Range(1, 1'000'000));
    command->add_flag("--no-peak", a->without_peak, "Without the share of the machine's peak, which takes a moment to measure");
    command->add_option("--sessions", a->sessions, "Then so many sessions at once, each called from a thread of its own, beside one alone")->check(CLI::Range(1, 256));
    command->add_option("--answers", a->answers, "Inputs and outputs of one run, as safetensors, to this file");
    command->add_option("--save-int8", a->quantized, "With --precision int8: the weights and the grids of random input, to this file, which opens without a calibration");
    a->memory.add_to(*command);
    a->computing.add_to(*command, true);
    a->common.add_to(*command);
    add_bench_loader(*command);
    add_bench_scaling(*command);
    command->callback([a, command] {
        if (!command->get_subcommands().empty()) return;
        if (a->what.empty()) throw CLI::RequiredError("what");
        bench(*a);
    });
}

}  // namespace fovea::cli
