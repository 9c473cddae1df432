// MobileNetV2. Sandler et al. 2018, arXiv:1801.04381, table 2: inverted residuals, wide inside and narrow between, and no activation
// where they are narrow. Names of torchvision.
#include "core/text.h"
#include "models/build.h"

namespace fovea {

namespace {

const Init weights{Init::Kind::kaiming_normal, 0, 1};

/// Convolution, batch norm and ReLU6, "<name>.0" and "<name>.1".
Value layer(const Value& x, std::string_view name, std::int64_t out, std::int64_t kernel, std::int64_t stride, std::int64_t groups) {
    const auto scope = x.graph().scope(name);
    return relu6(conv_bn(x, {.out = out, .kernel = kernel, .stride = stride, .pad = kernel / 2, .groups = groups, .init = weights}, "0", "1"));
}

/// Each row of table 2: expansion, channels, repetitions, stride of the first.
struct Row {
    std::int64_t expansion, out, repeat, stride;
};
constexpr Row rows[] = {{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};

Value block(const Value& x, std::int64_t expansion, std::int64_t out, std::int64_t stride) {
    Graph& net = x.graph();
    const std::int64_t inside = expansion * x.shape()[1];
    Value y = x;
    {
        const auto scope = net.scope("conv");
        int step = 0;
        if (expansion != 1) y = layer(y, std::to_string(step++), inside, 1, 1, 1);
        y = layer(y, std::to_string(step++), inside, 3, stride, inside);
        y = conv_bn(y, {.out = out, .kernel = 1, .init = weights}, std::to_string(step), std::to_string(step + 1));
    }
    if (stride == 1 && out == x.shape()[1]) y = x + y;
    net.module_output("", y);
    return y;
}

Graph build(const ModelCard&, const ModelOptions& options) {
    const double alpha = options.width_multiplier;
    Graph net;
    Value x = layer(image_input(net, options), "features.0", in_eights(32 * alpha), 3, 2, 1);
    net.module_output("features.0", x);
    std::int64_t index = 1;
    StrideTaps taps(net);
    for (const Row& row : rows)
        for (std::int64_t i = 0; i < row.repeat; ++i) {
            const std::int64_t step = i == 0 ? row.stride : 1;
            taps.before(x, step);
            const auto scope = net.scope(fmt::format("features.{}", index++));
            x = block(x, row.expansion, in_eights(static_cast<double>(row.out) * alpha), step);
        }
    // The last layer is never narrower than the paper's, sec. 6.1.
    const std::string last = fmt::format("features.{}", index);
    x = layer(x, last, in_eights(1280 * std::max(1.0, alpha)), 1, 1, 1);
    net.module_output(last, x);
    taps.last(x);
    x = flatten(global_avg_pool(x));
    net.module_output("pooled", x);
    x = dropout(x, {.drop = dropout_of(options, 0.2)}, "classifier.0");
    classes_out(linear(x, {.out = options.classes, .init = Init::normal(0, 0.01), .bias_init = Init::zeros()}, "classifier.1"));
    return net;
}

}  // namespace

std::vector<ModelCard> mobilenet_v2_cards() {
    return {{.name = "mobilenet_v2", .family = "mobilenet", .year = 2018, .paper = "Sandler et al. 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks, arXiv:1801.04381",
             .summary = "inverted residuals with linear bottlenecks", .height = 224, .width = 224, .classes = 1000, .preprocess = imagenet(), .parameters = 3504872, .macs = 300774272,
             .accuracy = "ImageNet top-1 71.878 %, top-5 90.286 % (torchvision, IMAGENET1K_V1)", .build = build}};
}

}  // namespace fovea
