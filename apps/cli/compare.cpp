// fovea compare alexnet resnet34: totals and ratios side by side, as a table, CSV or an SVG chart.

#include <fstream>

#include <fmt/format.h>

#include "command.h"
#include "fovea/explain.h"

namespace fovea::cli {

namespace {

struct CompareArguments {
    Common common;
    std::vector<std::string> models;
    std::string convention = "torch", format = "table", chart;
    bool is_keras = false;
};

void compare(const CompareArguments& a) {
    const TableFormat format = a.common.json ? TableFormat::json : table_format_of(a.format);
    if (a.is_keras) {
        fmt::print("{}", to_text(keras_sheet(), format));
        return;
    }
    std::vector<std::string> models = a.models;
    if (models.empty()) throw ArgumentError("which networks? 'fovea compare A B ...' or 'fovea compare all'");
    if (models == std::vector<std::string>{"all"}) {
        models.clear();
        for (const ModelCard& card : model_cards())
            if (card.classes == 1000) models.push_back(card.name);
    }
    const Convention convention = convention_of(a.convention);
    const std::vector<ModelCount> counts = count_models(models, convention);
    if (!a.chart.empty()) {
        std::ofstream file(a.chart);
        file << bubble_chart(counts);
        if (!file.flush()) throw Error(fmt::format("cannot write '{}'", a.chart));
        note(fmt::format("chart in '{}'", a.chart));
    }
    fmt::print("{}", to_text(comparison_sheet(counts, convention), format));
}

}  // namespace

void add_compare(CLI::App& app) {
    auto a = std::make_shared<CompareArguments>();
    CLI::App* command = app.add_subcommand("compare", "Networks side by side: parameters, operations, size, accuracy, ratios");
    auto* models = command->add_option("models", a->models, "Names of 'fovea models'; 'all' for every network of ImageNet's 1000 classes");
    command->add_option("--convention", a->convention, "Who counts")->check(CLI::IsMember({"torch", "keras", "sifre", "cs231n", "paper"}));
    command->add_option("--format", a->format, "table, json, csv, md or html")->check(CLI::IsMember({"table", "json", "csv", "md", "html"}));
    command->add_option("--chart", a->chart, "Accuracy against operations as bubbles, to this SVG file");
    command->add_flag("--keras", a->is_keras, "The table of keras.applications, counted here")->excludes(models);
    a->common.add_to(*command);
    command->callback([a] { compare(*a); });
}

}  // namespace fovea::cli
