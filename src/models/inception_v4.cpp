// Inception-v4. Szegedy et al. 2016, arXiv:1602.07261, figures 3 to 9; names as in timm, where the net is one list "features".
#include "core/text.h"
#include "models/build.h"
#include "models/inception_parts.h"

namespace fovea {

namespace {

using namespace inception_parts;

Value module(const Value& x, int index, const std::function<Value(const Value&)>& body) {
    const auto scope = x.graph().scope(fmt::format("features.{}", index));
    const Value y = body(x);
    x.graph().module_output("", y);
    return y;
}

Value stem(const Maker& make, const Value& image) {
    Value x = make.conv(image, {32, 3, 2}, "features.0");
    x = make.conv(make.conv(x, {32, 3}, "features.1"), {64, 3, 1, 1}, "features.2");
    x = module(x, 3, [&](const Value& v) { return concat({reduce(v), make.conv(v, {96, 3, 2}, "conv")}); });
    x = module(x, 4, [&](const Value& v) { return concat({make.chain(v, "branch0", {{64, 1}, {96, 3}}), make.chain(v, "branch1", {{64, 1}, row(64, 7), column(64, 7), {96, 3}})}); });
    x.graph().module_output("C2", x);
    return module(x, 5, [&](const Value& v) { return concat({make.conv(v, {192, 3, 2}, "conv"), reduce(v)}); });
}

Value module_a(const Maker& make, const Value& v) {
    const Value b0 = make.conv(v, {96, 1}, "branch0");
    const Value b1 = make.chain(v, "branch1", {{64, 1}, {96, 3, 1, 1}});
    const Value b2 = make.chain(v, "branch2", {{64, 1}, {96, 3, 1, 1}, {96, 3, 1, 1}});
    return concat({b0, b1, b2, make.pooled(v, 96)});
}

Value reduction_a(const Maker& make, const Value& v) {
    const Value b0 = make.conv(v, {384, 3, 2}, "branch0");
    return concat({b0, make.chain(v, "branch1", {{192, 1}, {224, 3, 1, 1}, {256, 3, 2}}), reduce(v)});
}

Value module_b(const Maker& make, const Value& v) {
    const Value b0 = make.conv(v, {384, 1}, "branch0");
    const Value b1 = make.chain(v, "branch1", {{192, 1}, row(224, 7), column(256, 7)});
    const Value b2 = make.chain(v, "branch2", {{192, 1}, column(192, 7), row(224, 7), column(224, 7), row(256, 7)});
    return concat({b0, b1, b2, make.pooled(v, 128)});
}

Value reduction_b(const Maker& make, const Value& v) {
    const Value b0 = make.chain(v, "branch0", {{192, 1}, {192, 3, 2}});
    return concat({b0, make.chain(v, "branch1", {{256, 1}, row(256, 7), column(320, 7), {320, 3, 2}}), reduce(v)});
}

Value module_c(const Maker& make, const Value& v) {
    const Value b0 = make.conv(v, {256, 1}, "branch0");
    const Value b1 = make.conv(v, {384, 1}, "branch1_0");
    const Value b1a = make.conv(b1, row(256, 3), "branch1_1a"), b1b = make.conv(b1, column(256, 3), "branch1_1b");
    const Value b2 = make.conv(make.conv(make.conv(v, {384, 1}, "branch2_0"), column(448, 3), "branch2_1"), row(512, 3), "branch2_2");
    const Value b2a = make.conv(b2, row(256, 3), "branch2_3a"), b2b = make.conv(b2, column(256, 3), "branch2_3b");
    return concat({b0, b1a, b1b, b2a, b2b, make.pooled(v, 256)});
}

Graph build(const ModelCard&, const ModelOptions& options) {
    Graph net;
    const Maker make{options};
    Value x = stem(make, image_input(net, options));
    int index = 6;
    const auto repeat = [&](int times, Value (*body)(const Maker&, const Value&)) {
        for (int i = 0; i < times; ++i) x = module(x, index++, [&](const Value& v) { return body(make, v); });
    };
    repeat(4, module_a);
    net.module_output("C3", x);
    repeat(1, reduction_a), repeat(7, module_b);
    net.module_output("C4", x);
    repeat(1, reduction_b), repeat(3, module_c);
    net.module_output("C5", x);
    net.module_output("features", x);
    {
        const auto scope = net.scope("global_pool");
        x = flatten(global_avg_pool(x, "pool"), 1, "flatten");
        net.module_output("", x);
    }
    net.module_output("pooled", x);
    x = dropout(x, {.drop = options.dropout >= 0 ? options.dropout : 0.2});
    net.output("out", linear(x, {.out = options.classes}, "last_linear"));
    return net;
}

}  // namespace

std::vector<ModelCard> inception_v4_cards() {
    ModelCard card{.name = "inception_v4", .family = "inception", .year = 2016, .paper = paper, .summary = "inception, uniform and wider, without shortcuts", .channels = 3, .height = 299, .width = 299,
                   .classes = 1000, .preprocess = imagenet(299, 342, Filter::bicubic), .parameters = 42679816, .macs = 12253974624, .accuracy = "ImageNet error 20.0 % / 5.0 % (paper, table 2)",
                   .build = build};
    card.preprocess.mean = card.preprocess.std = {0.5, 0.5, 0.5};
    return {card};
}

}  // namespace fovea
