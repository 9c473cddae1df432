// Ioffe, Szegedy 2015, arXiv:1502.03167: batch norm lets a network train at learning rates that it does not bear without.
#include <algorithm>

#include "core/text.h"
#include "studies/studies.h"

namespace fovea {

namespace {

// Pictures of deviation 1 and today's start: without them, as in 2012, the network would bear even less.
constexpr const char* rates[] = {"0.003", "0.03", "0.3", "3"};
/// No better than always naming one class, within a twentieth.
bool has_failed(const ArmResult& result) {
    const double chance = 1 - 1 / static_cast<double>(std::max<std::size_t>(2, result.run->classes.size()));
    return result.is_diverged() || result.test_error() > 0.95 * chance;
}

std::vector<StudyArm> arms(const StudyOptions& options) {
    const std::int64_t epochs = epochs_of(options, 15, 4);
    std::vector<StudyArm> all;
    for (const bool has_norm : {false, true})
        for (const char* rate : rates)
            all.push_back({.name = fmt::format("{}_{}", has_norm ? "norm" : "plain", rate), .title = fmt::format("{}, {}", has_norm ? "BN" : "plain", rate), .recipe = "cifar_convnet",
                           .settings = {{"model", has_norm ? "cifar_convnet_bn" : "cifar_convnet"}, {"normalise", "data"}, {"init", "torch"}, {"optimizer.lr", rate}, {"epochs", std::to_string(epochs)}}, .x = std::stod(rate),
                           .group = has_norm ? "with batch norm" : "without"});
    return all;
}

Conclusion conclude(const std::vector<ArmResult>& arms) {
    const auto of_group = [&](const char* group) {
        std::vector<const ArmResult*> found;
        for (const ArmResult& result : arms)
            if (result.arm.group == group) found.push_back(&result);
        return found;
    };
    const auto best = [](const std::vector<const ArmResult*>& group) { return *std::ranges::min_element(group, {}, [](const ArmResult* result) { return result->best_test_error(); }); };
    // The largest rate at which something is learnt; 0 where nothing is.
    const auto largest = [](const std::vector<const ArmResult*>& group) {
        double rate = 0;
        for (const ArmResult* result : group)
            if (!has_failed(*result)) rate = std::max(rate, result->arm.x);
        return rate;
    };
    const auto with = of_group("with batch norm"), without = of_group("without");
    const ArmResult &a = *best(with), &b = *best(without);
    const bool is_better = a.best_test_error() < b.best_test_error(), is_wider = largest(with) > largest(without);
    return {fmt::format("The best test error with batch norm is {} (rate {:g}), without {} (rate {:g}): {}. The largest rate at which the network learns is {:g} with batch norm and {:g} without.", percent(a.best_test_error()),
                        a.arm.x, percent(b.best_test_error()), b.arm.x, points(a.best_test_error(), b.best_test_error()), largest(with), largest(without)),
            is_better && is_wider};
}

}  // namespace

Study batch_norm_study() {
    return {.name = "batch-norm", .about = "four learning rates with and without batch norm", .paper = "Ioffe, Szegedy 2015, arXiv:1502.03167, sec. 4.2",
            .claim = "With batch norm a network learns at larger rates, and better", .time = "35 min", .short_time = "10 min", .arms = arms, .conclude = conclude, .x_title = "log10 of the learning rate"};
}

}  // namespace fovea
