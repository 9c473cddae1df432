// What the files of src/models share.
#pragma once

#include "fovea/models.h"
#include "fovea/nn.h"

namespace fovea {

/// The options with the card's own values where they are 0.
[[nodiscard]] ModelOptions with_defaults(const ModelCard& card, const ModelOptions& options);
/// Input "image" [N, C, H, W] of options that have_defaults.
[[nodiscard]] Value image_input(Graph& graph, const ModelOptions& options);
/// x / 255, shorter side `resize`, centre crop, ImageNet's mean and deviation: torchvision's evaluation transform.
[[nodiscard]] Preprocess imagenet(std::int64_t crop = 224, std::int64_t resize = 256, Filter filter = Filter::bilinear);
/// `channels` times the multiplier of options that have_defaults, at least 1.
[[nodiscard]] std::int64_t widened(std::int64_t channels, const ModelOptions& options);
/// The nearest multiple of 8, at least 8 and not below nine tenths of `channels`: how MobileNets and EfficientNets round widths.
[[nodiscard]] std::int64_t in_eights(double channels);
/// `own`, unless the options give a probability of dropping.
[[nodiscard]] inline double dropout_of(const ModelOptions& options, double own) { return options.dropout < 0 ? own : options.dropout; }
/// x [N, C, H, W] averaged over size x size windows as module "avgpool"; x itself when it has that size already.
[[nodiscard]] Value average_to(const Value& x, std::int64_t size);
/// The graph's output "out", which is also what module `name` returns.
void classes_out(const Value& x, std::string_view name = "classifier");

/// Names the maps at stride 4, 8, 16, ... "C2", "C3", "C4", ... as a network grows: each is the last one before the map shrinks again.
class StrideTaps {
public:
    /// `stride`, a power of 2, is that of the map the first layers leave: 1 for a stride of 2.
    explicit StrideTaps(Graph& graph, int stride = 1);
    /// Before a layer or block of this stride reads `x`.
    void before(const Value& x, std::int64_t stride);
    /// The last map, which is also "features".
    void last(const Value& x);

private:
    Graph& graph_;
    int stride_;
};

/// Stochastic depth: the probability of dropping block 1 <= i <= count, growing linearly to options.drop_path at the last.
/// Huang, Sun, Liu, Sedra, Weinberger 2016, arXiv:1603.09382, sec. 3; their p_L = 0.5 is drop_path = 0.5.
[[nodiscard]] double depth_drop(const ModelOptions& options, std::int64_t i, std::int64_t count);
/// Option A of ResNet: every stride-th row and column, and channels of zeros, half on each side. No parameters.
[[nodiscard]] Value padded_shortcut(const Value& x, std::int64_t channels, std::int64_t stride);
inline constexpr const char* paper_lenet = "LeCun, Bottou, Bengio, Haffner 1998, Gradient-Based Learning Applied to Document Recognition";
/// MNIST and its kin: 28 x 28 grey, standardised with MNIST's own mean and deviation.
[[nodiscard]] Preprocess digits(double mean = 0.1307, double deviation = 0.3081);
/// 32 x 32 colour pictures of CIFAR, as the published weights of residual networks want them.
[[nodiscard]] Preprocess cifar();

// One list of cards per family, from the family's own file.
[[nodiscard]] std::vector<ModelCard> lenet_cards();
[[nodiscard]] std::vector<ModelCard> lenet5_classic_cards();
[[nodiscard]] std::vector<ModelCard> dlib_cards();
[[nodiscard]] std::vector<ModelCard> small_convnet_cards();
[[nodiscard]] std::vector<ModelCard> cifar_resnet_cards();
[[nodiscard]] std::vector<ModelCard> alexnet_cards();
[[nodiscard]] std::vector<ModelCard> cifar_convnet_cards();
[[nodiscard]] std::vector<ModelCard> zfnet_cards();
[[nodiscard]] std::vector<ModelCard> vgg_cards();
[[nodiscard]] std::vector<ModelCard> network_in_network_cards();
[[nodiscard]] std::vector<ModelCard> squeezenet_cards();
[[nodiscard]] std::vector<ModelCard> mobilenet_v1_cards();
[[nodiscard]] std::vector<ModelCard> mobilenet_v2_cards();
[[nodiscard]] std::vector<ModelCard> mobilenet_v3_cards();
[[nodiscard]] std::vector<ModelCard> efficientnet_cards();
[[nodiscard]] std::vector<ModelCard> densenet_cards();
[[nodiscard]] std::vector<ModelCard> cifar_preact_resnet_cards();
[[nodiscard]] std::vector<ModelCard> cifar_resnext_cards();
[[nodiscard]] std::vector<ModelCard> cifar_airbench_cards();
[[nodiscard]] std::vector<ModelCard> fractalnet_cards();
[[nodiscard]] std::vector<ModelCard> convnext_cards();
[[nodiscard]] std::vector<ModelCard> googlenet_cards();
[[nodiscard]] std::vector<ModelCard> inception_v3_cards();
[[nodiscard]] std::vector<ModelCard> inception_v4_cards();
[[nodiscard]] std::vector<ModelCard> inception_resnet_cards();
[[nodiscard]] std::vector<ModelCard> resnet_cards();
[[nodiscard]] std::vector<ModelCard> resnet_v2_cards();
[[nodiscard]] std::vector<ModelCard> xception_cards();

}  // namespace fovea
