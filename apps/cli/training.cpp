#include "training.h"

#include <algorithm>
#include <csignal>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "fovea/io.h"
#include "fovea/nn.h"
#include "fovea/runs.h"

namespace fovea::cli {

namespace fs = std::filesystem;

namespace {

std::atomic<bool> is_stop_wanted = false;

extern "C" void on_interrupt(int signal) {
    is_stop_wanted = true;
    std::signal(signal, SIG_DFL);  // a second Ctrl-C ends the process at once
}

/// "backbone" in a list of frozen parameters: all that are trained but the layer before the output.
void expand_backbone(std::vector<std::string>& frozen, const Graph& network) {
    const auto all = std::ranges::find(frozen, "backbone");
    if (all == frozen.end()) return;
    frozen.erase(all);
    const std::vector<std::string> head = head_of(network);
    for (const ParameterInfo& info : network.parameters())
        if (info.is_trainable && std::ranges::find(head, info.name) == head.end()) frozen.push_back(info.name);
}

}  // namespace

const std::atomic<bool>& stop_wanted() { return is_stop_wanted; }

void catch_interrupts() {
    std::signal(SIGINT, on_interrupt);
    std::signal(SIGTERM, on_interrupt);
    std::signal(SIGUSR1, on_interrupt);
}

EarlierRun earlier_run(const RunOptions& options) {
    if (!options.resume || !fs::exists(options.out / "checkpoint-last.safetensors")) return {};
    return {true, facts_of(load_last_checkpoint(options.out)).listing};
}

Training prepare_training(const Recipe& recipe, const RunData& data, const RunOptions& options, const EarlierRun& earlier) {
    Training training{build_for(recipe.model, *data.train, recipe.normalise == "data", options_of(recipe), earlier.listing), fit_spec(recipe)};
    const Network& network = training.network;
    FitSpec& spec = training.spec;
    spec.train = data.train;
    spec.validation = data.validation;
    spec.model = network.model;
    spec.model_options = network.model_options;
    spec.listing = network.listing;
    spec.preprocess = network.preprocess;
    expand_backbone(spec.step.frozen, network.graph);
    if (const LossFunction loss = loss_of(network)) {
        if (recipe.loss != "cross_entropy") throw ArgumentError(fmt::format("loss = \"{}\": {} has a loss of its own", recipe.loss, network.model));
        if (recipe.label_smoothing > 0) throw ArgumentError(fmt::format("label_smoothing = {}: {} has a loss of its own", recipe.label_smoothing, network.model));
        spec.loss = loss;
        spec.loss_name = "label_distance";
        spec.lowest_wins = lowest_wins(network);
    }
    spec.recipe_name = recipe.name;
    spec.loader_threads = options.loader_threads;
    spec.resume = options.resume;
    spec.save_every_minutes = options.save_every_minutes;
    spec.save_every_steps = options.save_every_steps;
    spec.stop = &is_stop_wanted;
    options.memory.apply_to(spec.compile);
    options.plan.apply_to(spec.compile, false);
    return training;
}

std::optional<Parameters> start_of(const Network& network, const Recipe& recipe, const FitSpec& spec) {
    const auto seed = static_cast<std::uint64_t>(recipe.seed);
    if (!recipe.weights.empty()) {
        LoadReport report;
        Parameters start = start_from(network, recipe.weights, recipe.weights_map, seed, report);
        std::string text = fmt::format("'{}': {} tensors taken", recipe.weights, report.matched.size());
        std::vector<std::string> fresh = report.missing;
        fresh.insert(fresh.end(), report.kept.begin(), report.kept.end());
        if (!fresh.empty()) text += fmt::format(", {} begin anew: {}{}", fresh.size(), fmt::join(fresh.begin(), fresh.begin() + std::min<std::ptrdiff_t>(6, std::ssize(fresh)), ", "), fresh.size() > 6 ? ", ..." : "");
        note(text);
        return start;
    }
    std::optional<Parameters> start;
    if (!recipe.init.empty()) start = make_parameters(network.graph, seed, recipe.init);
    else if (network.parameters.size() > 0) start = network.parameters;  // an ONNX file: training goes on from what it holds
    if (!recipe.whiten.empty()) {
        if (!start) start = make_parameters(network.graph, seed);
        start->set(recipe.whiten, whitening_filters(spec.train, spec.preprocess, start->at(recipe.whiten).shape()));
    }
    return start;
}

fs::path write_run_report(const FitSpec& spec) {
    const fs::path page = spec.out / "report.html";
    try {
        write_file_atomically(page.string(), report_html(read_run(spec.out), spec.validation));
    } catch (const Error& error) {
        note(fmt::format("no report was written: {}", error.what()));
    }
    return page;
}

Callback TrainingProgress::callback() {
    return {.on_step =
                [this](const StepReport& report) {
                    step(report);
                    return true;
                },
            .on_epoch =
                [this](const EpochReport& report) {
                    epoch(report);
                    return true;
                }};
}

void TrainingProgress::step(const StepReport& report) {
    if (!line_.is_due(report.step + 1 == report.steps_per_epoch)) return;
    const double part = static_cast<double>(report.step + 1) / static_cast<double>(report.steps_per_epoch);
    line_.write(fmt::format("{}epoch {}/{} {} {:3.0f} %  loss {:.4f}  accuracy {:.2f} %  {} images/s  loader wait {:.0f} %  {} left{}", title_, report.epoch + 1, epochs_, bar(part, 20), part * 100,
                            report.mean_loss, report.accuracy * 100, short_count(report.images_per_second), report.loader_wait * 100, duration(report.epoch_seconds_left),
                            report.seconds_left > 0 ? fmt::format(" ({} in all)", duration(report.seconds_left)) : ""));
}

void TrainingProgress::epoch(const EpochReport& report) {
    clear();
    std::string text = fmt::format("{}epoch {}/{}  loss {:.4f}  accuracy {:.2f} %", title_, report.epoch + 1, epochs_, report.train_loss, report.train_accuracy * 100);
    if (report.validation) text += fmt::format("  |  test loss {:.4f}  accuracy {:.2f} %{}", report.validation->loss, report.validation->top1 * 100, report.is_best ? "  best" : "");
    const std::string wait = report.loader_wait >= 0.01 ? fmt::format("  loader wait {:.0f} %", report.loader_wait * 100) : "";
    const std::string skipped = report.skipped > 0 ? fmt::format("  {} image{} skipped", commas(report.skipped), report.skipped == 1 ? "" : "s") : "";
    fmt::print(out_, "{}  |  {:.1f} s  {} images/s{}{}\n", text, report.seconds, short_count(report.images_per_second), wait, skipped);
    std::fflush(out_);
}

}  // namespace fovea::cli
