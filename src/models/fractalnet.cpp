// FractalNet. Larsson, Maire, Shakhnarovich 2016, arXiv:1605.07648. Names as in khanrc/pt.fractalnet (layers.0.columns.0.3.conv ...).
//
// Expansion rule: f_1(z) = conv(z), f_(C+1)(z) = join(f_C(f_C(z)), conv(z)). Laid out as a grid of C columns and 2^(C-1) rows, column c
// (0: the shortest) has a convolution in every 2^(C-1-c)-th row; where several columns end a convolution in the same row they meet.
#include "core/text.h"
#include "models/build.h"
#include "ops/choose_paths.h"

namespace fovea {

namespace {

constexpr int every_column = -1;

/// The mean of the paths, or of those that drop-path leaves alive.
Value join(Graph& net, const std::vector<Value>& paths, const std::vector<std::int64_t>& columns, std::int64_t all_columns, double drop, const std::string& name) {
    if (paths.size() == 1) return paths.front();
    Value sum;
    const Value weights = drop > 0 ? reshape(choose_paths(net, {.columns = columns, .all_columns = all_columns, .drop = drop}, name), {-1, 1, 1, 1}) : Value{};
    for (std::size_t i = 0; i < paths.size(); ++i) {
        const auto at = static_cast<std::int64_t>(i);
        const Value part = drop > 0 ? paths[i] * slice(weights, {.axis = 0, .start = at, .stop = at + 1}) : paths[i];
        sum = sum.is_empty() ? part : sum + part;
    }
    return sum / static_cast<double>(paths.size());
}

/// The tensors of one cell, so that they stand column by column as the reference lists them while the nodes follow row by row.
void declare(Graph& net, std::int64_t in, std::int64_t out) {
    net.parameter("conv.weight", {out, in, 3, 3}, Init{Init::Kind::kaiming_normal});
    net.parameter("bn.weight", {out}, Init::ones());
    net.parameter("bn.bias", {out}, Init::zeros());
    net.parameter("bn.running_mean", {out}, Init::zeros(), false);
    net.parameter("bn.running_var", {out}, Init::ones(), false);
    net.parameter("bn.num_batches_tracked", {}, Init::zeros(), false, DType::i64);
}

/// Convolution, batch norm, ReLU, dropout.
Value cell(Graph& net, const Value& x, std::int64_t column, std::int64_t row, std::int64_t channels, double drop) {
    const auto scope = net.scope(fmt::format("columns.{}.{}", column, row));
    return dropout(conv_bn_relu(x, {.out = channels, .kernel = 3, .pad = 1}, "conv", "bn"), {.drop = drop});
}

struct Block {
    std::int64_t columns, channels;
    int only = every_column;  ///< one column as a plain net
    double drop, drop_path;
};

Value fractal(Graph& net, const Value& x, const Block& block) {
    const std::int64_t rows = std::int64_t{1} << (block.columns - 1);
    const auto is_cell = [&](std::int64_t column, std::int64_t row) { return (row + 1) % (rows >> column) == 0 && (block.only == every_column || column == block.only); };
    for (std::int64_t column = 0; column < block.columns; ++column) {
        std::int64_t in = x.shape()[1];
        for (std::int64_t row = 0; row < rows; ++row) {
            if (!is_cell(column, row)) continue;
            const auto scope = net.scope(fmt::format("columns.{}.{}", column, row));
            declare(net, in, block.channels);
            in = block.channels;
        }
    }
    std::vector<Value> ends(static_cast<std::size_t>(block.columns), x);
    Value y = x;
    for (std::int64_t row = 0; row < rows; ++row) {
        std::vector<Value> paths;
        std::vector<std::int64_t> columns;
        for (std::int64_t column = 0; column < block.columns; ++column) {
            if (!is_cell(column, row)) continue;
            paths.push_back(cell(net, ends[static_cast<std::size_t>(column)], column, row, block.channels, block.drop));
            columns.push_back(column);
        }
        if (paths.empty()) continue;
        y = join(net, paths, columns, block.columns, block.drop_path, fmt::format("join{}", row));
        for (const std::int64_t column : columns) ends[static_cast<std::size_t>(column)] = y;
    }
    net.module_output("", y);
    return y;
}

struct Variant {
    std::int64_t columns, first;  ///< C, and the channels of the first block; they double up to eight times that
    int only = every_column;
    std::int64_t parameters = 0, macs = 0;
    const char* accuracy = "";
};

constexpr std::int64_t blocks = 5;

Graph build(const Variant& variant, const ModelOptions& options) {
    const std::int64_t most = widened(8 * variant.first, options);
    Graph net;
    Value x = image_input(net, options);
    {
        const auto layers = net.scope("layers");
        for (std::int64_t b = 0; b < blocks; ++b) {
            {
                const auto scope = net.scope(fmt::format("{}", 2 * b));
                x = fractal(net, x,
                            {.columns = variant.columns, .channels = std::min(most, widened(variant.first << b, options)), .only = variant.only,
                             .drop = dropout_of(options, 0.1 * static_cast<double>(b)), .drop_path = options.drop_path < 0 ? 0.15 : options.drop_path});
            }
            x = max_pool(x, {.kernel = 2}, fmt::format("{}", 2 * b + 1));
        }
    }
    for (const auto& [tap, layer] : {std::pair("C2", "layers.4"), {"C3", "layers.6"}, {"C4", "layers.8"}, {"features", "layers.8"}}) net.module_output(tap, net.find(layer));
    net.module_output("C5", x);
    x = flatten(x, 1, "layers.10");
    net.module_output("pooled", x);
    net.output("out", linear(x, {.out = options.classes, .bias_init = Init::zeros()}, "layers.11"));
    return net;
}

const std::vector<Variant>& variants() {
    static const std::vector<Variant> all{
        {3, 64, every_column, 33724618, 845222912, "CIFAR-10 error 5.22 %, with drop-path and dropout 4.60 % (paper, table 1, C10+; its 38.6 M parameters are more than its channels give)"},
        {3, 64, 0, 3917386, 67834880},
        {3, 64, 1, 9413066, 228267008},
        {3, 64, 2, 20404426, 549131264},
        {4, 32, every_column, 19040714, 510790144},
        {4, 32, 0, 981802, 17402368},
        {4, 32, 1, 2356458, 57510400},
        {4, 32, 2, 5105770, 137726464},
        {4, 32, 3, 10604394, 298158592}};
    return all;
}

std::string name_of(const Variant& v) { return fmt::format("fractalnet_c{}{}", v.columns, v.only == every_column ? "" : fmt::format("_column{}", v.only)); }

Graph build_card(const ModelCard& card, const ModelOptions& options) {
    for (const Variant& variant : variants())
        if (name_of(variant) == card.name) return build(variant, options);
    fail<ArgumentError>("no FractalNet '{}'", card.name);
}

ModelCard card_of(const Variant& v) {
    const std::int64_t depth = blocks << (v.only == every_column ? v.columns - 1 : v.only);
    std::string summary = v.only == every_column ? fmt::format("{} blocks of {} columns: {} convolutions deep, {} in all", blocks, v.columns, depth, blocks * ((std::int64_t{1} << v.columns) - 1))
                                                 : fmt::format("column {} of fractalnet_c{} as a plain net of {} convolutions, under the same names", v.only, v.columns, depth);
    std::vector<std::string> aliases;
    if (v.only == every_column) aliases = {fmt::format("fractalnet{}", depth)};
    return {.name = name_of(v), .aliases = aliases, .family = "fractalnet", .year = 2016,
            .paper = "Larsson, Maire, Shakhnarovich 2016, FractalNet: Ultra-Deep Neural Networks without Residuals, arXiv:1605.07648", .summary = std::move(summary), .height = 32, .width = 32,
            .classes = 10, .preprocess = cifar(), .parameters = v.parameters, .macs = v.macs, .accuracy = v.accuracy, .build = build_card, .depth = static_cast<int>(depth)};
}

}  // namespace

std::vector<ModelCard> fractalnet_cards() {
    std::vector<ModelCard> cards;
    for (const Variant& variant : variants()) cards.push_back(card_of(variant));
    return cards;
}

}  // namespace fovea
