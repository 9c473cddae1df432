// Stochastic gradient descent with momentum, in the three forms found in papers and programs:
//   torch  v = mu v + (1 - dampening) g;  p -= lr v             lr outside the velocity
//   caffe  v = mu v + lr g;               p -= v                 lr inside: a schedule acts on new gradients only
//   ema    v = mu v + (1 - mu) g;         p -= lr v              a running mean of gradients
// Nesterov: the step looks ahead, g + mu v instead of v (caffe: (1 + mu) v' - mu v).
#include <cmath>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/update.h"

namespace fovea {

Value sgd_update(const Value& p, const Value& g, const Value& lr, const Value& velocity, const SgdUpdateSpec& spec, const Value& step_count, const Value& momentum,
                 std::string_view name) {
    Graph& graph = p.graph();
    const auto check = [&](bool ok, const char* what) { require<ArgumentError>(ok, "sgd_update '{}': {}", graph.path_of(name), what); };
    check(spec.form == "torch" || spec.form == "caffe" || spec.form == "ema", "form is torch, caffe or ema");
    check(velocity.is_empty() == (spec.momentum == 0), "momentum and a velocity go together");
    check(momentum.is_empty() || spec.momentum > 0, "a momentum that is an input needs one in the spec too");
    check(!spec.nesterov || (spec.momentum > 0 && spec.dampening == 0), "nesterov needs a momentum and no dampening");
    check(spec.dampening == 0 || (!step_count.is_empty() && spec.form == "torch"), "dampening needs the torch form and the step count, as the first step is not damped");
    return graph.add("sgd_update", {p, g, lr, velocity, step_count, momentum},
                     {{"momentum", spec.momentum}, {"dampening", spec.dampening}, {"nesterov", spec.nesterov}, {"weight_decay", spec.weight_decay}, {"decoupled", spec.decoupled}, {"form", spec.form}},
                     name);
}

namespace {

/// v' = mu v + gain (g + l2 p);  p' = keep p - (from_v v' + from_g (g + l2 p) + from_old v): every form is a choice of these numbers.
template <class T> struct Rule {
    T mu, gain, from_v, from_g = 0, from_old = 0;
    Rule(const Attrs& attrs, T momentum, T lr, bool is_first) : mu(momentum) {
        const std::string form = attrs.text("form", "torch");
        const bool nesterov = attrs.flag("nesterov"), is_caffe = form == "caffe";
        gain = is_caffe ? lr : form == "ema" ? 1 - mu : is_first ? T(1) : static_cast<T>(1 - attrs.real("dampening", 0));
        from_v = is_caffe ? T(1) : lr;
        if (nesterov && is_caffe)
            from_v = 1 + mu, from_old = -mu;
        else if (nesterov)
            from_v = lr * mu, from_g = lr * gain;
    }
};

template <class T> void plain(const OpRun& run, T lr) {
    const Decay<T> decay(run.attrs(), lr);
    const T *p = run.in<T>(0), *g = run.in<T>(1);
    T* next = run.out<T>(0);
    const std::int64_t n = run.out_shape().elements();
#pragma GCC ivdep  // outputs may be the inputs themselves, but never shifted
    for (std::int64_t i = 0; i < n; ++i) next[i] = decay.keep * p[i] - lr * (g[i] + decay.l2 * p[i]);
}

template <class T> void with_velocity(const OpRun& run, T lr) {
    const Decay<T> decay(run.attrs(), lr);
    const T momentum = run.has(5) ? run.in<T>(5)[0] : static_cast<T>(run.attrs().real("momentum", 0));
    const Rule<T> rule(run.attrs(), momentum, lr, run.has(4) && run.in<T>(4)[0] <= 1);
    const T *p = run.in<T>(0), *g = run.in<T>(1), *v = run.in<T>(3);
    T *next = run.out<T>(0), *next_v = run.out<T>(1);
    const std::int64_t n = run.out_shape().elements();
#pragma GCC ivdep  // outputs may be the inputs themselves, but never shifted
    for (std::int64_t i = 0; i < n; ++i) {
        const T slope = g[i] + decay.l2 * p[i], old = v[i], velocity = rule.mu * old + rule.gain * slope;
        next[i] = decay.keep * p[i] - (rule.from_v * velocity + rule.from_g * slope + rule.from_old * old);
        next_v[i] = velocity;
    }
}

}  // namespace

void register_sgd_update(OpRegistry& ops) {
    ops.add(update_op("sgd_update", {2, 4, 5}, {3}, 6, [](const OpRun& run) {
        run.with_real([&](auto tag) {
            using T = decltype(tag);
            run.has(3) ? with_velocity<T>(run, run.in<T>(2)[0]) : plain<T>(run, run.in<T>(2)[0]);
        });
    }));
}

}  // namespace fovea
