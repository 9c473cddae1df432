#include "train/facts.h"

#include "core/text.h"
#include "data/augment/fields.h"
#include "train/option_keys.h"

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

/// The name and the options of an optimiser or a schedule.
template <class T> Json named(const T& what) {
    Json json{{"name", name_of(what)}};
    visit_options(what, [&](std::string_view option, const auto& value) {
        if constexpr (std::is_same_v<decltype(value), const MomentumForm&>) json[std::string(option)] = name_of(value);
        else json[std::string(option)] = value;
    });
    return json;
}

}  // namespace

Json to_json(const Optimizer& optimizer) { return named(optimizer); }
Json to_json(const Schedule& schedule) { return named(schedule); }

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
