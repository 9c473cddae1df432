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

Graph build_cifar_resnet(const ModelCard& card, const ModelOptions& options) { return build(card, options, true); }
Graph build_cifar_plain(const ModelCard& card, const ModelOptions& options) { return build(card, options, false); }

}  // namespace

std::vector<ModelCard> cifar_resnet_cards() {
    constexpr const char* paper = "He, Zhang, Ren, Sun 2015, Deep Residual Learning for Image Recognition, arXiv:1512.03385";
    struct Row {
        int depth;
        std::int64_t parameters, macs;
        const char* accuracy;
    };
    // Errors: table 6 of the paper.
    constexpr Row rows[] = {{20, 269722, 40551040, "8.75 %"},  {32, 464154, 68862592, "7.51 %"},   {44, 658586, 97174144, "7.17 %"},
                            {56, 853018, 125485696, "6.97 %"}, {110, 1727962, 252887680, "6.43 %"}, {1202, 19421274, 2829238912, "7.93 %"}};
    std::vector<ModelCard> cards;
    for (const Row& row : rows)
        cards.push_back({.name = fmt::format("cifar_resnet{}", row.depth), .aliases = {fmt::format("resnet{}", row.depth)}, .family = "cifar_resnet", .year = 2015, .paper = paper,
                         .summary = "residual network for 32 x 32 pictures, shortcuts without parameters", .channels = 3, .height = 32, .width = 32, .classes = 10, .preprocess = cifar(),
                         .parameters = row.parameters, .macs = row.macs, .accuracy = fmt::format("CIFAR-10 error {} (paper, table 6)", row.accuracy), .build = build_cifar_resnet,
                         .depth = row.depth});
    for (const Row& row : rows)
        if (row.depth <= 110)
            cards.push_back({.name = fmt::format("cifar_plain{}", row.depth), .aliases = {fmt::format("plain{}", row.depth)}, .family = "cifar_resnet", .year = 2015, .paper = paper,
                             .summary = "the same layers without shortcuts", .channels = 3, .height = 32, .width = 32, .classes = 10, .preprocess = cifar(), .parameters = row.parameters,
                             .macs = row.macs, .build = build_cifar_plain, .depth = row.depth});
    return cards;
}

}  // namespace fovea
