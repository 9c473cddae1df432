// fovea train MODEL --data mnist:DIR --epochs 5 --out runs/a; fovea train --recipe cifar_resnet20 --data cifar10:DIR

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include <fmt/format.h>

#include "command.h"
#include "data_options.h"
#include "fovea/io.h"
#include "fovea/models.h"
#include "fovea/train.h"
#include "network.h"
#include "ranks.h"
#include "training.h"

namespace fovea::cli {

namespace {

namespace fs = std::filesystem;

struct TrainArguments {
    Common common;
    MemoryOptions memory;
    PlanOptions plan;
    RankOptions ranks;
    std::string model, recipe, out;
    std::vector<std::pair<std::string, std::string>> settings;  ///< over the recipe, in the order given
    bool resume = false, find_lr = false;
    double save_every_minutes = 10;
    std::int64_t save_every_steps = 0;
    int loader_threads = 1;
    std::function<bool()> seed_is_given;
};

/// --resume goes on with a run that is there: a mistyped name begins none.
void require_run(const TrainArguments& a) {
    if (a.out.empty()) throw ArgumentError("--resume goes on with the run in --out: name it");
    const fs::path out = a.out, last = out / "checkpoint-last.safetensors", best = out / "checkpoint-best.safetensors";
    if (fs::exists(last)) return;
    if (fs::exists(best)) throw FormatError(fmt::format("'{}' has lost its last checkpoint: it goes on from '{}' when that is copied to '{}'", a.out, best.string(), last.string()));
    if (!fs::exists(out / "config.json")) throw ArgumentError(fmt::format("'{}' holds no run that --resume could go on with; 'fovea runs' lists those in runs/", a.out));
    note(fmt::format("'{}' has no checkpoint yet: its run begins anew", a.out));
}

/// What the recipe in a run is called; runs made before it was written down do not say.
std::string name_of_kept(const fs::path& run) {
    std::ifstream file(run / "config.json");
    const Json config = Json::parse(file, nullptr, false);
    const auto name = config.find("recipe");
    return name != config.end() && name->is_string() ? name->get<std::string>() : "kept in the run";
}

bool is_file(const std::string& model) { return is_onnx(model) || model.starts_with("listing:"); }

/// The recipe that is named, else the one a resumed run keeps, else the shipped one for the network and its pictures; then the settings.
Recipe resolve(const TrainArguments& a) {
    auto settings = a.settings;
    if (!a.model.empty()) settings.emplace_back("model", a.model);
    if (a.seed_is_given()) settings.emplace_back("seed", std::to_string(a.common.seed));
    // Weights that are asked for take the place of a recipe's way to begin.
    const auto names = [&](std::string_view key) { return std::ranges::any_of(settings, [&](const auto& entry) { return entry.first == key; }); };
    if (names("weights") && !names("init")) settings.emplace_back("init", "");
    const fs::path kept = fs::path(a.out) / "recipe.toml";
    Recipe recipe;
    if (!a.recipe.empty()) {
        recipe = load_recipe(a.recipe);
    } else if (a.resume && fs::exists(kept)) {
        recipe = load_recipe(kept.string());
        recipe.name = name_of_kept(a.out);
    } else {
        // Which recipe a network has depends on its pictures, so the data comes first.
        Recipe named;
        std::vector<std::pair<std::string, std::string>> first;
        std::ranges::copy_if(settings, std::back_inserter(first), [](const auto& entry) { return entry.first == "data"; });
        override_recipe(named, first);
        if (a.model.empty()) throw CLI::ValidationError("name a model (see 'fovea models') or a --recipe (see 'fovea recipes')");
        if (named.data.empty()) throw CLI::ValidationError("--data is required: fashion-mnist, mnist:DIR, cifar10:DIR, cifar100:DIR, folder:DIR");
        const std::string model = is_file(a.model) ? a.model : find_model(a.model).name;  // before the data, which may take long to read
        recipe = recipe_for(model, open_dataset(named.data, Split::train)->image_shape()[2]);
        recipe.model.clear(), recipe.data.clear();
    }
    override_recipe(recipe, settings);
    if (recipe.model.empty()) throw ArgumentError(fmt::format("recipe '{}' is for any model: name one, 'fovea models' lists them", recipe.name));
    if (!is_file(recipe.model)) (void)find_model(recipe.model);
    if (recipe.data.empty()) throw ArgumentError(fmt::format("recipe '{}' names no data: --data fashion-mnist, mnist:DIR, cifar10:DIR, cifar100:DIR, folder:DIR", recipe.name));
    return recipe;
}

/// runs/MODEL, runs/MODEL-2, ...: the first that does not exist.
fs::path free_run_directory(const std::string& model) {
    const fs::path name = has_model(model) ? fs::path(model) : fs::path(model.substr(model.find(':') + 1)).stem();
    fs::path path = fs::path("runs") / name;
    for (int number = 2; fs::exists(path); ++number) path = fs::path("runs") / fmt::format("{}-{}", name.string(), number);
    return path;
}

Json evaluation_document(const Evaluation& evaluation) {
    return {{"images", evaluation.images}, {"loss", evaluation.loss}, {"top1", evaluation.top1}, {"top" + std::to_string(evaluation.k), evaluation.topk}};
}

/// "90s", "30m", "2h" or plain minutes.
double minutes_of(const std::string& text) {
    std::size_t used = 0;
    double value = -1;
    try {
        value = std::stod(text, &used);
    } catch (const std::exception&) {
    }
    const std::string unit = text.substr(used);
    if (value <= 0 || !(unit.empty() || unit == "s" || unit == "m" || unit == "h")) throw ArgumentError(fmt::format("--time-budget is a time such as 90s, 30m or 2h, got '{}'", text));
    return unit == "s" ? value / 60 : unit == "h" ? value * 60 : value;
}

/// The learning-rate range test as a table, a bar for each smoothed loss.
void print_learning_rates(const TrainArguments& a, const Network& network, const FitSpec& spec) {
    const FindLrResult result = find_learning_rate(network.graph, spec);
    if (a.common.json) {
        Json points = Json::array();
        for (const auto& point : result.points) points.push_back({{"lr", point.lr}, {"loss", point.loss}, {"smoothed", point.smoothed}});
        return print_document({{"command", "find-lr"}, {"model", network.model}, {"points", points}, {"steepest", result.steepest}, {"lowest", result.lowest}});
    }
    double highest = 0;
    for (const auto& point : result.points) highest = std::max(highest, point.smoothed);
    std::vector<std::vector<std::string>> rows{{"rate", "loss", "smoothed", ""}};
    for (std::size_t i = 0; i < result.points.size(); i += 4) {
        const auto& point = result.points[i];
        rows.push_back({fmt::format("{:.2e}", point.lr), fmt::format("{:.4f}", point.loss), fmt::format("{:.4f}", point.smoothed), bar(highest > 0 ? point.smoothed / highest : 0, 40)});
    }
    fmt::print("{}the loss falls fastest at {:.2e} and is lowest at {:.2e}: --lr {:.1e} is a safe choice, {:.1e} the peak of a one-cycle schedule\n", table(rows, ">>><"), result.steepest,
               result.lowest, result.lowest / 10, result.lowest / 3);
}

/// Which layers training moved, by how much of their own length.
void print_changes(const std::vector<ParameterChange>& changes) {
    std::vector<std::vector<std::string>> rows{{"layer", "moved (relative L2)", ""}};
    std::vector<std::pair<std::string, double>> layers;
    for (const ParameterChange& change : changes) {
        const std::string layer = change.name.substr(0, change.name.rfind('.'));
        if (layers.empty() || layers.back().first != layer) layers.emplace_back(layer, 0);
        layers.back().second = std::max(layers.back().second, change.relative);
    }
    double most = 0;
    for (const auto& [layer, moved] : layers) most = std::max(most, moved);
    for (const auto& [layer, moved] : layers) rows.push_back({layer, moved == 0 ? "as it was" : fmt::format("{:.2e}", moved), bar(most > 0 ? moved / most : 0, 20)});
    fmt::print("{}", table(rows, "<><"));
}

/// What only rank 0 looks up, because the run directory is its own.
struct Found {
    Recipe recipe;
    RunOptions options;
    EarlierRun earlier;
};
Found look_up(const TrainArguments& a, Communicator& ranks) {
    Found found{.options = {.resume = a.resume, .save_every_minutes = a.save_every_minutes, .save_every_steps = a.save_every_steps, .loader_threads = a.loader_threads, .memory = a.memory, .plan = a.plan}};
    if (ranks.rank() == 0) {
        if (a.resume) require_run(a);
        found.recipe = resolve(a);
        found.options.out = a.out.empty() ? free_run_directory(found.recipe.model) : fs::path(a.out);
        found.earlier = earlier_run(found.options);
    }
    if (ranks.size() == 1) return found;
    const std::string name = from_first(&ranks, found.recipe.name), text = from_first(&ranks, to_toml(found.recipe));
    found.recipe = parse_recipe(text, name);
    found.options.out = from_first(&ranks, found.options.out.string());
    found.earlier.is_there = !from_first(&ranks, found.earlier.is_there ? "yes" : "").empty();
    found.earlier.listing = from_first(&ranks, found.earlier.listing);
    return found;
}

void train(const TrainArguments& a, Communicator& ranks) {
    a.common.apply();
    const auto [recipe, options, earlier] = look_up(a, ranks);
    auto [network, spec] = prepare_training(recipe, open_run_data(recipe), options, earlier);
    if (const std::string unmet = unmet_precision(spec.compile); !unmet.empty()) note(unmet);
    if (a.find_lr) {
        if (ranks.size() > 1) throw ArgumentError("--find-lr runs on one rank");
        spec.initial = start_of(network, recipe, spec);
        return print_learning_rates(a, network, spec);
    }
    spec.out = options.out;
    spec.ranks = &ranks;
    const fs::path last = spec.out / "checkpoint-last.safetensors";
    if (!a.resume && ranks.rank() == 0 && fs::exists(last))
        throw ArgumentError(fmt::format("'{}' holds a run already: --resume goes on with it, another --out begins a new one", spec.out.string()));
    // A resumed run needs its start only to say how far it went.
    if (!earlier.is_there || !recipe.weights.empty()) spec.initial = start_of(network, recipe, spec);

    std::FILE* messages = a.common.json ? stderr : stdout;
    fmt::print(messages, "{} ({} parameters) on {}: {} images, {} classes; recipe {}: {} epochs, batch {}, {}{}; {}\n", network.model, commas(network.graph.trainable_scalars()),
               spec.train->name(), commas(spec.train->size()), spec.train->classes().size(), recipe.name, spec.epochs, spec.batch, name_of(spec.optimizer), ranks.size() > 1 ? fmt::format(", {} ranks with {} thread{}", ranks.size(), threads(), threads() == 1 ? "" : "s") : "", spec.out.string());
    std::fflush(messages);

    TrainingProgress progress(spec.epochs, messages);
    if (ranks.rank() == 0) spec.callbacks.push_back(progress.callback());
    catch_interrupts();
    const FitResult result = fit(network.graph, spec);
    progress.clear();
    if (ranks.rank() > 0) return;
    for (const std::string& warning : result.warnings) note(warning);
    const fs::path page = write_run_report(spec);
    std::vector<ParameterChange> changes;
    if (!recipe.weights.empty()) changes = parameter_changes(network.graph, *spec.initial, result.parameters);

    if (a.common.json) {
        Json document{{"command", "train"}, {"model", network.model}, {"data", recipe.data}, {"recipe", recipe.name}, {"out", spec.out.string()}, {"report", page.string()}, {"seed", recipe.seed}, {"epochs", result.epochs},
                      {"updates", result.updates}, {"resumed_from", result.resumed_from}, {"is_stopped", result.is_stopped}, {"metric", recipe.metric}, {"history", result.history},
                      {"best_metric", result.best_metric}, {"best_epoch", result.best_epoch + 1}, {"seconds", result.seconds}, {"skipped", result.skipped}, {"skipped_images", result.warnings.size()},
                      {"peak_memory_bytes", peak_memory_bytes()}};
        if (result.last_evaluation) document["test"] = evaluation_document(*result.last_evaluation);
        if (!result.ended.empty()) document["ended"] = result.ended;
        if (!changes.empty()) {
            Json moved = Json::object();
            for (const ParameterChange& change : changes) moved[change.name] = change.relative;
            document["moved"] = std::move(moved);
        }
        print_document(document);
    }
    if (!result.ended.empty()) note(fmt::format("ended: {}; {} of {} epochs made", result.ended, result.epochs, spec.epochs));
    if (result.is_stopped && result.ended.empty()) {
        note(fmt::format("stopped after update {} and saved; to go on: fovea train --out {} --resume", commas(result.updates), spec.out.string()));
        if (ranks.size() > 1) return;  // mpirun would call any other code than 0 an accident; --ranks gives 130 itself
        throw CLI::RuntimeError(130);  // what a shell gives a program that Ctrl-C ended
    }
    if (a.common.json) return;
    if (!changes.empty()) print_changes(changes);
    fmt::print("trained in {:.1f} s; {}; {}\n", result.seconds, last.string(), page.string());
    if (result.last_evaluation) fmt::print("test accuracy {:.2f} %\n", result.last_evaluation->top1 * 100);
}

}  // namespace

namespace {

void add_options(CLI::App* command, const std::shared_ptr<TrainArguments>& a) {
    command->add_option("model", a->model, "A name of 'fovea models', listing:FILE, or an ONNX file to go on from (default: the recipe's)");
    command->add_option("--recipe", a->recipe, "A TOML file, or a name of 'fovea recipes' (default: the one for the model)");
    command->add_option_function<std::vector<std::string>>("--set", [a](const std::vector<std::string>& texts) {
        for (const std::string& text : texts) a->settings.push_back(parse_setting(text));
    }, "key=value ...: any key of the recipe, for instance optimizer.nesterov=true");
    // Short forms of --set for what is changed most.
    const auto setting = [&](const std::string& flag, const std::string& key, const std::string& help) {
        return command->add_option_function<std::string>(flag, [a, key](const std::string& value) { a->settings.emplace_back(key, value); }, help);
    };
    const auto flag = [&](const std::string& name, const std::string& key, const std::string& value, const std::string& help) {
        command->add_flag_callback(name, [a, key, value] { a->settings.emplace_back(key, value); }, help);
    };
    const auto options = [&](const std::string& name, const std::string& section, const std::string& help) {
        command->add_option_function<std::vector<std::string>>(name, [a, section, name](const std::vector<std::string>& texts) {
            for (const std::string& text : texts) {
                const auto [key, value] = parse_setting(text);
                a->settings.emplace_back(section + "." + key, value);
            }
        }, help);
    };
    add_data_options(*command, [a](const std::string& key, const std::string& value) { a->settings.emplace_back(key, value); });
    command->add_option("--out", a->out, "Run directory (default: runs/MODEL)");
    command->add_flag("--resume", a->resume, "Go on from the last checkpoint of the run in --out, with the recipe kept there");
    setting("--epochs", "epochs", "Passes over the data")->check(CLI::Range(1, 1'000'000));
    setting("--batch", "batch", "Pictures per step")->check(CLI::Range(1, 1'000'000));
    setting("--accumulate", "accumulate", "Batches whose mean gradient makes one update")->check(CLI::Range(1, 1'000'000));
    setting("--optimizer", "optimizer.name", "sgd, adam, adamw, rmsprop, adagrad, adadelta, lars, lamb, lion, muon");
    setting("--lr", "optimizer.lr", "Learning rate; the peak of a one-cycle schedule");
    command->add_option_function<std::string>("--momentum", [a](const std::string& value) {
        a->settings.emplace_back("optimizer.momentum", value);
        if (value == "0") a->settings.emplace_back("optimizer.nesterov", "false");
    }, "Of SGD");
    flag("--nesterov", "optimizer.nesterov", "true", "Nesterov's momentum");
    flag("--no-nesterov", "optimizer.nesterov", "false", "Plain momentum");
    setting("--weight-decay", "optimizer.weight_decay", "L2 decay");
    flag("--no-decay-norms", "decay_norms_and_biases", "false", "Biases and norm scales are not decayed");
    options("--optimizer-option", "optimizer", "name=number, any field of the optimiser");
    setting("--schedule", "schedule.name", "constant, step, multistep, exponential, cosine, one-cycle, polynomial, plateau");
    options("--schedule-option", "schedule", "name=number, any field of the schedule (multistep: milestones=[8,12])");
    setting("--warm-up", "schedule.warm_up", "Epochs of linear warm-up");
    setting("--loss", "loss", "cross_entropy (default), bce (a sigmoid per class), focal, hinge");
    setting("--label-smoothing", "label_smoothing", "0..1")->check(CLI::Range(0.0, 1.0));
    setting("--clip", "clip_norm", "Largest L2 norm of the whole gradient (0: no limit)")->check(CLI::NonNegativeNumber);
    setting("--clip-value", "clip_value", "Largest element of the gradient")->check(CLI::NonNegativeNumber);
    setting("--ema", "average.ema", "Decay of a running mean of the weights, which is evaluated and saved (0: off)")->check(CLI::Range(0.0, 1.0));
    setting("--swa-from", "average.swa_from", "From this epoch on the weights are averaged, batch norm re-estimated (0: off)")->check(CLI::NonNegativeNumber);
    setting("--patience", "patience", "Epochs without a better metric that end the run (0: off)")->check(CLI::NonNegativeNumber);
    command->add_option_function<std::string>("--time-budget", [a](const std::string& text) { a->settings.emplace_back("time_budget_minutes", fmt::format("{}", minutes_of(text))); },
                                              "90s, 30m, 2h: then the run is evaluated, saved and ended");
    command->add_flag("--find-lr", a->find_lr, "Do not train: raise the learning rate step by step and show the loss");
    setting("--freeze", "freeze", "Parameters that stay as they are, batch norms with their statistics: glob patterns joined by commas; backbone: all but the last layer");
    setting("--init", "init", "Start of the weights: torch, gaussian:SIGMA, xavier, he, orthogonal, truncated:SIGMA, dlib (default: the model's)");
    setting("--weights", "weights", "Begin from this run or weights file; a head of another shape begins anew");
    setting("--normalise", "normalise", "data: by the training set's mean and deviation; card: as the model's card says")->check(CLI::IsMember({"data", "card"}));
    setting("--metric", "metric", "What the best checkpoint is best in")->check(CLI::IsMember({"top1", "topk", "loss"}));
    flag("--sync-batch-norm", "sync_batch_norm", "true", "Batch norm over the batches of all ranks, not of each (--ranks)");
    flag("--drop-last", "drop_last", "true", "Leave out the last batch of an epoch when it is smaller");
    command->add_option("--save-every-steps", a->save_every_steps, "Checkpoint within an epoch (0: off)")->check(CLI::NonNegativeNumber);
    command->add_option("--save-every-minutes", a->save_every_minutes, "Checkpoint within an epoch (0: off)")->check(CLI::NonNegativeNumber);
    command->add_option("--loader-threads", a->loader_threads, "Threads that prepare pictures")->check(CLI::Range(0, 256));
    setting("--backend", "backend", "cpu or reference")->check(CLI::IsMember({"cpu", "reference"}));
    setting("--precision", "precision", "f32, bf16, or f64 on the reference backend")->check(CLI::IsMember({"f32", "bf16", "f64"}));
    a->common.add_to(*command);
    a->seed_is_given = [command] { return command->count("--seed") > 0; };
}

}  // namespace

void add_train(CLI::App& app) {
    auto a = std::make_shared<TrainArguments>();
    CLI::App* command = app.add_subcommand("train", "Train a network; everything lands in a run directory");
    add_options(command, a);
    a->memory.add_to(*command);
    a->plan.add_to(*command);
    a->ranks.add_to(*command);
    command->callback([a] { on_ranks(a->ranks, "train", [&](Communicator& ranks) { train(*a, ranks); }); });
}

void add_finetune(CLI::App& app) {
    auto a = std::make_shared<TrainArguments>();
    CLI::App* command = app.add_subcommand("finetune", "Go on from trained weights on other pictures, with a new last layer; says which layers moved");
    add_options(command, a);
    a->memory.add_to(*command);
    a->plan.add_to(*command);
    a->ranks.add_to(*command);
    command->callback([a] {
        const bool has_weights = std::ranges::any_of(a->settings, [](const auto& entry) { return entry.first == "weights"; });
        if (!has_weights && !a->resume && a->recipe.empty()) throw ArgumentError("--weights is required: a run, or a weights file of the model");
        if (a->recipe.empty() && !(a->resume && fs::exists(fs::path(a->out) / "recipe.toml"))) a->recipe = "finetune";
        on_ranks(a->ranks, "finetune", [&](Communicator& ranks) { train(*a, ranks); });
    });
}

}  // namespace fovea::cli
