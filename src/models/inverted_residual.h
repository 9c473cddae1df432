// The block of MobileNetV3 and EfficientNet: expand, filter each channel, weigh the channels, project; names of torchvision.
#pragma once

#include "models/build.h"

namespace fovea {

struct InvertedResidualSpec {
    std::int64_t expanded;  ///< channels inside; no expansion layer when x has as many
    std::int64_t kernel;
    std::int64_t stride;
    std::int64_t out;
    Value (*activation)(const Value& x);
    std::int64_t squeeze = 0;  ///< channels of the squeeze-and-excitation between; 0: none
    SqueezeExciteSpec::Activation squeeze_activation = SqueezeExciteSpec::Activation::relu;
    SqueezeExciteSpec::Gate gate = SqueezeExciteSpec::Gate::sigmoid;
    double eps = 1e-5, momentum = 0.1;  ///< of the batch norms
    double drop_path = 0;
};

/// At the open scope: "block.0.0" the first convolution, "block.0.1" its batch norm, and so on.
[[nodiscard]] Value inverted_residual(const Value& x, const InvertedResidualSpec& spec);

/// Starting values of these networks: He's rule over the outputs.
[[nodiscard]] inline Init fan_out_weights() { return {Init::Kind::kaiming_normal, 0, 1}; }

/// `x` through convolution, batch norm and activation as "<name>.0" and "<name>.1"; an empty activation is none.
struct ConvNormSpec {
    std::int64_t out, kernel, stride, groups;
    double eps, momentum;
    Value (*activation)(const Value& x);
};
[[nodiscard]] Value conv_norm(const Value& x, std::string_view name, const ConvNormSpec& spec);

}  // namespace fovea
