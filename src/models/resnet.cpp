// Residual networks for ImageNet and their wider and grouped kin, as torchvision builds and names them.
//   resnet    He et al. 2015, arXiv:1512.03385. "_v1" strides in the first 1 x 1 of a bottleneck as the paper does, the others in the 3 x 3.
//   wide      Zagoruyko, Komodakis 2016, arXiv:1605.07146: the 3 x 3 twice as wide.
//   resnext   Xie et al. 2017, arXiv:1611.05431: the 3 x 3 in groups.
#include <algorithm>
#include <array>
#include <span>

#include "core/text.h"
#include "models/build.h"

namespace fovea {

namespace {

struct Form {
    const char* name;
    const char* family;
    std::array<int, 4> blocks;
    bool has_bottlenecks;
    std::int64_t groups, group_width;
    bool strides_first;
    std::int64_t parameters, macs;
    const char* accuracy;
    const char* alias;
};

// Accuracies: torchvision's model page, whose later weights come from longer training, or the paper.
constexpr Form forms[] = {
    {"resnet18", "resnet", {2, 2, 2, 2}, false, 1, 64, false, 11689512, 1814073344, "ImageNet top-1 69.758 %, top-5 89.078 % (torchvision)", "resnet18_v1"},
    {"resnet34", "resnet", {3, 4, 6, 3}, false, 1, 64, false, 21797672, 3663761408, "ImageNet top-1 73.314 %, top-5 91.420 % (torchvision)", "resnet34_v1"},
    {"resnet50", "resnet", {3, 4, 6, 3}, true, 1, 64, false, 25557032, 4089184256, "ImageNet top-1 76.130 %, top-5 92.862 % (torchvision, IMAGENET1K_V1)", "resnet50_v1.5"},
    {"resnet101", "resnet", {3, 4, 23, 3}, true, 1, 64, false, 44549160, 7801405440, "ImageNet top-1 77.374 %, top-5 93.546 % (torchvision, IMAGENET1K_V1)", "resnet101_v1.5"},
    {"resnet152", "resnet", {3, 8, 36, 3}, true, 1, 64, false, 60192808, 11513626624, "ImageNet top-1 78.312 %, top-5 94.046 % (torchvision, IMAGENET1K_V1)", "resnet152_v1.5"},
    {"resnet200", "resnet", {3, 24, 36, 3}, true, 1, 64, false, 64673832, 15007481856, "ImageNet error 21.8 % / 6.0 % at 320 x 320 (arXiv:1603.05027, table 5)", ""},
    {"resnet50_v1", "resnet", {3, 4, 6, 3}, true, 1, 64, true, 25557032, 3857973248, "ImageNet error 22.85 % / 6.71 %, ten crops (paper, table 3)", ""},
    {"resnet101_v1", "resnet", {3, 4, 23, 3}, true, 1, 64, true, 44549160, 7570194432, "ImageNet error 21.75 % / 6.05 %, ten crops (paper, table 3)", ""},
    {"resnet152_v1", "resnet", {3, 8, 36, 3}, true, 1, 64, true, 60192808, 11282415616, "ImageNet error 21.43 % / 5.71 %, ten crops (paper, table 3)", ""},
    {"wide_resnet50_2", "wide_resnet", {3, 4, 6, 3}, true, 1, 128, false, 68883240, 11398021120, "ImageNet top-1 78.468 %, top-5 94.086 % (torchvision, IMAGENET1K_V1)", ""},
    {"wide_resnet101_2", "wide_resnet", {3, 4, 23, 3}, true, 1, 128, false, 126886696, 22753050624, "ImageNet top-1 78.848 %, top-5 94.284 % (torchvision, IMAGENET1K_V1)", ""},
    {"resnext50_32x4d", "resnext", {3, 4, 6, 3}, true, 32, 4, false, 25028904, 4230479872, "ImageNet top-1 77.618 %, top-5 93.698 % (torchvision, IMAGENET1K_V1)", ""},
    {"resnext101_32x4d", "resnext", {3, 4, 23, 3}, true, 32, 4, false, 44177704, 7969996800, "ImageNet error 21.2 % (paper, table 3)", ""},
    {"resnext101_32x8d", "resnext", {3, 4, 23, 3}, true, 32, 8, false, 88791336, 16414015488, "ImageNet top-1 79.312 %, top-5 94.526 % (torchvision, IMAGENET1K_V1)", ""},
    {"resnext101_64x4d", "resnext", {3, 4, 23, 3}, true, 64, 4, false, 83455272, 15460270080, "ImageNet error 20.4 % / 5.3 % (paper, table 4)", ""},
};

// He et al. 2015, arXiv:1502.01852, by fan out: what torchvision starts residual networks with.
const Init start{Init::Kind::kaiming_normal, 0, 1};

/// Options A, B and C of the paper: who is projected, who is padded with channels of zeros.
Value shortcut(const Value& x, std::int64_t out, std::int64_t stride, Shortcut kind) {
    const bool changes = stride != 1 || x.shape()[1] != out;
    if (kind == Shortcut::c || (changes && kind != Shortcut::a)) return conv_bn(x, {.out = out, .kernel = 1, .stride = stride, .init = start}, "downsample.0", "downsample.1");
    return changes ? padded_shortcut(x, out, stride) : x;
}

Value block(const Value& x, const Form& form, std::int64_t planes, std::int64_t stride, Shortcut kind) {
    Graph& net = x.graph();
    Value y;
    std::int64_t out = planes;
    if (form.has_bottlenecks) {
        const std::int64_t width = std::max<std::int64_t>(1, planes * form.group_width / 64) * form.groups, first = form.strides_first ? stride : 1;
        out = planes * 4;
        y = conv_bn_relu(x, {.out = width, .kernel = 1, .stride = first, .init = start}, "conv1", "bn1");
        y = conv_bn_relu(y, {.out = width, .kernel = 3, .stride = stride / first, .pad = 1, .groups = form.groups, .init = start}, "conv2", "bn2");
        y = conv_bn(y, {.out = out, .kernel = 1, .init = start}, "conv3", "bn3");
    } else {
        y = conv_bn_relu(x, {.out = out, .kernel = 3, .stride = stride, .pad = 1, .init = start}, "conv1", "bn1");
        y = conv_bn(y, {.out = out, .kernel = 3, .pad = 1, .init = start}, "conv2", "bn2");
    }
    y = relu(y + shortcut(x, out, stride, kind));
    net.module_output("", y);
    return y;
}

Graph build(const ModelCard& card, const ModelOptions& options) {
    const Form& form = *std::ranges::find(forms, card.name, [](const Form& f) { return std::string_view(f.name); });
    Graph net;
    Value x = conv_bn_relu(image_input(net, options), {.out = widened(64, options), .kernel = 7, .stride = 2, .pad = 3, .init = start}, "conv1", "bn1");
    x = max_pool(x, {.kernel = 3, .stride = 2, .pad = 1}, "maxpool");
    for (int stage = 0; stage < 4; ++stage) {
        {
            const auto layer = net.scope(fmt::format("layer{}", stage + 1));
            for (int i = 0; i < form.blocks[static_cast<std::size_t>(stage)]; ++i) {
                const auto scope = net.scope(fmt::format("{}", i));
                x = block(x, form, widened(64 << stage, options), stage > 0 && i == 0 ? 2 : 1, options.shortcut);
            }
            net.module_output("", x);
        }
        net.module_output(fmt::format("C{}", stage + 2), x);
    }
    net.module_output("features", x);
    x = flatten(global_avg_pool(x, "avgpool"));
    net.module_output("pooled", x);
    if (options.dropout > 0) x = dropout(x, {.drop = options.dropout});
    net.output("out", linear(x, {.out = options.classes}, "fc"));
    return net;
}

const char* paper_of(std::string_view family) {
    if (family == "resnext") return "Xie, Girshick, Dollar, Tu, He 2017, Aggregated Residual Transformations for Deep Neural Networks, arXiv:1611.05431";
    if (family == "wide_resnet") return "Zagoruyko, Komodakis 2016, Wide Residual Networks, arXiv:1605.07146";
    return "He, Zhang, Ren, Sun 2015, Deep Residual Learning for Image Recognition, arXiv:1512.03385";
}

std::string summary_of(const Form& form) {
    std::string text = form.has_bottlenecks ? "bottlenecks" : "blocks of two 3 x 3 convolutions";
    if (form.groups > 1) text += fmt::format(" whose 3 x 3 has {} groups of {} channels", form.groups, form.group_width);
    else if (form.group_width > 64) text += " whose 3 x 3 is twice as wide";
    return text + (!form.has_bottlenecks ? "" : form.strides_first ? ", stride in the first 1 x 1 (the paper's form)" : ", stride in the 3 x 3 (torchvision's form, v1.5)");
}

}  // namespace

std::vector<ModelCard> resnet_cards() {
    std::vector<ModelCard> cards;
    for (const Form& form : forms) {
        const std::string_view family = form.family, alias = form.alias;
        const int year = family == "resnext" ? 2017 : family == "wide_resnet" ? 2016 : 2015;
        cards.push_back({.name = form.name, .family = form.family, .year = year, .paper = paper_of(family), .summary = summary_of(form), .channels = 3, .height = 224, .width = 224,
                         .classes = 1000, .preprocess = imagenet(), .parameters = form.parameters, .macs = form.macs, .accuracy = form.accuracy, .build = build});
        if (!alias.empty()) cards.back().aliases.emplace_back(alias);
    }
    return cards;
}

}  // namespace fovea
