#include "models/inverted_residual.h"

#include <string>

namespace fovea {

Value conv_norm(const Value& x, std::string_view name, const ConvNormSpec& spec) {
    const auto scope = x.graph().scope(name);
    const ConvBnSpec layer{.out = spec.out, .kernel = spec.kernel, .stride = spec.stride, .pad = spec.kernel / 2, .groups = spec.groups, .eps = spec.eps, .momentum = spec.momentum, .init = fan_out_weights()};
    const Value y = conv_bn(x, layer, "0", "1");
    return spec.activation != nullptr ? spec.activation(y) : y;
}

Value inverted_residual(const Value& x, const InvertedResidualSpec& spec) {
    Graph& net = x.graph();
    Value y = x;
    {
        const auto scope = net.scope("block");
        int step = 0;
        const auto layer = [&](std::int64_t out, std::int64_t kernel, std::int64_t stride, std::int64_t groups, Value (*activation)(const Value&)) {
            y = conv_norm(y, std::to_string(step++), {out, kernel, stride, groups, spec.eps, spec.momentum, activation});
        };
        if (spec.expanded != x.shape()[1]) layer(spec.expanded, 1, 1, 1, spec.activation);
        layer(spec.expanded, spec.kernel, spec.stride, spec.expanded, spec.activation);
        if (spec.squeeze > 0)
            y = squeeze_excite(y, {.squeeze = spec.squeeze, .activation = spec.squeeze_activation, .gate = spec.gate, .init = fan_out_weights(), .bias_init = Init::zeros()}, std::to_string(step++));
        layer(spec.out, 1, 1, 1, nullptr);
    }
    if (spec.stride == 1 && spec.out == x.shape()[1]) y = drop_path(y, {.drop = spec.drop_path}) + x;
    net.module_output("", y);
    return y;
}

}  // namespace fovea
