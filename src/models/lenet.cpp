// LeNet-5 as it is built today, and Caffe's LeNet.
#include "models/build.h"

namespace fovea {

namespace {

// Padded first convolution, ReLU, max pooling, a linear classifier: 61,706 parameters.
Graph build_lenet5_modern(const ModelCard&, const ModelOptions& options) {
    Graph net;
    Value x = image_input(net, options);
    x = max_pool(relu(conv2d(x, {.out = widened(6, options), .kernel = 5, .pad = 2}, "conv1")), {.kernel = 2});
    x = max_pool(relu(conv2d(x, {.out = widened(16, options), .kernel = 5}, "conv2")), {.kernel = 2});
    x = relu(linear(flatten(x), {.out = widened(120, options)}, "fc1"));
    x = relu(linear(x, {.out = widened(84, options)}, "fc2"));
    net.output("out", linear(x, {.out = options.classes}, "fc3"));
    return net;
}

// The same without padding, as most tutorials have it on 28 x 28: 44,426 parameters.
Graph build_lenet5_tutorial(const ModelCard&, const ModelOptions& options) {
    Graph net;
    Value x = image_input(net, options);
    x = max_pool(relu(conv2d(x, {.out = widened(6, options), .kernel = 5}, "conv1")), {.kernel = 2});
    x = max_pool(relu(conv2d(x, {.out = widened(16, options), .kernel = 5}, "conv2")), {.kernel = 2});
    x = relu(linear(flatten(x), {.out = widened(120, options)}, "fc1"));
    x = relu(linear(x, {.out = widened(84, options)}, "fc2"));
    net.output("out", linear(x, {.out = options.classes}, "fc3"));
    return net;
}

// examples/mnist/lenet.prototxt of Caffe: no activation after the convolutions. Its "xavier" filler has variance 1 / fan_in.
Graph build_lenet_caffe(const ModelCard&, const ModelOptions& options) {
    const Init weights{Init::Kind::kaiming_uniform, 1}, biases = Init::zeros();
    Graph net;
    Value x = image_input(net, options);
    x = max_pool(conv2d(x, {.out = widened(20, options), .kernel = 5, .init = weights, .bias_init = biases}, "conv1"), {.kernel = 2, .ceil = true});
    x = max_pool(conv2d(x, {.out = widened(50, options), .kernel = 5, .init = weights, .bias_init = biases}, "conv2"), {.kernel = 2, .ceil = true});
    x = relu(linear(flatten(x), {.out = widened(500, options), .init = weights, .bias_init = biases}, "ip1"));
    net.output("out", linear(x, {.out = options.classes, .init = weights, .bias_init = biases}, "ip2"));
    return net;
}

}  // namespace

std::vector<ModelCard> lenet_cards() {
    return {
        {.name = "lenet5_modern", .aliases = {"lenet5", "lenet-5"}, .family = "lenet", .year = 1998, .paper = paper_lenet,
         .summary = "LeNet-5 as built today: padded first convolution, ReLU, max pooling, linear classifier",
         .channels = 1, .height = 28, .width = 28, .classes = 10, .preprocess = digits(), .parameters = 61706, .macs = 416520,
         .accuracy = "MNIST error 0.95 % (paper, sec. III, its own LeNet-5 without distortions)", .build = build_lenet5_modern},
        {.name = "lenet5_tutorial", .family = "lenet", .year = 1998, .paper = paper_lenet, .summary = "LeNet-5 without padding on 28 x 28, as in most tutorials",
         .channels = 1, .height = 28, .width = 28, .classes = 10, .preprocess = digits(), .parameters = 44426, .macs = 281640, .build = build_lenet5_tutorial},
        {.name = "lenet_caffe", .aliases = {"lenet"}, .family = "lenet", .year = 2014, .paper = "Caffe, examples/mnist/lenet.prototxt",
         .summary = "Caffe's LeNet: 20 and 50 maps, no activation after the convolutions", .channels = 1, .height = 28, .width = 28, .classes = 10,
         .preprocess = {.resize_width = 28, .resize_height = 28, .channels = 1, .scale = 1.0 / 256}, .parameters = 431080, .macs = 2293000,
         .accuracy = "MNIST 98.97 % (Caffe, examples/mnist/readme.md)", .build = build_lenet_caffe},
    };
}

}  // namespace fovea
