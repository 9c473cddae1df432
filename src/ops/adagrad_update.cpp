// AdaGrad. Duchi et al. 2011: each scalar's rate falls with the root of its summed squared gradients.
#include <cmath>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/update.h"

namespace fovea {

Value adagrad_update(const Value& p, const Value& g, const Value& lr, const Value& step_count, const Value& squares, const AdagradUpdateSpec& spec, std::string_view name) {
    return p.graph().add("adagrad_update", {p, g, lr, step_count, squares},
                         {{"lr_decay", spec.lr_decay}, {"eps", spec.eps}, {"weight_decay", spec.weight_decay}, {"decoupled", spec.decoupled}}, name);
}

void register_adagrad_update(OpRegistry& ops) {
    ops.add(update_op("adagrad_update", {2, 3}, {4}, 7, [](const OpRun& run) {
        run.with_real([&](auto tag) {
            using T = decltype(tag);
            const T lr = run.in<T>(2)[0], rate = static_cast<T>(lr / (1 + (run.in<T>(3)[0] - 1) * run.attrs().real("lr_decay", 0))), eps = static_cast<T>(run.attrs().real("eps"));
            const Decay<T> decay(run.attrs(), lr);
            const T *p = run.in<T>(0), *g = run.in<T>(1), *s = run.in<T>(4);
            T *next = run.out<T>(0), *next_s = run.out<T>(1);
            const std::int64_t n = run.out_shape().elements();
#pragma GCC ivdep  // outputs may be the inputs themselves, but never shifted
            for (std::int64_t i = 0; i < n; ++i) {
                const T slope = g[i] + decay.l2 * p[i], squares = s[i] + slope * slope;
                next[i] = decay.keep * p[i] - rate * slope / (std::sqrt(squares) + eps);
                next_s[i] = squares;
            }
        });
    }));
}

}  // namespace fovea
