// fovea scale b0 --phi 0..7: EfficientNet's compound scaling, the rule beside the published networks.

#include <cmath>

#include <fmt/format.h>

#include "command.h"
#include "fovea/explain.h"

namespace fovea::cli {

namespace {

struct ScaleArguments {
    Common common;
    std::string base, phi = "0..7", format = "table";
};

/// "3" or "0..7"
std::pair<std::int64_t, std::int64_t> range_of(const std::string& text) {
    const std::size_t dots = text.find("..");
    const std::string first = text.substr(0, dots), last = dots == std::string::npos ? first : text.substr(dots + 2);
    for (const std::string& part : {first, last})
        if (part.size() != 1 || part[0] < '0' || part[0] > '7') throw ArgumentError(fmt::format("--phi takes a number of 0..7 or a range of them, got '{}'", text));
    return {first[0] - '0', last[0] - '0'};
}

void scale(const ScaleArguments& a) {
    const std::string base = a.base.starts_with("efficientnet_") ? a.base.substr(13) : a.base;
    if (base != "b0") throw ArgumentError(fmt::format("only b0 is scaled by a rule, got '{}'", a.base));
    const auto [first, last] = range_of(a.phi);
    Sheet sheet{.title = "alpha = 1.2 (depth), beta = 1.1 (width), gamma = 1.15 (resolution): a step of phi about doubles the operations"};
    sheet.columns = {{"network", "model"},          {"phi", "phi", true},        {"depth by the rule", "rule_depth", true}, {"width", "rule_width", true}, {"resolution", "rule_resolution", true},
                     {"size", "size", true}, {"head", "head", true}, {"blocks", "blocks", true}, {"parameters", "parameters", true}, {"keras", "keras", true},                 {"multiply-adds", "macs", true}};
    // The published networks stand near the rule at these exponents.
    constexpr std::array exponents{0.0, 0.5, 1.0, 2.0, 3.5, 5.0, 6.0, 7.0};
    for (std::int64_t i = first; i <= last; ++i) {
        const std::string name = fmt::format("efficientnet_b{}", i);
        const double phi = exponents[static_cast<std::size_t>(i)];
        const CompoundScale rule = compound_scale(phi);
        const LayerTable table = layer_table(name);
        std::int64_t blocks = 0, head = 0;  // one gate a block; the last convolution is B0's 1280 times the width
        for (const Layer& layer : table.layers) {
            blocks += layer.path.ends_with(".fc1");
            if (layer.op == "conv2d") head = layer.output[1];
        }
        sheet.rows.push_back({name, fmt::format("{:g}", phi), fmt::format("{:.2f}", rule.depth), fmt::format("{:.2f}", rule.width), fmt::format("{:.0f}", rule.resolution), table.input[2], head, blocks,
                              table.parameters, layer_table(name, Convention::keras).parameters, table.operations});
    }
    sheet.notes = {"rule: 1.2, 1.1 and 1.15 to the power of phi; size, head (1280 x width) and blocks (16 at b0) are those of the published networks"};
    fmt::print("{}", to_text(sheet, chosen_format(a.common, a.format)));
}

}  // namespace

void add_scale(CLI::App& app) {
    auto a = std::make_shared<ScaleArguments>();
    CLI::App* command = app.add_subcommand("scale", "EfficientNet's compound scaling: width, depth, resolution and exact counts");
    command->add_option("base", a->base, "b0")->required();
    command->add_option("--phi", a->phi, "0..7, or one of them");
    add_format(*command, a->format);
    a->common.add_to(*command);
    command->callback([a] { scale(*a); });
}

}  // namespace fovea::cli
