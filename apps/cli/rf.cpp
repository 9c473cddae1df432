// fovea rf vgg16: receptive field and stride of every map.   fovea rf 3 3 3: of a stack of convolutions.

#include <algorithm>

#include <fmt/format.h>

#include "command.h"
#include "fovea/explain.h"

namespace fovea::cli {

namespace {

struct FieldArguments {
    Common common;
    std::vector<std::string> what;
    std::string format = "table";
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

void field(const FieldArguments& a) {
    const bool is_stack = std::ranges::all_of(a.what, is_number);
    if (!is_stack && a.what.size() != 1) throw ArgumentError("one network at a time, or kernel sizes: 'fovea rf vgg16', 'fovea rf 3 3 3'");
    fmt::print("{}", to_text(is_stack ? stack_sheet(a.what) : model_sheet(a.what.front()), chosen_format(a.common, a.format)));
}

}  // namespace

void add_rf(CLI::App& app) {
    auto a = std::make_shared<FieldArguments>();
    CLI::App* command = app.add_subcommand("rf", "Receptive field and stride of every map, or of a stack of kernels");
    command->add_option("what", a->what, "A name of 'fovea models', or kernel sizes: 3 3 3")->required();
    add_format(*command, a->format);
    a->common.add_to(*command);
    command->callback([a] { field(*a); });
}

}  // namespace fovea::cli
