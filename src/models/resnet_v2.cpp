// Residual networks with pre-activation: norm and ReLU stand before each convolution. He et al. 2016, arXiv:1603.05027.
//   resnetv2_*     no norm behind the first convolution, stride in the 3 x 3 of a stage's first block; names of timm's resnetv2
//   resnet*v2      Keras' ResNet50V2 and its kin: stride in a stage's last block, biases where Keras has them; names of its layers
//   ..._bitm       Big Transfer: standardised weights and group norm. Kolesnikov et al. 2019, arXiv:1912.11370
#include <algorithm>
#include <array>

#include "core/text.h"
#include "models/build.h"

namespace fovea {

namespace {

constexpr const char* paper = "He, Zhang, Ren, Sun 2016, Identity Mappings in Deep Residual Networks, arXiv:1603.05027";

struct Form {
    const char* name;
    std::array<int, 4> blocks;
    std::int64_t parameters, macs;
    const char* accuracy;
};

// Accuracies: the paper's table 5, or Keras' table of applications.
constexpr Form forms[] = {
    {"resnetv2_50", {3, 4, 6, 3}, 25549352, 4089184256, ""},
    {"resnetv2_101", {3, 4, 23, 3}, 44541480, 7801405440, ""},
    {"resnetv2_152", {3, 8, 36, 3}, 60185128, 11513626624, "ImageNet error 21.1 % / 5.5 % at 320 x 320 (paper, table 5)"},
    {"resnetv2_200", {3, 24, 36, 3}, 64666152, 15007481856, "ImageNet error 20.7 % / 5.3 % at 320 x 320, 20.1 % / 4.8 % with scale and aspect augmentation (paper, table 5)"},
};
constexpr Form keras_forms[] = {
    {"resnet50v2", {3, 4, 6, 3}, 25568360, 3482255360, "ImageNet top-1 76.0 %, top-5 93.0 % (Keras)"},
    {"resnet101v2", {3, 4, 23, 3}, 44577896, 7194476544, "ImageNet top-1 77.2 %, top-5 93.8 % (Keras)"},
    {"resnet152v2", {3, 8, 36, 3}, 60236904, 10906697728, "ImageNet top-1 78.0 %, top-5 94.2 % (Keras)"},
};

template <class Table> const Form& form_of(const Table& table, std::string_view name) {
    return *std::ranges::find(table, name, [](const Form& f) { return std::string_view(f.name); });
}

const Init start{Init::Kind::kaiming_normal, 0, 1};

/// Convolution without bias and norm with ReLU, of batch norm or of Big Transfer's kind.
struct Layers {
    bool is_bit = false;

    [[nodiscard]] Value conv(const Value& x, const Conv2dSpec& spec, std::string_view name) const {
        if (!is_bit) return conv2d(x, {.out = spec.out, .kernel = spec.kernel, .stride = spec.stride, .pad = spec.pad, .bias = false, .init = start}, name);
        // Every filter to mean 0 and variance 1. Qiao et al. 2019, arXiv:1903.10520.
        Graph& net = x.graph();
        const Value w = net.parameter(fmt::format("{}.weight", name), {spec.out, x.shape()[1], spec.kernel.h, spec.kernel.w}, start);
        const Value centred = w - mean(w, {.axes = {1, 2, 3}, .keep = true});
        const Value variance = mean(square(centred), {.axes = {1, 2, 3}, .keep = true});
        return conv2d(x, centred * rsqrt(variance + 1e-8), {}, {.stride = spec.stride, .pad = spec.pad}, name);
    }
    [[nodiscard]] Value norm(const Value& x, std::string_view name) const { return relu(is_bit ? group_norm(x, {.groups = 32}, name) : batch_norm(x, {}, name)); }
};

Value block(const Layers& layers, const Value& x, std::int64_t planes, std::int64_t stride, bool projects) {
    Graph& net = x.graph();
    const std::int64_t out = planes * 4;
    // The projection reads what norm1 gives, but stands first in the state.
    if (projects) (void)net.parameter("downsample.conv.weight", {out, x.shape()[1], 1, 1}, start);
    const Value active = layers.norm(x, "norm1");
    const Value shortcut = projects ? layers.conv(active, {.out = out, .kernel = 1, .stride = stride}, "downsample.conv") : x;
    Value y = layers.norm(layers.conv(active, {.out = planes, .kernel = 1}, "conv1"), "norm2");
    y = layers.norm(layers.conv(y, {.out = planes, .kernel = 3, .stride = stride, .pad = 1}, "conv2"), "norm3");
    y = layers.conv(y, {.out = out, .kernel = 1}, "conv3") + shortcut;
    net.module_output("", y);
    return y;
}

Graph build_form(const Form& form, const Layers& layers, const ModelOptions& options) {
    Graph net;
    Value x = image_input(net, options);
    {
        const auto stem = net.scope("stem");
        x = layers.conv(x, {.out = widened(64, options), .kernel = 7, .stride = 2, .pad = 3}, "conv");
        // Big Transfer pads with zeros where the others pad with nothing.
        x = layers.is_bit ? max_pool(pad(x, Pad4{1}, {}, "pad"), {.kernel = 3, .stride = 2}, "pool") : max_pool(x, {.kernel = 3, .stride = 2, .pad = 1}, "pool");
        net.module_output("", x);
    }
    for (int stage = 0; stage < 4; ++stage) {
        {
            const auto scope = net.scope(fmt::format("stages.{}", stage));
            for (int i = 0; i < form.blocks[static_cast<std::size_t>(stage)]; ++i) {
                const auto inner = net.scope(fmt::format("blocks.{}", i));
                x = block(layers, x, widened(64 << stage, options), stage > 0 && i == 0 ? 2 : 1, i == 0);
            }
            net.module_output("", x);
        }
        if (stage < 3) net.module_output(fmt::format("C{}", stage + 2), x);
    }
    net.module_output("stages", x);
    x = layers.norm(x, "norm");
    for (const char* tap : {"norm", "norm.act", "C5", "features"}) net.module_output(tap, x);
    {
        const auto head = net.scope("head");
        x = global_avg_pool(x, "global_pool");
        if (options.dropout > 0) x = dropout(x, {.drop = options.dropout});
    }
    net.module_output("pooled", flatten(x));
    const auto head = net.scope("head");
    x = flatten(conv2d(x, {.out = options.classes, .kernel = 1, .init = Init::normal(0, 0.01), .bias_init = Init::zeros()}, "fc"), 1, "flatten");
    net.module_output("", x);
    net.output("out", x);
    return net;
}

Graph build(const ModelCard& card, const ModelOptions& options) { return build_form(form_of(forms, card.name), {}, options); }
Graph build_bit(const ModelCard&, const ModelOptions& options) { return build_form(forms[0], {.is_bit = true}, options); }

// ---- Keras ----------------------------------------------------------------------------------

Value keras_norm(const Value& x, std::string_view name) { return relu(batch_norm(x, {.eps = 1.001e-5, .momentum = 0.01}, name)); }

Value keras_block(const Value& x, std::int64_t planes, std::int64_t stride, bool projects, const std::string& name) {
    const Init glorot{Init::Kind::xavier_uniform};
    const auto conv = [&](const Value& v, std::int64_t out, std::int64_t kernel, std::int64_t step, bool bias, int i) {
        return conv2d(v, {.out = out, .kernel = kernel, .stride = step, .pad = kernel / 2, .bias = bias, .init = glorot, .bias_init = Init::zeros()}, fmt::format("{}_{}_conv", name, i));
    };
    const Value active = keras_norm(x, name + "_preact_bn");
    const Value shortcut = projects ? conv(active, planes * 4, 1, stride, true, 0) : stride > 1 ? max_pool(x, {.kernel = 1, .stride = stride}) : x;
    Value y = keras_norm(conv(active, planes, 1, 1, false, 1), name + "_1_bn");
    y = keras_norm(conv(y, planes, 3, stride, false, 2), name + "_2_bn");
    return add(shortcut, conv(y, planes * 4, 1, 1, true, 3), name + "_out");
}

Graph build_keras(const ModelCard& card, const ModelOptions& options) {
    const Form& form = form_of(keras_forms, card.name);
    const Init glorot{Init::Kind::xavier_uniform};
    Graph net;
    Value x = image_input(net, options);
    x = conv2d(x, {.out = widened(64, options), .kernel = 7, .stride = 2, .pad = 3, .init = glorot, .bias_init = Init::zeros()}, "conv1_conv");
    x = max_pool(pad(x, Pad4{1}, {}, "pool1_pad"), {.kernel = 3, .stride = 2}, "pool1_pool");
    for (int stage = 0; stage < 4; ++stage) {
        const int blocks = form.blocks[static_cast<std::size_t>(stage)];
        for (int i = 0; i < blocks; ++i)
            x = keras_block(x, widened(64 << stage, options), stage < 3 && i == blocks - 1 ? 2 : 1, i == 0, fmt::format("conv{}_block{}", stage + 2, i + 1));
        // The stride comes at a stage's end: conv2's last map has stride 8 already, and a map of stride 4 exists inside conv2 only.
        if (stage < 2) net.module_output(fmt::format("C{}", stage + 3), x);
    }
    x = keras_norm(x, "post_bn");
    net.module_output("C5", x);
    net.module_output("features", x);
    x = flatten(global_avg_pool(x, "avg_pool"));
    net.module_output("pooled", x);
    if (options.dropout > 0) x = dropout(x, {.drop = options.dropout});
    net.output("out", linear(x, {.out = options.classes, .init = glorot, .bias_init = Init::zeros()}, "predictions"));
    return net;
}

ModelCard card_of(const Form& form, const char* summary, Graph (*build_it)(const ModelCard&, const ModelOptions&)) {
    return {.name = form.name, .family = "resnet_v2", .year = 2016, .paper = paper, .summary = summary, .channels = 3, .height = 224, .width = 224, .classes = 1000,
            .preprocess = imagenet(), .parameters = form.parameters, .macs = form.macs, .accuracy = form.accuracy, .build = build_it};
}

}  // namespace

std::vector<ModelCard> resnet_v2_cards() {
    std::vector<ModelCard> cards;
    for (const Form& form : forms) cards.push_back(card_of(form, "pre-activation bottlenecks, stride in the 3 x 3 of a stage's first block", build));
    for (const Form& form : keras_forms) {
        cards.push_back(card_of(form, "pre-activation as Keras has it: stride in a stage's last block", build_keras));
        cards.back().preprocess = preprocess_preset("keras");
    }
    ModelCard bit = card_of(forms[0], "pre-activation with group norm and standardised weights (Big Transfer)", build_bit);
    bit.name = "resnetv2_50x1_bitm", bit.year = 2019, bit.paper = "Kolesnikov et al. 2019, Big Transfer (BiT): General Visual Representation Learning, arXiv:1912.11370";
    bit.preprocess.mean = bit.preprocess.std = {0.5, 0.5, 0.5};
    cards.push_back(bit);
    return cards;
}

}  // namespace fovea
