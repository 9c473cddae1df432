#include "train/facts.h"

#include "core/text.h"
#include "data/augment/fields.h"

namespace fovea {

Json to_json(const Preprocess& p) {
    return {{"resize_shorter", p.resize_shorter}, {"resize_width", p.resize_width}, {"resize_height", p.resize_height}, {"crop_width", p.crop_width},
            {"crop_height", p.crop_height},       {"filter", name_of(p.filter)},    {"channels", p.channels},           {"is_bgr", p.is_bgr},
            {"scale", p.scale},                   {"mean", p.mean},                 {"std", p.std}};
}

Preprocess preprocess_of(const Json& json, std::string_view file) {
    Preprocess p;
    try {
        p.resize_shorter = json.at("resize_shorter");
        p.resize_width = json.at("resize_width");
        p.resize_height = json.at("resize_height");
        p.crop_width = json.at("crop_width");
        p.crop_height = json.at("crop_height");
        p.filter = filter_of(json.at("filter").get<std::string>());
        p.channels = json.at("channels");
        p.is_bgr = json.at("is_bgr");
        p.scale = json.at("scale");
        p.mean = json.at("mean").get<std::array<double, 3>>();
        p.std = json.at("std").get<std::array<double, 3>>();
    } catch (const nlohmann::json::exception& error) {
        fail<FormatError>("'{}': its preprocessing cannot be read: {}", file, error.what());
    }
    return p;
}

Json to_json(const Augment& augment) {
    Json steps = Json::array();
    for (const AugmentStep& step : augment) {
        Json json{{"name", name_of(step)}};
        std::visit([&](const auto& s) {
            visit_fields(s, [&](std::string_view name, const auto& field) {
                if constexpr (std::is_same_v<std::decay_t<decltype(field)>, Fill>) json[name] = field.is_mean ? Json("mean") : Json(field.value);
                else if constexpr (std::is_same_v<std::decay_t<decltype(field)>, Filter>) json[name] = name_of(field);
                else json[name] = field;
            });
        }, step);
        steps.push_back(std::move(json));
    }
    return steps;
}

namespace {

template <class... F> struct Overloaded : F... {
    using F::operator()...;
};

}  // namespace

Json to_json(const Optimizer& optimizer) {
    Json json{{"name", name_of(optimizer)}};
    json.update(std::visit(
        Overloaded{
            [](const Sgd& o) {
                return Json{{"lr", o.lr}, {"momentum", o.momentum}, {"dampening", o.dampening}, {"nesterov", o.nesterov}, {"weight_decay", o.weight_decay},
                            {"decoupled", o.decoupled}, {"form", name_of(o.form)}};
            },
            [](const RMSprop& o) {
                return Json{{"lr", o.lr}, {"alpha", o.alpha}, {"eps", o.eps}, {"weight_decay", o.weight_decay}, {"momentum", o.momentum}, {"centered", o.centered}};
            },
            [](const Adagrad& o) {
                return Json{{"lr", o.lr}, {"lr_decay", o.lr_decay}, {"eps", o.eps}, {"weight_decay", o.weight_decay}, {"initial_accumulator", o.initial_accumulator}};
            },
            [](const Adadelta& o) { return Json{{"lr", o.lr}, {"rho", o.rho}, {"eps", o.eps}, {"weight_decay", o.weight_decay}}; },
            [](const Lars& o) { return Json{{"lr", o.lr}, {"momentum", o.momentum}, {"weight_decay", o.weight_decay}, {"trust", o.trust}}; },
            [](const Lion& o) { return Json{{"lr", o.lr}, {"beta1", o.beta1}, {"beta2", o.beta2}, {"weight_decay", o.weight_decay}}; },
            [](const Muon& o) {
                return Json{{"lr", o.lr}, {"momentum", o.momentum}, {"weight_decay", o.weight_decay}, {"nesterov", o.nesterov}, {"steps", o.steps},
                            {"adamw_lr", o.adamw_lr}, {"beta1", o.beta1}, {"beta2", o.beta2}, {"eps", o.eps}};
            },
            [](const auto& o) { return Json{{"lr", o.lr}, {"beta1", o.beta1}, {"beta2", o.beta2}, {"eps", o.eps}, {"weight_decay", o.weight_decay}}; },
        },
        optimizer));
    return json;
}

Json to_json(const Schedule& schedule) {
    Json json{{"name", name_of(schedule)}};
    json.update(std::visit(
        Overloaded{
            [](const Constant&) { return Json::object(); },
            [](const StepDecay& s) { return Json{{"every", s.every}, {"factor", s.factor}}; },
            [](const MultiStep& s) { return Json{{"milestones", s.milestones}, {"factor", s.factor}}; },
            [](const Exponential& s) { return Json{{"factor", s.factor}, {"per_step", s.per_step}}; },
            [](const Cosine& s) { return Json{{"period", s.period}, {"min_lr", s.min_lr}, {"restart_factor", s.restart_factor}, {"per_step", s.per_step}}; },
            [](const OneCycle& s) {
                return Json{{"pct_start", s.pct_start}, {"div_factor", s.div_factor}, {"final_div_factor", s.final_div_factor}, {"is_linear", s.is_linear},
                            {"cycle_momentum", s.cycle_momentum}, {"base_momentum", s.base_momentum}, {"max_momentum", s.max_momentum}};
            },
            [](const Polynomial& s) { return Json{{"power", s.power}, {"period", s.period}, {"end_lr", s.end_lr}, {"per_step", s.per_step}}; },
            [](const ReduceOnPlateau& s) {
                return Json{{"factor", s.factor}, {"patience", s.patience}, {"threshold", s.threshold}, {"is_relative", s.is_relative},
                            {"cooldown", s.cooldown}, {"min_lr", s.min_lr}, {"bigger_is_better", s.bigger_is_better}};
            },
        },
        schedule.kind));
    json["warm_up"] = schedule.warm_up;
    json["warm_up_start"] = schedule.warm_up_start;
    return json;
}

Json to_json(const StepSpec& s) {
    Json groups = Json::array();
    for (const ParameterGroup& g : s.groups) groups.push_back({{"parameters", g.parameters}, {"lr", g.lr}, {"weight_decay", g.weight_decay}, {"elementwise", g.elementwise}});
    return {{"clip_norm", s.clip_norm}, {"clip_value", s.clip_value}, {"decay_norms_and_biases", s.decay_norms_and_biases}, {"no_decay", s.no_decay}, {"frozen", s.frozen},
            {"groups", groups}, {"accumulate", s.accumulate}, {"ema", s.ema}, {"lookahead_every", s.lookahead_every}, {"lookahead_alpha", s.lookahead_alpha}};
}

Json parse_json(std::string_view text, std::string_view file) {
    try {
        return Json::parse(text);
    } catch (const nlohmann::json::parse_error& error) {
        fail<FormatError>("'{}': its description is not JSON from byte {} on", file, error.byte);
    }
}

}  // namespace fovea
