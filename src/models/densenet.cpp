// Densely connected networks. Huang, Liu, van der Maaten, Weinberger 2016, arXiv:1608.06993: table 1 for ImageNet, table 2 for CIFAR.
// Names as in torchvision (features.denseblock1.denselayer1.norm1 ...), for CIFAR as in its authors' PyTorch form (norm_final).
#include "core/text.h"
#include "models/build.h"

namespace fovea {

namespace {

constexpr const char* paper = "Huang, Liu, van der Maaten, Weinberger 2016, Densely Connected Convolutional Networks, arXiv:1608.06993";

struct Dense {
    std::vector<std::int64_t> layers;  ///< per block
    std::int64_t growth;               ///< k: what each layer adds
    std::int64_t stem;                 ///< channels of the first convolution
    bool bottleneck = true;            ///< a 1 x 1 convolution to 4 k channels before each 3 x 3 (the B of BC)
    double compression = 0.5;          ///< theta: what a transition leaves of the channels (the C of BC)
};

/// norm, ReLU, convolution: the order of every layer of the network.
Value composite(const Value& x, const Conv2dSpec& spec, std::string_view number) {
    const Value y = relu(batch_norm(x, {}, fmt::format("norm{}", number)), fmt::format("relu{}", number));
    return conv2d(y, spec, fmt::format("conv{}", number));
}

const Init weights{Init::Kind::kaiming_normal};

Value dense_layer(const Value& x, const Dense& net, std::int64_t growth, double drop) {
    Value y = x;
    if (net.bottleneck) y = composite(y, {.out = 4 * growth, .kernel = 1, .bias = false, .init = weights}, "1");
    y = composite(y, {.out = growth, .kernel = 3, .pad = 1, .bias = false, .init = weights}, net.bottleneck ? "2" : "1");
    return dropout(y, {.drop = drop});
}

Graph build(const Dense& dense, const ModelOptions& options, bool is_cifar) {
    const double drop = options.dropout >= 0 ? options.dropout : 0;
    const std::int64_t growth = widened(dense.growth, options);
    Graph net;
    Value x = image_input(net, options);
    {
        const auto features = net.scope("features");
        const std::int64_t stem = widened(dense.stem, options);
        if (is_cifar) {
            x = conv2d(x, {.out = stem, .kernel = 3, .pad = 1, .bias = false, .init = weights}, "conv0");
        } else {
            x = conv2d(x, {.out = stem, .kernel = 7, .stride = 2, .pad = 3, .bias = false, .init = weights}, "conv0");
            x = relu(batch_norm(x, {}, "norm0"), "relu0");
            x = max_pool(x, {.kernel = 3, .stride = 2, .pad = 1}, "pool0");
        }
        for (std::size_t b = 0; b < dense.layers.size(); ++b) {
            {
                const auto block = net.scope(fmt::format("denseblock{}", b + 1));
                for (std::int64_t i = 1; i <= dense.layers[b]; ++i) {
                    Value added;
                    {
                        const auto layer = net.scope(fmt::format("denselayer{}", i));
                        added = dense_layer(x, dense, growth, drop);
                        net.module_output("", added);
                    }
                    x = concat({x, added}, 1, fmt::format("concat{}", i));
                }
                net.module_output("", x);
            }
            if (b + 1 == dense.layers.size()) break;
            const auto transition = net.scope(fmt::format("transition{}", b + 1));
            const auto left = static_cast<std::int64_t>(static_cast<double>(x.shape()[1]) * dense.compression);
            x = composite(x, {.out = std::max<std::int64_t>(1, left), .kernel = 1, .bias = false, .init = weights}, "");
            x = avg_pool(x, {.kernel = 2}, "pool");
            net.module_output("", x);
        }
        x = batch_norm(x, {}, is_cifar ? "norm_final" : "norm5");
    }
    net.module_output("features", x);
    for (std::size_t b = 0; !is_cifar && b < dense.layers.size(); ++b) net.module_output(fmt::format("C{}", b + 2), net.find(fmt::format("features.denseblock{}", b + 1)));
    x = flatten(global_avg_pool(relu(x)));
    net.module_output("pooled", x);
    net.output("out", linear(x, {.out = options.classes, .bias_init = Init::zeros()}, "classifier"));
    return net;
}

struct Variant {
    const char* name;
    const char* alias;
    Dense dense;
    std::int64_t parameters, macs;
    const char* accuracy;
};

/// Accuracies: single crop, from the authors' repository (github.com/liuzhuang13/DenseNet).
const std::vector<Variant>& imagenet_variants() {
    static const std::vector<Variant> variants{{"densenet121", "", {{6, 12, 24, 16}, 32, 64}, 7978856, 2834161664, "ImageNet top-1 error 25.0 %"},
                                               {"densenet169", "", {{6, 12, 32, 32}, 32, 64}, 14149480, 3359843328, "ImageNet top-1 error 23.6 %"},
                                               {"densenet201", "", {{6, 12, 48, 32}, 32, 64}, 20013928, 4291365888, "ImageNet top-1 error 22.5 %"},
                                               {"densenet161", "", {{6, 12, 36, 24}, 48, 96}, 28681000, 7727907072, "ImageNet top-1 error 22.2 %"}};
    return variants;
}

/// Depth L: (L - 4) / 3 layers per block, half of it with bottlenecks; the stem has 16 channels, 2 k with bottlenecks.
const std::vector<Variant>& cifar_variants() {
    static const std::vector<Variant> variants{
        {"cifar_densenet40_k12", "densenet40_k12", {{12, 12, 12}, 12, 16, false, 1}, 1019722, 264812928, "CIFAR-10 error 5.24 %"},
        {"cifar_densenet100_k12", "densenet100_k12", {{32, 32, 32}, 12, 16, false, 1}, 6979642, 1769516448, "CIFAR-10 error 4.10 %"},
        {"cifar_densenet100_k24", "densenet100_k24", {{32, 32, 32}, 24, 16, false, 1}, 27249082, 6889347744, "CIFAR-10 error 3.74 %"},
        {"cifar_densenet_bc100_k12", "densenet_bc100_k12", {{16, 16, 16}, 12, 24}, 769162, 287929692, "CIFAR-10 error 4.51 %"},
        {"cifar_densenet_bc250_k24", "densenet_bc250_k24", {{41, 41, 41}, 24, 48}, 15324406, 5418785724, "CIFAR-10 error 3.62 %"},
        {"cifar_densenet_bc190_k40", "densenet_bc190_k40", {{31, 31, 31}, 40, 80}, 25624430, 9301945740, "CIFAR-10 error 3.46 %"}};
    return variants;
}

const Dense& dense_of(const std::vector<Variant>& variants, const ModelCard& card) {
    for (const Variant& variant : variants)
        if (variant.name == card.name) return variant.dense;
    fail<ArgumentError>("no DenseNet '{}'", card.name);
}

Graph build_imagenet(const ModelCard& card, const ModelOptions& options) { return build(dense_of(imagenet_variants(), card), options, false); }
Graph build_cifar(const ModelCard& card, const ModelOptions& options) { return build(dense_of(cifar_variants(), card), options, true); }

}  // namespace

std::vector<ModelCard> densenet_cards() {
    std::vector<ModelCard> cards;
    for (const Variant& v : imagenet_variants())
        cards.push_back({.name = v.name, .family = "densenet", .year = 2016, .paper = paper,
                         .summary = fmt::format("blocks of {} layers, each adds {} channels and sees all before it", fmt::join(v.dense.layers, ", "), v.dense.growth), .height = 224, .width = 224,
                         .classes = 1000, .preprocess = imagenet(), .parameters = v.parameters, .macs = v.macs, .accuracy = fmt::format("{} (authors' repository)", v.accuracy),
                         .build = build_imagenet});
    for (const Variant& v : cifar_variants())
        cards.push_back({.name = v.name, .aliases = {v.alias}, .family = "densenet", .year = 2016, .paper = paper,
                         .summary = fmt::format("three blocks of {} layers for 32 x 32 pictures, growth {}{}", v.dense.layers[0], v.dense.growth, v.dense.bottleneck ? ", bottlenecks and compression" : ""),
                         .height = 32, .width = 32, .classes = 10, .preprocess = cifar(), .parameters = v.parameters, .macs = v.macs,
                         .accuracy = fmt::format("{} (authors' repository, C10+)", v.accuracy), .build = build_cifar});
    return cards;
}

}  // namespace fovea
