// RMSprop. Tieleman & Hinton 2012, lecture 6e; centered: Graves 2013, arXiv:1308.0850. eps is added after the square root, as in
// PyTorch; eps_inside puts it under the root, as TensorFlow did when it trained Inception and MobileNet.
#include <cmath>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/update.h"

namespace fovea {

Value rmsprop_update(const Value& p, const Value& g, const Value& lr, const Value& square_mean, const RmspropUpdateSpec& spec, const Value& velocity, const Value& mean,
                     std::string_view name) {
    require<ArgumentError>(velocity.is_empty() == (spec.momentum == 0), "rmsprop_update '{}': momentum and a velocity go together", p.graph().path_of(name));
    require<ArgumentError>(mean.is_empty() != spec.centered, "rmsprop_update '{}': centered and a mean gradient go together", p.graph().path_of(name));
    return p.graph().add("rmsprop_update", {p, g, lr, square_mean, velocity, mean},
                         {{"alpha", spec.alpha}, {"eps", spec.eps}, {"momentum", spec.momentum}, {"weight_decay", spec.weight_decay}, {"decoupled", spec.decoupled},
                          {"centered", spec.centered}, {"eps_inside", spec.eps_inside}},
                         name);
}

void register_rmsprop_update(OpRegistry& ops) {
    ops.add(update_op("rmsprop_update", {2}, {3, 4, 5}, 10, [](const OpRun& run) {
        run.with_real([&](auto tag) {
            using T = decltype(tag);
            const T lr = run.in<T>(2)[0];
            const Decay<T> decay(run.attrs(), lr);
            const T alpha = static_cast<T>(run.attrs().real("alpha")), rest = static_cast<T>(1 - run.attrs().real("alpha")), mu = static_cast<T>(run.attrs().real("momentum", 0));
            const T eps = static_cast<T>(run.attrs().real("eps")), inside = run.attrs().flag("eps_inside") ? eps : T(0), outside = run.attrs().flag("eps_inside") ? T(0) : eps;
            const T *p = run.in<T>(0), *g = run.in<T>(1), *s = run.in<T>(3), *v = run.has(4) ? run.in<T>(4) : nullptr, *a = run.has(5) ? run.in<T>(5) : nullptr;
            T *next = run.out<T>(0), *next_s = run.out<T>(1), *next_v = v ? run.out<T>(2) : nullptr, *next_a = a ? run.out<T>(v ? 3 : 2) : nullptr;
            const std::int64_t n = run.out_shape().elements();
#pragma GCC ivdep  // outputs may be the inputs themselves, but never shifted
            for (std::int64_t i = 0; i < n; ++i) {
                const T slope = g[i] + decay.l2 * p[i], squares = alpha * s[i] + rest * slope * slope;
                T spread = squares;
                if (a) {
                    const T average = alpha * a[i] + rest * slope;
                    spread -= average * average;
                    next_a[i] = average;
                }
                T step = slope / (std::sqrt(spread + inside) + outside);
                if (v) next_v[i] = step = mu * v[i] + step;
                next[i] = decay.keep * p[i] - lr * step;
                next_s[i] = squares;
            }
        });
    }));
}

}  // namespace fovea
