// One card per network. Parameters and multiply-adds are those of the card's size; tests count both.
#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "fovea/passes.h"
#include "models/build.h"

namespace fovea {

const std::vector<ModelCard>& model_cards() {
    static const std::vector<ModelCard> cards = [] {
        std::vector<ModelCard> all;
        // In the order they appeared.
        constexpr std::vector<ModelCard> (*families[])() = {
            lenet_cards,
            lenet5_classic_cards,
            dlib_cards,
            small_convnet_cards,
            cifar_resnet_cards,
            alexnet_cards,
            cifar_convnet_cards,
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
            cifar_airbench_cards,
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

/// MNIST and its kin: 28 x 28 grey, standardised with MNIST's own mean and deviation.
Preprocess digits(double mean, double deviation) {
    return {.resize_width = 28, .resize_height = 28, .channels = 1, .mean = {mean, mean, mean}, .std = {deviation, deviation, deviation}};
}

// Mean and deviation are ImageNet's: the published weights of residual networks were trained with them.
Preprocess cifar() { return {.resize_width = 32, .resize_height = 32, .channels = 3, .mean = {0.485, 0.456, 0.406}, .std = {0.229, 0.224, 0.225}}; }

std::int64_t in_eights(double channels) {
    const std::int64_t nearest = std::max<std::int64_t>(8, static_cast<std::int64_t>(channels + 4) / 8 * 8);
    return static_cast<double>(nearest) < 0.9 * channels ? nearest + 8 : nearest;
}

StrideTaps::StrideTaps(Graph& graph, int stride) : graph_(graph), stride_(stride) {}

void StrideTaps::before(const Value& x, std::int64_t stride) {
    if (stride == 1) return;
    if (stride_ > 1) graph_.module_output(fmt::format("C{}", stride_), x);
    ++stride_;
}

void StrideTaps::last(const Value& x) {
    graph_.module_output(fmt::format("C{}", stride_), x);
    graph_.module_output("features", x);
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

namespace {

/// An option that changes nothing in this network is a mistake, not a wish granted.
void check_options_matter(const ModelCard& card, const ModelOptions& options, const Graph& net) {
    if (options.width_multiplier != 1) {
        ModelOptions own = options;
        own.width_multiplier = 1;
        require<ArgumentError>(card.build(card, own).trainable_scalars() != net.trainable_scalars(), "model '{}' has no width multiplier, got {}", card.name, options.width_multiplier);
    }
    const auto has = [&](auto... modes) {
        return std::ranges::any_of(net.nodes(), [&](const Node& node) { return op_name(node) == "dropout" && ((node.attrs.text("mode", "element") == modes) || ...); });
    };
    const auto joins = [&] { return std::ranges::any_of(net.nodes(), [](const Node& node) { return op_name(node) == "choose_paths"; }); };
    require<ArgumentError>(options.dropout <= 0 || has("element", "channel"), "model '{}' has no dropout, got {}", card.name, options.dropout);
    require<ArgumentError>(options.drop_path <= 0 || joins() || has("sample", "batch"), "model '{}' has no paths to drop, got drop_path {}", card.name, options.drop_path);
}

}  // namespace

Graph build_model(std::string_view name, const ModelOptions& options) {
    const ModelCard& card = find_model(name);
    try {
        const ModelOptions all = with_defaults(card, options);
        Graph net = card.build(card, all);
        check_options_matter(card, all, net);
        return net;
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

}  // namespace fovea
