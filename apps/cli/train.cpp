// fovea train MODEL --data mnist:DIR --epochs 5 --out runs/a

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

#include "command.h"
#include "fovea/io.h"
#include "fovea/models.h"
#include "fovea/nn.h"
#include "fovea/ops.h"
#include "fovea/train.h"
#include "network.h"
#include "recipe.h"

namespace fovea::cli {

namespace {

namespace fs = std::filesystem;

struct TrainArguments {
    Common common;
    std::string model, data, validation, out, initial, init, normalise = "data";
    bool resume = false, no_validation = false;
    std::optional<std::int64_t> epochs, batch;
    std::optional<std::string> optimizer, schedule;
    std::optional<double> lr, momentum, weight_decay, warm_up;
    bool nesterov = false, no_nesterov = false, no_decay_norms = false, drop_last = false;
    std::vector<std::string> optimizer_options, schedule_options, augment, freeze;
    std::optional<double> label_smoothing;
    double clip_value = 0;
    std::optional<double> clip;
    std::string metric = "top1", backend = "cpu", precision = "f32";
    double save_every_minutes = 10;
    std::int64_t save_every_steps = 0;
    int loader_threads = 1;
};

std::atomic<bool> stop_wanted = false;

extern "C" void on_interrupt(int signal) {
    stop_wanted = true;
    std::signal(signal, SIG_DFL);  // a second Ctrl-C ends the process at once
}

/// "name=value" with a number for the value.
std::map<std::string, double> numbers_of(const std::vector<std::string>& options, std::string_view flag) {
    std::map<std::string, double> numbers;
    for (const std::string& option : options) {
        const std::size_t equals = option.find('=');
        std::size_t used = 0;
        double value = 0;
        try {
            if (equals != std::string::npos) value = std::stod(option.substr(equals + 1), &used);
        } catch (const std::exception&) {
            used = 0;
        }
        if (equals == std::string::npos || used == 0 || used != option.size() - equals - 1)
            throw ArgumentError(fmt::format("{} takes name=number, got '{}'", flag, option));
        numbers[option.substr(0, equals)] = value;
    }
    return numbers;
}

Augment augment_of(const std::vector<std::string>& words, Augment augment) {
    if (!words.empty()) augment = {};
    for (const std::string& word : words) {
        if (word == "none") augment = {};
        else if (word == "pad-crop") augment.pad_crop = 4;
        else if (word == "pad-crop-black") augment.pad_crop = 4, augment.pad_fill = PadFill::black;
        else if (word == "mirror") augment.mirror = true;
        else if (word == "random-crop") augment.random_crop = true;
        else if (word == "rotate") augment.rotate_deg = 10;
        else if (word == "shift") augment.shift = 2;
        else if (word == "distort") {
            // Simard et al. 2003: small affine changes and an elastic field, for digits.
            augment.rotate_deg = 10, augment.shift = 2, augment.scale = 0.1, augment.shear_deg = 5;
            augment.elastic_alpha = 34, augment.elastic_sigma = 4;
        } else throw ArgumentError(fmt::format("--augment knows pad-crop, pad-crop-black, mirror, random-crop, rotate, shift, distort and none, got '{}'", word));
    }
    return augment;
}

/// The options given win over the recipe; another optimiser begins from its own defaults.
Optimizer optimizer_of(const TrainArguments& a, const Recipe& recipe) {
    const std::string name = a.optimizer.value_or(recipe.optimizer);
    std::map<std::string, double> options;
    if (name == recipe.optimizer) options = recipe.optimizer_options;
    else if (name == "sgd") options = {{"lr", 0.05}, {"momentum", 0.9}};
    if (a.lr) options["lr"] = *a.lr;
    if (a.momentum) options["momentum"] = *a.momentum;
    if (name == "sgd" && options.contains("momentum") && options["momentum"] == 0) options["nesterov"] = 0;
    if (a.weight_decay) options["weight_decay"] = *a.weight_decay;
    if (a.nesterov) options["nesterov"] = 1;
    if (a.no_nesterov) options["nesterov"] = 0;
    for (const auto& [key, value] : numbers_of(a.optimizer_options, "--optimizer-option")) options[key] = value;
    return make_optimizer(name, options);
}

Schedule schedule_of(const TrainArguments& a, const Recipe& recipe) {
    const std::string name = a.schedule.value_or(recipe.schedule);
    std::map<std::string, double> options;
    if (name == recipe.schedule) options = recipe.schedule_options;
    if (a.warm_up) options["warm_up"] = *a.warm_up;
    for (const auto& [key, value] : numbers_of(a.schedule_options, "--schedule-option")) options[key] = value;
    return make_schedule(name, options);
}

/// runs/MODEL, runs/MODEL-2, ...: the first that does not exist.
fs::path free_run_directory(const std::string& model) {
    const fs::path name = is_onnx(model) ? fs::path(model).stem() : fs::path(model);
    fs::path path = fs::path("runs") / name;
    for (int number = 2; fs::exists(path); ++number) path = fs::path("runs") / fmt::format("{}-{}", name.string(), number);
    return path;
}

/// A bar that is redrawn on a terminal; plain lines, one per epoch, elsewhere.
class Progress {
public:
    Progress(std::int64_t epochs, bool json) : epochs_(epochs), out_(json ? stderr : stdout), is_terminal_(isatty(fileno(stderr)) == 1) {}

    void step(const StepReport& report) {
        if (!is_terminal_) return;
        const auto now = std::chrono::steady_clock::now();
        if (now - drawn_ < std::chrono::milliseconds(100) && report.step + 1 != report.steps_per_epoch) return;
        drawn_ = now;
        const double part = static_cast<double>(report.step + 1) / static_cast<double>(report.steps_per_epoch);
        const std::string text = fmt::format("epoch {}/{} {} {:3.0f} %  loss {:.4f}  accuracy {:.2f} %  {} images/s  {} left", report.epoch + 1, epochs_, bar(part, 20), part * 100,
                                             report.mean_loss, report.accuracy * 100, short_count(report.images_per_second), duration(report.epoch_seconds_left));
        fmt::print(stderr, "\r{}\x1b[K", text);
        std::fflush(stderr);
        is_drawn_ = true;
    }

    void epoch(const EpochReport& report) {
        clear();
        std::string text = fmt::format("epoch {}/{}  loss {:.4f}  accuracy {:.2f} %", report.epoch + 1, epochs_, report.train_loss, report.train_accuracy * 100);
        if (report.validation) text += fmt::format("  |  test loss {:.4f}  accuracy {:.2f} %{}", report.validation->loss, report.validation->top1 * 100, report.is_best ? "  best" : "");
        fmt::print(out_, "{}  |  {:.1f} s  {} images/s\n", text, report.seconds, short_count(report.images_per_second));
        std::fflush(out_);
    }

    void clear() {
        if (is_drawn_) fmt::print(stderr, "\r\x1b[K");
        is_drawn_ = false;
    }

private:
    std::int64_t epochs_;
    std::FILE* out_;
    bool is_terminal_;
    bool is_drawn_ = false;
    std::chrono::steady_clock::time_point drawn_{};
};

Json evaluation_document(const Evaluation& evaluation) {
    return {{"images", evaluation.images}, {"loss", evaluation.loss}, {"top1", evaluation.top1}, {"top" + std::to_string(evaluation.k), evaluation.topk}};
}

void train(const TrainArguments& a) {
    a.common.apply();
    FitSpec spec;
    spec.train = open_dataset(a.data, Split::train);
    if (!a.no_validation) spec.validation = open_dataset(a.validation.empty() ? a.data : a.validation, Split::test);
    const Shape image = spec.train->image_shape();
    const Recipe recipe = recipe_for(is_onnx(a.model) ? a.model : find_model(a.model).name, image[2]);
    const Network network = build_for(a.model, *spec.train, a.normalise == "data");

    spec.model = network.model;
    spec.model_options = network.model_options;
    spec.preprocess = network.preprocess;
    spec.augment = augment_of(a.augment, recipe.augment);
    spec.epochs = a.epochs.value_or(recipe.epochs);
    spec.batch = a.batch.value_or(recipe.batch);
    spec.drop_last = a.drop_last;
    spec.optimizer = optimizer_of(a, recipe);
    spec.schedule = schedule_of(a, recipe);
    spec.step.clip_norm = a.clip.value_or(recipe.clip);
    spec.step.clip_value = a.clip_value;
    spec.step.decay_norms_and_biases = !a.no_decay_norms;
    spec.step.frozen = a.freeze;
    if (network.loss) {
        if (a.label_smoothing.value_or(0) > 0) throw ArgumentError(fmt::format("--label-smoothing: {} has a loss of its own", network.model));
        spec.loss = network.loss;
        spec.loss_name = network.loss_name;
        spec.lowest_wins = network.lowest_wins;
    } else if (const double smoothing = a.label_smoothing.value_or(recipe.label_smoothing); smoothing > 0) {
        spec.loss = [smoothing](const Value& logits, const Value& labels) { return cross_entropy(logits, labels, {.label_smoothing = smoothing}); };
        spec.loss_name = fmt::format("cross_entropy label_smoothing={}", smoothing);
    }
    spec.seed = a.common.seed;
    spec.loader_threads = a.loader_threads;
    spec.resume = a.resume;
    spec.save_every_minutes = a.save_every_minutes;
    spec.save_every_steps = a.save_every_steps;
    spec.metric = a.metric;
    spec.stop = &stop_wanted;
    spec.compile.backend = a.backend;
    spec.compile.precision = a.precision == "f64" ? Precision::f64 : Precision::f32;
    const std::string init = !a.init.empty() ? a.init : recipe.init;
    if (!a.initial.empty())
        spec.initial = load_weights(a.initial);
    else if (a.init.empty() && network.parameters.size() > 0)  // an ONNX file: training goes on from what it holds
        spec.initial = network.parameters;
    else if (!init.empty())
        spec.initial = make_parameters(network.graph, a.common.seed, init);
    spec.out = a.out.empty() ? free_run_directory(a.model) : fs::path(a.out);
    const fs::path last = spec.out / "checkpoint-last.safetensors";
    if (!a.resume && fs::exists(last))
        throw ArgumentError(fmt::format("'{}' holds a run already: --resume goes on with it, another --out begins a new one", spec.out.string()));

    std::FILE* messages = a.common.json ? stderr : stdout;
    fmt::print(messages, "{} ({} parameters) on {}: {} images, {} classes; {} epochs, batch {}, {}; {}\n", network.model, commas(network.graph.trainable_scalars()), spec.train->name(),
               commas(spec.train->size()), spec.train->classes().size(), spec.epochs, spec.batch, name_of(spec.optimizer), spec.out.string());
    std::fflush(messages);

    Progress progress(spec.epochs, a.common.json);
    spec.callbacks.push_back({.on_step =
                                  [&](const StepReport& report) {
                                      progress.step(report);
                                      return true;
                                  },
                              .on_epoch =
                                  [&](const EpochReport& report) {
                                      progress.epoch(report);
                                      return true;
                                  }});
    std::signal(SIGINT, on_interrupt);
    std::signal(SIGTERM, on_interrupt);
    FitResult result;
    try {
        result = fit(network.graph, spec);
    } catch (...) {
        progress.clear();
        throw;
    }
    progress.clear();
    for (const std::string& warning : result.warnings) note(warning);

    if (a.common.json) {
        Json document{{"command", "train"}, {"model", network.model}, {"data", a.data}, {"out", spec.out.string()}, {"seed", a.common.seed}, {"epochs", result.epochs},
                      {"updates", result.updates}, {"resumed_from", result.resumed_from}, {"is_stopped", result.is_stopped}, {"metric", a.metric}, {"history", result.history},
                      {"best_metric", result.best_metric}, {"best_epoch", result.best_epoch + 1}, {"seconds", result.seconds}, {"skipped_images", result.warnings.size()},
                      {"peak_memory_bytes", peak_memory_bytes()}};
        if (result.last_evaluation) document["test"] = evaluation_document(*result.last_evaluation);
        print_document(document);
    }
    if (result.is_stopped) {
        note(fmt::format("stopped after update {} and saved; to go on: fovea train {} --data {} --epochs {} --batch {} --out {} --seed {} --resume, with the other options as before",
                         commas(result.updates), a.model, a.data, spec.epochs, spec.batch, spec.out.string(), a.common.seed));
        throw CLI::RuntimeError(130);  // what a shell gives a program that Ctrl-C ended
    }
    if (a.common.json) return;
    fmt::print("trained in {:.1f} s; {}\n", result.seconds, last.string());
    if (result.last_evaluation) fmt::print("test accuracy {:.2f} %\n", result.last_evaluation->top1 * 100);
}

}  // namespace

void add_train(CLI::App& app) {
    auto a = std::make_shared<TrainArguments>();
    CLI::App* command = app.add_subcommand("train", "Train a network; everything lands in a run directory");
    command->add_option("model", a->model, "A name of 'fovea models', or an ONNX file to go on from")->required();
    command->add_option("--data", a->data, "DATASET: fashion-mnist, mnist:DIR, cifar10:DIR, cifar100:DIR, folder:DIR")->required();
    command->add_option("--val", a->validation, "Another data set to test on (default: the test part of --data)");
    command->add_flag("--no-val", a->no_validation, "No test after each epoch");
    command->add_option("--out", a->out, "Run directory (default: runs/MODEL)");
    command->add_flag("--resume", a->resume, "Go on from the last checkpoint in --out");
    command->add_option("--epochs", a->epochs, "Passes over the data (default: the model's recipe)")->check(CLI::Range(1, 1'000'000));
    command->add_option("--batch", a->batch, "Pictures per step")->check(CLI::Range(1, 1'000'000));
    command->add_option("--optimizer", a->optimizer, "sgd, adam, adamw, rmsprop, adagrad, adadelta");
    command->add_option("--lr", a->lr, "Learning rate; the peak of a one-cycle schedule");
    command->add_option("--momentum", a->momentum, "Of SGD");
    command->add_flag("--nesterov", a->nesterov, "Nesterov's momentum");
    command->add_flag("--no-nesterov", a->no_nesterov, "Plain momentum");
    command->add_option("--weight-decay", a->weight_decay, "L2 decay");
    command->add_flag("--no-decay-norms", a->no_decay_norms, "Biases and norm scales are not decayed");
    command->add_option("--optimizer-option", a->optimizer_options, "name=number, any field of the optimiser");
    command->add_option("--schedule", a->schedule, "constant, step, multistep, exponential, cosine, one-cycle, polynomial, plateau");
    command->add_option("--schedule-option", a->schedule_options, "name=number, any field of the schedule (multistep: milestone1=8)");
    command->add_option("--warm-up", a->warm_up, "Epochs of linear warm-up");
    command->add_option("--augment", a->augment, "pad-crop (border of the mean, or pad-crop-black),mirror,random-crop,rotate,shift,distort or none")->delimiter(',');
    command->add_option("--label-smoothing", a->label_smoothing, "0..1")->check(CLI::Range(0.0, 1.0));
    command->add_option("--clip", a->clip, "Largest L2 norm of the whole gradient (0: no limit)")->check(CLI::NonNegativeNumber);
    command->add_option("--clip-value", a->clip_value, "Largest element of the gradient")->check(CLI::NonNegativeNumber);
    command->add_option("--freeze", a->freeze, "Parameters that stay as they are: glob patterns")->delimiter(',');
    command->add_option("--init", a->init, "Start of the weights: torch, gaussian:SIGMA, xavier, he, orthogonal, truncated:SIGMA, dlib (default: the model's)");
    command->add_option("--weights", a->initial, "Begin from this weights file instead of random values");
    command->add_option("--normalise", a->normalise, "data: by the training set's mean and deviation; card: as the model's card says")->check(CLI::IsMember({"data", "card"}));
    command->add_option("--metric", a->metric, "What the best checkpoint is best in")->check(CLI::IsMember({"top1", "topk", "loss"}));
    command->add_flag("--drop-last", a->drop_last, "Leave out the last batch of an epoch when it is smaller");
    command->add_option("--save-every-steps", a->save_every_steps, "Checkpoint within an epoch (0: off)")->check(CLI::NonNegativeNumber);
    command->add_option("--save-every-minutes", a->save_every_minutes, "Checkpoint within an epoch (0: off)")->check(CLI::NonNegativeNumber);
    command->add_option("--loader-threads", a->loader_threads, "Threads that prepare pictures")->check(CLI::Range(0, 256));
    command->add_option("--backend", a->backend, "cpu or reference")->check(CLI::IsMember({"cpu", "reference"}));
    command->add_option("--precision", a->precision, "f32, or f64 on the reference backend")->check(CLI::IsMember({"f32", "f64"}));
    a->common.add_to(*command);
    command->callback([a] { train(*a); });
}

}  // namespace fovea::cli
