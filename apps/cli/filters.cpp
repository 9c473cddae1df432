// fovea filters RUN|WEIGHTS|MODEL --layer conv1 --out grid.png: what a convolution has learned, as a picture.

#include <filesystem>

#include <fmt/format.h>

#include "command.h"
#include "fovea/explain.h"
#include "fovea/io.h"
#include "fovea/nn.h"
#include "network.h"

namespace fovea::cli {

namespace {

struct FilterArguments {
    Common common;
    std::string source, model, layer, out = "filters.png";
    FilterGridSpec grid;
};

/// Weights of a run or file; of a model's name the values that training would start from.
Parameters weights_of(const FilterArguments& a) {
    if (std::filesystem::exists(a.source)) {
        if (!a.model.empty()) return load_network(a.source, a.model).parameters;
        return load_weights(weights_file(a.source, "last").string());
    }
    if (!has_model(a.source)) (void)weights_file(a.source, "last");  // says that there is no such file
    note(fmt::format("'{}' is untrained: these are the values training starts from", a.source));
    return make_parameters(build_model(a.source), a.common.seed);
}

/// The parameter of `layer`, or the first of rank 4.
std::string filter_name(const Parameters& parameters, const std::string& layer) {
    if (parameters.has(layer)) return layer;
    if (parameters.has(layer + ".weight")) return layer + ".weight";
    std::string layers;
    for (const std::string& name : parameters.names()) {
        if (parameters.at(name).shape().rank() != 4) continue;
        if (layer.empty()) return name;
        if (layers.size() < 200) layers += (layers.empty() ? "" : ", ") + (name.ends_with(".weight") ? name.substr(0, name.size() - 7) : name);
    }
    throw ArgumentError(fmt::format("no convolution '{}'; there are {}", layer, layers.empty() ? "none" : layers));
}

void filters(const FilterArguments& a) {
    const Parameters parameters = weights_of(a);
    const std::string name = filter_name(parameters, a.layer);
    const Tensor& weights = parameters.at(name);
    FilterGridSpec spec = a.grid;
    if (spec.towers == 0) spec.towers = towers_of(parameters, name);
    const Image grid = filter_grid(weights, spec);
    write_png(a.out, grid);
    if (a.common.json) print_document({{"command", "filters"}, {"parameter", name}, {"shape", weights.shape().dims()}, {"towers", spec.towers}, {"out", a.out}, {"width", grid.width}, {"height", grid.height}});
    else fmt::print("{} {}{}: {} x {} pixels in {}\n", name, weights.shape().str(), spec.towers > 1 ? fmt::format(", {} towers", spec.towers) : "", grid.width, grid.height, a.out);
}

}  // namespace

void add_filters(CLI::App& app) {
    auto a = std::make_shared<FilterArguments>();
    a->grid.towers = 0;
    CLI::App* command = app.add_subcommand("filters", "The filters of a convolution as a picture");
    command->add_option("source", a->source, "A run, a weights file, or a name of 'fovea models'")->required();
    command->add_option("--model", a->model, "What the weights are of, where the file does not say");
    command->add_option("--layer", a->layer, "Which convolution (default: the first)");
    command->add_option("--out", a->out, "PNG file");
    command->add_option("--columns", a->grid.columns, "Tiles in a row")->check(CLI::Range(0, 100'000));
    command->add_option("--scale", a->grid.scale, "Pixels per weight")->check(CLI::Range(0, 100));
    command->add_option("--towers", a->grid.towers, "Parts of the filters one above the other (0: the halves of a first layer whose readers see one each, as in alexnet_2012)")->check(CLI::Range(0, 10'000));
    a->common.add_to(*command);
    command->callback([a] { filters(*a); });
}

}  // namespace fovea::cli
