// SqueezeNet. Iandola et al. 2016, arXiv:1602.07360: fire modules squeeze the channels by 1 x 1 convolutions before they expand them by
// 1 x 1 and 3 x 3. Version 1.1 (the authors', later) pools earlier and needs 2.4 times fewer operations. Names of torchvision.
#include <algorithm>

#include "core/text.h"
#include "models/build.h"

namespace fovea {

namespace {

const Init weights{Init::Kind::kaiming_uniform, 0}, biases = Init::zeros();

/// `squeeze` maps, then `expand` of 1 x 1 and as many of 3 x 3 side by side.
Value fire(const Value& x, std::int64_t squeeze, std::int64_t expand) {
    const auto conv = [](const Value& v, std::int64_t out, std::int64_t kernel, std::string_view name) {
        return relu(conv2d(v, {.out = out, .kernel = kernel, .pad = kernel / 2, .init = weights, .bias_init = biases}, name));
    };
    return inception(conv(x, squeeze, 1, "squeeze"), {[&](const Value& v) { return conv(v, expand, 1, "expand1x1"); }, [&](const Value& v) { return conv(v, expand, 3, "expand3x3"); }});
}

/// `pools`: before which of the eight fire modules the maps are pooled.
Graph build(const ModelOptions& options, std::int64_t width, std::int64_t kernel, const std::vector<int>& pools) {
    Graph net;
    Value x = conv2d(image_input(net, options), {.out = widened(width, options), .kernel = kernel, .stride = 2, .init = weights, .bias_init = biases}, "features.0");
    x = relu(x, "features.1");
    std::int64_t layer = 2;
    StrideTaps taps(net);
    for (int i = 0; i < 8; ++i) {
        if (std::ranges::find(pools, i) != pools.end()) {
            taps.before(x, 2);
            x = max_pool(x, {.kernel = 3, .stride = 2, .ceil = true}, fmt::format("features.{}", layer++));
        }
        // Two modules each of 16, 32, 48 and 64 squeezed maps.
        const auto scope = net.scope(fmt::format("features.{}", layer++));
        x = fire(x, widened(16 * (i / 2 + 1), options), widened(64 * (i / 2 + 1), options));
        net.module_output("", x);
    }
    taps.last(x);
    x = dropout(x, {.drop = dropout_of(options, 0.5)}, "classifier.0");
    x = relu(conv2d(x, {.out = options.classes, .kernel = 1, .init = Init::normal(0, 0.01), .bias_init = biases}, "classifier.1"), "classifier.2");
    x = global_avg_pool(x, "classifier.3");
    net.module_output("classifier", x);
    net.output("out", flatten(x));
    return net;
}

Graph build_1_0(const ModelCard&, const ModelOptions& options) { return build(options, 96, 7, {0, 3, 7}); }
Graph build_1_1(const ModelCard&, const ModelOptions& options) { return build(options, 64, 3, {0, 2, 4}); }

}  // namespace

std::vector<ModelCard> squeezenet_cards() {
    constexpr const char* paper = "Iandola et al. 2016, SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size, arXiv:1602.07360";
    return {
        {.name = "squeezenet1_0", .aliases = {"squeezenet"}, .family = "squeezenet", .year = 2016, .paper = paper, .summary = "fire modules, 7 x 7 first, pooled late", .height = 224,
         .width = 224, .classes = 1000, .preprocess = imagenet(), .parameters = 1248424, .macs = 818924576, .accuracy = "ImageNet top-1 58.092 %, top-5 80.420 % (torchvision)",
         .build = build_1_0},
        {.name = "squeezenet1_1", .family = "squeezenet", .year = 2016, .paper = paper, .summary = "fire modules, 3 x 3 first, pooled early: 2.4 times fewer operations", .height = 224,
         .width = 224, .classes = 1000, .preprocess = imagenet(), .parameters = 1235496, .macs = 349151936, .accuracy = "ImageNet top-1 58.178 %, top-5 80.624 % (torchvision)",
         .build = build_1_1},
    };
}

}  // namespace fovea
