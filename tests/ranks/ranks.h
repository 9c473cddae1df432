// The ranks of this run of the tests, and networks small enough for them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "fovea/comm.h"
#include "fovea/nn.h"
#include "fovea/ops.h"
#include "fovea/train.h"
#include "support.h"
#include "train/over_ranks.h"

namespace fovea::test {

/// Opened once in main().
[[nodiscard]] Communicator& ranks();

struct NetSpec {
    bool norm = false, drop = false;
};
/// Two convolutions and two linear layers on 8 x 8 pictures of two channels, four classes.
inline Graph net_of(const NetSpec& spec) {
    Graph net;
    Value x = net.input("image", {dynamic, 2, 8, 8});
    const auto norm = [&](const Value& v, std::string_view name) { return spec.norm ? batch_norm(v, {}, name) : v; };
    x = relu(norm(conv2d(x, {.out = 8, .kernel = 3, .pad = 1}, "conv1"), "bn1"));
    x = max_pool(x, {.kernel = 2});
    x = relu(norm(conv2d(x, {.out = 12, .kernel = 3, .pad = 1}, "conv2"), "bn2"));
    if (spec.drop) x = spatial_dropout(x, {.drop = 0.2}, "drop_maps");
    x = relu(linear(flatten(x), {.out = 20}, "fc1"));
    if (spec.drop) x = dropout(x, {.drop = 0.3}, "drop");
    net.output("logits", linear(x, {.out = 4}, "fc2"));
    return net;
}

/// Pictures and labels [first, first + count) of an endless row of them.
inline std::map<std::string, Tensor> rows_of(std::int64_t step, std::int64_t first, std::int64_t count) {
    Tensor images({count, 2, 8, 8}), labels({count}, DType::i32);
    for (std::int64_t n = 0; n < count; ++n) {
        const Rng rng(31, static_cast<std::uint64_t>(step), static_cast<std::uint64_t>(first + n));
        labels.set(n, static_cast<double>(rng.below(999, 4)));
        for (std::int64_t i = 0; i < 128; ++i) images.set(n * 128 + i, rng.normal(static_cast<std::uint64_t>(i)) + (i % 4 == static_cast<std::int64_t>(labels.at(n)) ? 0.7 : 0.0));
    }
    return {{"image", images}, {"label", labels}};
}

/// The largest difference of any element, as a part of the tensor's largest or of `least`, below which a tensor is little but rounding.
inline double largest_difference(const Parameters& got, const Parameters& want, double least = 1e-3) {
    double worst = 0;
    for (const std::string& name : want.names()) {
        const Tensor &a = got.at(name), &b = want.at(name);
        double most = least, difference = 0;
        for (std::int64_t i = 0; i < b.elements(); ++i) most = std::max(most, std::abs(b.at(i))), difference = std::max(difference, std::abs(a.at(i) - b.at(i)));
        worst = std::max(worst, difference / most);
    }
    return worst;
}

inline bool is_same_everywhere(const Parameters& parameters) {
    const auto prints = gathered(&ranks(), static_cast<std::int64_t>(fingerprint(parameters)));
    return std::ranges::count(prints, prints[0]) == std::ssize(prints);
}

}  // namespace fovea::test
