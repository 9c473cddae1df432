// LeNet-5 as it is built today, and Caffe's LeNet.
#include "models/build.h"

namespace fovea {

// Padded first convolution, ReLU, max pooling, a linear classifier: 61,706 parameters.
Graph build_lenet5_modern(const ModelCard&, const ModelOptions& options) {
    Graph net;
    Value x = image_input(net, options);
    x = max_pool(relu(conv2d(x, {.out = 6, .kernel = 5, .pad = 2}, "conv1")), {.kernel = 2});
    x = max_pool(relu(conv2d(x, {.out = 16, .kernel = 5}, "conv2")), {.kernel = 2});
    x = relu(linear(flatten(x), {.out = 120}, "fc1"));
    x = relu(linear(x, {.out = 84}, "fc2"));
    net.output("out", linear(x, {.out = options.classes}, "fc3"));
    return net;
}

// The same without padding, as most tutorials have it on 28 x 28: 44,426 parameters.
Graph build_lenet5_tutorial(const ModelCard&, const ModelOptions& options) {
    Graph net;
    Value x = image_input(net, options);
    x = max_pool(relu(conv2d(x, {.out = 6, .kernel = 5}, "conv1")), {.kernel = 2});
    x = max_pool(relu(conv2d(x, {.out = 16, .kernel = 5}, "conv2")), {.kernel = 2});
    x = relu(linear(flatten(x), {.out = 120}, "fc1"));
    x = relu(linear(x, {.out = 84}, "fc2"));
    net.output("out", linear(x, {.out = options.classes}, "fc3"));
    return net;
}

// examples/mnist/lenet.prototxt of Caffe: no activation after the convolutions. Its "xavier" filler has variance 1 / fan_in.
Graph build_lenet_caffe(const ModelCard&, const ModelOptions& options) {
    const Init weights{Init::Kind::kaiming_uniform, 1}, biases = Init::zeros();
    Graph net;
    Value x = image_input(net, options);
    x = max_pool(conv2d(x, {.out = 20, .kernel = 5, .init = weights, .bias_init = biases}, "conv1"), {.kernel = 2, .ceil = true});
    x = max_pool(conv2d(x, {.out = 50, .kernel = 5, .init = weights, .bias_init = biases}, "conv2"), {.kernel = 2, .ceil = true});
    x = relu(linear(flatten(x), {.out = 500, .init = weights, .bias_init = biases}, "ip1"));
    net.output("out", linear(x, {.out = options.classes, .init = weights, .bias_init = biases}, "ip2"));
    return net;
}

}  // namespace fovea
