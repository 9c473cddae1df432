// Optimisers by name, and the domains of their options.
#include <algorithm>

#include "core/text.h"
#include "train/option_keys.h"
#include "train/optimizer.h"
#include "train/options.h"

namespace fovea {

namespace {

constexpr std::string_view optimizer_names[] = {"sgd", "adam", "adamw", "rmsprop", "adagrad", "adadelta", "lars", "lamb", "lion", "muon"};
constexpr std::string_view form_names[] = {"torch", "caffe", "ema"};

void check_domain(bool condition, std::string_view who, std::string_view option, double value, std::string_view domain) {
    require<ArgumentError>(condition, "optimizer '{}': {} must be {}, got {}", who, option, domain, value);
}

}  // namespace

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
            if constexpr (std::is_same_v<O, Lars> || std::is_same_v<O, Muon>) check_domain(o.momentum >= 0 && o.momentum < 1, who, "momentum", o.momentum, "in 0..1, 1 left out");
            if constexpr (std::is_same_v<O, Lars>) check_domain(o.trust > 0, who, "trust", o.trust, "above 0");
            if constexpr (std::is_same_v<O, Muon>) {
                check_domain(o.steps >= 1 && o.steps <= 100, who, "steps", o.steps, "in 1..100");
                check_domain(o.adamw_lr >= 0, who, "adamw_lr", o.adamw_lr, "at least 0");
            }
            if constexpr (requires { o.beta1; o.beta2; }) {
                check_domain(o.beta1 >= 0 && o.beta1 < 1, who, "beta1", o.beta1, "in 0..1, 1 left out");
                check_domain(o.beta2 >= 0 && o.beta2 < 1, who, "beta2", o.beta2, "in 0..1, 1 left out");
            }
            if constexpr (requires { o.eps; }) check_domain(o.eps >= 0, who, "eps", o.eps, "at least 0");
        },
        optimizer);
}

std::string_view name_of(MomentumForm form) { return form_names[static_cast<std::size_t>(form)]; }
std::string_view name_of(const Optimizer& optimizer) { return optimizer_names[optimizer.index()]; }
double learning_rate_of(const Optimizer& optimizer) {
    return std::visit([](const auto& o) { return o.lr; }, optimizer);
}

std::optional<double> momentum_of(const Optimizer& optimizer) {
    if (const auto* o = std::get_if<Sgd>(&optimizer); o != nullptr && o->momentum > 0) return o->momentum;
    if (const auto* o = std::get_if<Adam>(&optimizer)) return o->beta1;
    if (const auto* o = std::get_if<AdamW>(&optimizer)) return o->beta1;
    if (const auto* o = std::get_if<Lamb>(&optimizer)) return o->beta1;
    if (const auto* o = std::get_if<Lars>(&optimizer); o != nullptr && o->momentum > 0) return o->momentum;
    return {};
}

Optimizer make_optimizer(std::string_view name, const std::map<std::string, double>& given) {
    static const Optimizer kinds[] = {Sgd{0.01}, Adam{}, AdamW{}, RMSprop{}, Adagrad{}, Adadelta{}, Lars{0.01}, Lamb{}, Lion{}, Muon{}};
    const auto kind = std::ranges::find(kinds, name, [](const Optimizer& o) { return name_of(o); });
    if (kind == std::end(kinds)) {
        const std::vector<std::string> names(std::begin(optimizer_names), std::end(optimizer_names));
        fail<ArgumentError>("no optimizer '{}'; nearest: {}", name, fmt::join(nearest_names(name, names), ", "));
    }
    Optimizer optimizer = *kind;
    NamedOptions options(fmt::format("optimizer '{}'", name), given);
    visit_options(optimizer, [&](std::string_view option, auto& value) { options.take(option, value); });
    options.finish();
    check(optimizer);
    return optimizer;
}

}  // namespace fovea
