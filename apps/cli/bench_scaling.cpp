// fovea bench scaling resnet50 --batch 16 --ranks 2: a training step on ranks of this machine, and from it a model of many machines. Every number of the
// table is measured in the run or follows from what was measured and the stated networks (explain.h, "many nodes").
#include "bench_scaling.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "bench.h"
#include "fovea/comm.h"
#include "fovea/explain.h"
#include "fovea/nn.h"
#include "network.h"
#include "ranks.h"

namespace fovea::cli {

namespace {

struct ScalingArguments {
    Common common;
    Computing computing;
    RankOptions ranks{2};
    std::string model;
    std::int64_t batch = 16, size = 0, steps = 5;
    double bucket_mib = 8;
    std::vector<std::int64_t> nodes{8, 64, 1024};
};

/// The networks of the table: what a message takes to begin, and what programs get of the line's rate.
const std::vector<NetworkLink>& networks() {
    static const std::vector<NetworkLink> list{{"10 Gb/s Ethernet", 30, 1.1}, {"100 Gb/s InfiniBand", 2, 11}};
    return list;
}

/// A trainer with its inputs; alone or together with the other ranks.
class Stepper {
public:
    Stepper(const ScalingArguments& a, Communicator* ranks) : place_{.ranks = ranks} {
        const Network network = named_network(a.model, {.height = a.size, .width = a.size});
        Graph graph = network.graph.clone();
        const Value scores = scores_of(graph), loss = model_loss(network.loss, scores, graph.input("label", {dynamic}, DType::i32));
        parameters_ = graph.trainable_scalars();
        trainer_ = std::make_unique<Trainer>(loss, Sgd{.lr = 1e-4, .momentum = 0.9},
                                             TrainerSpec{.seed = a.common.seed, .compile = a.computing.options(), .check_finite = false, .ranks = ranks,
                                                         .bucket_bytes = static_cast<std::int64_t>(a.bucket_mib * (1 << 20))});
        Shape image = network.graph.inputs().front().shape();
        image[0] = a.batch;
        Tensor images(image), labels({a.batch}, DType::i32);
        const Rng rng(a.common.seed, hash_name("image"));
        for (std::int64_t i = 0; i < images.elements(); ++i) images.data<float>()[static_cast<std::size_t>(i)] = static_cast<float>(rng.uniform(static_cast<std::uint64_t>(i)));
        for (std::int64_t i = 0; i < a.batch; ++i) labels.set(i, static_cast<double>(i % scores.shape()[1]));
        inputs_ = {{"image", images}, {"label", labels}};
    }
    void step() { (void)trainer_->step(inputs_); }
    [[nodiscard]] std::int64_t parameters() const { return parameters_; }

    /// The nodes of one step, timed one by one.
    [[nodiscard]] std::vector<ProfileLine> profile() {
        std::map<std::string, Tensor> inputs = inputs_;
        for (const auto& [name, value] : {std::pair{"lr", 1e-4}, {"t", 1.0}, {"share", place_.ranks ? 1.0 / place_.ranks->size() : 1.0}}) inputs[name] = Tensor::scalar(value);
        const Executable executable = trainer_->program().executable({{"image", inputs_.at("image").shape()}, {"label", inputs_.at("label").shape()}});
        Session session(executable, trainer_->program().state());
        std::map<std::string, Tensor> wanted;
        for (const auto& port : executable.inputs()) wanted[port.name] = inputs.at(port.name);
        (void)session.run(wanted, {.place = place_});
        session.set_profiling(true);
        (void)session.run(wanted, {.place = place_});
        return session.profile();
    }

private:
    std::unique_ptr<Trainer> trainer_;
    std::map<std::string, Tensor> inputs_;
    RankPlace place_;
    std::int64_t parameters_ = 0;
};

/// The least time of a step; every rank begins each one together.
double least_ms(Communicator& ranks, std::int64_t steps, const std::function<void()>& step) {
    step();  // compiles
    double least = 1e30;
    for (std::int64_t i = 0; i < steps; ++i) {
        ranks.barrier();
        const double begin = now_ms();
        step();
        least = std::min(least, now_ms() - begin);
    }
    // The slowest rank's: nobody is done before it.
    double slowest = 0;
    for (const std::string& text : gathered(&ranks, fmt::format("{:.6f}", least))) slowest = std::max(slowest, std::stod(text));
    return slowest;
}

/// Sums of growing size with nothing else to do: (bytes, least ms).
std::vector<std::pair<double, double>> measure_sums(Communicator& ranks) {
    std::vector<std::pair<double, double>> times;
    for (std::size_t bytes = 64 << 10; bytes <= std::size_t{16} << 20; bytes *= 4) {
        std::vector<float> values(bytes / sizeof(float), 1.0f);
        const double ms = least_ms(ranks, 9, [&] {
            ranks.start_sum(std::as_writable_bytes(std::span(values)), DType::f32);
            ranks.finish_sum(std::as_bytes(std::span(values)).data());
        });
        times.emplace_back(static_cast<double>(bytes), ms);
    }
    return times;
}

/// When each bucket was there in a profiled step, what came behind the last, all stretched to a step of `step_ms`.
StepTimes step_times(const std::vector<ProfileLine>& profile, double step_ms) {
    std::vector<std::pair<std::string, GradientBucket>> buckets;
    double waited = 0, end = 0;
    for (const ProfileLine& line : profile) {
        end = std::max(end, line.start_ms + line.ms);
        if (line.plan.op == "all_reduce_begin") {
            auto it = std::ranges::find(buckets, line.plan.path, &std::pair<std::string, GradientBucket>::first);
            // The bytes of a line are those read and written: the values and the vector they are packed into.
            if (it == buckets.end()) it = buckets.insert(buckets.end(), {line.plan.path, {static_cast<double>(line.plan.bytes) / 2, 0}});
            it->second.ready_ms = std::max(it->second.ready_ms, line.start_ms + line.ms);
        }
    }
    std::ranges::stable_sort(buckets, {}, [](const auto& entry) { return entry.second.ready_ms; });
    const double last = buckets.empty() ? end : buckets.back().second.ready_ms;
    for (const ProfileLine& line : profile)
        if (line.plan.op == "all_reduce_end") waited += line.ms;
    const double update = std::max(0.0, end - last - waited), scale = step_ms / (last + update);
    StepTimes times{last * scale, update * scale, {}};
    for (auto& [path, bucket] : buckets) times.buckets.push_back({bucket.bytes, bucket.ready_ms * scale});
    return times;
}

std::string percent(double part) { return fmt::format("{:.1f} %", 100 * part); }

void bench_scaling(const ScalingArguments& a, Communicator& ranks) {
    a.common.apply();
    if (ranks.size() < 2) throw ArgumentError("bench scaling measures what ranks tell one another: --ranks 2 or more");
    const int all_threads = threads() * ranks.size();
    double whole_ms = 0, apart_ms = 0;
    {
        Stepper alone(a, nullptr);
        apart_ms = least_ms(ranks, a.steps, [&] { alone.step(); });
        // One rank with everybody's threads, while the others rest.
        if (ranks.rank() == 0) {
            set_threads(all_threads);
            whole_ms = 1e30;
            alone.step();
            for (std::int64_t i = 0; i < a.steps; ++i) {
                const double begin = now_ms();
                alone.step();
                whole_ms = std::min(whole_ms, now_ms() - begin);
            }
            set_threads(all_threads / ranks.size());
        }
        ranks.barrier();
    }
    Stepper stepper(a, &ranks);
    const double together_ms = least_ms(ranks, a.steps, [&] { stepper.step(); });
    const std::vector<ProfileLine> profile = stepper.profile();
    const auto sums = measure_sums(ranks);
    if (ranks.rank() > 0) return;

    const NetworkLink here = fitted_link("this machine's memory", ranks.size(), sums);
    const StepTimes apart = step_times(profile, apart_ms), whole = step_times(profile, whole_ms);
    double bytes = 0;
    for (const GradientBucket& bucket : apart.buckets) bytes += bucket.bytes;
    const double predicted_ms = step_on(ranks.size(), apart, here).ms;
    Sheet sheet{.title = fmt::format("{}, {} pictures a node and step; a node is this machine: {} threads, {:.1f} ms a step, {:.1f} MB of gradients in {} buckets", a.model, a.batch, all_threads, whole_ms,
                                     bytes / 1e6, apart.buckets.size())};
    sheet.columns = {{"nodes", "nodes", true}, {"network", "network"}, {"step ms", "step_ms", true}, {"sums ms", "network_ms", true}, {"waits ms", "exposed_ms", true}, {"efficiency", "efficiency", true},
                     {"images/s", "images_per_second", true}, {"with log2 N messages", "tree_efficiency", true}, {"and half the bytes", "half_efficiency", true}};
    StepTimes half = whole;
    for (GradientBucket& bucket : half.buckets) bucket.bytes /= 2;
    Json rows = Json::array();
    for (const std::int64_t nodes : a.nodes)
        for (const NetworkLink& link : networks()) {
            const ScaledStep step = step_on(nodes, whole, link), tree = step_on(nodes, whole, link, AllReduceSteps::tree), halved = step_on(nodes, half, link, AllReduceSteps::tree);
            const double rate = static_cast<double>(nodes * a.batch) / step.ms * 1e3;
            sheet.rows.push_back({nodes, link.name, fmt::format("{:.1f}", step.ms), fmt::format("{:.1f}", step.network_ms), fmt::format("{:.1f}", step.exposed_ms), percent(step.efficiency),
                                  fmt::format("{:.0f}", rate), percent(tree.efficiency), percent(halved.efficiency)});
            rows.push_back({{"nodes", nodes}, {"network", link.name}, {"latency_us", link.latency_us}, {"gigabytes_per_second", link.gigabytes_per_second}, {"step_ms", step.ms},
                            {"network_ms", step.network_ms}, {"exposed_ms", step.exposed_ms}, {"efficiency", step.efficiency}, {"images_per_second", rate}, {"tree_efficiency", tree.efficiency},
                            {"half_efficiency", halved.efficiency}});
        }
    for (const NetworkLink& link : networks()) sheet.notes.push_back(fmt::format("{}: {:g} us a message, {:g} GB/s", link.name, link.latency_us, link.gigabytes_per_second));
    if (a.common.json) {
        Json measured = Json::array();
        for (const auto& [size, ms] : sums) measured.push_back({{"bytes", size}, {"ms", ms}});
        return print_document({{"command", "bench scaling"}, {"model", a.model}, {"batch", a.batch}, {"ranks", ranks.size()}, {"threads_per_rank", threads()}, {"parameters", stepper.parameters()},
                               {"gradient_bytes", bytes}, {"buckets", apart.buckets.size()}, {"whole_ms", whole_ms}, {"apart_ms", apart_ms}, {"together_ms", together_ms}, {"predicted_ms", predicted_ms},
                               {"latency_us", here.latency_us}, {"gigabytes_per_second", here.gigabytes_per_second}, {"sums", measured}, {"rows", rows}});
    }
    fmt::print("measured here, {} ranks with {} thread{} each: a step takes {:.1f} ms apart, {:.1f} ms together ({:.1f} by the model), efficiency {}\n", ranks.size(), threads(), threads() == 1 ? "" : "s", apart_ms,
               together_ms, predicted_ms, percent(apart_ms / together_ms));
    fmt::print("sums between them: {:.0f} us a message, {:.2f} GB/s", here.latency_us, here.gigabytes_per_second);
    for (const auto& [size, ms] : sums) fmt::print("; {} {:.2f} ms", bytes_text(size), ms);
    fmt::print("\n\n{}", to_text(sheet, TableFormat::table));
}

}  // namespace

void add_bench_scaling(CLI::App& bench) {
    auto a = std::make_shared<ScalingArguments>();
    CLI::App* command = bench.add_subcommand("scaling", "A training step on several ranks here, and a model of it on many machines");
    command->add_option("model", a->model, "A name of 'fovea models'")->required();
    command->add_option("--batch", a->batch, "Pictures per rank and step")->check(CLI::Range(1, 1'000'000));
    command->add_option("--size", a->size, "Height and width of the pictures (default: the model's)")->check(CLI::Range(0, 20'000));
    command->add_option("--steps", a->steps, "Steps measured of each kind; the fastest counts")->check(CLI::Range(1, 1'000'000));
    command->add_option("--bucket", a->bucket_mib, "MiB of gradients that travel together")->check(CLI::Range(0.001, 4096.0));
    command->add_option("--nodes", a->nodes, "Numbers of machines in the table")->delimiter(',')->check(CLI::Range(1, 1'000'000));
    a->ranks.add_to(*command);
    a->computing.add_to(*command);
    a->common.add_to(*command);
    command->callback([a] { on_ranks(a->ranks, "bench scaling", [&](Communicator& ranks) { bench_scaling(*a, ranks); }); });
}

}  // namespace fovea::cli
