// What Inception-v4 and the Inception-ResNets are made of. Szegedy et al. 2016, arXiv:1602.07261.
#pragma once

#include <initializer_list>

#include "core/text.h"
#include "models/build.h"

namespace fovea::inception_parts {

inline constexpr const char* paper = "Szegedy, Ioffe, Vanhoucke, Alemi 2016, Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning, arXiv:1602.07261";

/// One convolution of a branch, before the width multiplier.
struct Conv {
    std::int64_t out;
    Size2 kernel;
    std::int64_t stride = 1;
    Pad4 pad = 0;
};
/// 1 x size and size x 1 that keep the map's size.
inline Conv row(std::int64_t out, std::int64_t size) { return {out, {1, size}, 1, {0, size / 2}}; }
inline Conv column(std::int64_t out, std::int64_t size) { return {out, {size, 1}, 1, {size / 2, 0}}; }

inline Value reduce(const Value& x) { return max_pool(x, {.kernel = 3, .stride = 2}); }

struct Maker {
    const ModelOptions& options;

    [[nodiscard]] std::int64_t wide(std::int64_t channels) const { return widened(channels, options); }
    [[nodiscard]] Value conv(const Value& x, const Conv& c, std::string_view name) const {
        return conv_bn_relu(x, {.out = wide(c.out), .kernel = c.kernel, .stride = c.stride, .pad = c.pad, .eps = 1e-3}, name);
    }
    /// Convolutions called name.0, name.1, ...
    [[nodiscard]] Value chain(const Value& x, std::string_view name, std::initializer_list<Conv> convs) const {
        const auto scope = x.graph().scope(name);
        Value y = x;
        int i = 0;
        for (const Conv& c : convs) y = conv(y, c, fmt::format("{}", i++));
        x.graph().module_output("", y);
        return y;
    }
    /// 3 x 3 average, padding not counted, then 1 x 1.
    [[nodiscard]] Value pooled(const Value& x, std::int64_t out) const {
        return conv(avg_pool(x, {.kernel = 3, .stride = 1, .pad = 1, .count_include_pad = false}), {out, 1}, "branch3.1");
    }
};

}  // namespace fovea::inception_parts
