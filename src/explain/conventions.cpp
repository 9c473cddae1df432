// The five conventions by name, and what papers print about their own networks.
#include <algorithm>

#include "core/text.h"
#include "explain/conventions.h"

namespace fovea {

namespace {

constexpr std::array<std::string_view, 5> names{"torch", "keras", "sifre", "cs231n", "paper"};

}  // namespace

std::string_view name_of(Convention convention) { return names[static_cast<std::size_t>(convention)]; }

Convention convention_of(std::string_view name) {
    const auto it = std::ranges::find(names, name);
    require<ArgumentError>(it != names.end(), "no counting convention '{}'; there are {}", name, fmt::join(names, ", "));
    return static_cast<Convention>(it - names.begin());
}

// keras.applications: ResNet keeps the biases of convolutions before batch norm (our V2 has them
// already), Inception's batch norm has no scale, EfficientNet normalises the picture itself.
KerasForm keras_form(std::string_view model) {
    if (model.starts_with("resnet") && model.find("v2") == std::string_view::npos) return {.adds_conv_bias = true};
    if (model.starts_with("inception_v3") || model.starts_with("inception_resnet_v2")) return {.has_norm_scale = false};
    if (model.starts_with("efficientnet_")) return {.of_picture = 7};
    return {};
}

const std::vector<PublishedCount>& published_counts() {
    static const std::vector<PublishedCount> counts{
        // LeCun et al. 1998, sec. II.B; Krizhevsky et al. 2012, abstract.
        {"lenet5_classic", "60,000", "", 60'000, 0},
        {"alexnet_2012", "60 million", "", 60e6, 0},
        // Simonyan, Zisserman 2014, arXiv:1409.1556, table 2.
        {"vgg11", "133 million", "", 133e6, 0},
        {"vgg_a_lrn", "133 million", "", 133e6, 0},
        {"vgg13", "133 million", "", 133e6, 0},
        {"vgg_c", "134 million", "", 134e6, 0},
        {"vgg16", "138 million", "", 138e6, 0},
        {"vgg19", "144 million", "", 144e6, 0},
        // Szegedy et al. 2014, arXiv:1409.4842, sec. 1: a budget of 1.5 billion multiply-adds.
        {"googlenet_v1", "", "1.5 billion multiply-adds", 0, 1.5e9},
        // He et al. 2015, arXiv:1512.03385, tables 1 and 6.
        {"resnet18", "", "1.8 x 10^9", 0, 1.8e9},
        {"resnet34", "", "3.6 x 10^9", 0, 3.6e9},
        {"resnet50_v1", "", "3.8 x 10^9", 0, 3.8e9},
        {"resnet101_v1", "", "7.6 x 10^9", 0, 7.6e9},
        {"resnet152_v1", "", "11.3 x 10^9", 0, 11.3e9},
        {"cifar_resnet20", "0.27 M", "", 0.27e6, 0},
        {"cifar_resnet32", "0.46 M", "", 0.46e6, 0},
        {"cifar_resnet44", "0.66 M", "", 0.66e6, 0},
        {"cifar_resnet56", "0.85 M", "", 0.85e6, 0},
        {"cifar_resnet110", "1.7 M", "", 1.7e6, 0},
        {"cifar_resnet1202", "19.4 M", "", 19.4e6, 0},
        // Howard et al. 2017, arXiv:1704.04861, table 6; Sandler et al. 2018, arXiv:1801.04381, table 4.
        {"mobilenet_v1_1.0", "4.2 million", "569 million", 4.2e6, 569e6},
        {"mobilenet_v1_0.75", "2.6 million", "325 million", 2.6e6, 325e6},
        {"mobilenet_v1_0.5", "1.3 million", "149 million", 1.3e6, 149e6},
        {"mobilenet_v1_0.25", "0.5 million", "41 million", 0.5e6, 41e6},
        {"mobilenet_v2", "3.4 M", "300 M", 3.4e6, 300e6},
        // Tan, Le 2019, arXiv:1905.11946, table 2.
        {"efficientnet_b0", "5.3 M", "0.39 B", 5.3e6, 0.39e9},
        {"efficientnet_b1", "7.8 M", "0.70 B", 7.8e6, 0.70e9},
        {"efficientnet_b2", "9.2 M", "1.0 B", 9.2e6, 1.0e9},
        {"efficientnet_b3", "12 M", "1.8 B", 12e6, 1.8e9},
        {"efficientnet_b4", "19 M", "4.2 B", 19e6, 4.2e9},
        {"efficientnet_b5", "30 M", "9.9 B", 30e6, 9.9e9},
        {"efficientnet_b6", "43 M", "19 B", 43e6, 19e9},
        {"efficientnet_b7", "66 M", "37 B", 66e6, 37e9},
        // Xie et al. 2016, arXiv:1611.05431, table 1.
        {"resnext50_32x4d", "25.0 x 10^6", "4.2 x 10^9", 25.0e6, 4.2e9},
    };
    return counts;
}

const PublishedCount* find_published(std::string_view model) {
    const auto it = std::ranges::find(published_counts(), model, &PublishedCount::model);
    return it == published_counts().end() ? nullptr : &*it;
}

}  // namespace fovea
