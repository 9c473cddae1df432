// A loss becomes a whole training step: gradients, clipping and one update node per parameter, in the same graph.
#include <algorithm>

#include "core/text.h"
#include "fovea/ops.h"
#include "fovea/passes.h"
#include "fovea/train.h"
#include "train/options.h"

namespace fovea {

namespace {

constexpr std::string_view optimizer_names[] = {"sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta"};
constexpr std::string_view form_names[] = {"torch", "caffe", "ema"};

bool matches_any(const std::vector<std::string>& patterns, std::string_view name) {
    return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) { return matches_glob(pattern, name); });
}

/// A pattern that fits nothing is a spelling mistake.
void check_patterns(const std::vector<std::string>& patterns, const std::vector<std::string>& names, std::string_view what) {
    for (const std::string& pattern : patterns)
        if (std::none_of(names.begin(), names.end(), [&](const std::string& name) { return matches_glob(pattern, name); }))
            fail<ArgumentError>("{} pattern '{}' matches no trainable parameter; nearest: {}", what, pattern, fmt::join(nearest_names(pattern, names), ", "));
}

/// Scalar inputs of the step, declared when first used.
class StepInputs {
public:
    explicit StepInputs(Graph& graph) : graph_(graph) {}
    Value lr() { return at(lr_, "lr"); }
    Value count() { return at(count_, "t"); }
    Value momentum() { return at(momentum_, "momentum"); }

private:
    Value at(Value& value, std::string_view name) {
        if (value.is_empty()) value = graph_.input(name, Shape{});
        return value;
    }
    Graph& graph_;
    Value lr_, count_, momentum_;
};

/// Update nodes of one parameter after the other.
class Updater {
public:
    Updater(Graph& graph, const StepSpec& spec) : graph_(graph), spec_(spec), inputs_(graph) {}

    void operator()(const Sgd& o, const Value& p, const Value& g, bool decays) {
        const SgdUpdateSpec spec{.momentum = o.momentum, .dampening = o.dampening, .nesterov = o.nesterov, .weight_decay = decays ? o.weight_decay : 0, .decoupled = o.decoupled,
                                 .form = std::string(name_of(o.form))};
        const bool moves = o.momentum > 0;
        finish(p, {moves ? slot("momentum", p) : Value{}}, [&](const std::vector<Value>& s) {
            return sgd_update(p, g, inputs_.lr(), s[0], spec, o.dampening > 0 ? inputs_.count() : Value{}, moves && spec_.momentum_input ? inputs_.momentum() : Value{});
        });
    }
    void operator()(const Adam& o, const Value& p, const Value& g, bool decays) { adam(o.beta1, o.beta2, o.eps, decays ? o.weight_decay : 0, false, p, g); }
    void operator()(const AdamW& o, const Value& p, const Value& g, bool decays) { adam(o.beta1, o.beta2, o.eps, decays ? o.weight_decay : 0, true, p, g); }
    void operator()(const RMSprop& o, const Value& p, const Value& g, bool decays) {
        const RmspropUpdateSpec spec{.alpha = o.alpha, .eps = o.eps, .momentum = o.momentum, .weight_decay = decays ? o.weight_decay : 0, .centered = o.centered};
        const Value square = slot("square_mean", p), velocity = o.momentum > 0 ? slot("momentum", p) : Value{}, mean = o.centered ? slot("mean", p) : Value{};
        finish(p, {square, velocity, mean}, [&](const std::vector<Value>& s) { return rmsprop_update(p, g, inputs_.lr(), s[0], spec, s[1], s[2]); });
    }
    void operator()(const Adagrad& o, const Value& p, const Value& g, bool decays) {
        const AdagradUpdateSpec spec{.lr_decay = o.lr_decay, .eps = o.eps, .weight_decay = decays ? o.weight_decay : 0};
        finish(p, {slot("squares", p, o.initial_accumulator)}, [&](const std::vector<Value>& s) { return adagrad_update(p, g, inputs_.lr(), inputs_.count(), s[0], spec); });
    }
    void operator()(const Adadelta& o, const Value& p, const Value& g, bool decays) {
        const AdadeltaUpdateSpec spec{.rho = o.rho, .eps = o.eps, .weight_decay = decays ? o.weight_decay : 0};
        finish(p, {slot("square_mean", p), slot("step_mean", p)}, [&](const std::vector<Value>& s) { return adadelta_update(p, g, inputs_.lr(), s[0], s[1], spec); });
    }

private:
    void adam(double beta1, double beta2, double eps, double weight_decay, bool decoupled, const Value& p, const Value& g) {
        const AdamUpdateSpec spec{.beta1 = beta1, .beta2 = beta2, .eps = eps, .weight_decay = weight_decay, .decoupled = decoupled};
        finish(p, {slot("first_moment", p), slot("second_moment", p)}, [&](const std::vector<Value>& s) {
            return adam_update(p, g, inputs_.lr(), inputs_.count(), s[0], s[1], spec, {}, spec_.momentum_input ? inputs_.momentum() : Value{});
        });
    }
    Value slot(std::string_view name, const Value& p, double initial = 0) {
        return graph_.parameter(fmt::format("{}{}.{}", optimizer_prefix, name, p.path()), p.shape(), initial == 0 ? Init::zeros() : Init::constant(initial), false);
    }
    /// Output 0 is the parameter's next value, then come those of the slots that exist.
    template <class F> void finish(const Value& p, const std::vector<Value>& slots, F&& update) {
        const Value next = update(slots);
        graph_.update(p, next);
        int output = 1;
        for (const Value& state : slots)
            if (!state.is_empty()) graph_.update(state, next.sibling(output++));
    }

    Graph& graph_;
    const StepSpec& spec_;
    StepInputs inputs_;
};

/// sqrt of the sum of all squares.
Value joint_norm(const std::vector<Value>& gradients) {
    Value total;
    for (const Value& g : gradients) {
        const Value squares = sum(square(g));
        total = total.is_empty() ? squares : total + squares;
    }
    return sqrt(total, "gradient_norm");
}

void check_domain(bool condition, std::string_view who, std::string_view option, double value, std::string_view domain) {
    require<ArgumentError>(condition, "optimizer '{}': {} must be {}, got {}", who, option, domain, value);
}

void check(const Optimizer& optimizer) {
    const std::string_view who = name_of(optimizer);
    std::visit(
        [&](const auto& o) {
            using O = std::decay_t<decltype(o)>;
            check_domain(o.lr >= 0, who, "lr", o.lr, "at least 0");
            check_domain(o.weight_decay >= 0, who, "weight_decay", o.weight_decay, "at least 0");
            if constexpr (std::is_same_v<O, Sgd>) {
                check_domain(o.momentum >= 0 && o.momentum < 1, who, "momentum", o.momentum, "in 0..1, 1 left out");
                check_domain(!o.nesterov || (o.momentum > 0 && o.dampening == 0), who, "nesterov", 1, "used with a momentum and without dampening");
            }
            if constexpr (std::is_same_v<O, Adam> || std::is_same_v<O, AdamW>) {
                check_domain(o.beta1 >= 0 && o.beta1 < 1, who, "beta1", o.beta1, "in 0..1, 1 left out");
                check_domain(o.beta2 >= 0 && o.beta2 < 1, who, "beta2", o.beta2, "in 0..1, 1 left out");
            }
            if constexpr (!std::is_same_v<O, Sgd>) check_domain(o.eps >= 0, who, "eps", o.eps, "at least 0");
        },
        optimizer);
}

}  // namespace

std::string_view name_of(MomentumForm form) { return form_names[static_cast<std::size_t>(form)]; }
std::string_view name_of(const Optimizer& optimizer) { return optimizer_names[optimizer.index()]; }
double learning_rate_of(const Optimizer& optimizer) {
    return std::visit([](const auto& o) { return o.lr; }, optimizer);
}

std::optional<double> momentum_of(const Optimizer& optimizer) {
    if (const auto* o = std::get_if<Sgd>(&optimizer); o != nullptr && o->momentum > 0) return o->momentum;
    if (const auto* o = std::get_if<Adam>(&optimizer)) return o->beta1;
    if (const auto* o = std::get_if<AdamW>(&optimizer)) return o->beta1;
    return {};
}

bool matches_glob(std::string_view pattern, std::string_view name) {
    std::size_t p = 0, n = 0, star = std::string_view::npos, mark = 0;
    while (n < name.size()) {
        if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n]) && pattern[p] != '*') ++p, ++n;
        else if (p < pattern.size() && pattern[p] == '*') star = p++, mark = n;
        else if (star != std::string_view::npos) p = star + 1, n = ++mark;  // the last star takes one character more
        else return false;
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

void append_optimizer(Graph& graph, const Value& loss, const Optimizer& optimizer, const StepSpec& spec) {
    check(optimizer);
    require<ArgumentError>(&loss.graph() == &graph, "append_optimizer: the loss '{}' belongs to another graph", loss.path());
    require<ShapeError>(loss.shape().rank() == 0, "the loss '{}' is {}; a training step needs one number: reduce it with mean or sum", loss.path(), loss.shape());
    require<ArgumentError>(spec.clip_norm >= 0 && spec.clip_value >= 0, "clipping: limits are at least 0 (0 is off), got norm {} and value {}", spec.clip_norm, spec.clip_value);
    std::vector<std::string> names;
    for (const ParameterInfo& info : graph.parameters())
        if (info.is_trainable) names.push_back(info.name);
    check_patterns(spec.no_decay, names, "no_decay");
    check_patterns(spec.frozen, names, "frozen");
    std::vector<Value> candidates;
    for (const std::string& name : names)
        if (!matches_any(spec.frozen, name)) candidates.push_back(graph.find(name));
    const std::vector<Value> found = gradients(loss, candidates);
    std::vector<Value> trained, slopes;
    for (std::size_t i = 0; i < found.size(); ++i) {
        if (found[i].is_empty()) continue;  // a head that this loss does not use
        trained.push_back(candidates[i]);
        slopes.push_back(found[i]);
    }
    require<ArgumentError>(!trained.empty(), "nothing to train: the loss '{}' depends on none of the {} trainable parameters{}", loss.path(), names.size(),
                           spec.frozen.empty() ? "" : " that are not frozen");
    if (spec.clip_value > 0)
        for (Value& g : slopes) g = clamp(g, -spec.clip_value, spec.clip_value);
    if (spec.clip_norm > 0 || spec.log_gradient_norm) {
        const Value norm = joint_norm(slopes);
        graph.output("gradient_norm", norm);
        if (spec.clip_norm > 0) {
            const Value factor = minimum(scalar(graph, spec.clip_norm) / (norm + 1e-6), 1.0);  // 1e-6 as clip_grad_norm_
            for (Value& g : slopes) g = g * factor;
        }
    }
    Updater update(graph, spec);
    for (std::size_t i = 0; i < trained.size(); ++i) {
        const Value& p = trained[i];
        const bool decays = !matches_any(spec.no_decay, p.path()) && (spec.decay_norms_and_biases || p.shape().rank() > 1);
        std::visit([&](const auto& o) { update(o, p, slopes[i], decays); }, optimizer);
    }
}

Optimizer make_optimizer(std::string_view name, const std::map<std::string, double>& given) {
    NamedOptions options(fmt::format("optimizer '{}'", name), given);
    const auto common = [&](auto& o) {
        options.take("lr", o.lr);
        options.take("weight_decay", o.weight_decay);
    };
    const auto adam = [&](auto o) -> Optimizer {
        common(o);
        options.take("beta1", o.beta1);
        options.take("beta2", o.beta2);
        options.take("eps", o.eps);
        return o;
    };
    Optimizer result;
    if (name == "sgd") {
        Sgd o{0.01};
        int form = 0;
        common(o);
        options.take("momentum", o.momentum);
        options.take("dampening", o.dampening);
        options.take("nesterov", o.nesterov);
        options.take("decoupled", o.decoupled);
        options.take("form", form);
        require<ArgumentError>(form >= 0 && form <= 2, "optimizer 'sgd': form is 0 (torch), 1 (caffe) or 2 (ema), got {}", form);
        o.form = static_cast<MomentumForm>(form);
        result = o;
    } else if (name == "adam") {
        result = adam(Adam{});
    } else if (name == "adamw") {
        result = adam(AdamW{});
    } else if (name == "rmsprop") {
        RMSprop o;
        common(o);
        options.take("alpha", o.alpha);
        options.take("eps", o.eps);
        options.take("momentum", o.momentum);
        options.take("centered", o.centered);
        result = o;
    } else if (name == "adagrad") {
        Adagrad o;
        common(o);
        options.take("lr_decay", o.lr_decay);
        options.take("eps", o.eps);
        options.take("initial_accumulator", o.initial_accumulator);
        result = o;
    } else if (name == "adadelta") {
        Adadelta o;
        common(o);
        options.take("rho", o.rho);
        options.take("eps", o.eps);
        result = o;
    } else {
        const std::vector<std::string> names(std::begin(optimizer_names), std::end(optimizer_names));
        fail<ArgumentError>("no optimizer '{}'; nearest: {}", name, fmt::join(nearest_names(name, names), ", "));
    }
    options.finish();
    check(result);
    return result;
}

}  // namespace fovea
