// The list, and what the studies share.
#include "studies/studies.h"

#include <algorithm>
#include <cmath>

#include "core/text.h"

namespace fovea {

const std::vector<Study>& studies() {
    static const std::vector<Study> all{relu_vs_tanh_study(), degradation_study(), preactivation_study(), stochastic_depth_study(), transfer_study(), dropout_study(), batch_norm_study()};
    return all;
}

const Study& find_study(std::string_view name) {
    std::vector<std::string> names;
    for (const Study& study : studies()) {
        if (study.name == name) return study;
        names.push_back(study.name);
    }
    fail<ArgumentError>("no study '{}'; nearest: {}. 'fovea study' lists all", name, fmt::join(nearest_names(name, names), ", "));
}

Sheet studies_sheet() {
    Sheet sheet;
    sheet.columns = {{"study", "study"}, {"shows", "shows"}, {"paper", "paper"}, {"runs", "runs", true}, {"time", "time", true}, {"--short", "short_time", true}};
    for (const Study& study : studies()) sheet.rows.push_back({study.name, study.about, study.paper, static_cast<std::int64_t>(study.arms({}).size()), study.time, study.short_time});
    sheet.notes.emplace_back("times: all runs in f32 on two cores with AVX-512, roughly; a study measures some steps and says what it will take here before it begins");
    return sheet;
}

Recipe recipe_of(const StudyArm& arm, const StudyOptions& options, const std::filesystem::path& out) {
    Recipe recipe = load_recipe(arm.recipe);
    Settings settings{{"data", options.data.empty() ? fmt::format("cifar10:{}/cifar10", options.data_root) : options.data}, {"seed", std::to_string(options.seed)}, {"precision", options.precision}};
    if (!arm.begins_with.empty()) settings.emplace_back("weights", (out / arm.begins_with).string());
    override_recipe(recipe, joined(std::move(settings), arm.settings));
    recipe.name = fmt::format("{} ({})", arm.recipe, arm.name);
    return recipe;
}

std::int64_t epochs_of(const StudyOptions& options, std::int64_t full, std::int64_t few) { return options.epochs > 0 ? options.epochs : options.is_short ? few : full; }

Settings two_drops(std::int64_t epochs) {
    const auto all = static_cast<double>(epochs);
    return {{"epochs", std::to_string(epochs)}, {"schedule.name", "multistep"}, {"schedule.milestones", fmt::format("[{:g}, {:g}]", all / 2, all * 3 / 4)}};
}

std::string percent(double share) { return fmt::format("{:.2f} %", share * 100); }

std::string points(double a, double b) {
    const double difference = 100 * (a - b);
    return std::abs(difference) < 0.005 ? "as much" : fmt::format("{:.2f} points {}", std::abs(difference), difference > 0 ? "more" : "less");
}

const ArmResult& arm_of(const std::vector<ArmResult>& arms, std::string_view name) {
    const auto found = std::ranges::find_if(arms, [&](const ArmResult& result) { return result.arm.name == name; });
    require(found != arms.end(), "the study has no run '{}'", name);
    return *found;
}

}  // namespace fovea
