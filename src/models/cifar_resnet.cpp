// Residual networks for 32 x 32 pictures and their plain twins. He et al. 2015, arXiv:1512.03385, sec. 4.2; names as in
// akamaster/pytorch_resnet_cifar10, whose trained weights load.
#include "core/text.h"
#include "models/build.h"

namespace fovea {

Value padded_shortcut(const Value& x, std::int64_t channels, std::int64_t stride) {
    Value y = x;
    if (stride > 1) y = slice(slice(y, {.axis = 2, .step = stride}), {.axis = 3, .step = stride});
    const std::int64_t added = channels - x.shape()[1];
    if (added > 0) y = pad(y, {0, added / 2, 0, 0}, {0, added - added / 2, 0, 0});
    return y;
}

namespace {

Value block(Graph& net, const Value& x, std::int64_t planes, std::int64_t stride, bool residual, double drop) {
    Value y = conv_bn_relu(x, {.out = planes, .kernel = 3, .stride = stride, .pad = 1}, "conv1", "bn1");
    y = conv_bn(y, {.out = planes, .kernel = 3, .pad = 1}, "conv2", "bn2");
    y = relu(residual ? drop_path(y, {.drop = drop, .whole_batch = true}) + padded_shortcut(x, planes, stride) : y);
    net.module_output("", y);
    return y;
}

Graph build(const ModelCard& card, const ModelOptions& options, bool residual) {
    const std::int64_t blocks = (card.depth - 2) / 6;
    Graph net;
    Value x = conv_bn_relu(image_input(net, options), {.out = widened(16, options), .kernel = 3, .pad = 1}, "conv1", "bn1");
    for (std::int64_t stage = 1; stage <= 3; ++stage) {
        const std::int64_t planes = widened(8 << stage, options);
        const auto layer = net.scope(fmt::format("layer{}", stage));
        for (std::int64_t i = 0; i < blocks; ++i) {
            const auto scope = net.scope(fmt::format("{}", i));
            x = block(net, x, planes, stage > 1 && i == 0 ? 2 : 1, residual, depth_drop(options, (stage - 1) * blocks + i + 1, 3 * blocks));
        }
        net.module_output("", x);
    }
    net.module_output("features", x);
    x = flatten(global_avg_pool(x));
    net.module_output("pooled", x);
    net.output("out", linear(x, {.out = options.classes, .init = Init{Init::Kind::kaiming_normal}}, "linear"));
    return net;
}

}  // namespace

Graph build_cifar_resnet(const ModelCard& card, const ModelOptions& options) { return build(card, options, true); }
Graph build_cifar_plain(const ModelCard& card, const ModelOptions& options) { return build(card, options, false); }

}  // namespace fovea
