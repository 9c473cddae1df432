// fovea rf vgg16: receptive field and stride of every map.   fovea rf 3 3 3: of a stack of convolutions.

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "command.h"
#include "fovea/explain.h"
#include "fovea/nn.h"
#include "network.h"

namespace fovea::cli {

namespace {

struct FieldArguments {
    Common common;
    std::vector<std::string> what;
    std::string format = "table", effective, layer;
    EffectiveFieldSpec spec;
};

bool is_number(const std::string& text) { return !text.empty() && text.size() < 6 && text.find_first_not_of("0123456789") == std::string::npos; }

Sheet stack_sheet(const std::vector<std::string>& kernels) {
    std::vector<std::int64_t> sizes;
    for (const std::string& kernel : kernels) sizes.push_back(std::stoll(kernel));
    const StackedKernels stack = stack_kernels(sizes);
    return {.columns = {{"kernels", "kernels"}, {"field", "field", true}, {"weights", "weights", true}, {"one kernel as large", "weights_of_one", true}},
            .rows = {{fmt::format("{}", fmt::join(kernels, " ")), stack.field, fmt::format("{} C^2", stack.weights), fmt::format("{} C^2", stack.weights_of_one)}}};
}

Sheet model_sheet(const std::string& model) {
    const LayerTable table = layer_table(model);
    Sheet sheet{.title = fmt::format("{}: the part of the image one position sees, in pixels", table.model)};
    sheet.columns = {{"layer", "layer"}, {"kind", "kind"}, {"field", "receptive_field", true}, {"stride", "stride", true}};
    for (const Layer& layer : table.layers) {
        if (layer.output.rank() != 4 || layer.title == layer.op) continue;  // what slides a window has a title of its own
        const auto text = [](const std::array<double, 2>& p) { return p[0] == p[1] ? fmt::format("{:g}", p[0]) : fmt::format("{:g}x{:g}", p[0], p[1]); };
        sheet.rows.push_back({layer.path, layer.title, text(layer.field.size), text(layer.field.stride)});
    }
    return sheet;
}

/// What a position sees in fact, as a picture and in numbers.
void effective(const FieldArguments& a) {
    a.common.apply();
    if (a.what.size() != 1) throw ArgumentError("--effective looks at one network: a name of 'fovea models', a run or an ONNX file");
    Network network = std::filesystem::exists(a.what.front()) ? load_network(a.what.front(), "") : named_network(a.what.front());
    if (network.parameters.size() == 0) {
        note(fmt::format("'{}' is untrained: these are the values training starts from", network.model));
        network.parameters = make_parameters(network.graph, a.common.seed);
    }
    EffectiveFieldSpec spec = a.spec;
    spec.seed = a.common.seed;
    const EffectiveField field = effective_field(network.graph, network.parameters, a.layer, spec);
    write_png(a.effective, picture_of(field));
    const auto [height, width] = field.theoretical.size;
    const Sheet sheet{.title = fmt::format("{}: what the middle of one map sees, in pixels", network.model),
                      .columns = {{"layer", "layer"}, {"could see", "theoretical", true}, {"sees", "effective", true}, {"part of the area", "part", true}, {"images", "images", true}, {"picture", "picture"}},
                      .rows = {{field.layer, height == width ? fmt::format("{:g}", height) : fmt::format("{:g}x{:g}", height, width), fmt::format("{:.1f}", field.side),
                                fmt::format("{:.1f} %", 100 * field.side * field.side / (height * width)), std::int64_t{spec.images}, a.effective}}};
    fmt::print("{}", to_text(sheet, chosen_format(a.common, a.format)));
}

void field(const FieldArguments& a) {
    if (!a.effective.empty()) return effective(a);
    const bool is_stack = std::ranges::all_of(a.what, is_number);
    if (!is_stack && a.what.size() != 1) throw ArgumentError("one network at a time, or kernel sizes: 'fovea rf vgg16', 'fovea rf 3 3 3'");
    fmt::print("{}", to_text(is_stack ? stack_sheet(a.what) : model_sheet(a.what.front()), chosen_format(a.common, a.format)));
}

}  // namespace

void add_rf(CLI::App& app) {
    auto a = std::make_shared<FieldArguments>();
    CLI::App* command = app.add_subcommand("rf", "Receptive field and stride of every map, or of a stack of kernels");
    command->add_option("what", a->what, "A name of 'fovea models', or kernel sizes: 3 3 3; with --effective also a run or an ONNX file")->required();
    auto* picture = command->add_option("--effective", a->effective, "What is seen in fact, by the gradient over images of noise: a picture, to this PNG");
    command->add_option("--layer", a->layer, "Of --effective: the map whose middle looks (default: the last map)")->needs(picture);
    command->add_option("--images", a->spec.images, "Of --effective: how many images of noise")->check(CLI::Range(1, 10'000))->needs(picture);
    add_format(*command, a->format);
    a->common.add_to(*command);
    command->callback([a] { field(*a); });
}

}  // namespace fovea::cli
