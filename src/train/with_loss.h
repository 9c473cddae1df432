// A network with its loss: what fit() trains and evaluate() measures.
#pragma once

#include "fovea/train.h"

namespace fovea {

struct WithLoss {
    std::unique_ptr<Graph> graph;  ///< values point to it
    Value loss, scores;            ///< scores [N, L]: the highest wins
};
/// A copy of the network with the input "label" [N] (`mixes`: [N, L], shares of the classes), the loss and the output "scores". In training the loss of auxiliary outputs is added.
[[nodiscard]] WithLoss with_loss(const Graph& network, const LossFunction& loss, bool lowest_wins, bool training, bool mixes = false);

}  // namespace fovea
