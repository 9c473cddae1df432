// The small ConvNet of teaching decks: two 5 x 5 convolutions with pools, a hidden layer of 100, Gaussian start of sigma 0.1.
// 155,606 parameters on 28 x 28 x 1, 214,806 on 32 x 32 x 3.
#include "models/build.h"

namespace fovea {

Graph build_small_convnet(const ModelCard&, const ModelOptions& options) {
    const Init weights = Init::normal(0, 0.1), biases = Init::zeros();
    Graph net;
    Value x = image_input(net, options);
    x = max_pool(relu(conv2d(x, {.out = 32, .kernel = 5, .init = weights, .bias_init = biases}, "conv1")), {.kernel = 2});
    x = max_pool(relu(conv2d(x, {.out = 64, .kernel = 5, .init = weights, .bias_init = biases}, "conv2")), {.kernel = 2});
    x = relu(linear(flatten(x), {.out = 100, .init = weights, .bias_init = biases}, "fc1"));
    net.output("out", linear(x, {.out = options.classes, .init = weights, .bias_init = biases}, "fc2"));
    return net;
}

}  // namespace fovea
