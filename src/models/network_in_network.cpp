// Network in Network. Lin, Chen, Yan 2013, arXiv:1312.4400: each convolution is followed by two of 1 x 1 (a small perceptron at every
// place, "mlpconv"), and the classes are the global means of the last maps. Layers are called what the authors' Caffe files call them.
#include "core/text.h"
#include "models/build.h"

namespace fovea {

namespace {

/// A layer with its ReLU. Their solver starts weights with deviation 0.05 (CIFAR) or 0.01 and biases at 0.
Value layer(const Value& x, std::string_view name, const Conv2dSpec& shape, double deviation) {
    Conv2dSpec spec = shape;
    spec.init = Init::normal(0, deviation), spec.bias_init = Init::zeros();
    return relu(conv2d(x, spec, name));
}

Graph build_cifar(const ModelCard&, const ModelOptions& options) {
    const double drop = dropout_of(options, 0.5);
    const auto conv = [&](const Value& v, std::string_view name, std::int64_t out, std::int64_t kernel) { return layer(v, name, {.out = out, .kernel = kernel, .pad = kernel / 2}, 0.05); };
    const auto width = [&](std::int64_t channels) { return widened(channels, options); };
    Graph net;
    Value x = conv(conv(conv(image_input(net, options), "conv1", width(192), 5), "cccp1", width(160), 1), "cccp2", width(96), 1);
    x = dropout(max_pool(x, {.kernel = 3, .stride = 2, .ceil = true}, "pool1"), {.drop = drop}, "drop3");
    x = conv(conv(conv(x, "conv2", width(192), 5), "cccp3", width(192), 1), "cccp4", width(192), 1);
    x = dropout(avg_pool(x, {.kernel = 3, .stride = 2, .ceil = true}, "pool2"), {.drop = drop}, "drop6");
    x = conv(conv(x, "conv3", width(192), 3), "cccp5", width(192), 1);
    net.module_output("C2", x);
    net.module_output("features", x);
    net.output("out", flatten(global_avg_pool(conv(x, "cccp6", options.classes, 1), "pool3")));
    return net;
}

Graph build_imagenet(const ModelCard&, const ModelOptions& options) {
    const auto conv = [&](const Value& v, std::string_view name, std::int64_t out, std::int64_t kernel, std::int64_t stride = 1) {
        return layer(v, name, {.out = out, .kernel = kernel, .stride = stride, .pad = stride == 1 ? kernel / 2 : 0}, 0.01);
    };
    const auto pool = [](const Value& v, std::string_view name) { return max_pool(v, {.kernel = 3, .stride = 2, .ceil = true}, name); };
    const auto width = [&](std::int64_t channels) { return widened(channels, options); };
    Graph net;
    Value x = conv(conv(conv(image_input(net, options), "conv1", width(96), 11, 4), "cccp1", width(96), 1), "cccp2", width(96), 1);
    net.module_output("C2", x);
    x = conv(conv(conv(pool(x, "pool0"), "conv2", width(256), 5), "cccp3", width(256), 1), "cccp4", width(256), 1);
    net.module_output("C3", x);
    x = conv(conv(conv(pool(x, "pool2"), "conv3", width(384), 3), "cccp5", width(384), 1), "cccp6", width(384), 1);
    net.module_output("C4", x);
    x = dropout(pool(x, "pool3"), {.drop = dropout_of(options, 0.5)}, "drop");
    x = conv(conv(x, "conv4-1024", width(1024), 3), "cccp7-1024", width(1024), 1);
    net.module_output("C5", x);
    net.module_output("features", x);
    net.output("out", flatten(global_avg_pool(conv(x, "cccp8-1024", options.classes, 1), "pool4")));
    return net;
}

}  // namespace

std::vector<ModelCard> network_in_network_cards() {
    constexpr const char* paper = "Lin, Chen, Yan 2013, Network In Network, arXiv:1312.4400";
    Preprocess pictures = preprocess_preset("caffe");
    pictures.crop_width = pictures.crop_height = 224;
    return {
        {.name = "nin_cifar", .aliases = {"nin"}, .family = "nin", .year = 2013, .paper = paper, .summary = "three mlpconv blocks and a global mean, for 32 x 32 pictures", .height = 32,
         .width = 32, .classes = 10, .preprocess = cifar(), .parameters = 966986, .macs = 222486528, .accuracy = "CIFAR-10 error 10.41 %, 8.81 % with shifted and mirrored pictures (paper, table 1)",
         .build = build_cifar},
        {.name = "nin_imagenet", .family = "nin", .year = 2014, .paper = paper, .summary = "four mlpconv blocks and a global mean, the net of Caffe's model zoo", .height = 224, .width = 224,
         .classes = 1000, .preprocess = pictures, .parameters = 7595176, .macs = 1100188800, .accuracy = "ImageNet top-1 59.36 % (Caffe model zoo, gist mavenlin/d802a5849de39225bcc6)", .build = build_imagenet},
    };
}

}  // namespace fovea
