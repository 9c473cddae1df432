// What the definitions of the studies share. Each stands in a file of its own.
#pragma once

#include <initializer_list>

#include "fovea/studies.h"

namespace fovea {

[[nodiscard]] Study relu_vs_tanh_study();
[[nodiscard]] Study degradation_study();
[[nodiscard]] Study preactivation_study();
[[nodiscard]] Study stochastic_depth_study();
[[nodiscard]] Study transfer_study();
[[nodiscard]] Study dropout_study();
[[nodiscard]] Study batch_norm_study();

using Settings = std::vector<std::pair<std::string, std::string>>;
[[nodiscard]] inline Settings joined(Settings settings, const Settings& more) {
    settings.insert(settings.end(), more.begin(), more.end());
    return settings;
}

/// The option, else what the study takes in full or in short.
[[nodiscard]] std::int64_t epochs_of(const StudyOptions& options, std::int64_t full, std::int64_t few);
/// He et al.: a tenth of the rate after half of the epochs, a hundredth after three quarters.
[[nodiscard]] Settings two_drops(std::int64_t epochs);

/// "12.34 %"
[[nodiscard]] std::string percent(double share);
/// "1.23 points more" or "less" of `a` against `b`; "as much" where they round to the same.
[[nodiscard]] std::string points(double a, double b);
/// Throws Error where there is no such arm.
[[nodiscard]] const ArmResult& arm_of(const std::vector<ArmResult>& arms, std::string_view name);

}  // namespace fovea
