// The small ConvNet of teaching decks: two 5 x 5 convolutions with pools, a hidden layer of 100, Gaussian start of sigma 0.1.
// 155,606 parameters on 28 x 28 x 1, 214,806 on 32 x 32 x 3.
#include "models/build.h"

namespace fovea {

namespace {

Graph build_small_convnet(const ModelCard&, const ModelOptions& options) {
    const Init weights = Init::normal(0, 0.1), biases = Init::zeros();
    Graph net;
    Value x = image_input(net, options);
    x = max_pool(relu(conv2d(x, {.out = widened(32, options), .kernel = 5, .init = weights, .bias_init = biases}, "conv1")), {.kernel = 2});
    x = max_pool(relu(conv2d(x, {.out = widened(64, options), .kernel = 5, .init = weights, .bias_init = biases}, "conv2")), {.kernel = 2});
    x = relu(linear(flatten(x), {.out = widened(100, options), .init = weights, .bias_init = biases}, "fc1"));
    net.output("out", linear(x, {.out = options.classes, .init = weights, .bias_init = biases}, "fc2"));
    return net;
}

}  // namespace

std::vector<ModelCard> small_convnet_cards() {
    return {
        {.name = "small_mnist", .family = "small", .year = 2013, .paper = "", .summary = "two 5 x 5 convolutions of 32 and 64 maps, pools, a hidden layer of 100",
         .channels = 1, .height = 28, .width = 28, .classes = 10, .preprocess = digits(), .parameters = 155606, .macs = 3841000, .build = build_small_convnet},
        {.name = "small_cifar", .family = "small", .year = 2013, .paper = "", .summary = "the same on 32 x 32 colour pictures", .channels = 3, .height = 32, .width = 32, .classes = 10,
         .preprocess = cifar(), .parameters = 214806, .macs = 7162600, .build = build_small_convnet},
    };
}

}  // namespace fovea
