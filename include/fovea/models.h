// The networks by name. One card per variant says what a name stands for and how its pictures are prepared.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/graph.h"
#include "fovea/image.h"
#include "fovea/nn.h"
#include "fovea/ops.h"

namespace fovea {

/// How a residual network's shortcuts reach another size. He et al. 2015, arXiv:1512.03385, sec. 4.1. The card's own is b for ImageNet.
enum class Shortcut {
    card,
    a,  ///< every stride-th row and column, new channels of zeros: no parameters
    b,  ///< a 1 x 1 projection where the size changes
    c,  ///< a projection in every block
};

/// What may be changed about a network; 0 keeps what its card says.
struct ModelOptions {
    std::int64_t classes = 0;
    std::int64_t channels = 0;  ///< of the input image
    std::int64_t height = 0;    ///< of the input image
    std::int64_t width = 0;
    double dropout = -1;        ///< probability of dropping, in every dropout layer; negative: the card's own
    double width_multiplier = 0;  ///< of every hidden layer's channels, relative to the card's own
    double drop_path = -1;        ///< probability of dropping a whole path in training (stochastic depth: of the last block, less before it); negative: the card's own
    Shortcut shortcut = Shortcut::card;
};

/// Where batch norm and ReLU stand in a residual unit. He et al. 2016, arXiv:1603.05027, fig. 4.
enum class ResidualUnit {
    original,                 ///< convolution, BN, ReLU, convolution, BN; sum; ReLU
    bn_after_add,             ///< convolution, BN, ReLU, convolution; sum; BN, ReLU
    relu_before_add,          ///< convolution, BN, ReLU, convolution, BN, ReLU; sum
    relu_only_preactivation,  ///< ReLU, convolution, BN, ReLU, convolution, BN; sum
    full_preactivation,       ///< BN, ReLU, convolution, BN, ReLU, convolution; sum
};
[[nodiscard]] std::string_view name_of(ResidualUnit unit);

struct ModelCard {
    std::string name;
    std::vector<std::string> aliases{};
    std::string family;
    int year = 0;
    std::string paper;
    std::string summary;
    std::int64_t channels = 3, height = 0, width = 0, classes = 0;
    Preprocess preprocess{};
    std::int64_t parameters = 0;  ///< trainable scalars
    std::int64_t macs = 0;        ///< per image at the card's size
    std::string accuracy{};       ///< a published result and where it stands
    ModelLoss loss = ModelLoss::cross_entropy;
    Graph (*build)(const ModelCard& card, const ModelOptions& options) = nullptr;
    int depth = 0;                ///< the number in the name, where a family has one
};

/// Every card, family by family.
[[nodiscard]] const std::vector<ModelCard>& model_cards();
/// By name or alias. Throws ArgumentError: no model 'resnet-50'; nearest: resnet50, resnet101. 'fovea models' lists all
[[nodiscard]] const ModelCard& find_model(std::string_view name);
[[nodiscard]] bool has_model(std::string_view name);

/// The data sets whose classes have names here: "imagenet" (1000), "imagenet1001" (those behind a "background"), "mnist", "fashion-mnist",
/// "cifar10", "cifar100".
[[nodiscard]] const std::vector<std::string>& class_sets();
/// Throws ArgumentError naming the sets there are.
[[nodiscard]] std::vector<std::string> class_names(std::string_view set);
/// What `outputs` scores of the card's network stand for when nothing else is said: the classes it was published with. Empty when their
/// number is another.
[[nodiscard]] std::vector<std::string> class_names(const ModelCard& card, std::int64_t outputs);

/// Input "image" [N, channels, height, width], output "out" (further outputs under their own names); parameters as the reference
/// implementation names them. Throws ArgumentError for a name that does not exist, ShapeError for a size too small.
[[nodiscard]] Graph build_model(std::string_view name, const ModelOptions& options = {});

/// A classifier as a feature extractor: the same network, its outputs the named `taps` instead of "out", nothing behind them.
///
///   C2 ... C5   the last map at stride 4, 8, 16, 32 (those the network has)
///   features    the last map before pooling
///   pooled      [N, F], what the classifier's last linear layer reads; without one, the means of the features
///
/// Throws ArgumentError naming the taps there are.
[[nodiscard]] Graph build_backbone(std::string_view name, const std::vector<std::string>& taps, const ModelOptions& options = {});

/// EfficientNet's rule: depth, width and resolution grow together so that each step of phi about doubles the operations
/// (1.2 x 1.1^2 x 1.15^2 = 1.92). Tan, Le 2019, arXiv:1905.11946, eq. 3.
struct CompoundScale {
    double depth, width, resolution;
};
[[nodiscard]] CompoundScale compound_scale(double phi);
/// Channels and layers of B0 under a width and a depth: widths in multiples of 8, depths rounded up.
[[nodiscard]] std::int64_t scaled_width(std::int64_t channels, double width);
[[nodiscard]] std::int64_t scaled_depth(std::int64_t layers, double depth);

/// How the paper started its deep VGGs: the part of a trained configuration A ("vgg11", or "vgg11_bn" for those with norms) that `name`
/// takes over, its first four convolutions (with their norms) and its linear layers, under the names of `name`. The rest keeps its
/// own start: load_into(parameters, vgg_start(name, trained), {.allow_missing = true}). Throws ArgumentError when `name` is no VGG.
[[nodiscard]] Parameters vgg_start(std::string_view name, const Parameters& trained);

// ---- listings: a network as teaching material prints it -------------------------------------------------------------------

enum class ListingKind {
    dlib,   ///< template text, from the output to the input: fc<10, relu<con<16,5,5,1,1, input<matrix<unsigned char>>
    torch,  ///< nn.Sequential(nn.Conv2d(3, 6, kernel_size=5), ...), or what printing one shows
};

struct ListingOptions {
    std::int64_t channels = 0, height = 0, width = 0;  ///< of the input; 0: what the text states, or a usual size, which is noted
    std::int64_t usual_height = 0, usual_width = 0;    ///< of the input where the text states none: tried before the usual sizes
    bool padded = true;                                ///< dlib: convolutions of stride 1 are padded by half their kernel, as the library does
};

struct Listing {
    ListingKind kind = ListingKind::torch;
    Graph graph;                     ///< input "image", output "out"; parameters as PyTorch's Sequential names them ("0.weight"), or con1, fc1, ...
    std::vector<std::string> notes;  ///< what was read with a grain of salt: "line 9: nn.Linear(120) has no in_features: 44944 is inferred"
};

/// Builds the network of a listing; `name` stands in messages. Sizes that the text leaves open (nn.LazyLinear, nn.Linear(120)) are
/// inferred. Throws FormatError with the line and the reason when the text is no network or its layers do not fit.
[[nodiscard]] Listing read_listing(std::string_view text, std::string_view name, const ListingOptions& options = {});
[[nodiscard]] Listing load_listing(const std::string& path, const ListingOptions& options = {});

}  // namespace fovea
