#include "train/updater.h"

#include <algorithm>
#include <cmath>

#include "core/text.h"

namespace fovea {

namespace {

Value norm_of(const Value& x) { return sqrt(sum(square(x))); }

/// `ratio` where both norms are above 0, else 1.
Value or_one(const Value& ratio, const Value& norm1, const Value& norm2) { return where(greater(norm1 * norm2, 0.0), ratio, scalar(ratio.graph(), 1)); }

}  // namespace

Value StepInputs::operator()(std::string_view name) {
    Value& value = values_[std::string(name)];
    if (value.is_empty()) value = graph_.input(name, Shape{});
    return value;
}

Value Updater::lr(const Rule& rule, double factor) {
    const double by = rule.lr * factor;
    if (by == 1) return inputs_("lr");
    Value& rate = rates_[by];
    if (rate.is_empty()) rate = inputs_("lr") * by;
    return rate;
}

Value Updater::slot(std::string_view name, const Value& p, double initial) {
    return graph_.parameter(fmt::format("{}{}.{}", optimizer_prefix, name, p.path()), p.shape(), initial == 0 ? Init::zeros() : Init::constant(initial), false);
}

/// Output 0 is the parameter's next value, then come those of the slots that exist.
template <class F> void Updater::finish(const Value& p, const std::vector<Value>& slots, F&& update) {
    const Value next = update(slots);
    graph_.update(p, next);
    int output = 1;
    for (const Value& state : slots)
        if (!state.is_empty()) graph_.update(state, next.sibling(output++));
}

void Updater::adam(const AdamUpdateSpec& spec, const Value& p, const Value& g, const Value& rate, bool moves) {
    finish(p, {slot("first_moment", p), slot("second_moment", p)},
           [&](const std::vector<Value>& s) { return adam_update(p, g, rate, inputs_("t"), s[0], s[1], spec, {}, momentum(moves)); });
}

void Updater::operator()(const Sgd& o, const Value& p, const Value& g, const Rule& rule) {
    const SgdUpdateSpec spec{.momentum = o.momentum, .dampening = o.dampening, .nesterov = o.nesterov, .weight_decay = rule.decay * o.weight_decay, .decoupled = o.decoupled,
                             .form = std::string(name_of(o.form))};
    const bool moves = o.momentum > 0;
    finish(p, {moves ? slot("momentum", p) : Value{}},
           [&](const std::vector<Value>& s) { return sgd_update(p, g, lr(rule), s[0], spec, o.dampening > 0 ? inputs_("t") : Value{}, momentum(moves)); });
}

void Updater::operator()(const Adam& o, const Value& p, const Value& g, const Rule& rule) {
    adam({.beta1 = o.beta1, .beta2 = o.beta2, .eps = o.eps, .weight_decay = rule.decay * o.weight_decay}, p, g, lr(rule), true);
}

void Updater::operator()(const AdamW& o, const Value& p, const Value& g, const Rule& rule) {
    adam({.beta1 = o.beta1, .beta2 = o.beta2, .eps = o.eps, .weight_decay = rule.decay * o.weight_decay, .decoupled = true}, p, g, lr(rule), true);
}

void Updater::operator()(const RMSprop& o, const Value& p, const Value& g, const Rule& rule) {
    const RmspropUpdateSpec spec{.alpha = o.alpha, .eps = o.eps, .momentum = o.momentum, .weight_decay = rule.decay * o.weight_decay, .centered = o.centered};
    const Value square = slot("square_mean", p), velocity = o.momentum > 0 ? slot("momentum", p) : Value{}, mean = o.centered ? slot("mean", p) : Value{};
    finish(p, {square, velocity, mean}, [&](const std::vector<Value>& s) { return rmsprop_update(p, g, lr(rule), s[0], spec, s[1], s[2]); });
}

void Updater::operator()(const Adagrad& o, const Value& p, const Value& g, const Rule& rule) {
    const AdagradUpdateSpec spec{.lr_decay = o.lr_decay, .eps = o.eps, .weight_decay = rule.decay * o.weight_decay};
    finish(p, {slot("squares", p, o.initial_accumulator)}, [&](const std::vector<Value>& s) { return adagrad_update(p, g, lr(rule), inputs_("t"), s[0], spec); });
}

void Updater::operator()(const Adadelta& o, const Value& p, const Value& g, const Rule& rule) {
    const AdadeltaUpdateSpec spec{.rho = o.rho, .eps = o.eps, .weight_decay = rule.decay * o.weight_decay};
    finish(p, {slot("square_mean", p), slot("step_mean", p)}, [&](const std::vector<Value>& s) { return adadelta_update(p, g, lr(rule), s[0], s[1], spec); });
}

void Updater::operator()(const Lars& o, const Value& p, const Value& g, const Rule& rule) {
    const double decay = rule.decay * o.weight_decay;
    Value slope = decay > 0 ? g + p * decay : g;
    if (!rule.is_elementwise) {
        const Value of_p = norm_of(p), of_g = norm_of(g);
        slope = slope * or_one(of_p * o.trust / (of_g + of_p * decay), of_p, of_g);
    }
    const bool moves = o.momentum > 0;
    finish(p, {moves ? slot("momentum", p) : Value{}},
           [&](const std::vector<Value>& s) { return sgd_update(p, slope, lr(rule), s[0], {.momentum = o.momentum, .form = "caffe"}, {}, momentum(moves)); });
}

void Updater::operator()(const Lamb& o, const Value& p, const Value& g, const Rule& rule) {
    const Value m = slot("first_moment", p), v = slot("second_moment", p);
    // A step of rate -1 from nothing is Adam's direction itself, with its corrections computed in f64.
    const Value adam = adam_update(p - p, g, scalar(graph_, -1), inputs_("t"), m, v, {.beta1 = o.beta1, .beta2 = o.beta2, .eps = o.eps}, {}, momentum(true));
    const double decay = rule.decay * o.weight_decay;
    Value direction = decay > 0 ? adam + p * decay : adam;
    if (!rule.is_elementwise) {
        const Value of_p = norm_of(p), of_direction = norm_of(direction);
        direction = direction * or_one(of_p / of_direction, of_p, of_direction);
    }
    graph_.update(p, p - direction * lr(rule));
    graph_.update(m, adam.sibling(1));
    graph_.update(v, adam.sibling(2));
}

void Updater::operator()(const Lion& o, const Value& p, const Value& g, const Rule& rule) {
    const Value m = slot("momentum", p);
    const double decay = rule.decay * o.weight_decay;
    Value direction = sign(m * o.beta1 + g * (1 - o.beta1));
    if (decay > 0) direction = direction + p * decay;
    graph_.update(p, p - direction * lr(rule));
    graph_.update(m, m * o.beta2 + g * (1 - o.beta2));
}

void Updater::operator()(const Muon& o, const Value& p, const Value& g, const Rule& rule) {
    const double decay = rule.decay * o.weight_decay;
    if (rule.is_elementwise)
        return adam({.beta1 = o.beta1, .beta2 = o.beta2, .eps = o.eps, .weight_decay = decay, .decoupled = true}, p, g, lr(rule, o.lr > 0 ? o.adamw_lr / o.lr : 0), false);
    const Value v = slot("momentum", p), next = v * o.momentum + g;
    const std::int64_t rows = p.shape()[0], columns = p.shape().elements() / rows;
    const Value matrix = reshape(o.nesterov ? g + next * o.momentum : next, {rows, columns});
    const double scale = std::sqrt(std::max(1.0, static_cast<double>(rows) / static_cast<double>(columns)));
    Value direction = reshape_to(newton_schulz(matrix, o.steps), p) * scale;
    if (decay > 0) direction = direction + p * decay;
    graph_.update(p, p - direction * lr(rule));
    graph_.update(v, next);
}

Value newton_schulz(const Value& matrix, int steps) {
    // The smaller side decides the size of A.
    const bool is_tall = matrix.shape()[0] > matrix.shape()[1];
    Value x = is_tall ? transpose(matrix, {1, 0}) : matrix;
    x = x / (sqrt(sum(square(x))) + 1e-7);
    for (int i = 0; i < steps; ++i) {
        const Value a = matmul(x, x, {.transpose_b = true});
        x = x * 3.4445 + matmul(a * -4.7750 + matmul(a, a) * 2.0315, x);
    }
    return is_tall ? transpose(x, {1, 0}) : x;
}

}  // namespace fovea
