// Xception. Chollet 2016, arXiv:1610.02357; names as in timm's port of the Keras network.
#include "core/text.h"
#include "models/build.h"

namespace fovea {

namespace {

const Init start{Init::Kind::kaiming_normal, 0, 1};

/// A 3 x 3 for each channel, then 1 x 1 across them, nothing in between.
Value separable(const Value& x, std::int64_t out, std::string_view name) {
    const auto scope = x.graph().scope(name);
    const std::int64_t channels = x.shape()[1];
    const Value y = conv2d(x, {.out = channels, .kernel = 3, .pad = 1, .groups = channels, .bias = false, .init = start}, "conv1");
    const Value z = conv2d(y, {.out = out, .kernel = 1, .bias = false, .init = start}, "pointwise");
    x.graph().module_output("", z);
    return z;
}

/// ReLU, separable convolution, norm for each width; pooled at the end when the stride is 2. The shortcut is projected where the size changes.
Value block(const Value& x, std::string_view name, const std::vector<std::int64_t>& widths, std::int64_t stride, bool starts_with_relu = true) {
    Graph& net = x.graph();
    const auto scope = net.scope(name);
    const Value shortcut = stride != 1 || x.shape()[1] != widths.back() ? conv_bn(x, {.out = widths.back(), .kernel = 1, .stride = stride, .init = start}, "skip", "skipbn") : x;
    Value y = x;
    int index = 0;  // in timm's list of layers, which the names count
    for (const std::int64_t width : widths) {
        if (index > 0 || starts_with_relu) y = relu(y), ++index;
        y = separable(y, width, fmt::format("rep.{}", index));
        y = batch_norm(y, {}, fmt::format("rep.{}", index + 1));
        index += 2;
    }
    if (stride != 1) y = max_pool(y, {.kernel = 3, .stride = stride, .pad = 1});
    y = y + shortcut;
    net.module_output("", y);
    return y;
}

Graph build(const ModelCard&, const ModelOptions& options) {
    const auto w = [&](std::int64_t channels) { return widened(channels, options); };
    Graph net;
    const auto norm = [](const Value& x, int i) { return relu(batch_norm(x, {}, fmt::format("bn{}", i)), fmt::format("act{}", i)); };
    Value x = image_input(net, options);
    x = norm(conv2d(x, {.out = w(32), .kernel = 3, .stride = 2, .bias = false, .init = start}, "conv1"), 1);
    x = norm(conv2d(x, {.out = w(64), .kernel = 3, .bias = false, .init = start}, "conv2"), 2);
    x = block(x, "block1", {w(128), w(128)}, 2, false);
    net.module_output("C2", x);
    x = block(x, "block2", {w(256), w(256)}, 2);
    net.module_output("C3", x);
    x = block(x, "block3", {w(728), w(728)}, 2);
    for (int i = 4; i <= 11; ++i) x = block(x, fmt::format("block{}", i), {w(728), w(728), w(728)}, 1);
    net.module_output("C4", x);
    x = block(x, "block12", {w(728), w(1024)}, 2);
    x = norm(separable(x, w(1536), "conv3"), 3);
    x = norm(separable(x, w(2048), "conv4"), 4);
    net.module_output("C5", x);
    net.module_output("features", x);
    x = flatten(global_avg_pool(x));
    net.module_output("global_pool", x);
    net.module_output("pooled", x);
    x = dropout(x, {.drop = options.dropout >= 0 ? options.dropout : 0.5});
    net.output("out", linear(x, {.out = options.classes}, "fc"));
    return net;
}

}  // namespace

std::vector<ModelCard> xception_cards() {
    ModelCard card{.name = "xception", .family = "xception", .year = 2016, .paper = "Chollet 2016, Xception: Deep Learning with Depthwise Separable Convolutions, arXiv:1610.02357",
                   .summary = "separable convolutions with shortcuts in 14 modules", .channels = 3, .height = 299, .width = 299, .classes = 1000, .preprocess = imagenet(299, 333, Filter::bicubic),
                   .parameters = 22855952, .macs = 8357403496, .accuracy = "ImageNet top-1 79.0 %, top-5 94.5 % (paper, table 1; Keras)", .build = build};
    card.preprocess.mean = card.preprocess.std = {0.5, 0.5, 0.5};
    return {card};
}

}  // namespace fovea
