// ResNeXt for 32 x 32 pictures. Xie, Girshick, Dollar, Tu, He 2016, arXiv:1611.05431, sec. 5.3: three stages of three bottlenecks whose
// 3 x 3 convolution works in groups of 64 channels. Names as in torchvision's ResNeXt.
#include "core/text.h"
#include "models/build.h"

namespace fovea {

namespace {

Value bottleneck(Graph& net, const Value& x, std::int64_t planes, std::int64_t groups, std::int64_t group_width, std::int64_t stride, double drop) {
    const std::int64_t width = planes * group_width / 64 * groups, out = 4 * planes;
    Value y = conv_bn_relu(x, {.out = width, .kernel = 1}, "conv1", "bn1");
    y = conv_bn_relu(y, {.out = width, .kernel = 3, .stride = stride, .pad = 1, .groups = groups}, "conv2", "bn2");
    y = drop_path(conv_bn(y, {.out = out, .kernel = 1}, "conv3", "bn3"), {.drop = drop, .whole_batch = true});
    const bool changes = stride > 1 || x.shape()[1] != out;
    y = relu(y + (changes ? conv_bn(x, {.out = out, .kernel = 1, .stride = stride}, "downsample.0", "downsample.1") : x));
    net.module_output("", y);
    return y;
}

Graph build(const ModelCard&, const ModelOptions& options, std::int64_t groups) {
    const std::int64_t group_width = widened(64, options);
    Graph net;
    Value x = conv_bn_relu(image_input(net, options), {.out = 64, .kernel = 3, .pad = 1}, "conv1", "bn1");
    for (std::int64_t stage = 0; stage < 3; ++stage) {
        const auto layer = net.scope(fmt::format("layer{}", stage + 1));
        for (std::int64_t i = 0; i < 3; ++i) {
            const auto scope = net.scope(fmt::format("{}", i));
            x = bottleneck(net, x, 64 << stage, groups, group_width, stage > 0 && i == 0 ? 2 : 1, depth_drop(options, 3 * stage + i + 1, 9));
        }
        net.module_output("", x);
    }
    net.module_output("C2", x);
    net.module_output("features", x);
    x = flatten(global_avg_pool(x));
    net.module_output("pooled", x);
    net.output("out", linear(x, {.out = options.classes, .bias_init = Init::zeros()}, "fc"));
    return net;
}

Graph build_8(const ModelCard& card, const ModelOptions& options) { return build(card, options, 8); }
Graph build_16(const ModelCard& card, const ModelOptions& options) { return build(card, options, 16); }

ModelCard card(std::int64_t groups, std::int64_t parameters, std::int64_t macs, double error, Graph (*build)(const ModelCard&, const ModelOptions&)) {
    return {.name = fmt::format("cifar_resnext29_{}x64d", groups), .aliases = {fmt::format("resnext29_{}x64d", groups)}, .family = "cifar_resnext", .year = 2016,
            .paper = "Xie, Girshick, Dollar, Tu, He 2016, Aggregated Residual Transformations for Deep Neural Networks, arXiv:1611.05431",
            .summary = fmt::format("bottlenecks whose 3 x 3 convolution has {} groups of 64 channels and more", groups), .height = 32, .width = 32, .classes = 10, .preprocess = cifar(),
            .parameters = parameters, .macs = macs, .accuracy = fmt::format("CIFAR-10 error {:.2f} % (paper, table 7)", error), .build = build};
}

}  // namespace

std::vector<ModelCard> cifar_resnext_cards() { return {card(8, 34426698, 5387266048, 3.65, build_8), card(16, 68155210, 10688866304, 3.58, build_16)}; }

}  // namespace fovea
