// A recipe as keys: set one by one, checked as a whole, written back.
#include "fovea/train.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/text.h"
#include "fovea/nn.h"
#include "fovea/ops.h"
#include "train/recipe_augment.h"
#include "train/recipe_keys.h"
#include "train/recipe_toml.h"
#include "train/recipe_values.h"

namespace fovea {

namespace {

/// An option of the optimiser or the schedule; those of lists ("milestones") are numbered.
void set_option(std::map<std::string, double>& options, std::string_view key, const std::string& name, const RecipeValue& value) {
    if (const auto* flag = std::get_if<bool>(&value)) {
        options[name] = *flag;
    } else if (const auto* numbers = std::get_if<std::vector<double>>(&value); numbers != nullptr && name == "milestones") {
        std::erase_if(options, [](const auto& option) { return option.first.starts_with("milestone"); });
        for (std::size_t i = 0; i < numbers->size(); ++i) options[fmt::format("milestone{}", i + 1)] = (*numbers)[i];
    } else {
        options[name] = number_of(key, value);
    }
}

/// groups.NAME.FIELD; a group is made when it is first named. They stand in alphabetical order, as in a file.
void set_in_group(std::vector<ParameterGroup>& groups, const std::string& key, const std::string& rest, const RecipeValue& value) {
    const std::size_t dot = rest.rfind('.');
    const std::string name = rest.substr(0, dot), field = dot == std::string::npos ? "" : rest.substr(dot + 1);
    auto group = std::ranges::lower_bound(groups, name, {}, &ParameterGroup::name);
    if (group == groups.end() || group->name != name) group = groups.insert(group, ParameterGroup{.name = name});
    if (field == "parameters") assign(key, group->parameters, value);
    else if (field == "lr") assign(key, group->lr, value);
    else if (field == "weight_decay") assign(key, group->weight_decay, value);
    else if (field == "elementwise") assign(key, group->elementwise, value);
    else fail<ArgumentError>("a group has no key '{}'; it has groups.NAME.parameters, lr, weight_decay and elementwise", key);
}

void set(Recipe& recipe, const std::string& key, const RecipeValue& value) {
    const auto section = [&](std::string_view name) { return key.starts_with(name) ? key.substr(name.size()) : std::string(); };
    if (set_augment(recipe.augment, key, value)) return;
    // Another optimiser begins from its own defaults.
    if (key == "optimizer.name" && value != RecipeValue(recipe.optimizer)) recipe.optimizer_options.clear();
    if (key == "schedule.name" && value != RecipeValue(recipe.schedule)) recipe.schedule_options.clear();
    bool is_known = false;
    visit_recipe(recipe, [&](std::string_view name, auto& field) {
        if (name != key) return;
        assign(key, field, value);
        is_known = true;
    });
    if (is_known) return;
    if (const std::string option = section("optimizer."); !option.empty()) return set_option(recipe.optimizer_options, key, option, value);
    if (const std::string option = section("schedule."); !option.empty()) return set_option(recipe.schedule_options, key, option, value);
    if (const std::string option = section("groups."); !option.empty()) return set_in_group(recipe.step.groups, key, option, value);
    fail<ArgumentError>("a recipe has no key '{}'; nearest: {}", key, fmt::join(nearest_names(key, recipe_keys()), ", "));
}

/// Names of optimiser and schedule first: they decide what the others mean.
template <class V> void set_all(Recipe& recipe, std::vector<std::pair<std::string, V>> values) {
    std::stable_partition(values.begin(), values.end(), [](const auto& entry) { return entry.first == "optimizer.name" || entry.first == "schedule.name" || names_augment_steps(entry.first); });
    for (const auto& [key, value] : values) {
        if constexpr (std::is_same_v<V, std::string>) set(recipe, key, read_toml_value(value));
        else set(recipe, key, value);
    }
}

}  // namespace

std::vector<std::string> recipe_keys() {
    std::vector<std::string> keys = augment_keys();
    Recipe recipe;
    visit_recipe(recipe, [&](std::string_view key, auto&) { keys.emplace_back(key); });
    for (const char* often : {"optimizer.lr", "optimizer.momentum", "optimizer.nesterov", "optimizer.weight_decay", "schedule.warm_up", "schedule.milestones", "groups.NAME.parameters", "groups.NAME.lr"}) keys.emplace_back(often);
    return keys;
}

Recipe parse_recipe(std::string_view text, std::string_view name) {
    Recipe recipe;
    recipe.name = name;
    const auto values = read_toml(text, name);
    try {
        set_all(recipe, values);
        check(recipe);
    } catch (const ArgumentError& error) {
        fail<ArgumentError>("recipe '{}': {}", name, error.what());
    }
    return recipe;
}

Recipe load_recipe(const std::string& file_or_name) {
    std::vector<std::string> names;
    for (const auto& [name, text] : shipped_recipes()) {
        if (name == file_or_name) return parse_recipe(text, name);
        names.push_back(name);
    }
    const std::filesystem::path path = file_or_name;
    if (!std::filesystem::is_regular_file(path))
        fail<ArgumentError>("no recipe '{}', neither a file nor one that comes with fovea; nearest: {}", file_or_name, fmt::join(nearest_names(file_or_name, names), ", "));
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    require<FormatError>(file.good(), "recipe '{}' cannot be read", file_or_name);
    Recipe recipe = parse_recipe(text.str(), file_or_name);
    recipe.name = path.stem().string();
    return recipe;
}

std::pair<std::string, std::string> parse_setting(std::string_view text) {
    const std::size_t equals = text.find('=');
    require<ArgumentError>(equals != std::string_view::npos && equals > 0, "a setting is key=value, got '{}'", text);
    const auto trimmed = [](std::string_view part) {
        const std::size_t first = part.find_first_not_of(" \t"), last = part.find_last_not_of(" \t");
        return first == std::string_view::npos ? std::string() : std::string(part.substr(first, last - first + 1));
    };
    return {trimmed(text.substr(0, equals)), trimmed(text.substr(equals + 1))};
}

void override_recipe(Recipe& recipe, const std::vector<std::pair<std::string, std::string>>& values) {
    set_all(recipe, values);
    check(recipe);
}

std::string to_toml(const Recipe& recipe) {
    std::string text, section;
    const auto line = [&](std::string_view key, const RecipeValue& value) {
        const std::size_t dot = key.find('.');
        const std::string in(dot == std::string_view::npos ? "" : key.substr(0, dot));
        if (in != section) text += fmt::format("\n[{}]\n", section = in);
        text += fmt::format("{} = {}\n", dot == std::string_view::npos ? key : key.substr(dot + 1), toml_text(value));
    };
    visit_recipe(recipe, [&](std::string_view key, const auto& field) {
        line(key, value_of(field));
        if (key == "optimizer.name")
            for (const auto& [name, value] : recipe.optimizer_options) line("optimizer." + name, value);
        if (key == "schedule.name")
            for (const auto& [name, value] : recipe.schedule_options) line("schedule." + name, value);
    });
    text += augment_toml(recipe.augment);
    for (const ParameterGroup& group : recipe.step.groups)
        text += fmt::format("\n[groups.{}]\nparameters = {}\nlr = {}\nweight_decay = {}\nelementwise = {}\n", toml_text(group.name), toml_text(group.parameters), group.lr, group.weight_decay,
                            group.elementwise);
    return text;
}

void check(const Recipe& r) {
    (void)make_optimizer(r.optimizer, r.optimizer_options);
    const Schedule schedule = make_schedule(r.schedule, r.schedule_options);
    require<ArgumentError>(r.epochs >= 1 && r.batch >= 1, "epochs and batch are at least 1, got {} and {}", r.epochs, r.batch);
    require<ArgumentError>(r.seed >= 0, "seed is at least 0, got {}", r.seed);
    require<ArgumentError>(r.label_smoothing >= 0 && r.label_smoothing < 1, "label_smoothing lies in 0..1, 1 left out, got {}", r.label_smoothing);
    require<ArgumentError>(model_loss_named(r.loss) != ModelLoss::label_distance, "loss = \"label_distance\" belongs to networks whose outputs are distances, which have it by themselves: leave it out");
    require<ArgumentError>(r.label_smoothing == 0 || r.loss == "cross_entropy", "label_smoothing = {} with loss = \"{}\": only cross_entropy smooths its labels", r.label_smoothing, r.loss);
    require<ArgumentError>(r.normalise == "data" || r.normalise == "card", "normalise is \"data\" or \"card\", got '{}'", r.normalise);
    (void)precision_named(r.precision);  // throws, naming those there are
    require<ArgumentError>(r.backend == "cpu" || r.backend == "reference", "backend is \"cpu\" or \"reference\", got '{}'", r.backend);
    require<ArgumentError>(r.metric == "top1" || r.metric == "topk" || r.metric == "loss", "metric is top1, topk or loss, got '{}'", r.metric);
    require<ArgumentError>(r.shortcut.empty() || r.shortcut == "a" || r.shortcut == "b" || r.shortcut == "c", "network.shortcut is a, b or c, got '{}'", r.shortcut);
    require<ArgumentError>(r.channels == 0 || r.channels == 1 || r.channels == 3, "network.channels is 1 or 3 (0: as the pictures have), got {}", r.channels);
    check_augment(r.augment);
    require<ArgumentError>(r.per_class >= 0, "per_class is at least 0 (0: all pictures), got {}", r.per_class);
    require<ArgumentError>(r.val_split >= 0 && r.val_split < 1, "val_split lies in 0..1, 1 left out, got {}", r.val_split);
    require<ArgumentError>(r.repeats >= 1 && (r.repeats == 1 || !r.balanced), "repeats is at least 1, and 1 with balanced, which draws pictures by itself; got {}", r.repeats);
    require<ArgumentError>(r.val_split == 0 || r.validation.empty(), "val_split = {} and validation = '{}' both say what is tested on: leave one out", r.val_split, r.validation);
    // Contradictions.
    require<ArgumentError>(r.precision != "f64" || r.backend == "reference", "precision = \"f64\" needs backend = \"reference\": the cpu backend computes in f32");
    require<ArgumentError>(r.weights.empty() || r.init.empty(), "weights = '{}' and init = '{}' both say where the parameters start: leave one out", r.weights, r.init);
    require<ArgumentError>(r.weights.empty() || r.whiten.empty(), "weights = '{}' and whiten = '{}' both say where a layer starts: leave one out", r.weights, r.whiten);
    require<ArgumentError>(r.weights_map.empty() || !r.weights.empty(), "weights_map needs weights: there is nothing to map");
    require<ArgumentError>(r.validation != "none" || r.metric != "topk", "metric = \"topk\" needs a validation set, but validation = \"none\"");
    require<ArgumentError>(schedule.warm_up == 0 || r.schedule != "one-cycle", "schedule.warm_up = {} with one-cycle: that schedule rises by itself (pct_start)", schedule.warm_up);
    require<ArgumentError>(schedule.warm_up <= static_cast<double>(r.epochs), "schedule.warm_up takes {} epochs, the run only {}", schedule.warm_up, r.epochs);
    require<ArgumentError>(r.swa_from == 0 || r.step.ema == 0, "average.swa_from and average.ema both average the weights: leave one out");
    require<ArgumentError>(r.swa_from >= 0 && r.swa_from <= r.epochs, "average.swa_from = {} lies beyond the last of {} epochs: nothing would be averaged", r.swa_from, r.epochs);
    require<ArgumentError>(r.step.ema >= 0 && r.step.ema < 1, "average.ema lies in 0..1, 1 left out, got {}", r.step.ema);
    require<ArgumentError>(r.step.accumulate >= 1, "accumulate is at least 1, got {}", r.step.accumulate);
    require<ArgumentError>(r.patience >= 0 && r.min_delta >= 0 && r.time_budget_minutes >= 0, "patience, min_delta and time_budget_minutes are at least 0 (0 is off), got {}, {} and {}", r.patience,
                           r.min_delta, r.time_budget_minutes);
    require<ArgumentError>(r.probe >= 0, "probe is a number of pictures, 0 for none, got {}", r.probe);
    require<ArgumentError>(r.min_delta == 0 || r.patience > 0, "min_delta = {} needs patience: without it nothing ends early", r.min_delta);
    for (const ParameterGroup& group : r.step.groups) require<ArgumentError>(!group.parameters.empty(), "groups.{} needs parameters: the names it is for", group.name);
    if (const auto* cosine = std::get_if<Cosine>(&schedule.kind))
        require<ArgumentError>(cosine->restart_factor == 0 || cosine->period > 0, "schedule.restart_factor = {} needs schedule.period: the epochs until the first restart", cosine->restart_factor);
}

FitSpec fit_spec(const Recipe& r) {
    FitSpec spec;
    spec.model = r.model;
    spec.augment = r.augment;
    spec.epochs = r.epochs;
    spec.batch = r.batch;
    spec.drop_last = r.drop_last;
    spec.optimizer = make_optimizer(r.optimizer, r.optimizer_options);
    spec.schedule = make_schedule(r.schedule, r.schedule_options);
    spec.step = r.step;
    spec.balanced = r.balanced;
    spec.draft = r.draft;
    spec.repeats = r.repeats;
    if (const ModelLoss loss = model_loss_named(r.loss); loss != ModelLoss::cross_entropy) {
        spec.loss = [loss](const Value& out, const Value& labels) { return model_loss(loss, out, labels); };
        spec.loss_name = r.loss;
    }
    if (r.label_smoothing > 0) {
        spec.loss = [smoothing = r.label_smoothing](const Value& logits, const Value& labels) {
            if (labels.shape().rank() != logits.shape().rank()) return cross_entropy(logits, labels, {.label_smoothing = smoothing});
            // Shares of mixed pictures, smoothed alike.
            return cross_entropy_soft(logits, scale_shift(labels, 1 - smoothing, smoothing / static_cast<double>(logits.shape()[1])));
        };
        spec.loss_name = fmt::format("cross_entropy label_smoothing={}", r.label_smoothing);
    }
    spec.seed = static_cast<std::uint64_t>(r.seed);
    spec.metric = r.metric;
    spec.compile.backend = r.backend;
    spec.compile.precision = precision_named(r.precision);
    spec.swa_from = r.swa_from;
    spec.patience = r.patience;
    spec.min_delta = r.min_delta;
    spec.time_budget_minutes = r.time_budget_minutes;
    spec.probe = r.probe;
    spec.sync_batch_norm = r.sync_batch_norm;
    spec.recipe = to_toml(r);
    return spec;
}

Recipe recipe_for(std::string_view model, std::int64_t channels) {
    const std::pair<std::string, std::string>* best = nullptr;
    std::size_t longest = 0;
    for (const auto& shipped : shipped_recipes()) {
        const Recipe recipe = parse_recipe(shipped.second, shipped.first);
        if (recipe.for_channels != 0 && recipe.for_channels != channels) continue;
        for (const std::string& pattern : recipe.for_models) {
            // Of equal patterns the one that says more, the channels too, wins.
            const std::size_t length = 2 * pattern.size() + (recipe.for_channels != 0 ? 1 : 0);
            if (matches_glob(pattern, model) && length > longest) longest = length, best = &shipped;
        }
    }
    require(best != nullptr, "no shipped recipe is for '{}': the pattern \"*\" is missing", model);
    return parse_recipe(best->second, best->first);
}

}  // namespace fovea
