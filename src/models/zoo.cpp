// One card per network. Parameters and multiply-adds are those of the card's size; tests count both.
#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "fovea/passes.h"
#include "models/build.h"

namespace fovea {

namespace {

/// MNIST and its kin: 28 x 28 grey, standardised with MNIST's own mean and deviation.
Preprocess digits(double mean = 0.1307, double deviation = 0.3081) {
    return {.resize_width = 28, .resize_height = 28, .channels = 1, .mean = {mean, mean, mean}, .std = {deviation, deviation, deviation}};
}

/// 28 x 28 in the middle of 32 x 32, paper -0.1 and ink 1.175, so that mean and variance are about 0 and 1. LeCun et al. 1998, sec. II.B.
Preprocess digits_of_1998() {
    Preprocess p = digits(0.1 / 1.275, 1 / 1.275);
    p.crop_width = p.crop_height = 32;
    return p;
}

/// dlib's input layer: x / 256.
Preprocess of_dlib(std::int64_t size, int channels) { return {.resize_width = size, .resize_height = size, .channels = channels, .scale = 1.0 / 256}; }

constexpr const char* paper_1998 = "LeCun, Bottou, Bengio, Haffner 1998, Gradient-Based Learning Applied to Document Recognition";
constexpr const char* paper_resnet = "He, Zhang, Ren, Sun 2015, Deep Residual Learning for Image Recognition, arXiv:1512.03385";

void add_lenets(std::vector<ModelCard>& cards) {
    cards.push_back({.name = "lenet5_modern", .aliases = {"lenet5", "lenet-5"}, .family = "lenet", .year = 1998, .paper = paper_1998,
                     .summary = "LeNet-5 as built today: padded first convolution, ReLU, max pooling, linear classifier",
                     .channels = 1, .height = 28, .width = 28, .classes = 10, .preprocess = digits(), .parameters = 61706, .macs = 416520,
                     .accuracy = "MNIST error 0.95 % (paper, its own LeNet-5 without distortions)", .build = build_lenet5_modern});
    cards.push_back({.name = "lenet5_classic", .aliases = {"lenet5_1998"}, .family = "lenet", .year = 1998, .paper = paper_1998,
                     .summary = "LeNet-5 of the paper: sparse C3, trained subsampling, scaled tanh, distances to bitmaps",
                     .channels = 1, .height = 32, .width = 32, .classes = 10, .preprocess = digits_of_1998(), .parameters = 60000, .macs = 415680,
                     .accuracy = "MNIST error 0.95 %, 0.8 % with distorted training images (paper, sec. III)", .loss = ModelLoss::label_distance, .build = build_lenet5_classic});
    cards.push_back({.name = "lenet5_tutorial", .family = "lenet", .year = 1998, .paper = paper_1998, .summary = "LeNet-5 without padding on 28 x 28, as in most tutorials",
                     .channels = 1, .height = 28, .width = 28, .classes = 10, .preprocess = digits(), .parameters = 44426, .macs = 281640, .build = build_lenet5_tutorial});
    cards.push_back({.name = "lenet_caffe", .aliases = {"lenet"}, .family = "lenet", .year = 2014, .paper = "Caffe, examples/mnist/lenet.prototxt",
                     .summary = "Caffe's LeNet: 20 and 50 maps, no activation after the convolutions", .channels = 1, .height = 28, .width = 28, .classes = 10,
                     .preprocess = {.resize_width = 28, .resize_height = 28, .channels = 1, .scale = 1.0 / 256}, .parameters = 431080, .macs = 2293000,
                     .accuracy = "MNIST 99.1 % (Caffe's MNIST tutorial)", .build = build_lenet_caffe});
    cards.push_back({.name = "lenet_dlib", .family = "lenet", .year = 2016, .paper = "dlib, examples/dnn_introduction_ex.cpp", .summary = "dlib's LeNet: every convolution padded by half its kernel",
                     .channels = 1, .height = 28, .width = 28, .classes = 10, .preprocess = of_dlib(28, 1), .parameters = 107786, .macs = 693000,
                     .accuracy = "MNIST 99.2 % (dlib's example)", .build = build_lenet_dlib});
    cards.push_back({.name = "lenet_dlib_unpadded", .family = "lenet", .year = 2016, .paper = "dlib, examples/dnn_introduction_ex.cpp", .summary = "the same without padding",
                     .channels = 1, .height = 28, .width = 28, .classes = 10, .preprocess = of_dlib(28, 1), .parameters = 44426, .macs = 281640, .build = build_lenet_dlib_unpadded});
}

void add_small_nets(std::vector<ModelCard>& cards) {
    cards.push_back({.name = "small_mnist", .family = "small", .year = 2013, .paper = "", .summary = "two 5 x 5 convolutions of 32 and 64 maps, pools, a hidden layer of 100",
                     .channels = 1, .height = 28, .width = 28, .classes = 10, .preprocess = digits(), .parameters = 155606, .macs = 3841000, .build = build_small_convnet});
    cards.push_back({.name = "small_cifar", .family = "small", .year = 2013, .paper = "", .summary = "the same on 32 x 32 colour pictures", .channels = 3, .height = 32, .width = 32, .classes = 10,
                     .preprocess = cifar(), .parameters = 214806, .macs = 7162600, .build = build_small_convnet});
    cards.push_back({.name = "five_blocks", .aliases = {"vgg_five_blocks"}, .family = "vgg", .year = 2014, .paper = "Simonyan, Zisserman 2014, arXiv:1409.1556 (the idea)",
                     .summary = "five blocks of two 3 x 3 convolutions, 8 to 128 maps, two dropped layers of 4096", .channels = 3, .height = 224, .width = 224, .classes = 2,
                     .preprocess = of_dlib(224, 3), .parameters = 42778762, .macs = 255623168, .build = build_five_blocks});
    cards.push_back({.name = "inception_dlib_mnist", .family = "inception", .year = 2016, .paper = "dlib, examples/dnn_inception_ex.cpp; Szegedy et al. 2014, arXiv:1409.4842",
                     .summary = "two small inception modules for MNIST", .channels = 1, .height = 28, .width = 28, .classes = 10, .preprocess = of_dlib(28, 1), .parameters = 26514, .macs = 4669824,
                     .accuracy = "MNIST about 99 % (dlib's example)", .build = build_inception_dlib_mnist});
}

void add_cifar_nets(std::vector<ModelCard>& cards) {
    struct Row {
        int depth;
        std::int64_t parameters, macs;
        const char* accuracy;
    };
    // Errors: table 6 of the paper.
    constexpr Row rows[] = {{20, 269722, 40551040, "8.75 %"},  {32, 464154, 68862592, "7.51 %"},   {44, 658586, 97174144, "7.17 %"},
                            {56, 853018, 125485696, "6.97 %"}, {110, 1727962, 252887680, "6.43 %"}, {1202, 19421274, 2829238912, "7.93 %"}};
    for (const Row& row : rows)
        cards.push_back({.name = fmt::format("cifar_resnet{}", row.depth), .aliases = {fmt::format("resnet{}", row.depth)}, .family = "cifar_resnet", .year = 2015, .paper = paper_resnet,
                         .summary = "residual network for 32 x 32 pictures, shortcuts without parameters", .channels = 3, .height = 32, .width = 32, .classes = 10, .preprocess = cifar(),
                         .parameters = row.parameters, .macs = row.macs, .accuracy = fmt::format("CIFAR-10 error {} (paper, table 6)", row.accuracy), .build = build_cifar_resnet,
                         .depth = row.depth});
    for (const Row& row : rows)
        if (row.depth <= 110)
            cards.push_back({.name = fmt::format("cifar_plain{}", row.depth), .aliases = {fmt::format("plain{}", row.depth)}, .family = "cifar_resnet", .year = 2015, .paper = paper_resnet,
                             .summary = "the same layers without shortcuts", .channels = 3, .height = 32, .width = 32, .classes = 10, .preprocess = cifar(), .parameters = row.parameters,
                             .macs = row.macs, .build = build_cifar_plain, .depth = row.depth});
}

}  // namespace

const std::vector<ModelCard>& model_cards() {
    static const std::vector<ModelCard> cards = [] {
        std::vector<ModelCard> all;
        add_lenets(all);
        add_small_nets(all);
        add_cifar_nets(all);
        // In the order they appeared.
        constexpr std::vector<ModelCard> (*families[])() = {
            alexnet_cards,
            zfnet_cards,
            network_in_network_cards,
            vgg_cards,
            googlenet_cards,
            inception_v3_cards,
            resnet_cards,
            resnet_v2_cards,
            inception_v4_cards,
            inception_resnet_cards,
            squeezenet_cards,
            densenet_cards,
            xception_cards,
            mobilenet_v1_cards,
            mobilenet_v2_cards,
            mobilenet_v3_cards,
            efficientnet_cards,
            cifar_preact_resnet_cards,
            cifar_resnext_cards,
            fractalnet_cards,
            convnext_cards,
        };
        for (const auto family : families) {
            const std::vector<ModelCard> cards_of_family = family();
            all.insert(all.end(), cards_of_family.begin(), cards_of_family.end());
        }
        return all;
    }();
    return cards;
}

namespace {

const ModelCard* look_up(std::string_view name) {
    for (const ModelCard& card : model_cards())
        if (card.name == name || std::ranges::find(card.aliases, name) != card.aliases.end()) return &card;
    return nullptr;
}

}  // namespace

bool has_model(std::string_view name) { return look_up(name) != nullptr; }

const ModelCard& find_model(std::string_view name) {
    if (const ModelCard* card = look_up(name)) return *card;
    std::vector<std::string> names;
    for (const ModelCard& card : model_cards()) {
        names.push_back(card.name);
        names.insert(names.end(), card.aliases.begin(), card.aliases.end());
    }
    fail<ArgumentError>("no model '{}'; nearest: {}. 'fovea models' lists all", name, fmt::join(nearest_names(name, names), ", "));
}

ModelOptions with_defaults(const ModelCard& card, const ModelOptions& options) {
    ModelOptions all = options;
    const auto check = [&](std::int64_t value, std::string_view what) { require<ArgumentError>(value >= 0, "model '{}': {} must be positive, got {}", card.name, what, value); };
    check(options.classes, "classes"), check(options.channels, "channels"), check(options.height, "height"), check(options.width, "width");
    if (all.classes == 0) all.classes = card.classes;
    if (all.channels == 0) all.channels = card.channels;
    if (all.height == 0) all.height = card.height;
    if (all.width == 0) all.width = card.width;
    require<ArgumentError>(all.width_multiplier >= 0, "model '{}': the width multiplier must be positive, got {}", card.name, all.width_multiplier);
    if (all.width_multiplier == 0) all.width_multiplier = 1;
    require<ArgumentError>(all.drop_path <= 1, "model '{}': drop_path is the probability of dropping a path, 0..1, got {}", card.name, all.drop_path);
    return all;
}

std::int64_t widened(std::int64_t channels, const ModelOptions& options) {
    return std::max<std::int64_t>(1, std::llround(static_cast<double>(channels) * options.width_multiplier));
}

// Mean and deviation are ImageNet's: the published weights of residual networks were trained with them.
Preprocess cifar() { return {.resize_width = 32, .resize_height = 32, .channels = 3, .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}}; }

std::int64_t in_eights(double channels) {
    const std::int64_t nearest = std::max<std::int64_t>(8, static_cast<std::int64_t>(channels + 4) / 8 * 8);
    return static_cast<double>(nearest) < 0.9 * channels ? nearest + 8 : nearest;
}

Value average_to(const Value& x, std::int64_t size) {
    const bool has_size = x.shape()[2] == size && x.shape()[3] == size;
    const Value y = has_size ? x : adaptive_avg_pool(x, size, "avgpool");
    if (has_size) x.graph().module_output("avgpool", y);
    return y;
}

void classes_out(const Value& x, std::string_view name) {
    x.graph().module_output(name, x);
    x.graph().output("out", x);
}

double depth_drop(const ModelOptions& options, std::int64_t i, std::int64_t count) {
    return options.drop_path <= 0 ? 0 : options.drop_path * static_cast<double>(i) / static_cast<double>(count);
}

Preprocess imagenet(std::int64_t crop, std::int64_t resize, Filter filter) {
    Preprocess p = preprocess_preset("torchvision");
    p.resize_shorter = resize, p.crop_width = p.crop_height = crop, p.filter = filter;
    return p;
}

Value image_input(Graph& graph, const ModelOptions& options) { return graph.input("image", {dynamic, options.channels, options.height, options.width}); }

Graph build_model(std::string_view name, const ModelOptions& options) {
    const ModelCard& card = find_model(name);
    try {
        return card.build(card, with_defaults(card, options));
    } catch (const ShapeError& error) {
        throw ShapeError(fmt::format("model '{}': {}", card.name, error.what()));
    }
}

Graph build_backbone(std::string_view name, const std::vector<std::string>& taps, const ModelOptions& options) {
    Graph net = build_model(name, options);
    std::vector<std::string> names;
    for (const auto& [module, value] : net.modules())
        if (module == "features" || module == "pooled" || (module.size() == 2 && module[0] == 'C')) names.push_back(module);
    // Where the classes are means of maps there is no linear layer: the means of the features stand in.
    const auto has = [&](std::string_view tap) { return std::ranges::find(names, tap) != names.end(); };
    if (has("features") && !has("pooled")) {
        names.emplace_back("pooled");
        if (std::ranges::find(taps, "pooled") != taps.end()) net.module_output("pooled", flatten(global_avg_pool(net.find("features"))));
    }
    net.clear_outputs();
    for (const std::string& tap : taps) {
        require<ArgumentError>(has(tap), "model '{}' has no tap '{}'; its taps are {}", name, tap, names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
        net.output(tap, net.find(tap));
    }
    return remove_dead_code(net);
}

Value model_loss(ModelLoss loss, const Value& out, const Value& labels) {
    if (loss == ModelLoss::cross_entropy) return cross_entropy(out, labels);
    return mean(sum(out * one_hot(labels, out), {.axes = {1}}));
}

std::vector<std::int64_t> predicted_classes(ModelLoss loss, const Tensor& out) {
    require<ShapeError>(out.shape().rank() == 2 && out.shape()[1] > 0, "classes are told from [N, classes], got {}", out.shape());
    std::vector<std::int64_t> classes;
    for (std::int64_t n = 0; n < out.shape()[0]; ++n) {
        std::int64_t best = 0;
        for (std::int64_t j = 1; j < out.shape()[1]; ++j) {
            const double value = out.at(n * out.shape()[1] + j), leader = out.at(n * out.shape()[1] + best);
            if (loss == ModelLoss::label_distance ? value < leader : value > leader) best = j;
        }
        classes.push_back(best);
    }
    return classes;
}

}  // namespace fovea
