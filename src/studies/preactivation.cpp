// He, Zhang, Ren, Sun 2016, arXiv:1603.05027, figure 4 and table 2: where batch norm and ReLU stand in a residual unit.
#include <algorithm>

#include "core/text.h"
#include "fovea/models.h"
#include "studies/studies.h"

namespace fovea {

namespace {

struct Row {
    const char *name, *suffix, *published;
    ResidualUnit unit;
};
using enum ResidualUnit;
// In the order of the paper's table; errors are those of ResNet-110.
constexpr Row rows[] = {{"original", "_original", "6.61 %", original},
                        {"bn_after_add", "_bn_after_add", "8.17 %", bn_after_add},
                        {"relu_before_add", "_relu_before_add", "7.84 %", relu_before_add},
                        {"relu_only", "_relu_only", "6.71 %", relu_only_preactivation},
                        {"full", "", "6.37 %", full_preactivation}};

std::vector<StudyArm> arms(const StudyOptions& options) {
    const std::int64_t epochs = epochs_of(options, 164, 10);
    std::vector<StudyArm> all;
    for (const Row& row : rows) {
        StudyArm arm{.name = row.name, .title = std::string(name_of(row.unit)), .recipe = options.is_short ? "residual" : "cifar_resnet110",
                     .settings = {{"model", fmt::format("cifar_preact_resnet{}{}", options.is_short ? 20 : 110, row.suffix)}}, .published = row.published};
        arm.settings = joined(arm.settings, options.is_short ? Settings{{"epochs", std::to_string(epochs)}} : two_drops(epochs));
        all.push_back(std::move(arm));
    }
    return all;
}

Conclusion conclude(const std::vector<ArmResult>& arms) {
    std::vector<const ArmResult*> order;
    for (const ArmResult& result : arms) order.push_back(&result);
    std::ranges::stable_sort(order, {}, [](const ArmResult* result) { return result->test_error(); });
    std::string list;
    for (const ArmResult* result : order) list += fmt::format("{}{} {}", list.empty() ? "" : ", ", result->arm.title, percent(result->test_error()));
    const double first = arm_of(arms, "original").test_error();
    const bool full_wins = order.front()->arm.name == "full", sums_suffer = arm_of(arms, "bn_after_add").test_error() > first && arm_of(arms, "relu_before_add").test_error() > first;
    const std::string found = full_wins && sums_suffer ? "As in the paper full pre-activation is best, and both units that touch the sum are worse than the original."
                                                       : fmt::format("In the paper full pre-activation is best ({}) and both units that touch the sum are worse than the original ({}).", full_wins ? "so it is here" : "not here",
                                                                     sums_suffer ? "so they are here" : "not so here");
    return {fmt::format("Test errors from the best: {}. {}", list, found), full_wins && sums_suffer};
}

}  // namespace

Study preactivation_study() {
    return {.name = "preactivation", .about = "five orders of batch norm, ReLU and sum in a residual unit", .paper = "He et al. 2016, arXiv:1603.05027, table 2",
            .claim = "A clean sum with BN and ReLU before each convolution is the best of five residual units", .time = "46 h", .short_time = "30 min", .arms = arms, .conclude = conclude};
}

}  // namespace fovea
