// Inception-v3. Szegedy et al. 2015, arXiv:1512.00567; modules and names as in torchvision. The auxiliary classifier behind 6e trains
// with weight 0.4 and vanishes in inference.
#include "core/text.h"
#include "models/build.h"

namespace fovea {

namespace {

struct Builder {
    Graph& net;
    const ModelOptions& options;

    Value conv(const Value& x, std::int64_t out, Size2 kernel, std::string_view name, Pad4 pad = 0, std::int64_t stride = 1, double sigma = 0.1) const {
        return conv_bn_relu(x, {.out = widened(out, options), .kernel = kernel, .stride = stride, .pad = pad, .eps = 1e-3, .init = {Init::Kind::truncated_normal, 0, sigma}}, name);
    }
    /// 1 x 7 and 7 x 1 (or 1 x 3 and 3 x 1) that keep the size.
    Value row(const Value& x, std::int64_t out, std::int64_t size, std::string_view name) const { return conv(x, out, {1, size}, name, {0, size / 2}); }
    Value column(const Value& x, std::int64_t out, std::int64_t size, std::string_view name) const { return conv(x, out, {size, 1}, name, {size / 2, 0}); }
    static Value reduce(const Value& x) { return max_pool(x, {.kernel = 3, .stride = 2}); }
    Value pooled(const Value& x, std::int64_t out) const { return conv(avg_pool(x, {.kernel = 3, .stride = 1, .pad = 1}), out, 1, "branch_pool"); }

    template <class F> Value module(const Value& x, std::string_view name, F&& body) const {
        const auto scope = net.scope(name);
        const Value y = body(x);
        net.module_output("", y);
        return y;
    }

    Value a(const Value& v, std::string_view name, std::int64_t pool_features) const {
        return module(v, name, [&](const Value& x) {
            const Value b1 = conv(x, 64, 1, "branch1x1");
            const Value b5 = conv(conv(x, 48, 1, "branch5x5_1"), 64, 5, "branch5x5_2", 2);
            const Value b3 = conv(conv(conv(x, 64, 1, "branch3x3dbl_1"), 96, 3, "branch3x3dbl_2", 1), 96, 3, "branch3x3dbl_3", 1);
            return concat({b1, b5, b3, pooled(x, pool_features)});
        });
    }
    Value b(const Value& v, std::string_view name) const {
        return module(v, name, [&](const Value& x) {
            const Value b3 = conv(x, 384, 3, "branch3x3", 0, 2);
            const Value b33 = conv(conv(conv(x, 64, 1, "branch3x3dbl_1"), 96, 3, "branch3x3dbl_2", 1), 96, 3, "branch3x3dbl_3", 0, 2);
            return concat({b3, b33, reduce(x)});
        });
    }
    Value c(const Value& v, std::string_view name, std::int64_t width) const {
        return module(v, name, [&](const Value& x) {
            const Value b1 = conv(x, 192, 1, "branch1x1");
            const Value b7 = column(row(conv(x, width, 1, "branch7x7_1"), width, 7, "branch7x7_2"), 192, 7, "branch7x7_3");
            Value b77 = column(conv(x, width, 1, "branch7x7dbl_1"), width, 7, "branch7x7dbl_2");
            b77 = column(row(b77, width, 7, "branch7x7dbl_3"), width, 7, "branch7x7dbl_4");
            b77 = row(b77, 192, 7, "branch7x7dbl_5");
            return concat({b1, b7, b77, pooled(x, 192)});
        });
    }
    Value d(const Value& v, std::string_view name) const {
        return module(v, name, [&](const Value& x) {
            const Value b3 = conv(conv(x, 192, 1, "branch3x3_1"), 320, 3, "branch3x3_2", 0, 2);
            const Value b7 = column(row(conv(x, 192, 1, "branch7x7x3_1"), 192, 7, "branch7x7x3_2"), 192, 7, "branch7x7x3_3");
            return concat({b3, conv(b7, 192, 3, "branch7x7x3_4", 0, 2), reduce(x)});
        });
    }
    Value e(const Value& v, std::string_view name) const {
        return module(v, name, [&](const Value& x) {
            const Value b1 = conv(x, 320, 1, "branch1x1");
            const Value b3 = conv(x, 384, 1, "branch3x3_1");
            const Value b3a = row(b3, 384, 3, "branch3x3_2a"), b3b = column(b3, 384, 3, "branch3x3_2b");
            const Value b33 = conv(conv(x, 448, 1, "branch3x3dbl_1"), 384, 3, "branch3x3dbl_2", 1);
            const Value b33a = row(b33, 384, 3, "branch3x3dbl_3a"), b33b = column(b33, 384, 3, "branch3x3dbl_3b");
            return concat({b1, concat({b3a, b3b}), concat({b33a, b33b}), pooled(x, 192)});
        });
    }
    Value head(const Value& x) const {
        const auto scope = net.scope("AuxLogits");
        Value y = conv(avg_pool(x, {.kernel = 5, .stride = 3}), 128, 1, "conv0");
        y = conv(y, 768, 5, "conv1", 0, 1, 0.01);
        return linear(flatten(global_avg_pool(y)), {.out = options.classes, .init = Init{Init::Kind::truncated_normal, 0, 0.001}}, "fc");
    }
};

Graph build(const ModelCard&, const ModelOptions& options) {
    Graph net;
    const Builder make{net, options};
    Value x = make.conv(image_input(net, options), 32, 3, "Conv2d_1a_3x3", 0, 2);
    x = make.conv(make.conv(x, 32, 3, "Conv2d_2a_3x3"), 64, 3, "Conv2d_2b_3x3", 1);
    x = max_pool(x, {.kernel = 3, .stride = 2}, "maxpool1");
    x = make.conv(make.conv(x, 80, 1, "Conv2d_3b_1x1"), 192, 3, "Conv2d_4a_3x3");
    net.module_output("C2", x);
    x = max_pool(x, {.kernel = 3, .stride = 2}, "maxpool2");
    x = make.a(make.a(make.a(x, "Mixed_5b", 32), "Mixed_5c", 64), "Mixed_5d", 64);
    net.module_output("C3", x);
    x = make.b(x, "Mixed_6a");
    x = make.c(make.c(make.c(make.c(x, "Mixed_6b", 128), "Mixed_6c", 160), "Mixed_6d", 160), "Mixed_6e", 192);
    net.module_output("C4", x);
    net.output("aux_logits", auxiliary(make.head(x), 0.4));
    x = make.e(make.e(make.d(x, "Mixed_7a"), "Mixed_7b"), "Mixed_7c");
    net.module_output("C5", x);
    net.module_output("features", x);
    x = flatten(global_avg_pool(x, "avgpool"));
    net.module_output("pooled", x);
    x = dropout(x, {.drop = options.dropout >= 0 ? options.dropout : 0.5});
    net.output("out", linear(x, {.out = options.classes, .init = Init{Init::Kind::truncated_normal, 0, 0.1}}, "fc"));
    return net;
}

}  // namespace

std::vector<ModelCard> inception_v3_cards() {
    return {{.name = "inception_v3", .family = "inception", .year = 2015, .paper = "Szegedy et al. 2015, Rethinking the Inception Architecture for Computer Vision, arXiv:1512.00567",
             .summary = "inception with factorised convolutions: 1 x 7 and 7 x 1, 1 x 3 and 3 x 1", .channels = 3, .height = 299, .width = 299, .classes = 1000,
             .preprocess = imagenet(299, 342), .parameters = 27161264, .macs = 5713216096,
             .accuracy = "ImageNet top-1 77.294 %, top-5 93.450 % (torchvision); error 21.2 % / 5.6 % (paper, table 3)", .build = build}};
}

}  // namespace fovea
