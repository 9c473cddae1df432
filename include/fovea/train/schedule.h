// Learning-rate schedules.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace fovea {

// Factors of the optimiser's learning rate. Times are in epochs; `per_step` follows fractions of an epoch, else the epoch's number counts.

struct Constant {};
struct StepDecay {
    double every;         ///< epochs
    double factor = 0.1;
};
struct MultiStep {
    std::vector<double> milestones;  ///< epochs
    double factor = 0.1;
};
struct Exponential {
    double factor;  ///< per epoch
    bool per_step = false;
};
/// Loshchilov and Hutter 2017, arXiv:1608.03983: min + (lr - min) (1 + cos(pi t / period)) / 2, with warm restarts when restart_factor > 0.
struct Cosine {
    double period = 0;          ///< epochs; 0: the whole run
    double min_lr = 0;
    double restart_factor = 0;  ///< each period is this many times the one before (1: equal periods); 0: no restarts
    bool per_step = true;
};
/// Smith and Topin 2018, arXiv:1708.07120, as PyTorch's OneCycleLR (cosine or linear, two phases); the optimiser's lr is the peak.
struct OneCycle {
    double pct_start = 0.3;
    double div_factor = 25;
    double final_div_factor = 1e4;
    bool is_linear = false;
    bool cycle_momentum = true;
    double base_momentum = 0.85, max_momentum = 0.95;
};
/// lr (1 - t / period)^power + the part that leaves end_lr at the end.
struct Polynomial {
    double power = 1;
    double period = 0;  ///< epochs; 0: the whole run
    double end_lr = 0;
    bool per_step = true;
};
/// PyTorch's ReduceLROnPlateau, computed anew from the metric history.
struct ReduceOnPlateau {
    double factor = 0.1;
    int patience = 10;
    double threshold = 1e-4;
    bool is_relative = true;  ///< the threshold is a fraction of the best
    int cooldown = 0;
    double min_lr = 0;
    bool bigger_is_better = false;  ///< fit() sets it from its metric
};

struct Schedule {
    std::variant<Constant, StepDecay, MultiStep, Exponential, Cosine, OneCycle, Polynomial, ReduceOnPlateau> kind{};
    double warm_up = 0;          ///< epochs over which the schedule's value is scaled up linearly, step by step; 0: off
    double warm_up_start = 0.1;  ///< step k of n is scaled by start + (1 - start) k / n (PyTorch's LinearLR, chained)
};

/// When an update happens: what every schedule is a function of.
struct ScheduleTime {
    std::int64_t epoch = 0;            ///< from 0
    std::int64_t step = 0;             ///< within the epoch, from 0
    std::int64_t steps_per_epoch = 1;
    std::int64_t epochs = 1;           ///< of the whole run
    std::span<const double> history{}; ///< the metric after each finished epoch
};
struct ScheduleValue {
    double lr = 0;
    std::optional<double> momentum{};  ///< empty: the optimiser's own
};
[[nodiscard]] ScheduleValue schedule_at(const Schedule& schedule, double lr, const ScheduleTime& time);
/// "constant", "step", "multistep", "exponential", "cosine", "one-cycle", "polynomial", "plateau".
[[nodiscard]] std::string_view name_of(const Schedule& schedule);
/// By name, with options by field name ("warm_up" and "warm_up_start" for all; multistep takes "milestone1", "milestone2", ...).
[[nodiscard]] Schedule make_schedule(std::string_view name, const std::map<std::string, double>& options = {});
/// Whether the value at one moment depends on how long the whole run is.
[[nodiscard]] bool depends_on_length(const Schedule& schedule);

/// Goyal et al. 2017, arXiv:1706.02677: the learning rate grows with the batch.
[[nodiscard]] constexpr double scaled_learning_rate(double lr, std::int64_t batch, std::int64_t reference_batch = 256) {
    return lr * static_cast<double>(batch) / static_cast<double>(reference_batch);
}

}  // namespace fovea
