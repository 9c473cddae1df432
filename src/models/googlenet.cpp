// GoogLeNet. Szegedy et al. 2014, arXiv:1409.4842.
//   googlenet_v1   the paper's: 5 x 5 branches, response normalisation, biases
//   googlenet      torchvision's: batch norm, and 3 x 3 where the paper has 5 x 5 (pytorch/vision issue 906)
// Two auxiliary classifiers behind 4a and 4d train with weight 0.3 and vanish in inference.
#include <array>

#include "core/text.h"
#include "models/build.h"

namespace fovea {

namespace {

/// Table 1 of the paper: 1 x 1, 3 x 3 reduce, 3 x 3, 5 x 5 reduce, 5 x 5, pool projection.
struct Module {
    const char* name;
    std::array<std::int64_t, 6> widths;
};
constexpr Module modules[] = {
    {"3a", {64, 96, 128, 16, 32, 32}},    {"3b", {128, 128, 192, 32, 96, 64}},  {"4a", {192, 96, 208, 16, 48, 64}},   {"4b", {160, 112, 224, 24, 64, 64}},  {"4c", {128, 128, 256, 24, 64, 64}},
    {"4d", {112, 144, 288, 32, 64, 64}},  {"4e", {256, 160, 320, 32, 128, 128}}, {"5a", {256, 160, 320, 32, 128, 128}}, {"5b", {384, 192, 384, 48, 128, 128}},
};

/// What differs between the two forms: how a convolution is made, the modules' names, what stands between stages.
class Builder {
public:
    explicit Builder(const ModelOptions& options) : options_(options) {}
    virtual ~Builder() = default;
    Builder(const Builder&) = delete;
    Builder& operator=(const Builder&) = delete;

    Graph build() {
        Graph net;
        Value x = stem(image_input(net, options_)), from_4a, from_4d;
        for (const Module& module : modules) {
            const std::string_view name = module.name;
            if (name == "4a") x = tap(between(x, 3), "C3", x);
            if (name == "5a") x = tap(between(x, 4), "C4", x);
            x = inception_module(x, module);
            if (name == "4a") from_4a = x;
            if (name == "4d") from_4d = x;
        }
        net.module_output("C5", x);
        net.module_output("features", x);
        net.output(output_name(1), auxiliary(head(from_4a, "aux1"), 0.3));
        net.output(output_name(2), auxiliary(head(from_4d, "aux2"), 0.3));
        x = flatten(global_avg_pool(x, "avgpool"));
        net.module_output("pooled", x);
        net.output("out", linear(dropout(x, {.drop = drop(0.4)}), {.out = options_.classes, .init = linear_start()}, "fc"));
        return net;
    }

protected:
    [[nodiscard]] std::int64_t wide(std::int64_t channels) const { return widened(channels, options_); }
    [[nodiscard]] double drop(double usual) const { return options_.dropout >= 0 ? options_.dropout : usual; }
    static Value tap(const Value& next, std::string_view name, const Value& last) {
        last.graph().module_output(name, last);
        return next;
    }
    virtual Value stem(const Value& x) const = 0;
    /// The pool behind stage 3 or 4.
    virtual Value between(const Value& x, int stage) const = 0;
    virtual Value inception_module(const Value& x, const Module& module) const = 0;
    virtual Value head(const Value& x, std::string_view name) const = 0;
    [[nodiscard]] virtual std::string output_name(int index) const = 0;
    [[nodiscard]] virtual std::optional<Init> linear_start() const { return {}; }

    ModelOptions options_;
};

class Paper final : public Builder {
public:
    using Builder::Builder;

protected:
    Value conv(const Value& x, std::int64_t out, std::int64_t kernel, std::string_view name, std::int64_t stride = 1) const {
        const Init xavier{Init::Kind::xavier_uniform};
        return relu(conv2d(x, {.out = out, .kernel = kernel, .stride = stride, .pad = kernel / 2, .init = xavier, .bias_init = Init::constant(0.2)}, name));
    }
    static Value pool(const Value& x) { return max_pool(x, {.kernel = 3, .stride = 2, .ceil = true}); }
    /// Caffe's: alpha 1e-4 over the window of 5, k = 1.
    static Value norm(const Value& x) { return lrn(x, {}, "norm"); }

    Value stem(const Value& image) const override {
        Value x = norm(pool(conv(image, wide(64), 7, "conv1", 2)));
        x = norm(conv(conv(x, wide(64), 1, "conv2_reduce"), wide(192), 3, "conv2"));
        return tap(pool(x), "C2", x);
    }
    Value between(const Value& x, int) const override { return pool(x); }
    Value inception_module(const Value& x, const Module& module) const override {
        const auto& w = module.widths;
        const auto scope = x.graph().scope(fmt::format("i{}", module.name));
        const Value y = inception(x, {[&](const Value& v) { return conv(v, wide(w[0]), 1, "b1"); },
                                      [&](const Value& v) { return conv(conv(v, wide(w[1]), 1, "b3_reduce"), wide(w[2]), 3, "b3"); },
                                      [&](const Value& v) { return conv(conv(v, wide(w[3]), 1, "b5_reduce"), wide(w[4]), 5, "b5"); },
                                      [&](const Value& v) { return conv(max_pool(v, {.kernel = 3, .stride = 1, .pad = 1}), wide(w[5]), 1, "pool_proj"); }});
        x.graph().module_output("", y);
        return y;
    }
    Value head(const Value& x, std::string_view name) const override {
        const auto scope = x.graph().scope(name);
        const Init xavier{Init::Kind::xavier_uniform};
        Value y = conv(avg_pool(x, {.kernel = 5, .stride = 3}), wide(128), 1, "conv");
        y = relu(linear(flatten(y), {.out = wide(1024), .init = xavier, .bias_init = Init::constant(0.2)}, "fc1"));
        return linear(dropout(y, {.drop = drop(0.7)}), {.out = options_.classes, .init = xavier, .bias_init = Init::zeros()}, "fc2");
    }
    [[nodiscard]] std::string output_name(int index) const override { return fmt::format("aux{}", index); }
    [[nodiscard]] std::optional<Init> linear_start() const override { return Init{Init::Kind::xavier_uniform}; }
};

class Torchvision final : public Builder {
public:
    using Builder::Builder;

protected:
    static Value conv(const Value& x, std::int64_t out, std::int64_t kernel, std::string_view name, std::int64_t stride = 1) {
        return conv_bn_relu(x, {.out = out, .kernel = kernel, .stride = stride, .pad = kernel / 2, .eps = 1e-3, .init = start()}, name);
    }
    static Init start() { return {Init::Kind::truncated_normal, 0, 0.01}; }

    Value stem(const Value& image) const override {
        Value x = max_pool(conv(image, wide(64), 7, "conv1", 2), {.kernel = 3, .stride = 2, .ceil = true}, "maxpool1");
        x = conv(conv(x, wide(64), 1, "conv2"), wide(192), 3, "conv3");
        return tap(max_pool(x, {.kernel = 3, .stride = 2, .ceil = true}, "maxpool2"), "C2", x);
    }
    Value between(const Value& x, int stage) const override {
        return max_pool(x, {.kernel = stage == 3 ? 3 : 2, .stride = 2, .ceil = true}, stage == 3 ? "maxpool3" : "maxpool4");
    }
    Value inception_module(const Value& x, const Module& module) const override {
        const auto& w = module.widths;
        Graph& net = x.graph();
        const auto scope = net.scope(fmt::format("inception{}", module.name));
        const auto reduced = [&](const Value& v, std::int64_t reduce, std::int64_t out, std::string_view name) {
            const auto branch = net.scope(name);
            const Value y = conv(conv(v, wide(reduce), 1, "0"), wide(out), 3, "1");
            net.module_output("", y);
            return y;
        };
        const Value y = inception(x, {[&](const Value& v) { return conv(v, wide(w[0]), 1, "branch1"); }, [&](const Value& v) { return reduced(v, w[1], w[2], "branch2"); },
                                      [&](const Value& v) { return reduced(v, w[3], w[4], "branch3"); },
                                      [&](const Value& v) {
                                          const auto branch = net.scope("branch4");
                                          const Value z = conv(max_pool(v, {.kernel = 3, .stride = 1, .pad = 1}), wide(w[5]), 1, "1");
                                          net.module_output("", z);
                                          return z;
                                      }});
        net.module_output("", y);
        return y;
    }
    Value head(const Value& x, std::string_view name) const override {
        const auto scope = x.graph().scope(name);
        Value y = flatten(conv(adaptive_avg_pool(x, 4), wide(128), 1, "conv"));
        y = dropout(relu(linear(y, {.out = wide(1024), .init = start()}, "fc1")), {.drop = drop(0.7)});
        return linear(y, {.out = options_.classes, .init = start()}, "fc2");
    }
    [[nodiscard]] std::string output_name(int index) const override { return fmt::format("aux_logits{}", index); }
    [[nodiscard]] std::optional<Init> linear_start() const override { return start(); }
};

Graph build_paper(const ModelCard&, const ModelOptions& options) { return Paper(options).build(); }
Graph build_torchvision(const ModelCard&, const ModelOptions& options) { return Torchvision(options).build(); }

}  // namespace

std::vector<ModelCard> googlenet_cards() {
    constexpr const char* paper = "Szegedy et al. 2014, Going Deeper with Convolutions, arXiv:1409.4842";
    Preprocess caffe = preprocess_preset("caffe");
    caffe.crop_width = caffe.crop_height = 224;
    return {{.name = "googlenet_v1", .aliases = {"inception_v1"}, .family = "googlenet", .year = 2014, .paper = paper,
             .summary = "nine inception modules with 5 x 5 branches and response normalisation (the paper's form)", .channels = 3, .height = 224, .width = 224, .classes = 1000,
             .preprocess = caffe, .parameters = 13378280, .macs = 1582671872, .accuracy = "ImageNet top-5 error 10.07 %, one crop; 6.67 % with seven nets (paper, table 3)",
             .build = build_paper},
            {.name = "googlenet", .family = "googlenet", .year = 2014, .paper = paper, .summary = "the same with batch norm and 3 x 3 for 5 x 5 (torchvision's form)", .channels = 3,
             .height = 224, .width = 224, .classes = 1000, .preprocess = imagenet(), .parameters = 13004888, .macs = 1498376192,
             .accuracy = "ImageNet top-1 69.778 %, top-5 89.530 % (torchvision)", .build = build_torchvision}};
}

}  // namespace fovea
