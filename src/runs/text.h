// Numbers and times as lists and reports show them.
#pragma once

#include <cmath>
#include <string>

#include "core/text.h"
#include "fovea/runs.h"

namespace fovea {

/// "1:02:03", "2:05", "7 s"; empty where the time is not known.
[[nodiscard]] inline std::string time_text(double seconds) {
    if (!std::isfinite(seconds)) return "";
    const auto s = static_cast<long>(seconds + 0.5);
    if (s >= 3600) return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
    return s >= 60 ? fmt::format("{}:{:02}", s / 60, s % 60) : fmt::format("{} s", s);
}
/// "91.25 %"; empty where it is not known.
[[nodiscard]] inline std::string percent_text(std::optional<double> share) { return share && std::isfinite(*share) ? fmt::format("{:.2f} %", *share * 100) : ""; }
[[nodiscard]] inline std::string number_text(std::optional<double> value) { return value && std::isfinite(*value) ? fmt::format("{:.4f}", *value) : ""; }
/// The run's metric of an epoch as people read it.
[[nodiscard]] inline std::string metric_text(const RunRecord& run, const RunEpoch& epoch) {
    return run.metric == "loss" ? "loss " + number_text(run.metric_of(epoch)) : percent_text(run.metric_of(epoch));
}

}  // namespace fovea
