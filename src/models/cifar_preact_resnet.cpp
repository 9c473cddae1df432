// Where batch norm and ReLU stand in a residual unit: the study of He, Zhang, Ren, Sun 2016, arXiv:1603.05027, fig. 4 and table 2, on
// networks for 32 x 32 pictures. 110 layers (or 20): units of two 3 x 3 convolutions, shortcuts without parameters (option A of the first paper);
// 164 layers: bottlenecks, and a 1 x 1 convolution where the shortcut changes its channels. Names as in PyTorch's pre-activation nets
// (layer1.0.bn1 ..., downsample.0, a last bn, fc).
#include "core/text.h"
#include "models/build.h"

namespace fovea {

namespace {

const Init weights{Init::Kind::kaiming_normal};

struct Unit {
    ResidualUnit kind;
    std::vector<Conv2dSpec> convolutions;
    bool is_first;      ///< of the network: its activation comes before the paths part
    double drop;        ///< stochastic depth
};

bool is_preactivated(ResidualUnit kind) { return kind == ResidualUnit::relu_only_preactivation || kind == ResidualUnit::full_preactivation; }

/// The weighted path; `activated` becomes what the first convolution reads.
Value body(const Value& x, const Unit& unit, Value& activated) {
    Value y = x;
    const int count = static_cast<int>(unit.convolutions.size());
    for (int i = 1; i <= count; ++i) {
        const std::string bn = fmt::format("bn{}", i);
        const bool is_last = i == count;
        if (unit.kind == ResidualUnit::full_preactivation) y = batch_norm(y, {}, bn);
        if (is_preactivated(unit.kind)) y = relu(y);
        if (i == 1) activated = y;
        y = conv2d(y, unit.convolutions[static_cast<std::size_t>(i - 1)], fmt::format("conv{}", i));
        if (unit.kind == ResidualUnit::full_preactivation) continue;
        if (is_last && unit.kind == ResidualUnit::bn_after_add) continue;
        y = batch_norm(y, {}, bn);
        if (!is_preactivated(unit.kind) && (!is_last || unit.kind == ResidualUnit::relu_before_add)) y = relu(y);
    }
    return drop_path(y, {.drop = unit.drop, .whole_batch = true});
}

/// A 1 x 1 convolution where bottlenecks change the channels, with batch norm in the variants that end their path with one.
Value projected(const Value& x, std::int64_t out, std::int64_t stride, ResidualUnit kind) {
    const bool has_norm = kind != ResidualUnit::full_preactivation && kind != ResidualUnit::bn_after_add;
    const Value y = conv2d(x, {.out = out, .kernel = 1, .stride = stride, .bias = false, .init = weights}, "downsample.0");
    return has_norm ? batch_norm(y, {}, "downsample.1") : y;
}

Value residual(const Value& x, const Unit& unit, bool is_bottleneck) {
    const std::int64_t out = unit.convolutions.back().out, count = static_cast<std::int64_t>(unit.convolutions.size());
    std::int64_t stride = 1;
    for (const Conv2dSpec& spec : unit.convolutions) stride *= spec.stride.h;
    Value activated = x;
    Value y = body(x, unit, activated);
    const bool changes = x.shape()[1] != out || stride > 1;
    // Sec. 4.1 and the appendix: in the first unit, and where the shortcut is a convolution, both paths read the activated value.
    Value shortcut = is_preactivated(unit.kind) && (unit.is_first || (changes && is_bottleneck)) ? activated : x;
    if (changes) shortcut = is_bottleneck ? projected(shortcut, out, stride, unit.kind) : padded_shortcut(shortcut, out, stride);
    y = y + shortcut;
    if (unit.kind == ResidualUnit::bn_after_add) y = batch_norm(y, {}, fmt::format("bn{}", count));
    if (unit.kind == ResidualUnit::bn_after_add || unit.kind == ResidualUnit::original) y = relu(y);
    return y;
}

Graph build(const ModelCard& card, const ModelOptions& options, ResidualUnit kind) {
    const bool is_bottleneck = card.depth == 164;
    const std::int64_t units = (card.depth - 2) / (is_bottleneck ? 9 : 6);
    Graph net;
    Value x = conv2d(image_input(net, options), {.out = widened(16, options), .kernel = 3, .pad = 1, .bias = false, .init = weights}, "conv1");
    if (kind != ResidualUnit::full_preactivation) x = batch_norm(x, {}, "bn1");
    if (!is_preactivated(kind)) x = relu(x);
    for (std::int64_t stage = 0; stage < 3; ++stage) {
        const auto layer = net.scope(fmt::format("layer{}", stage + 1));
        const std::int64_t planes = widened(16 << stage, options);
        for (std::int64_t i = 0; i < units; ++i) {
            const auto scope = net.scope(fmt::format("{}", i));
            const std::int64_t stride = stage > 0 && i == 0 ? 2 : 1;
            const Conv2dSpec spatial{.out = planes, .kernel = 3, .stride = stride, .pad = 1, .bias = false, .init = weights};
            std::vector<Conv2dSpec> convolutions{spatial, {.out = planes, .kernel = 3, .pad = 1, .bias = false, .init = weights}};
            if (is_bottleneck)
                convolutions = {{.out = planes, .kernel = 1, .bias = false, .init = weights}, spatial, {.out = 4 * planes, .kernel = 1, .bias = false, .init = weights}};
            x = residual(x, {kind, convolutions, stage == 0 && i == 0, depth_drop(options, stage * units + i + 1, 3 * units)}, is_bottleneck);
            net.module_output("", x);
        }
        net.module_output("", x);
    }
    if (kind == ResidualUnit::full_preactivation) x = batch_norm(x, {}, "bn");
    if (is_preactivated(kind)) x = relu(x);
    net.module_output("features", x);
    x = flatten(global_avg_pool(x));
    net.module_output("pooled", x);
    net.output("out", linear(x, {.out = options.classes, .init = weights, .bias_init = Init::zeros()}, "fc"));
    return net;
}

template <ResidualUnit kind> Graph build_unit(const ModelCard& card, const ModelOptions& options) { return build(card, options, kind); }

struct Row {
    ResidualUnit kind;
    Graph (*build)(const ModelCard&, const ModelOptions&);
    const char *suffix, *summary;
    double error110, error164;  ///< per cent, CIFAR-10, median of five runs: table 2
    std::int64_t parameters110, parameters164;
};

}  // namespace

std::string_view name_of(ResidualUnit unit) {
    switch (unit) {
        case ResidualUnit::original: return "original";
        case ResidualUnit::bn_after_add: return "BN after addition";
        case ResidualUnit::relu_before_add: return "ReLU before addition";
        case ResidualUnit::relu_only_preactivation: return "ReLU-only pre-activation";
        case ResidualUnit::full_preactivation: return "full pre-activation";
    }
    return "";
}

std::vector<ModelCard> cifar_preact_resnet_cards() {
    using enum ResidualUnit;
    static const Row rows[] = {{full_preactivation, build_unit<full_preactivation>, "", "BN, ReLU, convolution, and a clean sum", 6.37, 5.46, 1727962, 1703258},
                               {original, build_unit<original>, "_original", "convolution, BN, ReLU, and ReLU after the sum", 6.61, 5.93, 1727962, 1704154},
                               {bn_after_add, build_unit<bn_after_add>, "_bn_after_add", "the last BN stands after the sum", 8.17, 6.50, 1727962, 1703258},
                               {relu_before_add, build_unit<relu_before_add>, "_relu_before_add", "the last ReLU stands before the sum", 7.84, 6.14, 1727962, 1704154},
                               {relu_only_preactivation, build_unit<relu_only_preactivation>, "_relu_only", "ReLU before each convolution, BN after it", 6.71, 5.91, 1727962, 1704154}};
    std::vector<ModelCard> cards;
    for (const Row& row : rows)
        for (const int depth : {20, 110, 164}) {
            const bool is_bottleneck = depth == 164;
            cards.push_back({.name = fmt::format("cifar_preact_resnet{}{}", depth, row.suffix), .family = "cifar_preact_resnet", .year = 2016,
                             .paper = "He, Zhang, Ren, Sun 2016, Identity Mappings in Deep Residual Networks, arXiv:1603.05027",
                             .summary = fmt::format("{} unit: {}; {}", name_of(row.kind), row.summary, is_bottleneck ? "bottlenecks" : "two convolutions each"), .height = 32, .width = 32, .classes = 10,
                             .preprocess = cifar(), .parameters = depth == 20 ? 269722 : is_bottleneck ? row.parameters164 : row.parameters110, .macs = depth == 20 ? 40551040 : is_bottleneck ? 247646720 : 252887680,
                             .accuracy = depth == 20 ? "" : fmt::format("CIFAR-10 error {:.2f} % (paper, table 2)", is_bottleneck ? row.error164 : row.error110), .build = row.build, .depth = depth});
        }
    return cards;
}

}  // namespace fovea
