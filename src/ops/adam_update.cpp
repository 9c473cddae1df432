// Adam. Kingma & Ba 2015, arXiv:1412.6980, algorithm 1, with eps outside the square root as there and in PyTorch;
// AdamW (decoupled decay): Loshchilov & Hutter 2019, arXiv:1711.05101; AMSGrad: Reddi et al. 2018.
#include <algorithm>
#include <cmath>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/update.h"

namespace fovea {

Value adam_update(const Value& p, const Value& g, const Value& lr, const Value& step_count, const Value& m, const Value& v, const AdamUpdateSpec& spec, const Value& v_max,
                  const Value& beta1, std::string_view name) {
    require<ArgumentError>(spec.amsgrad != v_max.is_empty(), "adam_update '{}': amsgrad and a largest second moment go together", p.graph().path_of(name));
    return p.graph().add("adam_update", {p, g, lr, step_count, m, v, v_max, beta1},
                         {{"beta1", spec.beta1}, {"beta2", spec.beta2}, {"eps", spec.eps}, {"weight_decay", spec.weight_decay}, {"decoupled", spec.decoupled}, {"amsgrad", spec.amsgrad}}, name);
}

namespace {

template <class T, bool amsgrad> void adam_loop(const OpRun& run) {
    const T lr = run.in<T>(2)[0];
    const Decay<T> decay(run.attrs(), lr);
    const double t = static_cast<double>(run.in<T>(3)[0]), beta1 = run.has(7) ? static_cast<double>(run.in<T>(7)[0]) : run.attrs().real("beta1"), beta2 = run.attrs().real("beta2");
    // The corrections for the zeros both moments start from.
    const T rate = static_cast<T>(lr / (1 - std::pow(beta1, t))), root = static_cast<T>(1 / std::sqrt(1 - std::pow(beta2, t)));
    const T b1 = static_cast<T>(beta1), b2 = static_cast<T>(beta2), c1 = static_cast<T>(1 - beta1), c2 = static_cast<T>(1 - beta2), eps = static_cast<T>(run.attrs().real("eps"));
    const T *p = run.in<T>(0), *g = run.in<T>(1), *m = run.in<T>(4), *v = run.in<T>(5), *largest = amsgrad ? run.in<T>(6) : nullptr;
    T *next = run.out<T>(0), *next_m = run.out<T>(1), *next_v = run.out<T>(2), *next_largest = amsgrad ? run.out<T>(3) : nullptr;
    const std::int64_t n = run.out_shape().elements();
#pragma GCC ivdep  // outputs may be the inputs themselves, but never shifted
    for (std::int64_t i = 0; i < n; ++i) {
        const T slope = g[i] + decay.l2 * p[i], first = b1 * m[i] + c1 * slope, second = b2 * v[i] + c2 * slope * slope;
        T scale = second;
        if constexpr (amsgrad) next_largest[i] = scale = largest[i] > second ? largest[i] : second;
        next[i] = decay.keep * p[i] - rate * first / (std::sqrt(scale) * root + eps);
        next_m[i] = first;
        next_v[i] = second;
    }
}

}  // namespace

void register_adam_update(OpRegistry& ops) {
    ops.add(update_op("adam_update", {2, 3, 7}, {4, 5, 6}, 14, [](const OpRun& run) {
        run.with_real([&](auto tag) {
            using T = decltype(tag);
            run.has(6) ? adam_loop<T, true>(run) : adam_loop<T, false>(run);
        });
    }));
}

}  // namespace fovea
