// What the files of src/explain share about counting.
#pragma once

#include "fovea/explain.h"

namespace fovea {

/// How keras.applications builds a network, where that changes its count.
struct KerasForm {
    bool adds_conv_bias = false;  ///< convolutions before batch norm have a bias
    bool has_norm_scale = true;   ///< batch norm has its scale
    std::int64_t of_picture = 0;  ///< numbers of a layer that normalises the picture: mean and variance of three channels, a count
};
[[nodiscard]] KerasForm keras_form(std::string_view model);

/// What kind of layer a node is, to those who count: everything that is none of these is free in every convention.
enum class LayerKind { convolution, linear, pool, response_norm, batch_norm, softmax, other };
[[nodiscard]] LayerKind kind_of(const Node& node);

}  // namespace fovea
