// EfficientNet. Tan, Le 2019, arXiv:1905.11946: one searched network, B0, and larger ones made by scaling depth, width and resolution
// together. Blocks and names of torchvision, with symmetric padding.
#include <cmath>

#include "core/text.h"
#include "models/build.h"
#include "models/inverted_residual.h"

namespace fovea {

CompoundScale compound_scale(double phi) { return {std::pow(1.2, phi), std::pow(1.1, phi), 224 * std::pow(1.15, phi)}; }

std::int64_t scaled_width(std::int64_t channels, double width) { return in_eights(static_cast<double>(channels) * width); }
std::int64_t scaled_depth(std::int64_t layers, double depth) { return static_cast<std::int64_t>(std::ceil(static_cast<double>(layers) * depth)); }

namespace {

/// The published networks. Their coefficients are the authors', near those of the rule at phi = 0, 0.5, 1, 2, 3.5, 4, 5, 6; the sizes and
/// resizes are those that torchvision's weights are measured with.
struct Variant {
    double width, depth;
    std::int64_t size, resize;
    double dropout;
    std::int64_t parameters, macs;
    const char* accuracy;
};
constexpr Variant variants[] = {
    {1.0, 1.0, 224, 256, 0.2, 5288548, 385814752, "77.692 %, top-5 93.532 %"},     {1.0, 1.1, 240, 256, 0.2, 7794184, 686802832, "78.642 %, top-5 94.186 %"},
    {1.1, 1.2, 288, 288, 0.3, 9109994, 1087529456, "80.608 %, top-5 95.310 %"},    {1.2, 1.4, 300, 320, 0.3, 12233232, 1827141392, "82.008 %, top-5 96.054 %"},
    {1.4, 1.8, 380, 384, 0.4, 19341616, 4393771024, "83.384 %, top-5 96.594 %"},   {1.6, 2.2, 456, 456, 0.4, 30389784, 10266384752, "83.444 %, top-5 96.628 %"},
    {1.8, 2.6, 528, 528, 0.5, 43040704, 19067593536, "84.008 %, top-5 96.916 %"},  {2.0, 3.1, 600, 600, 0.5, 66347960, 37745884192, "84.122 %, top-5 96.908 %"},
};

/// Table 1 of the paper: expansion, kernel, stride, channels, layers.
struct Stage {
    std::int64_t expansion, kernel, stride, out, layers;
};
constexpr Stage stages[] = {{1, 3, 1, 16, 1}, {6, 3, 2, 24, 2}, {6, 5, 2, 40, 2}, {6, 3, 2, 80, 3}, {6, 5, 1, 112, 3}, {6, 5, 2, 192, 4}, {6, 3, 1, 320, 1}};

Value swished(const Value& x) { return silu(x); }

Graph build(const ModelCard& card, const ModelOptions& options) {
    const Variant& variant = variants[card.depth];
    const double width = variant.width * options.width_multiplier;
    // As the authors' large networks (and torchvision's from B5 on) were trained.
    const double eps = card.depth >= 5 ? 1e-3 : 1e-5, momentum = card.depth >= 5 ? 0.01 : 0.1;
    const double drop_path = options.drop_path < 0 ? 0.2 : options.drop_path;
    std::int64_t blocks = 0;
    for (const Stage& stage : stages) blocks += scaled_depth(stage.layers, variant.depth);

    Graph net;
    Value x = conv_norm(image_input(net, options), "features.0", {scaled_width(32, width), 3, 2, 1, eps, momentum, swished});
    net.module_output("features.0", x);
    std::int64_t block = 0;
    int index = 1;
    StrideTaps taps(net);
    for (const Stage& stage : stages) {
        taps.before(x, stage.stride);
        const auto scope = net.scope(fmt::format("features.{}", index++));
        for (std::int64_t i = 0; i < scaled_depth(stage.layers, variant.depth); ++i, ++block) {
            const auto inner = net.scope(std::to_string(i));
            const std::int64_t in = x.shape()[1];
            // Stochastic depth grows with depth; the squeeze is a quarter of what enters, before the expansion.
            x = inverted_residual(x, {.expanded = in_eights(static_cast<double>(in * stage.expansion)), .kernel = stage.kernel, .stride = i == 0 ? stage.stride : 1,
                                      .out = scaled_width(stage.out, width), .activation = swished, .squeeze = std::max<std::int64_t>(1, in / 4),
                                      .squeeze_activation = SqueezeExciteSpec::Activation::silu, .gate = SqueezeExciteSpec::Gate::sigmoid, .eps = eps, .momentum = momentum,
                                      .drop_path = drop_path * static_cast<double>(block) / static_cast<double>(blocks)});
        }
        net.module_output("", x);
    }
    const std::string last = fmt::format("features.{}", index);
    x = conv_norm(x, last, {4 * x.shape()[1], 1, 1, 1, eps, momentum, swished});
    net.module_output(last, x);
    taps.last(x);
    x = flatten(global_avg_pool(x, "avgpool"));
    net.module_output("pooled", x);
    x = dropout(x, {.drop = dropout_of(options, variant.dropout)}, "classifier.0");
    const double range = 1 / std::sqrt(static_cast<double>(options.classes));
    classes_out(linear(x, {.out = options.classes, .init = Init::uniform(-range, range), .bias_init = Init::zeros()}, "classifier.1"));
    return net;
}

}  // namespace

std::vector<ModelCard> efficientnet_cards() {
    std::vector<ModelCard> cards;
    for (int i = 0; i < static_cast<int>(std::size(variants)); ++i) {
        const Variant& v = variants[i];
        cards.push_back({.name = fmt::format("efficientnet_b{}", i), .family = "efficientnet", .year = 2019,
                         .paper = "Tan, Le 2019, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, arXiv:1905.11946",
                         .summary = fmt::format("searched inverted residuals, {} times as wide and {} times as deep as B0", v.width, v.depth), .height = v.size, .width = v.size, .classes = 1000,
                         .preprocess = imagenet(v.size, v.resize, Filter::bicubic), .parameters = v.parameters, .macs = v.macs,
                         .accuracy = fmt::format("ImageNet top-1 {} (torchvision, IMAGENET1K_V1)", v.accuracy), .build = build, .depth = i});
    }
    return cards;
}

}  // namespace fovea
