// Adadelta. Zeiler 2012, arXiv:1212.5701, algorithm 1; lr (1 in the paper) scales the step, as in PyTorch.
#include <cmath>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/update.h"

namespace fovea {

Value adadelta_update(const Value& p, const Value& g, const Value& lr, const Value& square_mean, const Value& step_mean, const AdadeltaUpdateSpec& spec, std::string_view name) {
    return p.graph().add("adadelta_update", {p, g, lr, square_mean, step_mean},
                         {{"rho", spec.rho}, {"eps", spec.eps}, {"weight_decay", spec.weight_decay}, {"decoupled", spec.decoupled}}, name);
}

void register_adadelta_update(OpRegistry& ops) {
    ops.add(update_op("adadelta_update", {2}, {3, 4}, 14, [](const OpRun& run) {
        run.with_real([&](auto tag) {
            using T = decltype(tag);
            const T lr = run.in<T>(2)[0], rho = static_cast<T>(run.attrs().real("rho")), rest = static_cast<T>(1 - run.attrs().real("rho")), eps = static_cast<T>(run.attrs().real("eps"));
            const Decay<T> decay(run.attrs(), lr);
            const T *p = run.in<T>(0), *g = run.in<T>(1), *s = run.in<T>(3), *d = run.in<T>(4);
            T *next = run.out<T>(0), *next_s = run.out<T>(1), *next_d = run.out<T>(2);
            const std::int64_t n = run.out_shape().elements();
#pragma GCC ivdep  // outputs may be the inputs themselves, but never shifted
            for (std::int64_t i = 0; i < n; ++i) {
                const T slope = g[i] + decay.l2 * p[i], squares = rho * s[i] + rest * slope * slope, step = std::sqrt(d[i] + eps) / std::sqrt(squares + eps) * slope;
                next[i] = decay.keep * p[i] - lr * step;
                next_s[i] = squares;
                next_d[i] = rho * d[i] + rest * step * step;
            }
        });
    }));
}

}  // namespace fovea
