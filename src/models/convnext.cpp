// ConvNeXt. Liu et al. 2022, arXiv:2201.03545; names as in torchvision.
#include <array>

#include "core/text.h"
#include "models/build.h"

namespace fovea {

namespace {

const Init start{Init::Kind::truncated_normal, 0, 0.02};
constexpr std::array<std::int64_t, 4> widths{96, 192, 384, 768};
constexpr std::array<int, 4> blocks{3, 3, 9, 3};

Value norm(const Value& x, std::string_view name) { return layer_norm(x, {.eps = 1e-6, .channels_first = true}, name); }

/// 7 x 7 for each channel, norm, a hidden layer four times as wide; scaled and dropped as a path.
Value block(const Value& x, double drop) {
    Graph& net = x.graph();
    const std::int64_t channels = x.shape()[1];
    const Value scale = net.parameter("layer_scale", {channels, 1, 1}, Init::constant(1e-6));
    Value y = conv2d(x, {.out = channels, .kernel = 7, .pad = 3, .groups = channels, .init = start, .bias_init = Init::zeros()}, "block.0");
    y = layer_norm(transpose(y, {0, 2, 3, 1}), {.eps = 1e-6}, "block.2");
    y = gelu(linear(y, {.out = 4 * channels, .init = start, .bias_init = Init::zeros()}, "block.3"));
    y = transpose(linear(y, {.out = channels, .init = start, .bias_init = Init::zeros()}, "block.5"), {0, 3, 1, 2});
    y = drop_path(y * scale, {.drop = drop}) + x;
    net.module_output("", y);
    return y;
}

Graph build(const ModelCard&, const ModelOptions& options) {
    // Stochastic depth grows to this at the last block.
    const double last_drop = options.drop_path >= 0 ? options.drop_path : 0.1;
    Graph net;
    Value x = image_input(net, options);
    {
        const auto scope = net.scope("features.0");
        x = norm(conv2d(x, {.out = widened(widths[0], options), .kernel = 4, .stride = 4, .init = start, .bias_init = Init::zeros()}, "0"), "1");
        net.module_output("", x);
    }
    int index = 0;
    for (std::size_t stage = 0; stage < 4; ++stage) {
        if (stage > 0) {
            const auto scope = net.scope(fmt::format("features.{}", 2 * stage));
            x = conv2d(norm(x, "0"), {.out = widened(widths[stage], options), .kernel = 2, .stride = 2, .init = start, .bias_init = Init::zeros()}, "1");
            net.module_output("", x);
        }
        {
            const auto layer = net.scope(fmt::format("features.{}", 2 * stage + 1));
            for (int i = 0; i < blocks[stage]; ++i) {
                const auto scope = net.scope(fmt::format("{}", i));
                x = block(x, last_drop * index++ / 17.0);
            }
            net.module_output("", x);
        }
        net.module_output(fmt::format("C{}", stage + 2), x);
    }
    net.module_output("features", x);
    x = global_avg_pool(x, "avgpool");
    x = flatten(norm(x, "classifier.0"), 1, "classifier.1");
    net.module_output("pooled", x);
    if (options.dropout > 0) x = dropout(x, {.drop = options.dropout});
    x = linear(x, {.out = options.classes, .init = start, .bias_init = Init::zeros()}, "classifier.2");
    net.module_output("classifier", x);
    net.output("out", x);
    return net;
}

}  // namespace

std::vector<ModelCard> convnext_cards() {
    return {{.name = "convnext_tiny", .family = "convnext", .year = 2022, .paper = "Liu et al. 2022, A ConvNet for the 2020s, arXiv:2201.03545",
             .summary = "depthwise 7 x 7, layer norm and GELU in a residual network's plan", .channels = 3, .height = 224, .width = 224, .classes = 1000, .preprocess = imagenet(224, 236),
             .parameters = 28589128, .macs = 4455531264, .accuracy = "ImageNet top-1 82.520 %, top-5 96.146 % (torchvision)", .build = build}};
}

}  // namespace fovea
