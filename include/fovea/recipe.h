// Recipes: how a network is trained, as a TOML file. Every key can be overridden; a run keeps its recipe as it was resolved.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "fovea/data.h"
#include "fovea/train.h"

namespace fovea {

/// What stands behind a key. Text that names a list is split at commas.
using RecipeValue = std::variant<bool, std::int64_t, double, std::string, std::vector<double>, std::vector<std::string>>;

/// Everything that decides a training run but the pictures themselves. Field comments give the keys where they differ.
struct Recipe {
    std::string name;                       ///< of the file, without its ending; no key
    std::string about;                      ///< one line: what it is, whose
    std::vector<std::string> for_models{};  ///< glob patterns of networks that are trained so when no recipe is named
    std::int64_t for_channels = 0;          ///< ... on pictures with this many channels; 0: any
    std::string model, data;
    std::string validation{};               ///< another data set; "none": no test after an epoch; empty: the test part of `data`
    std::string weights{};                  ///< run or weights file to begin from; what does not fit (another head) starts anew
    std::vector<std::string> weights_map{}; ///< "source=target": tensors whose names begin with source, as target; empty: by equal names
    std::string init{};                     ///< a scheme of init_of(); empty: as the model declares
    std::string normalise = "data";         ///< mean and deviation of the training set, or "card": the model's
    double dropout = -1, drop_path = -1, width_multiplier = 0;  ///< network.*: see ModelOptions
    std::string shortcut{};                 ///< network.shortcut
    std::int64_t epochs = 10, batch = 128;
    bool drop_last = false;
    std::int64_t seed = 0;
    Augment augment{};                      ///< augment.*; or augment = ["pad-crop", "mirror"]
    std::string optimizer = "sgd";          ///< optimizer.name; the other keys of the section are its options
    std::map<std::string, double> optimizer_options{};
    std::string schedule = "constant";      ///< schedule.name, likewise; schedule.milestones is a list
    std::map<std::string, double> schedule_options{};
    /// clip_norm, clip_value, decay_norms_and_biases, no_decay, freeze, accumulate; average.ema; lookahead.every, lookahead.alpha;
    /// groups.NAME.parameters, .lr, .weight_decay, .elementwise. "backbone" in freeze: all but the layer before the output.
    StepSpec step{};
    double label_smoothing = 0;
    std::string precision = "f32";          ///< or "f64", on the reference backend
    std::string backend = "cpu";
    std::string metric = "top1";            ///< what the best checkpoint is best in: top1, topk, loss
    std::int64_t swa_from = 0;              ///< average.swa_from
    std::int64_t patience = 0;
    double min_delta = 0, time_budget_minutes = 0;
};

/// Reads TOML. Throws FormatError with the line where the text is no TOML, ArgumentError for an unknown key (with the nearest), a value of
/// the wrong kind, or keys that contradict each other. `name` stands in messages.
[[nodiscard]] Recipe parse_recipe(std::string_view text, std::string_view name);
/// A file, or the name of a shipped recipe.
[[nodiscard]] Recipe load_recipe(const std::string& file_or_name);
/// key=value pairs over a recipe, values as TOML or as bare text; another optimiser or schedule begins with its own defaults, whatever the
/// order of the pairs. Checks the result.
void override_recipe(Recipe& recipe, const std::vector<std::pair<std::string, std::string>>& values);
/// "key=value" as on the command line.
[[nodiscard]] std::pair<std::string, std::string> parse_setting(std::string_view text);
/// Every key that a recipe may have but the optimiser's and the schedule's own options.
[[nodiscard]] std::vector<std::string> recipe_keys();
/// Every key with its value, as TOML that parse_recipe() reads back to the same recipe.
[[nodiscard]] std::string to_toml(const Recipe& recipe);
/// Throws ArgumentError in one sentence when keys contradict each other or a value lies outside its domain.
void check(const Recipe& recipe);

/// What fit() needs of a recipe; model, data sets, preprocessing, starting values and the run directory are the caller's.
[[nodiscard]] FitSpec fit_spec(const Recipe& recipe);

/// The recipes that come with the program: name and text, in alphabetical order.
[[nodiscard]] const std::vector<std::pair<std::string, std::string>>& shipped_recipes();
/// The shipped recipe for a network that is trained without naming one: the one whose pattern for it is longest.
[[nodiscard]] Recipe recipe_for(std::string_view model, std::int64_t channels);

}  // namespace fovea
