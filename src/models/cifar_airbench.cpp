// The network of the fastest known ways to 94 % on CIFAR-10: filters that whiten 2 x 2 patches, then three groups of two convolutions.
// Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", arXiv:2404.00498, sec. 3; names as in airbench94.py of KellerJordan/cifar10-airbench.
// Its recipe (recipes/airbench.toml) makes the whitening filters from the pictures and leaves the norms' scales at 1.
#include <cmath>

#include "models/build.h"

namespace fovea {

namespace {

Value group(Graph& net, const Value& x, std::int64_t out, std::string_view name) {
    const auto scope = net.scope(name);
    const Conv2dSpec conv{.out = out, .kernel = 3, .pad = 1, .bias = false, .init = Init{Init::Kind::dirac, std::sqrt(5.0)}};
    const BatchNormSpec norm{.eps = 1e-12, .momentum = 0.4};
    Value y = max_pool(conv2d(x, conv, "conv1"), {.kernel = 2, .stride = 2}, "pool");
    y = gelu(batch_norm(y, norm, "norm1"));
    y = gelu(batch_norm(conv2d(y, conv, "conv2"), norm, "norm2"));
    net.module_output("", y);
    return y;
}

Graph build(const ModelCard&, const ModelOptions& options) {
    Graph net;
    const Value image = image_input(net, options);
    Value x = gelu(conv2d(image, {.out = 2 * 4 * image.shape()[1], .kernel = 2}, "0"));
    x = group(net, x, widened(64, options), "2");
    x = group(net, x, widened(256, options), "3");
    x = group(net, x, widened(256, options), "4");
    net.module_output("features", x);
    x = flatten(max_pool(x, {.kernel = 3, .stride = 3}, "5"));
    net.module_output("pooled", x);
    net.output("out", scale_shift(linear(x, {.out = options.classes, .bias = false}, "7"), 1.0 / 9, 0));
    return net;
}

}  // namespace

std::vector<ModelCard> cifar_airbench_cards() {
    return {{.name = "cifar_airbench94", .aliases = {"airbench94"}, .family = "cifar_airbench", .year = 2024, .paper = "Jordan 2024, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU, arXiv:2404.00498",
             .summary = "whitening filters and three groups of two convolutions: the shortest training to 94 %", .height = 32, .width = 32, .classes = 10, .preprocess = cifar(),
             .parameters = 1972792, .macs = 118147360, .accuracy = "CIFAR-10 94.01 % in 9.9 epochs (paper, sec. 1)", .build = build}};
}

}  // namespace fovea
