// MobileNet. Howard et al. 2017, arXiv:1704.04861, table 1: each 3 x 3 convolution is split into one per channel (depthwise) and a 1 x 1
// that mixes the channels (pointwise). `alpha` scales every width.
#include "core/text.h"
#include "models/build.h"

namespace fovea {

namespace {

const Init weights{Init::Kind::kaiming_normal, 0, 1};

/// Convolution, batch norm and ReLU as module `name`.
Value layer(const Value& x, std::string_view name, std::int64_t out, std::int64_t kernel, std::int64_t stride, std::int64_t groups) {
    const auto scope = x.graph().scope(name);
    const Value y = conv_bn_relu(x, {.out = out, .kernel = kernel, .stride = stride, .pad = kernel / 2, .groups = groups, .init = weights}, "conv", "bn");
    x.graph().module_output("", y);
    return y;
}

struct Block {
    std::int64_t out, stride;
};
constexpr Block blocks[] = {{64, 1}, {128, 2}, {128, 1}, {256, 2}, {256, 1}, {512, 2}, {512, 1}, {512, 1}, {512, 1}, {512, 1}, {512, 1}, {1024, 2}, {1024, 1}};

Graph build(const ModelOptions& options, double alpha) {
    ModelOptions scaled = options;
    scaled.width_multiplier *= alpha;
    Graph net;
    Value x = layer(image_input(net, options), "stem", widened(32, scaled), 3, 2, 1);
    StrideTaps taps(net);
    for (std::size_t i = 0; i < std::size(blocks); ++i) {
        taps.before(x, blocks[i].stride);
        const auto scope = net.scope(fmt::format("blocks.{}", i));
        x = layer(x, "dw", x.shape()[1], 3, blocks[i].stride, x.shape()[1]);
        x = layer(x, "pw", widened(blocks[i].out, scaled), 1, 1, 1);
        net.module_output("", x);
    }
    net.module_output("blocks", x);
    taps.last(x);
    x = flatten(global_avg_pool(x));
    net.module_output("pooled", x);
    x = dropout(x, {.drop = dropout_of(options, 0.001)});
    net.output("out", linear(x, {.out = options.classes}, "fc"));
    return net;
}

template <int percent> Graph build_scaled(const ModelCard&, const ModelOptions& options) { return build(options, percent / 100.0); }

}  // namespace

std::vector<ModelCard> mobilenet_v1_cards() {
    struct Row {
        const char* alpha;
        std::int64_t parameters, macs;
        const char* accuracy;
        Graph (*build)(const ModelCard&, const ModelOptions&);
    };
    const Row rows[] = {{"1.0", 4231976, 568740352, "ImageNet top-1 70.9 %, top-5 89.9 % (TensorFlow models; paper, table 6: 70.6 %)", build_scaled<100>},
                        {"0.75", 2585560, 325400448, "ImageNet top-1 68.4 %, top-5 88.2 % (TensorFlow models; paper, table 6: 68.4 %)", build_scaled<75>},
                        {"0.5", 1331592, 149497088, "ImageNet top-1 63.3 %, top-5 84.9 % (TensorFlow models; paper, table 6: 63.7 %)", build_scaled<50>},
                        {"0.25", 470072, 41030272, "ImageNet top-1 49.8 %, top-5 74.2 % (TensorFlow models; paper, table 6: 50.6 %)", build_scaled<25>}};
    std::vector<ModelCard> cards;
    for (const Row& row : rows) {
        std::vector<std::string> aliases;
        if (row.alpha == std::string_view("1.0")) aliases = {"mobilenet_v1", "mobilenet"};
        cards.push_back({.name = fmt::format("mobilenet_v1_{}", row.alpha), .aliases = aliases, .family = "mobilenet", .year = 2017,
                         .paper = "Howard et al. 2017, MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications, arXiv:1704.04861",
                         .summary = fmt::format("depthwise separable convolutions, {} of the full width", row.alpha), .height = 224, .width = 224, .classes = 1000,
                         // -1..1, as TensorFlow trained it.
                         .preprocess = {.resize_shorter = 256, .crop_width = 224, .crop_height = 224, .channels = 3, .scale = 1 / 127.5, .mean = {1, 1, 1}}, .parameters = row.parameters,
                         .macs = row.macs, .accuracy = row.accuracy, .build = row.build});
    }
    return cards;
}

}  // namespace fovea
