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

/// 32 x 32 colour pictures of CIFAR, as the published weights of residual networks want them.
[[nodiscard]] Preprocess cifar();

// One builder per file.
[[nodiscard]] Graph build_lenet5_modern(const ModelCard& card, const ModelOptions& options);
[[nodiscard]] Graph build_lenet5_tutorial(const ModelCard& card, const ModelOptions& options);
[[nodiscard]] Graph build_lenet_caffe(const ModelCard& card, const ModelOptions& options);
[[nodiscard]] Graph build_lenet5_classic(const ModelCard& card, const ModelOptions& options);
[[nodiscard]] Graph build_lenet_dlib(const ModelCard& card, const ModelOptions& options);
[[nodiscard]] Graph build_lenet_dlib_unpadded(const ModelCard& card, const ModelOptions& options);
[[nodiscard]] Graph build_five_blocks(const ModelCard& card, const ModelOptions& options);
[[nodiscard]] Graph build_inception_dlib_mnist(const ModelCard& card, const ModelOptions& options);
[[nodiscard]] Graph build_small_convnet(const ModelCard& card, const ModelOptions& options);
[[nodiscard]] Graph build_cifar_resnet(const ModelCard& card, const ModelOptions& options);
[[nodiscard]] Graph build_cifar_plain(const ModelCard& card, const ModelOptions& options);

// One list of cards per family, from the family's own file.
[[nodiscard]] std::vector<ModelCard> densenet_cards();

}  // namespace fovea
