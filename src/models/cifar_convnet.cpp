// Small convolutional networks for 32 x 32 pictures, made to be compared: the layers of cuda-convnet's CIFAR-10 network (three
// convolutions of 5 x 5 with overlapping pools, and a linear layer), the one behind figure 1 of Krizhevsky, Sutskever, Hinton 2012; with
// ReLU, with tanh, and with batch norm. And the plan of AlexNet at this size: two hidden linear layers with dropout behind them.
// Unlike cuda-convnet's, all pools take the largest value, and none is followed by response normalisation. As there, pixels are 0..255
// minus their mean, and weights begin with deviation 0.0001 in the first layer and 0.01 behind it.
#include "core/text.h"
#include "models/build.h"

namespace fovea {

namespace {

enum class Activation { relu, tanh };

struct Form {
    Activation activation = Activation::relu;
    bool has_norm = false;    ///< batch norm before each activation
    std::int64_t hidden = 0;  ///< units of each of two hidden linear layers; 0: none
};

Value activated(const Value& x, Activation activation) { return activation == Activation::tanh ? tanh(x) : relu(x); }

Value block(const Value& x, std::int64_t out, const Form& form, int number) {
    Conv2dSpec spec{.out = out, .kernel = 5, .pad = 2, .bias = !form.has_norm};
    if (form.hidden == 0) spec.init = Init::normal(0, number == 1 ? 1e-4 : 0.01), spec.bias_init = Init::zeros();
    Value y = conv2d(x, spec, fmt::format("conv{}", number));
    if (form.has_norm) y = batch_norm(y, {}, fmt::format("bn{}", number));
    return max_pool(activated(y, form.activation), {.kernel = 3, .stride = 2, .ceil = true}, fmt::format("pool{}", number));
}

Graph build(const ModelOptions& options, const Form& form) {
    Graph net;
    Value x = image_input(net, options);
    int number = 0;
    for (const std::int64_t out : {32, 32, 64}) x = block(x, widened(out, options), form, ++number);
    net.module_output("features", x);
    x = flatten(x);
    if (form.hidden > 0) {
        for (const char* name : {"fc1", "fc2"}) x = dropout(activated(linear(x, {.out = widened(form.hidden, options)}, name), form.activation), {.drop = dropout_of(options, 0.5)});
        net.module_output("pooled", x);
    }
    net.output("out", form.hidden > 0 ? linear(x, {.out = options.classes}, "fc3") : linear(x, {.out = options.classes, .init = Init::normal(0, 0.01), .bias_init = Init::zeros()}, "fc1"));
    return net;
}

Graph build_relu(const ModelCard&, const ModelOptions& options) { return build(options, {}); }
Graph build_tanh(const ModelCard&, const ModelOptions& options) { return build(options, {.activation = Activation::tanh}); }
Graph build_norm(const ModelCard&, const ModelOptions& options) { return build(options, {.has_norm = true}); }
Graph build_hidden(const ModelCard&, const ModelOptions& options) { return build(options, {.hidden = 512}); }

}  // namespace

std::vector<ModelCard> cifar_convnet_cards() {
    const auto card = [](const char* name, const char* summary, std::int64_t parameters, std::int64_t macs, Graph (*build)(const ModelCard&, const ModelOptions&)) {
        return ModelCard{.name = name, .family = "cifar_convnet", .year = 2012, .paper = "Krizhevsky, Sutskever, Hinton 2012, ImageNet Classification with Deep Convolutional Neural Networks",
                         .summary = summary, .height = 32, .width = 32, .classes = 10, .preprocess = {.resize_width = 32, .resize_height = 32, .channels = 3, .scale = 1, .mean = {125.3, 123.0, 113.9}}, .parameters = parameters, .macs = macs, .build = build};
    };
    return {
        card("cifar_convnet", "four layers: three 5 x 5 convolutions with ReLU and overlapping pools, one linear layer", 89578, 12298240, build_relu),
        card("cifar_convnet_tanh", "the same with tanh for ReLU", 89578, 12298240, build_tanh),
        card("cifar_convnet_bn", "the same with batch norm before each ReLU", 89706, 12298240, build_norm),
        card("cifar_alexnet", "the same convolutions, then AlexNet's two hidden linear layers with dropout, 512 units each", 871914, 13079552, build_hidden),
    };
}

}  // namespace fovea
