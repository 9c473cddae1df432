// AlexNet. Krizhevsky, Sutskever, Hinton 2012: two towers that meet in conv3 and the classifier, response normalisation. Its other
// forms: Caffe's (pooled before it is normalised), without towers, and the single tower of Krizhevsky 2014, which torchvision has.
#include "core/text.h"
#include "models/build.h"

namespace fovea {

namespace {

constexpr const char* paper_2012 = "Krizhevsky, Sutskever, Hinton 2012, ImageNet Classification with Deep Convolutional Neural Networks";

/// What distinguishes the nets with the layers of 2012.
struct Form {
    std::int64_t groups;  ///< towers of conv2, conv4 and conv5
    bool pool_first;      ///< pool, then normalise
    LrnSpec norm;
    bool ceil;            ///< Caffe's pooling
    double fc_deviation;  ///< of the hidden linear layers at the start
};

// Sec. 3.3: sum over 5 channels times alpha, undivided, k = 2. Caffe divides alpha by 5 and has k = 1.
constexpr LrnSpec krizhevsky{.size = 5, .alpha = 1e-4, .beta = 0.75, .k = 2, .convention = LrnConvention::krizhevsky};
constexpr LrnSpec caffe{.size = 5, .alpha = 1e-4, .beta = 0.75, .k = 1, .convention = LrnConvention::caffe};

Graph build(const ModelOptions& options, const Form& form) {
    const auto width = [&](std::int64_t channels) { return form.groups * widened(channels / form.groups, options); };
    // Sec. 5: weights of deviation 0.01; biases of 1 in conv2, conv4, conv5 and the hidden linear layers, so that ReLUs start active.
    const auto conv = [&](const Value& x, std::string_view name, std::int64_t out, std::int64_t kernel, std::int64_t stride, std::int64_t groups, double bias) {
        const std::int64_t pad = stride == 1 ? kernel / 2 : 0;
        return relu(conv2d(x, {.out = width(out), .kernel = kernel, .stride = stride, .pad = pad, .groups = groups, .init = Init::normal(0, 0.01), .bias_init = Init::constant(bias)}, name));
    };
    const auto pool = [&](const Value& x, std::string_view name) { return max_pool(x, {.kernel = 3, .stride = 2, .ceil = form.ceil}, name); };
    const auto norm_and_pool = [&](const Value& x, std::string_view name) { return form.pool_first ? lrn(pool(x, name), form.norm, "norm") : pool(lrn(x, form.norm, "norm"), name); };
    const auto hidden = [&](const Value& x, std::string_view name) {
        const Value y = linear(x, {.out = width(4096), .init = Init::normal(0, form.fc_deviation), .bias_init = Init::ones()}, name);
        return dropout(relu(y), {.drop = dropout_of(options, 0.5)});
    };
    Graph net;
    Value x = conv(image_input(net, options), "conv1", 96, 11, 4, 1, 0);
    net.module_output("C2", x);
    x = conv(norm_and_pool(x, "pool1"), "conv2", 256, 5, 1, form.groups, 1);
    net.module_output("C3", x);
    x = conv(norm_and_pool(x, "pool2"), "conv3", 384, 3, 1, 1, 0);
    x = conv(x, "conv4", 384, 3, 1, form.groups, 1);
    x = conv(x, "conv5", 256, 3, 1, form.groups, 1);
    net.module_output("C4", x);
    x = pool(x, "pool5");
    net.module_output("C5", x);
    net.module_output("features", x);
    x = hidden(hidden(flatten(x), "fc6"), "fc7");
    net.module_output("pooled", x);
    net.output("out", linear(x, {.out = options.classes, .init = Init::normal(0, 0.01), .bias_init = Init::zeros()}, "fc8"));
    return net;
}

Graph build_2012(const ModelCard&, const ModelOptions& options) { return build(options, {.groups = 2, .pool_first = false, .norm = krizhevsky, .ceil = false, .fc_deviation = 0.01}); }
Graph build_caffenet(const ModelCard&, const ModelOptions& options) { return build(options, {.groups = 2, .pool_first = true, .norm = caffe, .ceil = true, .fc_deviation = 0.005}); }
Graph build_ungrouped(const ModelCard&, const ModelOptions& options) { return build(options, {.groups = 1, .pool_first = true, .norm = caffe, .ceil = true, .fc_deviation = 0.005}); }

/// The layers that the two unnormalised forms share, counted as torch.nn.Sequential counts them: each convolution is followed by its
/// ReLU. `first` and `second` are those before the pools.
Value convolutions(Graph& net, const ModelOptions& options, const std::vector<std::int64_t>& widths, std::int64_t pad) {
    const auto conv = [&](const Value& v, std::int64_t layer, const Conv2dSpec& spec) { return relu(conv2d(v, spec, std::to_string(layer)), std::to_string(layer + 1)); };
    const auto pool = [&](const Value& v, std::int64_t layer) { return max_pool(v, {.kernel = 3, .stride = 2}, std::to_string(layer)); };
    const auto width = [&](std::size_t i) { return widened(widths[i], options); };
    Value x = conv(net.find("image"), 0, {.out = width(0), .kernel = 11, .stride = 4, .pad = pad});
    x = conv(pool(x, 2), 3, {.out = width(1), .kernel = 5, .pad = 2});
    x = conv(pool(x, 5), 6, {.out = width(2), .kernel = 3, .pad = 1});
    x = conv(x, 8, {.out = width(3), .kernel = 3, .pad = 1});
    x = conv(x, 10, {.out = width(4), .kernel = 3, .pad = 1});
    return pool(x, 12);
}

/// The taps of those layers, below `prefix`.
void add_taps(Graph& net, const std::string& prefix) {
    constexpr std::pair<const char*, const char*> taps[] = {{"C2", "1"}, {"C3", "4"}, {"C4", "11"}, {"C5", "12"}, {"features", "12"}};
    for (const auto& [tap, layer] : taps) net.module_output(tap, net.find(prefix + layer));
}

// torchvision's: one tower of "One weird trick for parallelizing convolutional neural networks".
Graph build_2014(const ModelCard&, const ModelOptions& options) {
    const double drop = dropout_of(options, 0.5);
    Graph net;
    Value x = image_input(net, options);
    {
        const auto scope = net.scope("features");
        x = convolutions(net, options, {64, 192, 384, 256, 256}, 2);
    }
    add_taps(net, "features.");
    x = dropout(flatten(average_to(x, 6)), {.drop = drop}, "classifier.0");
    x = relu(linear(x, {.out = widened(4096, options)}, "classifier.1"), "classifier.2");
    x = relu(linear(dropout(x, {.drop = drop}, "classifier.3"), {.out = widened(4096, options)}, "classifier.4"), "classifier.5");
    net.module_output("pooled", x);
    classes_out(linear(x, {.out = options.classes}, "classifier.6"));
    return net;
}

// The listing of "Dive into Deep Learning": the widths of 2012 without towers, 6,400 features at 224 x 224.
Graph build_d2l(const ModelCard&, const ModelOptions& options) {
    const double drop = dropout_of(options, 0.5);
    Graph net;
    (void)image_input(net, options);
    Value x = flatten(convolutions(net, options, {96, 256, 384, 384, 256}, 1), 1, "13");
    add_taps(net, "");
    x = dropout(relu(linear(x, {.out = widened(4096, options)}, "14"), "15"), {.drop = drop}, "16");
    x = dropout(relu(linear(x, {.out = widened(4096, options)}, "17"), "18"), {.drop = drop}, "19");
    net.module_output("pooled", x);
    net.output("out", linear(x, {.out = options.classes}, "20"));
    return net;
}

/// The paper's test pictures: shorter side 256, the mean colour taken off.
Preprocess pictures_of_2012() {
    return {.resize_shorter = 256, .crop_width = 227, .crop_height = 227, .channels = 3, .scale = 1, .mean = {123.68, 116.779, 103.939}};
}

}  // namespace

std::vector<ModelCard> alexnet_cards() {
    return {
        {.name = "alexnet", .family = "alexnet", .year = 2014, .paper = "Krizhevsky 2014, One weird trick for parallelizing convolutional neural networks, arXiv:1404.5997",
         .summary = "AlexNet as torchvision has it: one tower, no normalisation", .height = 224, .width = 224, .classes = 1000, .preprocess = imagenet(), .parameters = 61100840,
         .macs = 714188480, .accuracy = "ImageNet top-1 56.522 %, top-5 79.066 % (torchvision)", .build = build_2014},
        {.name = "alexnet_2012", .family = "alexnet", .year = 2012, .paper = paper_2012, .summary = "AlexNet of the paper: two towers, response normalisation, overlapping pools",
         .height = 227, .width = 227, .classes = 1000, .preprocess = pictures_of_2012(), .parameters = 60965224, .macs = 724406816,
         .accuracy = "ILSVRC-2012 validation error: top-1 40.7 %, top-5 18.2 % (paper, table 2, one net, ten patches)", .build = build_2012},
        {.name = "caffenet", .family = "alexnet", .year = 2013, .paper = paper_2012, .summary = "Caffe's reference net: AlexNet with each pool before its normalisation", .height = 227,
         .width = 227, .classes = 1000, .preprocess = preprocess_preset("caffe"), .parameters = 60965224, .macs = 724406816,
         .accuracy = "ImageNet top-1 57.4 %, top-5 80.4 % (Caffe, models/bvlc_reference_caffenet, one crop)", .build = build_caffenet},
        {.name = "alexnet_s4", .aliases = {"alexnet_ungrouped"}, .family = "alexnet", .year = 2012, .paper = paper_2012, .summary = "CaffeNet without towers: the table many courses print",
         .height = 227, .width = 227, .classes = 1000, .preprocess = preprocess_preset("caffe"), .parameters = 62378344, .macs = 1135256096, .build = build_ungrouped},
        {.name = "alexnet_d2l", .family = "alexnet", .year = 2020, .paper = "Zhang, Lipton, Li, Smola, Dive into Deep Learning, sec. 8.1", .summary = "the book's AlexNet: padded by 1, no towers, no normalisation",
         .height = 224, .width = 224, .classes = 1000, .preprocess = imagenet(), .parameters = 50844008, .macs = 1009945728, .build = build_d2l},
    };
}

}  // namespace fovea
