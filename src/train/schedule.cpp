// Learning-rate schedules as pure functions of the moment, with PyTorch's values.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/text.h"
#include "fovea/train.h"
#include "train/option_keys.h"
#include "train/options.h"

namespace fovea {

namespace {

template <class... F> struct Overloaded : F... {
    using F::operator()...;
};
template <class... F> Overloaded(F...) -> Overloaded<F...>;  // Clang before 17 does not deduce it

/// Epochs since the start, with or without the fraction of the current one.
double elapsed(const ScheduleTime& time, bool per_step) {
    const auto epoch = static_cast<double>(time.epoch);
    return per_step ? epoch + static_cast<double>(time.step) / static_cast<double>(time.steps_per_epoch) : epoch;
}

double cosine_between(double from, double to, double part) { return to + (from - to) / 2 * (std::cos(std::numbers::pi * part) + 1); }

double cosine(const Cosine& spec, double lr, const ScheduleTime& time) {
    double t = elapsed(time, spec.per_step);
    double period = spec.period > 0 ? spec.period : static_cast<double>(time.epochs);
    if (spec.restart_factor > 0) {
        // A restart is due although t, a sum of fractions, may fall short of it by rounding; shorter periods restart at every step.
        constexpr double rounding = 1e-9;  // of an epoch
        period = std::max(period, rounding);
        const double growth = spec.restart_factor - 1;
        if (growth > 0) {
            // Period k begins at period (factor^k - 1) / growth; the last one that has begun.
            const double log_factor = std::log1p(growth), k = std::floor(std::log1p((t + rounding) / period * growth) / log_factor);
            t = std::max(0.0, t - period * std::expm1(k * log_factor) / growth);
            period *= std::exp(k * log_factor);
        } else {
            t = std::fmod(t, period);
        }
        if (t >= period - rounding) t = 0, period *= spec.restart_factor;
    }
    return cosine_between(lr, spec.min_lr, t / period);
}

ScheduleValue one_cycle(const OneCycle& spec, double peak, const ScheduleTime& time) {
    const auto total = static_cast<double>(time.epochs * time.steps_per_epoch);
    const auto step = static_cast<double>(time.epoch * time.steps_per_epoch + time.step);
    const double first = peak / spec.div_factor, last = first / spec.final_div_factor;
    const double turn = spec.pct_start * total - 1, end = total - 1;
    const auto between = [&](double from, double to, double part) { return spec.is_linear ? (to - from) * part + from : cosine_between(from, to, part); };
    const bool is_rising = step <= turn;
    // A phase without length (a run of a few steps) is at its end at once.
    const double length = is_rising ? turn : end - turn;
    const double part = length > 0 ? (is_rising ? step : step - turn) / length : 1;
    ScheduleValue value;
    value.lr = is_rising ? between(first, peak, part) : between(peak, last, part);
    if (spec.cycle_momentum) value.momentum = is_rising ? between(spec.max_momentum, spec.base_momentum, part) : between(spec.base_momentum, spec.max_momentum, part);
    return value;
}

double plateau(const ReduceOnPlateau& spec, double lr, std::span<const double> history) {
    double best = spec.bigger_is_better ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
    int bad = 0, cooldown = 0;
    for (const double metric : history) {
        const double margin = spec.is_relative && std::isfinite(best) ? spec.threshold * best : spec.is_relative ? 0 : spec.threshold;
        const bool is_better = spec.bigger_is_better ? metric > best + margin : metric < best - margin;
        if (is_better) best = metric, bad = 0;
        else ++bad;
        if (cooldown > 0) --cooldown, bad = 0;
        if (bad <= spec.patience) continue;
        const double reduced = std::max(lr * spec.factor, spec.min_lr);
        if (lr - reduced > 1e-8) lr = reduced;  // PyTorch's eps: smaller steps are not taken
        cooldown = spec.cooldown;
        bad = 0;
    }
    return lr;
}

constexpr std::string_view schedule_names[] = {"constant", "step", "multistep", "exponential", "cosine", "one-cycle", "polynomial", "plateau"};

/// The domains of the options.
void check(const Schedule& schedule) {
    const auto holds = [&](bool condition, std::string_view option, std::string_view domain, double value) {
        require<ArgumentError>(condition, "schedule '{}': {} {}, got {}", name_of(schedule), option, domain, value);
    };
    const auto positive = [&](std::string_view option, double value) { holds(value > 0, option, "must be above 0", value); };
    std::visit(Overloaded{[&](const StepDecay& s) { positive("every (epochs)", s.every); },
                          [&](const MultiStep& s) {
                              for (std::size_t i = 0; i < s.milestones.size(); ++i) positive(fmt::format("milestone{} (epochs)", i + 1), s.milestones[i]);
                          },
                          [&](const Exponential& s) { positive("factor", s.factor); },
                          [&](const Cosine& s) {
                              const double factor = s.restart_factor;
                              holds(factor == 0 || (factor >= 1 && factor <= 1e6), "restart_factor", "is 0 (no restarts) or from 1 to 1e6", factor);
                          },
                          [&](const OneCycle& s) {
                              holds(s.pct_start >= 0 && s.pct_start <= 1, "pct_start", "lies in 0..1", s.pct_start);
                              positive("div_factor", s.div_factor);
                              positive("final_div_factor", s.final_div_factor);
                          },
                          [&](const ReduceOnPlateau& s) { holds(s.factor > 0 && s.factor < 1, "factor", "lies between 0 and 1", s.factor); },
                          [](const auto&) {}},
               schedule.kind);
}

}  // namespace

ScheduleValue schedule_at(const Schedule& schedule, double lr, const ScheduleTime& time) {
    require<ArgumentError>(time.steps_per_epoch > 0 && time.epochs > 0, "schedule: a run has at least one epoch and one step, got {} epochs of {} steps", time.epochs,
                           time.steps_per_epoch);
    ScheduleValue value = std::visit(
        Overloaded{
            [&](const Constant&) { return ScheduleValue{lr}; },
            [&](const StepDecay& s) { return ScheduleValue{lr * std::pow(s.factor, std::floor(static_cast<double>(time.epoch) / s.every))}; },
            [&](const MultiStep& s) {
                int passed = 0;
                for (const double milestone : s.milestones) passed += elapsed(time, true) >= milestone - 1e-9;
                return ScheduleValue{lr * std::pow(s.factor, passed)};
            },
            [&](const Exponential& s) { return ScheduleValue{lr * std::pow(s.factor, elapsed(time, s.per_step))}; },
            [&](const Cosine& s) { return ScheduleValue{cosine(s, lr, time)}; },
            [&](const OneCycle& s) { return one_cycle(s, lr, time); },
            [&](const Polynomial& s) {
                const double period = s.period > 0 ? s.period : static_cast<double>(time.epochs);
                return ScheduleValue{s.end_lr + (lr - s.end_lr) * std::pow(1 - std::min(1.0, elapsed(time, s.per_step) / period), s.power)};
            },
            [&](const ReduceOnPlateau& s) { return ScheduleValue{plateau(s, lr, time.history)}; },
        },
        schedule.kind);
    const double warm_steps = std::round(schedule.warm_up * static_cast<double>(time.steps_per_epoch));
    const auto step = static_cast<double>(time.epoch * time.steps_per_epoch + time.step);
    if (step < warm_steps) value.lr *= schedule.warm_up_start + (1 - schedule.warm_up_start) * step / warm_steps;
    return value;
}

std::string_view name_of(const Schedule& schedule) { return schedule_names[schedule.kind.index()]; }

bool depends_on_length(const Schedule& schedule) {
    if (const auto* s = std::get_if<Cosine>(&schedule.kind)) return s->period <= 0;
    if (const auto* s = std::get_if<Polynomial>(&schedule.kind)) return s->period <= 0;
    return std::holds_alternative<OneCycle>(schedule.kind);
}

Schedule make_schedule(std::string_view name, const std::map<std::string, double>& given) {
    static const Schedule kinds[] = {{Constant{}}, {StepDecay{0}}, {MultiStep{}}, {Exponential{0}}, {Cosine{}}, {OneCycle{}}, {Polynomial{}}, {ReduceOnPlateau{}}};
    const auto kind = std::ranges::find(kinds, name, [](const Schedule& s) { return name_of(s); });
    if (kind == std::end(kinds)) {
        const std::vector<std::string> names(std::begin(schedule_names), std::end(schedule_names));
        fail<ArgumentError>("no schedule '{}'; nearest: {}", name, fmt::join(nearest_names(name, names), ", "));
    }
    Schedule schedule = *kind;
    NamedOptions options(fmt::format("schedule '{}'", name), given);
    visit_options(schedule, [&](std::string_view option, auto& value) { options.take(option, value); });
    options.finish();
    check(schedule);
    return schedule;
}

}  // namespace fovea
