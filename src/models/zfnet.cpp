// ZFNet. Zeiler, Fergus 2013, arXiv:1311.2901, fig. 3: AlexNet with a first layer of 7 x 7, stride 2. "zfnet_big" is the wider net of
// sec. 5.1 (table 2), 512, 1024 and 512 maps in layers 3 to 5.
#include <array>

#include "models/build.h"

namespace fovea {

namespace {

Graph build(const ModelOptions& options, const std::array<std::int64_t, 3>& last) {
    const Init weights = Init::normal(0, 0.01), biases = Init::zeros();  // sec. 3.1: 10^-2, biases 0
    const auto conv = [&](const Value& x, std::string_view name, const Conv2dSpec& shape) {
        Conv2dSpec spec = shape;
        spec.out = widened(shape.out, options), spec.init = weights, spec.bias_init = biases;
        return relu(conv2d(x, spec, name));
    };
    // 110 -> 55 -> 26 -> 13 -> 6 needs windows that hang over the edge in the first two pools.
    const auto pool_and_norm = [&](const Value& x, std::string_view name) {
        return lrn(max_pool(x, {.kernel = 3, .stride = 2, .ceil = true}, name), {.size = 5, .alpha = 1e-4, .beta = 0.75, .k = 2, .convention = LrnConvention::krizhevsky}, "norm");
    };
    const auto hidden = [&](const Value& x, std::string_view name) {
        return dropout(relu(linear(x, {.out = widened(4096, options), .init = weights, .bias_init = biases}, name)), {.drop = dropout_of(options, 0.5)});
    };
    Graph net;
    Value x = pool_and_norm(conv(image_input(net, options), "conv1", {.out = 96, .kernel = 7, .stride = 2, .pad = 1}), "pool1");
    net.module_output("C2", x);
    x = conv(x, "conv2", {.out = 256, .kernel = 5, .stride = 2});
    net.module_output("C3", x);
    x = conv(pool_and_norm(x, "pool2"), "conv3", {.out = last[0], .kernel = 3, .pad = 1});
    x = conv(x, "conv4", {.out = last[1], .kernel = 3, .pad = 1});
    x = conv(x, "conv5", {.out = last[2], .kernel = 3, .pad = 1});
    net.module_output("C4", x);
    x = max_pool(x, {.kernel = 3, .stride = 2}, "pool5");
    net.module_output("C5", x);
    net.module_output("features", x);
    x = hidden(hidden(flatten(x), "fc6"), "fc7");
    net.module_output("pooled", x);
    net.output("out", linear(x, {.out = options.classes, .init = weights, .bias_init = biases}, "fc8"));
    return net;
}

Graph build_zfnet(const ModelCard&, const ModelOptions& options) { return build(options, {384, 384, 256}); }
Graph build_big(const ModelCard&, const ModelOptions& options) { return build(options, {512, 1024, 512}); }

}  // namespace

std::vector<ModelCard> zfnet_cards() {
    constexpr const char* paper = "Zeiler, Fergus 2013, Visualizing and Understanding Convolutional Networks, arXiv:1311.2901";
    // Sec. 3.1: shorter side 256, crop 224, the mean taken off.
    const Preprocess pictures{.resize_shorter = 256, .crop_width = 224, .crop_height = 224, .channels = 3, .scale = 1, .mean = {123.68, 116.779, 103.939}};
    return {
        {.name = "zfnet", .family = "zfnet", .year = 2013, .paper = paper, .summary = "AlexNet with 7 x 7 filters of stride 2 in its first layer", .height = 224, .width = 224,
         .classes = 1000, .preprocess = pictures, .parameters = 62357608, .macs = 1168032896, .accuracy = "ImageNet 2012 validation error: top-5 16.5 % (paper, table 2, one net)",
         .build = build_zfnet},
        {.name = "zfnet_big", .aliases = {"zfnet-big"}, .family = "zfnet", .year = 2013, .paper = paper, .summary = "the same with 512, 1024, 512 maps in layers 3 to 5", .height = 224,
         .width = 224, .classes = 1000, .preprocess = pictures, .parameters = 107627624, .macs = 2476704896,
         .accuracy = "ImageNet 2012 validation error: top-5 16.0 % (paper, table 2, one net)", .build = build_big},
    };
}

}  // namespace fovea
