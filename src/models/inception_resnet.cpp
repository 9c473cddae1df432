// Inception-ResNet. Szegedy et al. 2016, arXiv:1602.07261: the branches' result, scaled down, is added to what the module was given.
//   v1   figures 10 to 14, 5 + 10 + 5 modules; names after the published ports for face recognition, which have one module more
//   v2   as its authors published it: 10 + 20 + 10 modules behind the first layers of v3; names as in timm
#include "core/text.h"
#include "models/build.h"
#include "models/inception_parts.h"

namespace fovea {

namespace {

using namespace inception_parts;

struct Builder {
    Graph& net;
    const ModelOptions& options;
    Maker make{options};

    /// x + scale (1 x 1 convolution of the joined branches), with ReLU unless told otherwise.
    Value residual(const Value& x, std::string_view name, double scale, bool rectified, const std::function<std::vector<Value>(const Value&)>& branches) const {
        const auto scope = net.scope(name);
        const Value joined = concat(branches(x));
        Value y = conv2d(joined, {.out = x.shape()[1], .kernel = 1}, "conv2d") * scale + x;
        if (rectified) y = relu(y);
        net.module_output("", y);
        return y;
    }
    Value block35(const Value& x, std::string_view name, std::int64_t second, std::int64_t third) const {
        return residual(x, name, 0.17, true, [&](const Value& v) -> std::vector<Value> {
            const Value b0 = make.conv(v, {32, 1}, "branch0"), b1 = make.chain(v, "branch1", {{32, 1}, {32, 3, 1, 1}});
            return {b0, b1, make.chain(v, "branch2", {{32, 1}, {second, 3, 1, 1}, {third, 3, 1, 1}})};
        });
    }
    Value block17(const Value& x, std::string_view name, std::int64_t first, const std::array<std::int64_t, 3>& widths) const {
        return residual(x, name, 0.10, true, [&](const Value& v) -> std::vector<Value> {
            const Value b0 = make.conv(v, {first, 1}, "branch0");
            return {b0, make.chain(v, "branch1", {{widths[0], 1}, row(widths[1], 7), column(widths[2], 7)})};
        });
    }
    Value block8(const Value& x, std::string_view name, const std::array<std::int64_t, 3>& widths, double scale = 0.20, bool rectified = true) const {
        return residual(x, name, scale, rectified, [&](const Value& v) -> std::vector<Value> {
            const Value b0 = make.conv(v, {192, 1}, "branch0");
            return {b0, make.chain(v, "branch1", {{widths[0], 1}, row(widths[1], 3), column(widths[2], 3)})};
        });
    }
    Value reduction_a(const Value& x, const std::array<std::int64_t, 4>& klmn) const {
        const auto scope = net.scope("mixed_6a");
        const Value b0 = make.conv(x, {klmn[3], 3, 2}, "branch0");
        const Value y = concat({b0, make.chain(x, "branch1", {{klmn[0], 1}, {klmn[1], 3, 1, 1}, {klmn[2], 3, 2}}), reduce(x)});
        net.module_output("", y);
        return y;
    }
    Value reduction_b(const Value& x, std::int64_t middle, std::int64_t last) const {
        const auto scope = net.scope("mixed_7a");
        const Value b0 = make.chain(x, "branch0", {{256, 1}, {384, 3, 2}}), b1 = make.chain(x, "branch1", {{256, 1}, {middle, 3, 2}});
        const Value y = concat({b0, b1, make.chain(x, "branch2", {{256, 1}, {middle, 3, 1, 1}, {last, 3, 2}}), reduce(x)});
        net.module_output("", y);
        return y;
    }
    template <class F> Value repeat(Value x, std::string_view name, int times, F&& block) const {
        for (int i = 0; i < times; ++i) x = block(x, fmt::format("{}.{}", name, i));
        net.module_output(name, x);
        return x;
    }
    /// The first layers of both, to 192 channels at stride 4.
    Value stem(const Value& image) const {
        Value x = make.conv(image, {32, 3, 2}, "conv2d_1a");
        x = make.conv(make.conv(x, {32, 3}, "conv2d_2a"), {64, 3, 1, 1}, "conv2d_2b");
        x = max_pool(x, {.kernel = 3, .stride = 2}, "maxpool_3a");
        x = make.conv(make.conv(x, {80, 1}, "conv2d_3b"), {192, 3}, "conv2d_4a");
        net.module_output("C2", x);
        return x;
    }
    void finish(Value x, std::string_view name) const {
        net.module_output("C5", x);
        net.module_output("features", x);
        x = flatten(global_avg_pool(x));
        net.module_output("pooled", x);
        x = dropout(x, {.drop = options.dropout >= 0 ? options.dropout : 0.2});
        net.output("out", linear(x, {.out = options.classes}, name));
    }
};

Graph build_v1(const ModelCard&, const ModelOptions& options) {
    Graph net;
    const Builder b{net, options};
    Value x = b.make.conv(b.stem(image_input(net, options)), {256, 3, 2}, "conv2d_4b");
    x = b.repeat(x, "repeat_1", 5, [&](const Value& v, const std::string& name) { return b.block35(v, name, 32, 32); });
    net.module_output("C3", x);
    x = b.reduction_a(x, {192, 192, 256, 384});
    x = b.repeat(x, "repeat_2", 10, [&](const Value& v, const std::string& name) { return b.block17(v, name, 128, {128, 128, 128}); });
    net.module_output("C4", x);
    x = b.reduction_b(x, 256, 256);
    x = b.repeat(x, "repeat_3", 5, [&](const Value& v, const std::string& name) { return b.block8(v, name, {192, 192, 192}); });
    b.finish(x, "logits");
    return net;
}

Graph build_v2(const ModelCard&, const ModelOptions& options) {
    Graph net;
    const Builder b{net, options};
    Value x = max_pool(b.stem(image_input(net, options)), {.kernel = 3, .stride = 2}, "maxpool_5a");
    {
        const auto scope = net.scope("mixed_5b");
        const Value b0 = b.make.conv(x, {96, 1}, "branch0"), b1 = b.make.chain(x, "branch1", {{48, 1}, {64, 5, 1, 2}});
        const Value b2 = b.make.chain(x, "branch2", {{64, 1}, {96, 3, 1, 1}, {96, 3, 1, 1}});
        x = concat({b0, b1, b2, b.make.pooled(x, 64)});
        net.module_output("", x);
    }
    x = b.repeat(x, "repeat", 10, [&](const Value& v, const std::string& name) { return b.block35(v, name, 48, 64); });
    net.module_output("C3", x);
    x = b.reduction_a(x, {256, 256, 384, 384});
    x = b.repeat(x, "repeat_1", 20, [&](const Value& v, const std::string& name) { return b.block17(v, name, 192, {128, 160, 192}); });
    net.module_output("C4", x);
    x = b.reduction_b(x, 288, 320);
    x = b.repeat(x, "repeat_2", 9, [&](const Value& v, const std::string& name) { return b.block8(v, name, {192, 224, 256}); });
    x = b.block8(x, "block8", {192, 224, 256}, 1, false);
    b.finish(b.make.conv(x, {1536, 1}, "conv2d_7b"), "classif");
    return net;
}

}  // namespace

std::vector<ModelCard> inception_resnet_cards() {
    std::vector<ModelCard> cards{
        {.name = "inception_resnet_v1", .family = "inception", .year = 2016, .paper = paper, .summary = "residual inception modules at the cost of Inception-v3", .channels = 3, .height = 299, .width = 299,
         .classes = 1000, .preprocess = imagenet(299, 342, Filter::bicubic), .parameters = 22756328, .macs = 6206361696, .accuracy = "ImageNet error 21.3 % / 5.5 % (paper, table 2)", .build = build_v1},
        {.name = "inception_resnet_v2", .family = "inception", .year = 2016, .paper = paper, .summary = "residual inception modules at the cost of Inception-v4", .channels = 3, .height = 299, .width = 299,
         .classes = 1000, .preprocess = imagenet(299, 342, Filter::bicubic), .parameters = 55843464, .macs = 13155794016, .accuracy = "ImageNet error 19.9 % / 4.9 % (paper, table 2)",
         .build = build_v2}};
    for (ModelCard& card : cards) card.preprocess.mean = card.preprocess.std = {0.5, 0.5, 0.5};
    return cards;
}

}  // namespace fovea
