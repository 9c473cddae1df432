#include "train/recipe_augment.h"

#include <algorithm>

#include "core/text.h"
#include "data/augment/fields.h"
#include "train/recipe_values.h"

namespace fovea {

namespace {

constexpr std::string_view prefix = "augment.";

std::vector<std::string> names_in(const Augment& augment) {
    std::vector<std::string> names;
    for (const AugmentStep& step : augment) names.emplace_back(name_of(step));
    return names;
}

}  // namespace

bool names_augment_steps(std::string_view key) { return key == "augment" || key == "augment.steps"; }

bool set_augment(Augment& augment, const std::string& key, const RecipeValue& value) {
    if (names_augment_steps(key)) {
        std::vector<std::string> words;
        if (!(std::holds_alternative<std::vector<double>>(value) && std::get<std::vector<double>>(value).empty())) assign(key, words, value);
        augment = augment_named(words);
        return true;
    }
    if (!key.starts_with(prefix)) return false;
    const std::size_t dot = key.find('.', prefix.size());
    const std::string name = key.substr(prefix.size(), dot == std::string::npos ? dot : dot - prefix.size());
    if (dot == std::string::npos || std::ranges::find(step_names, name) == step_names.end()) return false;  // the recipe names the nearest key
    const auto step = std::ranges::find(augment, name, [](const AugmentStep& s) { return name_of(s); });
    require<ArgumentError>(step != augment.end(), "'{}': the steps are {}; add {} to augment.steps", key, augment.empty() ? std::string("none") : fmt::format("{}", fmt::join(names_in(augment), ", ")), name);
    bool is_known = false;
    std::vector<std::string> fields;
    std::visit(
        [&](auto& s) {
            visit_fields(s, [&](std::string_view field, auto& target) {
                fields.push_back(fmt::format("augment.{}.{}", name, field));
                if (key.substr(dot + 1) != field) return;
                assign(key, target, value);
                is_known = true;
            });
        },
        *step);
    require<ArgumentError>(is_known, "a recipe has no key '{}'; nearest: {}", key, fmt::join(nearest_names(key, fields), ", "));
    return true;
}

std::vector<std::string> augment_keys() {
    std::vector<std::string> keys{"augment", "augment.steps"};
    for (const AugmentStep& step : augment_named({step_names.begin(), step_names.end()}))
        std::visit([&](const auto& s) { visit_fields(s, [&](std::string_view field, const auto&) { keys.push_back(fmt::format("augment.{}.{}", name_of(step), field)); }); }, step);
    return keys;
}

void check_augment(const Augment& augment) {
    check(augment);
    for (std::size_t i = 0; i < augment.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            require<ArgumentError>(augment[i].index() != augment[j].index(), "augment.steps has {} twice: a recipe's keys name a step by its name, so each stands once", name_of(augment[i]));
}

std::string augment_toml(const Augment& augment) {
    std::string text = fmt::format("\n[augment]\nsteps = {}\n", toml_text(names_in(augment)));
    for (const AugmentStep& step : augment) {
        text += fmt::format("\n[augment.{}]\n", name_of(step));
        std::visit([&](const auto& s) { visit_fields(s, [&](std::string_view field, const auto& value) { text += fmt::format("{} = {}\n", field, toml_text(value_of(value))); }); }, step);
    }
    return text;
}

}  // namespace fovea
