// The nets of dlib's examples: con pads by half its kernel unless strided, fc and con start by dlib's rule with zero biases.
#include "core/text.h"
#include "models/build.h"

namespace fovea {

namespace {

const Init weights{Init::Kind::dlib};
const Init biases = Init::zeros();

Value con(const Value& x, std::int64_t out, std::int64_t kernel, std::string_view name, bool padded = true) {
    return conv2d(x, {.out = out, .kernel = kernel, .pad_mode = padded ? PadMode::dlib : PadMode::valid, .init = weights, .bias_init = biases}, name);
}
Value fc(const Value& x, std::int64_t out, std::string_view name) {
    return linear(x.shape().rank() > 2 ? flatten(x) : x, {.out = out, .init = weights, .bias_init = biases}, name);
}
/// max_pool<3,3,1,1>: a pool of stride 1 is padded by half its size, like con.
Value pool_3_1(const Value& x) { return max_pool(x, {.kernel = 3, .stride = 1, .pad = 1}); }

Graph lenet(const ModelOptions& options, bool padded) {
    Graph net;
    Value x = image_input(net, options);
    x = max_pool(relu(con(x, 6, 5, "conv1", padded)), {.kernel = 2});
    x = max_pool(relu(con(x, 16, 5, "conv2", padded)), {.kernel = 2});
    x = relu(fc(x, 120, "fc1"));
    x = relu(fc(x, 84, "fc2"));
    net.output("out", fc(x, options.classes, "fc3"));
    return net;
}

Graph build_lenet_dlib(const ModelCard&, const ModelOptions& options) { return lenet(options, true); }
Graph build_lenet_dlib_unpadded(const ModelCard&, const ModelOptions& options) { return lenet(options, false); }

// Blocks of two 3 x 3 convolutions and a pool, widths doubling from 8 to 128; two dropped layers of 4096.
Graph build_five_blocks(const ModelCard&, const ModelOptions& options) {
    const double drop = options.dropout >= 0 ? options.dropout : 0.5;
    Graph net;
    Value x = image_input(net, options);
    for (std::int64_t block = 1, width = 8; block <= 5; ++block, width *= 2) {
        const auto scope = net.scope(fmt::format("block{}", block));
        x = relu(con(x, width, 3, "conv1"));
        x = max_pool(relu(con(x, width, 3, "conv2")), {.kernel = 2});
    }
    x = dropout(relu(fc(x, 4096, "fc1")), {.drop = drop});
    x = dropout(relu(fc(x, 4096, "fc2")), {.drop = drop});
    net.output("out", fc(x, options.classes, "fc3"));
    return net;
}

// examples/dnn_inception_ex.cpp: two small inception modules, 26,514 parameters on 28 x 28 x 1.
Graph build_inception_dlib_mnist(const ModelCard&, const ModelOptions& options) {
    Graph net;
    Value x = image_input(net, options);
    {
        const auto scope = net.scope("incept_a");
        x = inception(x, {[](const Value& v) { return relu(con(v, 10, 1, "branch1")); },
                          [](const Value& v) { return relu(con(relu(con(v, 16, 1, "branch2.reduce")), 10, 3, "branch2")); },
                          [](const Value& v) { return relu(con(relu(con(v, 16, 1, "branch3.reduce")), 10, 5, "branch3")); },
                          [](const Value& v) { return relu(con(pool_3_1(v), 10, 1, "branch4")); }});
    }
    x = max_pool(x, {.kernel = 2});
    {
        const auto scope = net.scope("incept_b");
        x = inception(x, {[](const Value& v) { return relu(con(v, 4, 1, "branch1")); }, [](const Value& v) { return relu(con(v, 4, 3, "branch2")); },
                          [](const Value& v) { return relu(con(pool_3_1(v), 4, 1, "branch3")); }});
    }
    x = relu(fc(max_pool(x, {.kernel = 2}), 32, "fc1"));
    net.output("out", fc(x, options.classes, "fc2"));
    return net;
}

/// dlib's input layer: x / 256.
Preprocess of_dlib(std::int64_t size, int channels) { return {.resize_width = size, .resize_height = size, .channels = channels, .scale = 1.0 / 256}; }

}  // namespace

std::vector<ModelCard> dlib_cards() {
    return {
        {.name = "lenet_dlib", .family = "lenet", .year = 2016, .paper = "dlib, examples/dnn_introduction_ex.cpp", .summary = "dlib's LeNet: every convolution padded by half its kernel",
         .channels = 1, .height = 28, .width = 28, .classes = 10, .preprocess = of_dlib(28, 1), .parameters = 107786, .macs = 693000,
         .accuracy = "MNIST at least 99 % (dlib, examples/dnn_introduction_ex.cpp)", .build = build_lenet_dlib},
        {.name = "lenet_dlib_unpadded", .family = "lenet", .year = 2016, .paper = "dlib, examples/dnn_introduction_ex.cpp", .summary = "the same without padding",
         .channels = 1, .height = 28, .width = 28, .classes = 10, .preprocess = of_dlib(28, 1), .parameters = 44426, .macs = 281640, .build = build_lenet_dlib_unpadded},
        {.name = "five_blocks", .aliases = {"vgg_five_blocks"}, .family = "vgg", .year = 2014, .paper = "Simonyan, Zisserman 2014, arXiv:1409.1556 (the idea)",
         .summary = "five blocks of two 3 x 3 convolutions, 8 to 128 maps, two dropped layers of 4096", .channels = 3, .height = 224, .width = 224, .classes = 2,
         .preprocess = of_dlib(224, 3), .parameters = 42778762, .macs = 255623168, .build = build_five_blocks},
        {.name = "inception_dlib_mnist", .family = "inception", .year = 2016, .paper = "dlib, examples/dnn_inception_ex.cpp; Szegedy et al. 2014, arXiv:1409.4842",
         .summary = "two small inception modules for MNIST", .channels = 1, .height = 28, .width = 28, .classes = 10, .preprocess = of_dlib(28, 1), .parameters = 26514, .macs = 4669824,
         .accuracy = "MNIST at least 99 % (dlib, examples/dnn_inception_ex.cpp)", .build = build_inception_dlib_mnist},
    };
}

}  // namespace fovea
