// The records' limits, as their check.py applies them; stricter in one place: a gradient the record has must be there.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace fovea::reference {

using Json = nlohmann::ordered_json;

struct Limits {
    double forward, loss, gradient, median, running, op;
};
// f32: 20 times what PyTorch's own f32 differs from f64; f64: what independent f64 implementations agree to, with room.
constexpr Limits f32_limits{1e-4, 1e-4, 2e-2, 2e-3, 1e-4, 1e-5};
constexpr Limits f64_limits{1e-8, 1e-9, 1e-6, 1e-8, 1e-9, 1e-9};

class Report {
public:
    void add(const std::string& what, double value, double limit) {
        ++checks;
        if (!(value <= limit)) problems.push_back(what + ": " + std::to_string(value / limit) + " times the limit " + Json(limit).dump());
    }
    int checks = 0;
    std::vector<std::string> problems;
};

inline double as_number(const Json& v) { return v.is_number() ? v.get<double>() : std::numeric_limits<double>::quiet_NaN(); }

inline std::vector<double> flat(const Json& v) {
    if (v.is_object()) {
        for (const char* key : {"values", "first", "int", "outputs"})
            if (v.contains(key)) return flat(v[key]);
        return {};
    }
    if (!v.is_array()) return {as_number(v)};
    std::vector<double> all;
    for (const Json& e : v)
        for (const double x : flat(e)) all.push_back(x);
    return all;
}

inline double relative_l2(const std::vector<double>& got, const std::vector<double>& want) {
    if (got.size() < want.size()) return std::numeric_limits<double>::infinity();
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < want.size(); ++i) difference += std::pow(got[i] - want[i], 2), norm += want[i] * want[i];
    return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

inline double relative(double got, double want) { return want != 0 ? std::abs(got - want) / std::abs(want) : std::abs(got); }

inline void compare_output(Report& report, const std::string& tag, const Json& got, const Json& want, double limit) {
    double count = 1;
    for (const Json& d : want.at("shape")) count *= d.get<double>();
    const double scale = want.at("l2").get<double>() != 0 ? want.at("l2").get<double>() : 1.0;
    report.add(tag + " values", relative_l2(flat(got.at("outputs")), flat(want.at("first"))), limit);
    report.add(tag + " l2", relative(as_number(got.at("l2")), want.at("l2")), limit);
    report.add(tag + " sum", std::abs(as_number(got.at("sum")) - want.at("sum").get<double>()) / (scale * std::sqrt(count)), limit);
    report.add(tag + " probe", std::abs(as_number(got.at("probe")) - want.at("probe").get<double>()) / (4 * scale), limit);
    report.add(tag + " argmax", got.at("argmax") == want.at("argmax") ? 0 : 1, 0.5);
    report.add(tag + " shape", got.at("shape") == want.at("shape") ? 0 : 1, 0.5);
}

/// A network's results: everything must be there.
inline Report compare_model(const Json& got, const Json& want, bool is_f64) {
    const Limits limit = is_f64 ? f64_limits : f32_limits;
    const Json calibration = is_f64 ? Json::object() : want.value("float32_check", Json::object());
    const auto room = [&](double own, const char* key, double times) { return std::max(own, times * calibration.value(key, 0.0)); };
    const double forward = room(limit.forward, "eval_rel_l2", 20);
    Report report;
    compare_output(report, "eval", got, want.at("eval"), forward);
    for (const Json& row : want.at("eval_intermediate")) {
        const auto name = row[0].get<std::string>();
        if (!got.at("intermediate").contains(name))
            report.add("intermediate " + name + " is missing", 1, 0.5);
        else
            report.add("intermediate " + name, relative(as_number(got.at("intermediate")[name]), row[2]), forward);
    }
    report.add("params", got.at("params") == want.at("trainable_params") ? 0 : 1, 0.5);
    bool macs = false;
    for (const Json& n : want.at("macs_per_image")) macs |= got.at("macs") == n;
    report.add("macs", macs ? 0 : 1, 0.5);
    report.add("state names and shapes", got.at("state") == want.at("state") ? 0 : 1, 0.5);
    const Json& train = want.at("train");
    report.add("loss", relative(as_number(got.at("loss")), train.at("loss")), room(limit.loss, "loss_rel", 20));
    double top = 0, worst = calibration.contains("grad_norm_worst") ? calibration["grad_norm_worst"][0].get<double>() : 0;
    for (const Json& v : train.at("grads")) top = std::max(top, v[0].get<double>());
    const double single = std::max(limit.gradient, 5 * worst);
    std::vector<double> deviations;
    for (const auto& [name, v] : train.at("grads").items()) {
        if (!got.at("grads").contains(name)) {
            report.add("gradient of " + name + " is missing", 1, 0.5);
            continue;
        }
        const Json& g = got.at("grads")[name];
        const double floor = std::max(v[0].get<double>(), 1e-3 * top);
        deviations.push_back(std::abs(as_number(g[0]) - v[0].get<double>()) / floor);
        report.add("gradient of " + name, deviations.back(), single);
        if (is_f64) report.add("gradient probe of " + name, std::abs(as_number(g[3]) - v[3].get<double>()) / (4 * floor), single);
    }
    std::ranges::sort(deviations);
    if (!deviations.empty()) report.add("median gradient", deviations[deviations.size() / 2], room(limit.median, "grad_norm_median", 10));
    const Json statistics = train.value("running_stats", Json::object());
    for (const auto& [name, v] : statistics.items()) {
        const bool there = got.contains("running_stats") && got.at("running_stats").contains(name);
        report.add("running " + name, there ? relative_l2(flat(got.at("running_stats")[name]), flat(v)) : 1, std::max(limit.running, forward));
    }
    return report;
}

inline Report compare_case(const Json& got, const Json& want, bool is_f64) {
    const double limit = (is_f64 ? f64_limits : f32_limits).op;
    Report report;
    if (want.contains("trajectory")) {
        report.add("trajectory", relative_l2(flat(got.at("trajectory")), flat(want.at("trajectory"))), limit);
        return report;
    }
    for (const char* part : {"outputs", "grads"}) {
        if (!want.contains(part) || want.at(part).is_null()) continue;
        report.add(std::string(part) + " count", got.contains(part) && got.at(part).size() == want.at(part).size() ? 0 : 1, 0.5);
        for (std::size_t i = 0; i < want.at(part).size() && got.contains(part) && i < got.at(part).size(); ++i) {
            const Json &g = got.at(part)[i], &w = want.at(part)[i];
            if (w.is_null()) continue;
            const std::string what = std::string(part) + "[" + std::to_string(i) + "]";
            if (g.is_null()) {
                report.add(what + " is missing", 1, 0.5);
                continue;
            }
            std::vector<double> values = flat(g);
            const std::vector<double> wanted = flat(w);
            double largest = 0;
            for (const double v : wanted) largest = std::max(largest, std::abs(v));
            if (largest < 1e-12) {  // zero in theory
                double found = values.size() < wanted.size() ? 1 : 0;
                for (std::size_t k = 0; k < std::min(values.size(), wanted.size()); ++k) found = std::max(found, std::abs(values[k]));
                report.add(what, found, limit);
            } else {
                report.add(what, relative_l2(values, wanted), limit);
            }
            if (w.contains("l2") && g.contains("l2")) report.add(what + " l2", relative(as_number(g["l2"]), w["l2"]), limit);
            if (g.contains("shape") && w.contains("shape")) report.add(what + " shape", g["shape"] == w["shape"] ? 0 : 1, 0.5);
        }
    }
    return report;
}

}  // namespace fovea::reference
