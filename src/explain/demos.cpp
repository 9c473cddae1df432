// The modules that lectures count by hand, built as graphs and counted like any network.
#include <algorithm>

#include "core/text.h"
#include "fovea/explain.h"
#include "fovea/ops.h"

namespace fovea {

namespace {

/// Widths of an inception module: 1 x 1; 1 x 1 before 3 x 3; 1 x 1 before 5 x 5; behind the pool. 0: not there.
struct Module {
    std::int64_t one, reduce3, three, reduce5, five, pool;
};

/// Padded convolutions and the pool, side by side. Szegedy et al. 2014, fig. 2.
Graph inception_module(const Shape& in, const Module& m) {
    Graph net;
    const Value x = net.input("image", in);
    const auto conv = [](const Value& v, std::int64_t out, std::int64_t kernel, std::string_view name) {
        return out == 0 ? v : conv2d(v, {.out = out, .kernel = kernel, .pad = kernel / 2}, name);
    };
    const Value pooled = max_pool(x, {.kernel = 3, .stride = 1, .pad = 1}, "pool");
    net.output("out", concat({conv(x, m.one, 1, "1x1"), conv(conv(x, m.reduce3, 1, "3x3.reduce"), m.three, 3, "3x3"), conv(conv(x, m.reduce5, 1, "5x5.reduce"), m.five, 5, "5x5"),
                              conv(pooled, m.pool, 1, "pool.project")}));
    return net;
}

Sheet module_sheet(std::string title, const Shape& in, const Module& naive, const Module& reduced, Convention convention) {
    const LayerTable wide = layer_table(inception_module(in, naive), in, {.convention = convention}), narrow = layer_table(inception_module(in, reduced), in, {.convention = convention});
    Sheet sheet{.title = std::move(title)};
    sheet.columns = {{"layer", "layer"}, {"kind", "kind"}, {"naive", "naive", true}, {"reduced", "reduced", true}};
    for (const Layer& layer : narrow.layers) {
        if (layer.op != "conv2d" && layer.operations == 0) continue;
        const auto other = std::ranges::find(wide.layers, layer.path, &Layer::path);
        sheet.rows.push_back({layer.path, layer.title, other == wide.layers.end() ? Sheet::Cell("") : Sheet::Cell(other->operations), layer.operations});
    }
    sheet.totals.push_back({"total", "", wide.operations, narrow.operations});
    sheet.notes.push_back(fmt::format("the reduced module saves {:.1f} %", 100 - 100 * static_cast<double>(narrow.operations) / static_cast<double>(wide.operations)));
    return sheet;
}

/// One 5 x 5 convolution of 32 maps on 28 x 28 x 192, and the same behind a 1 x 1 convolution of 16.
Sheet bottleneck_sheet() {
    const Shape in{1, 192, 28, 28};
    const auto build = [&](bool is_reduced) {
        Graph net;
        Value x = net.input("image", in);
        if (is_reduced) x = conv2d(x, {.out = 16, .kernel = 1}, "1x1");
        net.output("out", conv2d(x, {.out = 32, .kernel = 5, .pad = 2}, "5x5"));
        return layer_table(net, in);
    };
    const LayerTable wide = build(false), narrow = build(true);
    Sheet sheet{.title = "32 maps of 5 x 5 on 28 x 28 x 192, multiply-adds"};
    sheet.columns = {{"layer", "layer"}, {"direct", "direct", true}, {"behind 1 x 1", "reduced", true}};
    sheet.rows = {{"1x1", "", narrow.at("1x1").operations}, {"5x5", wide.at("5x5").operations, narrow.at("5x5").operations}};
    sheet.totals = {{"total", wide.operations, narrow.operations}};
    return sheet;
}

/// Values of the image and behind each layer of AlexNet with weights: the row of fig. 2, its first number corrected.
Sheet neuron_sheet() {
    const LayerTable table = layer_table("alexnet_2012", Convention::cs231n);
    Sheet sheet{.title = "AlexNet's neurons per layer"};
    sheet.columns = {{"layer", "layer"}, {"kind", "kind"}, {"neurons", "neurons", true}, {"the paper's figure", "printed", true}};
    const std::vector<std::int64_t> printed{150'528, 253'440, 186'624, 64'896, 64'896, 43'264, 4096, 4096, 1000};
    for (const Layer& layer : table.layers)
        if (layer.op == "input" || layer.parameters > 0) sheet.rows.push_back({layer.path, layer.title, layer.volume, printed[std::min(sheet.rows.size(), printed.size() - 1)]});
    sheet.notes = {"55 x 55 positions need a picture of 227 x 227 (or two pixels of padding), not 224 x 224: 55 x 55 x 96 = 290,400 neurons where the figure has 253,440"};
    return sheet;
}

}  // namespace

const std::vector<std::string>& demo_names() {
    static const std::vector<std::string> names{"inception-demo", "inception-5b", "bottleneck", "neurons"};
    return names;
}

Sheet demo_sheet(std::string_view name) {
    if (name == "inception-demo")
        return module_sheet("an inception module on 28 x 28 x 256, multiply-adds", {1, 256, 28, 28}, {128, 0, 192, 0, 96, 0}, {128, 64, 192, 64, 96, 64}, Convention::torch);
    if (name == "inception-5b")
        return module_sheet("GoogLeNet's inception 5b on 7 x 7 x 832, sifre convention", {1, 832, 7, 7}, {384, 0, 384, 0, 128, 0}, {384, 192, 384, 48, 128, 128}, Convention::sifre);
    if (name == "bottleneck") return bottleneck_sheet();
    if (name == "neurons") return neuron_sheet();
    fail<ArgumentError>("no table '{}'; there are {}", name, fmt::join(demo_names(), ", "));
}

}  // namespace fovea
