// Batch normalisation on fixed statistics: y = (x - mean) gamma / sqrt(var + eps) + beta. Inference, and frozen layers in training.
#include <cmath>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/activation.h"
#include "ops/channels.h"

namespace fovea {

void register_batch_norm_inference(OpRegistry& ops) {
    ops.add({.name = "batch_norm_inference",
             .shape =
                 [](const OpInputs& in) {
                     const Shape& x = in.shape(0);
                     in.check(x.rank() >= 2, "the input is [N, C, ...], got {}", x);
                     static constexpr const char* names[] = {"x", "gamma", "beta", "mean", "var"};
                     for (int i = 1; i < 5; ++i) in.check(in.shape(i) == Shape{x[1]}, "{} is {}, the input {} has {} channels", names[i], in.shape(i), x, x[1]);
                     return Types(x);
                 },
             .gradient =
                 [](const Grad& g) {
                     require<ArgumentError>(g.attrs().text("activation").empty(), "batch_norm_inference '{}': a fused node has no gradient; take gradients before fusing", g.node().path);
                     const Value &x = g.x(0), dy = g.dy();
                     const ReduceSpec channels{.axes = axes_but_channels(x.shape())};
                     const Value inv_std = rsqrt(g.x(4) + g.attrs().real("eps")), scale = g.x(1) * inv_std;
                     const Value dbeta = sum(dy, channels), moment = sum(dy * (x - per_channel(g.x(3), x)), channels);
                     return Values{dy * per_channel(scale, x), moment * inv_std, dbeta, -(dbeta * scale), -0.5 * (moment * scale * square(inv_std))};
                 },
             .cost = [](const OpInputs& in) { return Cost{0, (2 + !in.attrs().text("activation").empty()) * in.shape(0).elements()}; },
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         const Channels dims(run.shape(0));
                         const T* x = run.in<T>(0);
                         T* y = run.out<T>();
                         for (std::int64_t c = 0; c < dims.channels; ++c) {
                             const double scale = run.in<T>(1)[c] / std::sqrt(run.in<T>(4)[c] + run.attrs().real("eps"));
                             const double shift = run.in<T>(2)[c] - run.in<T>(3)[c] * scale;
                             dims.each(c, [&](std::int64_t i) { y[i] = static_cast<T>(x[i] * scale + shift); });
                         }
                     });
                     activate(run);
                 }});
}

}  // namespace fovea
