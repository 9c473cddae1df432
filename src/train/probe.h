// A look inside a network in training: how large each layer's gradient is, which units are saturated or dead.
#pragma once

#include "train/facts.h"

namespace fovea {

/// The same few training pictures each time, without augmentation. It computes in a program of its own, which lives only while it is
/// used: the training step stays as it is, and so does its memory.
class Probe {
public:
    /// `network` outlives it.
    Probe(const Graph& network, const FitSpec& spec);

    /// {"images": n, "gradient_norms": {layer: L2 norm over its parameters}, "activations": [{"layer", "op", "zero", "dead"} or
    /// {"layer", "op", "saturated"}]}, both in the order of the network. Empty when every picture is damaged.
    ///   zero       share of a ReLU's outputs that are 0
    ///   dead       share of its units (channels) that are 0 for every picture and place: no gradient reaches their weights
    ///   saturated  share of a sigmoid's or tanh's outputs where the slope is less than a twentieth of its largest, of a hard one's at 0
    [[nodiscard]] Json look(const Parameters& parameters) const;

private:
    const Graph& network_;
    FitSpec spec_;
    std::optional<Batch> batch_;
};

}  // namespace fovea
