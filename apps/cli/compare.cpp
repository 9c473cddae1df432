// fovea compare alexnet resnet34: totals and ratios side by side, as a table, CSV or an SVG chart.

#include <fmt/format.h>

#include "command.h"
#include "fovea/explain.h"
#include "fovea/io.h"

namespace fovea::cli {

namespace {

struct CompareArguments {
    Common common;
    std::vector<std::string> models;
    std::string convention = "torch", format = "table", chart;
    bool is_keras = false;
};

void compare(const CompareArguments& a) {
    const TableFormat format = chosen_format(a.common, a.format);
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
        write_file_atomically(a.chart, bubble_chart(counts));
        note(fmt::format("chart in '{}'", a.chart));
    }
    fmt::print("{}", to_text(comparison_sheet(counts, convention), format));
}

}  // namespace

void add_compare(CLI::App& app) {
    auto a = std::make_shared<CompareArguments>();
    CLI::App* command = app.add_subcommand("compare", "Networks side by side: parameters, operations, size, accuracy, ratios");
    auto* models = command->add_option("models", a->models, "Names of 'fovea models'; 'all' for every network of ImageNet's 1000 classes");
    add_convention(*command, a->convention);
    add_format(*command, a->format);
    command->add_option("--chart", a->chart, "Accuracy against operations as bubbles, to this SVG file");
    command->add_flag("--keras", a->is_keras, "The table of keras.applications, counted here")->excludes(models);
    a->common.add_to(*command);
    command->callback([a] { compare(*a); });
}

}  // namespace fovea::cli
