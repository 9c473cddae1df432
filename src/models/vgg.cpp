// VGG. Simonyan, Zisserman 2014, arXiv:1409.1556, table 1: blocks of 3 x 3 convolutions between five pools. Layers are counted as in
// torchvision: features.0 is the first convolution, features.1 its ReLU (or batch norm).
#include "core/text.h"
#include "fovea/io.h"
#include "models/build.h"

namespace fovea {

namespace {

/// One column of table 1.
struct Configuration {
    std::string_view convolutions;  ///< of 3 x 3 per block, "p" one of 1 x 1; '|' is a pool
    bool has_norm = false;          ///< batch norm after every convolution (torchvision)
    bool has_lrn = false;           ///< response normalisation after the first
};

constexpr std::string_view A = "3|3|33|33|33", B = "33|33|33|33|33", C = "33|33|33p|33p|33p", D = "33|33|333|333|333", E = "33|33|3333|3333|3333";

Graph build(const ModelOptions& options, const Configuration& configuration) {
    // As torchvision starts: He's rule over the outputs, linear layers with deviation 0.01.
    const Init weights{Init::Kind::kaiming_normal, 0, 1}, linear_weights = Init::normal(0, 0.01), biases = Init::zeros();
    const double drop = dropout_of(options, 0.5);
    Graph net;
    Value x = image_input(net, options);
    std::int64_t layer = 0, width = 64;
    int pools = 0;
    const auto next = [&] { return fmt::format("features.{}", layer++); };
    const auto pool = [&] {
        if (pools >= 2) net.module_output(fmt::format("C{}", pools), x);  // the last map at stride 4, 8, 16
        x = max_pool(x, {.kernel = 2}, next());
        width = std::min<std::int64_t>(2 * width, 512);
        ++pools;
    };
    for (const char c : configuration.convolutions) {
        if (c == '|') {
            pool();
            continue;
        }
        const std::int64_t kernel = c == 'p' ? 1 : 3;
        x = conv2d(x, {.out = widened(width, options), .kernel = kernel, .pad = kernel / 2, .init = weights, .bias_init = biases}, next());
        if (configuration.has_norm) x = batch_norm(x, {}, next());
        x = relu(x, next());
        // Sec. 2.3: parameters as in Krizhevsky et al. 2012.
        if (configuration.has_lrn && layer == 2) x = lrn(x, {.size = 5, .alpha = 1e-4, .beta = 0.75, .k = 2, .convention = LrnConvention::krizhevsky}, next());
    }
    pool();
    net.module_output("C5", x);
    net.module_output("features", x);
    x = flatten(average_to(x, 7));
    for (const int fc : {0, 3}) {
        x = relu(linear(x, {.out = widened(4096, options), .init = linear_weights, .bias_init = biases}, fmt::format("classifier.{}", fc)), fmt::format("classifier.{}", fc + 1));
        x = dropout(x, {.drop = drop}, fmt::format("classifier.{}", fc + 2));
    }
    net.module_output("pooled", x);
    classes_out(linear(x, {.out = options.classes, .init = linear_weights, .bias_init = biases}, "classifier.6"));
    return net;
}

/// A convolution of the features, with its norm if it has one: how the names of their parameters begin.
struct Layer {
    std::vector<std::string> prefixes;
    Shape weight;
};
std::vector<Layer> convolution_layers(const Graph& net) {
    std::vector<Layer> layers;
    for (const ParameterInfo& p : net.parameters()) {
        if (!p.name.starts_with("features.") || !p.name.ends_with(".weight")) continue;
        const std::string prefix = p.name.substr(0, p.name.size() - std::string_view("weight").size());
        if (p.type.shape.rank() == 4)
            layers.push_back({{prefix}, p.type.shape});
        else
            layers.back().prefixes.push_back(prefix);  // the norm behind it
    }
    return layers;
}

/// A row's builder: a function pointer for each configuration.
template <const std::string_view& convolutions, bool norm, bool lrn> Graph build_form(const ModelCard&, const ModelOptions& options) { return build(options, {convolutions, norm, lrn}); }

}  // namespace

// Sec. 3.1: "we initialised the first four convolutional layers and the last three fully-connected layers with the layers of net A".
// A's first four are the first of blocks 1 and 2 and both of block 3: each goes to the next convolution of its shape.
Parameters vgg_start(std::string_view name, const Parameters& trained) {
    const ModelCard& card = find_model(name);
    require<ArgumentError>(card.family == "vgg" && card.name.starts_with("vgg"), "'{}' is no VGG that configuration A can start", card.name);
    const Graph net = build_model(card.name);
    const bool has_norm = card.name.ends_with("_bn");
    const std::vector<Layer> given = convolution_layers(build_model(has_norm ? "vgg11_bn" : "vgg11")), wanted = convolution_layers(net);
    std::vector<PrefixRule> rules{{"classifier.", "classifier."}};
    for (std::size_t i = 0, j = 0; i < 4; ++i, ++j) {
        while (wanted[j].weight != given[i].weight) ++j;
        for (std::size_t k = 0; k < given[i].prefixes.size(); ++k) rules.push_back({given[i].prefixes[k], wanted[j].prefixes[k]});
    }
    return with_prefixes(trained, rules);
}

std::vector<ModelCard> vgg_cards() {
    struct Row {
        const char* name;
        std::vector<std::string> aliases;
        const char* summary;
        std::int64_t parameters, macs;
        const char* accuracy;
        Graph (*build)(const ModelCard&, const ModelOptions&);
    };
    const Row rows[] = {
        {"vgg11", {"vgg_a"}, "configuration A", 132863336, 7609090048, "ImageNet top-1 69.020 %, top-5 88.628 % (torchvision)", build_form<A, false, false>},
        {"vgg11_bn", {}, "configuration A with batch norm", 132868840, 7609090048, "ImageNet top-1 70.370 %, top-5 89.810 % (torchvision)", build_form<A, true, false>},
        {"vgg_a_lrn", {"vgg11_lrn"}, "configuration A-LRN: A with response normalisation, which did not help", 132863336, 7609090048,
         "ILSVRC-2012 validation error: top-1 29.7 %, top-5 10.5 % (paper, table 3)", build_form<A, false, true>},
        {"vgg13", {"vgg_b"}, "configuration B", 133047848, 11308466176, "ImageNet top-1 69.928 %, top-5 89.246 % (torchvision)", build_form<B, false, false>},
        {"vgg13_bn", {}, "configuration B with batch norm", 133053736, 11308466176, "ImageNet top-1 71.586 %, top-5 90.374 % (torchvision)", build_form<B, true, false>},
        {"vgg_c", {"vgg16_c"}, "configuration C: B and three convolutions of 1 x 1", 133638952, 11770888192,
         "ILSVRC-2012 validation error: top-1 28.1 %, top-5 9.4 % (paper, table 3, trained at 256)", build_form<C, false, false>},
        {"vgg16", {"vgg_d"}, "configuration D", 138357544, 15470264320, "ImageNet top-1 71.592 %, top-5 90.382 % (torchvision)", build_form<D, false, false>},
        {"vgg16_bn", {}, "configuration D with batch norm", 138365992, 15470264320, "ImageNet top-1 73.360 %, top-5 91.516 % (torchvision)", build_form<D, true, false>},
        {"vgg19", {"vgg_e"}, "configuration E", 143667240, 19632062464, "ImageNet top-1 72.376 %, top-5 90.876 % (torchvision)", build_form<E, false, false>},
        {"vgg19_bn", {}, "configuration E with batch norm", 143678248, 19632062464, "ImageNet top-1 74.218 %, top-5 91.842 % (torchvision)", build_form<E, true, false>},
    };
    std::vector<ModelCard> cards;
    for (const Row& row : rows)
        cards.push_back({.name = row.name, .aliases = row.aliases, .family = "vgg", .year = 2014,
                         .paper = "Simonyan, Zisserman 2014, Very Deep Convolutional Networks for Large-Scale Image Recognition, arXiv:1409.1556", .summary = row.summary, .height = 224,
                         .width = 224, .classes = 1000, .preprocess = imagenet(), .parameters = row.parameters, .macs = row.macs, .accuracy = row.accuracy, .build = row.build});
    return cards;
}

}  // namespace fovea
