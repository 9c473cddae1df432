// fovea recipes [NAME]: the recipes that come with the program; one of them as its text, to be copied and changed.

#include <fmt/format.h>

#include "command.h"
#include "fovea/train.h"

namespace fovea::cli {

namespace {

struct RecipesArguments {
    Common common;
    std::string name;
};

void recipes(const RecipesArguments& a) {
    if (!a.name.empty()) {
        const Recipe recipe = load_recipe(a.name);
        for (const auto& [name, text] : shipped_recipes())
            if (name == a.name) return a.common.json ? print_document({{"command", "recipes"}, {"name", name}, {"text", text}}) : fmt::print("{}", text);
        return a.common.json ? print_document({{"command", "recipes"}, {"name", recipe.name}, {"text", to_toml(recipe)}}) : fmt::print("{}", to_toml(recipe));
    }
    std::vector<std::vector<std::string>> rows{{"name", "model", "epochs", "optimiser", "about"}};
    Json list = Json::array();
    for (const auto& [name, text] : shipped_recipes()) {
        const Recipe recipe = parse_recipe(text, name);
        rows.push_back({name, recipe.model.empty() ? "any" : recipe.model, std::to_string(recipe.epochs), recipe.optimizer, recipe.about});
        list.push_back({{"name", name}, {"model", recipe.model}, {"data", recipe.data}, {"epochs", recipe.epochs}, {"optimizer", recipe.optimizer}, {"about", recipe.about}});
    }
    if (a.common.json) return print_document({{"command", "recipes"}, {"recipes", list}});
    fmt::print("{}", table(rows, "<<><<"));
}

}  // namespace

void add_recipes(CLI::App& app) {
    auto a = std::make_shared<RecipesArguments>();
    CLI::App* command = app.add_subcommand("recipes", "The training recipes that come with fovea");
    command->add_option("name", a->name, "Print this recipe; a file is printed with every key");
    a->common.add_to(*command);
    command->callback([a] { recipes(*a); });
}

}  // namespace fovea::cli
