// fovea models: every architecture, one line each.

#include <fmt/format.h>

#include "command.h"
#include "fovea/models.h"

namespace fovea::cli {

namespace {

struct ModelsArguments {
    Common common;
    std::string family;
};

Json document_of(const ModelCard& card) {
    return {{"name", card.name}, {"aliases", card.aliases}, {"family", card.family}, {"year", card.year}, {"summary", card.summary}, {"parameters", card.parameters}, {"macs", card.macs},
            {"input", {card.channels, card.height, card.width}}, {"classes", card.classes}, {"accuracy", card.accuracy}, {"paper", card.paper}};
}

void models(const ModelsArguments& a) {
    Json documents = Json::array();
    std::vector<std::vector<std::string>> rows{{"name", "family", "year", "parameters", "multiply-adds", "input", "paper"}};
    for (const ModelCard& card : model_cards()) {
        if (!a.family.empty() && card.family != a.family) continue;
        documents.push_back(document_of(card));
        std::string name = card.name;
        for (const std::string& alias : card.aliases) name += (alias == card.aliases.front() ? " (" : ", ") + alias;
        if (!card.aliases.empty()) name += ")";
        rows.push_back({name, card.family, std::to_string(card.year), commas(card.parameters), commas(card.macs), fmt::format("{}x{}x{}", card.channels, card.height, card.width), card.paper});
    }
    if (rows.size() == 1) {
        std::string families;
        for (const ModelCard& card : model_cards())
            if (families.find(card.family) == std::string::npos) families += (families.empty() ? "" : ", ") + card.family;
        throw ArgumentError(fmt::format("no family '{}'; there are {}", a.family, families));
    }
    if (a.common.json) print_document({{"command", "models"}, {"models", documents}});
    else fmt::print("{}", table(rows, "<<>>>><"));
}

}  // namespace

void add_models(CLI::App& app) {
    auto a = std::make_shared<ModelsArguments>();
    CLI::App* command = app.add_subcommand("models", "Every architecture: family, year, parameters, multiply-adds, input, paper");
    command->add_option("--family", a->family, "Only this family");
    a->common.add_to(*command);
    command->callback([a] { models(*a); });
}

}  // namespace fovea::cli
