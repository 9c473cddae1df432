// The options of optimisers and schedules: one list for each, which setting by name and writing share.
#pragma once

#include <concepts>

#include "fovea/train.h"

namespace fovea {

template <class T, class... Kinds>
concept OneOf = (std::same_as<std::remove_const_t<T>, Kinds> || ...);

// visit_options(o, visit) calls visit(name, field) for every option of an optimiser or a kind of schedule.

template <OneOf<Sgd> O, class Visit> void visit_options(O& o, Visit&& visit) {
    visit("lr", o.lr), visit("momentum", o.momentum), visit("dampening", o.dampening), visit("nesterov", o.nesterov);
    visit("weight_decay", o.weight_decay), visit("decoupled", o.decoupled), visit("form", o.form);
}
template <OneOf<Adam, AdamW, Lamb> O, class Visit> void visit_options(O& o, Visit&& visit) {
    visit("lr", o.lr), visit("beta1", o.beta1), visit("beta2", o.beta2), visit("eps", o.eps), visit("weight_decay", o.weight_decay);
}
template <OneOf<Lion> O, class Visit> void visit_options(O& o, Visit&& visit) {
    visit("lr", o.lr), visit("beta1", o.beta1), visit("beta2", o.beta2), visit("weight_decay", o.weight_decay);
}
template <OneOf<RMSprop> O, class Visit> void visit_options(O& o, Visit&& visit) {
    visit("lr", o.lr), visit("alpha", o.alpha), visit("eps", o.eps), visit("weight_decay", o.weight_decay), visit("momentum", o.momentum), visit("centered", o.centered);
}
template <OneOf<Adagrad> O, class Visit> void visit_options(O& o, Visit&& visit) {
    visit("lr", o.lr), visit("lr_decay", o.lr_decay), visit("eps", o.eps), visit("weight_decay", o.weight_decay), visit("initial_accumulator", o.initial_accumulator);
}
template <OneOf<Adadelta> O, class Visit> void visit_options(O& o, Visit&& visit) {
    visit("lr", o.lr), visit("rho", o.rho), visit("eps", o.eps), visit("weight_decay", o.weight_decay);
}
template <OneOf<Lars> O, class Visit> void visit_options(O& o, Visit&& visit) {
    visit("lr", o.lr), visit("momentum", o.momentum), visit("weight_decay", o.weight_decay), visit("trust", o.trust);
}
template <OneOf<Muon> O, class Visit> void visit_options(O& o, Visit&& visit) {
    visit("lr", o.lr), visit("momentum", o.momentum), visit("weight_decay", o.weight_decay), visit("nesterov", o.nesterov), visit("steps", o.steps);
    visit("adamw_lr", o.adamw_lr), visit("beta1", o.beta1), visit("beta2", o.beta2), visit("eps", o.eps);
}

template <OneOf<Constant> S, class Visit> void visit_options(S&, Visit&&) {}
template <OneOf<StepDecay> S, class Visit> void visit_options(S& s, Visit&& visit) { visit("every", s.every), visit("factor", s.factor); }
template <OneOf<MultiStep> S, class Visit> void visit_options(S& s, Visit&& visit) { visit("milestones", s.milestones), visit("factor", s.factor); }
template <OneOf<Exponential> S, class Visit> void visit_options(S& s, Visit&& visit) { visit("factor", s.factor), visit("per_step", s.per_step); }
template <OneOf<Cosine> S, class Visit> void visit_options(S& s, Visit&& visit) {
    visit("period", s.period), visit("min_lr", s.min_lr), visit("restart_factor", s.restart_factor), visit("per_step", s.per_step);
}
template <OneOf<OneCycle> S, class Visit> void visit_options(S& s, Visit&& visit) {
    visit("pct_start", s.pct_start), visit("div_factor", s.div_factor), visit("final_div_factor", s.final_div_factor), visit("is_linear", s.is_linear);
    visit("cycle_momentum", s.cycle_momentum), visit("base_momentum", s.base_momentum), visit("max_momentum", s.max_momentum);
}
template <OneOf<Polynomial> S, class Visit> void visit_options(S& s, Visit&& visit) {
    visit("power", s.power), visit("period", s.period), visit("end_lr", s.end_lr), visit("per_step", s.per_step);
}
template <OneOf<ReduceOnPlateau> S, class Visit> void visit_options(S& s, Visit&& visit) {
    visit("factor", s.factor), visit("patience", s.patience), visit("threshold", s.threshold), visit("is_relative", s.is_relative);
    visit("cooldown", s.cooldown), visit("min_lr", s.min_lr), visit("bigger_is_better", s.bigger_is_better);
}

/// Those of a schedule as a whole: its kind's, then what all kinds have.
template <OneOf<Schedule> S, class Visit> void visit_options(S& schedule, Visit&& visit) {
    std::visit([&](auto& kind) { visit_options(kind, visit); }, schedule.kind);
    visit("warm_up", schedule.warm_up), visit("warm_up_start", schedule.warm_up_start);
}
template <OneOf<Optimizer> O, class Visit> void visit_options(O& optimizer, Visit&& visit) {
    std::visit([&](auto& kind) { visit_options(kind, visit); }, optimizer);
}

}  // namespace fovea
