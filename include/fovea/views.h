// Evaluation on several views of each picture (crops, mirror images, scales) and with several networks.
#pragma once

#include <cstdint>
#include <vector>

#include "fovea/graph.h"
#include "fovea/image.h"
#include "fovea/train.h"

namespace fovea {

/// Which parts of a picture a network sees; what it says of each is averaged.
struct Views {
    /// 1: the centre. 10: the four corners and the centre, and their mirror images (Krizhevsky et al. 2012, sec. 4.1). 144: at each of four
    /// scales three squares along the longer side, of each the four corners, the centre and the square itself at the network's size, all
    /// mirrored too (Szegedy et al. 2014, sec. 7). 0, dense: the whole picture and its mirror image through the network with its linear
    /// layers as convolutions, averaged over all places (Sermanet et al. 2014; Simonyan, Zisserman 2014, sec. 3.2).
    std::int64_t crops = 1;
    /// Shorter sides after the resize, one after the other. Empty: the preprocessing's own; of 144 crops 256, 288, 320, 352 for an input of
    /// 224 and in proportion for others.
    std::vector<std::int64_t> scales{};
};

/// The views as pictures of the network's size, width x height (dense: of any). Throws ArgumentError for a number of crops there is not.
[[nodiscard]] std::vector<Image> views_of(const Image& image, const Preprocess& preprocess, const Views& views, std::int64_t width, std::int64_t height);

/// The same network for pictures of another size: linear layers behind the flattened map become convolutions, an adaptive pooling that
/// changed nothing is left out, and the scores are averaged over all places. Weights keep names and values, in `parameters` under
/// the convolutions' shapes. Throws ArgumentError naming a node that has no such form.
[[nodiscard]] Graph fully_convolutional(const Graph& network, Parameters& parameters, std::int64_t height, std::int64_t width);

/// A network of an ensemble. What it points to outlives the call.
struct Member {
    const Graph* network = nullptr;
    const Parameters* parameters = nullptr;
    Preprocess preprocess{};
    bool lowest_wins = false;
};
/// Softmax probabilities averaged over a member's views, then over the members; the loss is the mean of -log of the label's. Of `spec`
/// counts batch, k, compile and stop; the members' preprocessing counts, not the spec's.
[[nodiscard]] Evaluation evaluate_views(const std::vector<Member>& members, const DatasetPtr& dataset, const Views& views, const EvaluateSpec& spec = {});

}  // namespace fovea
