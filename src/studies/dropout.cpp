// Krizhevsky, Sutskever, Hinton 2012, sec. 4.2: dropout in the hidden linear layers. "Without dropout, our network exhibits substantial
// overfitting. Dropout roughly doubles the number of iterations required to converge." Here a network has converged where its test loss
// is lowest.
#include <algorithm>

#include "core/text.h"
#include "studies/studies.h"

namespace fovea {

namespace {

std::vector<StudyArm> arms(const StudyOptions& options) {
    const std::int64_t epochs = epochs_of(options, 60, 24);
    const auto arm = [&](const char* name, const char* title, const char* drop) {
        return StudyArm{.name = name, .title = title, .recipe = "cifar_alexnet", .settings = {{"network.dropout", drop}, {"epochs", std::to_string(epochs)}}};
    };
    return {arm("without", "without dropout", "0"), arm("dropout", "dropout 0.5", "0.5")};
}

/// The epoch whose test loss is lowest: from 1.
const RunEpoch& lowest_loss(const ArmResult& result) {
    return *std::ranges::min_element(result.run->epochs, {}, [](const RunEpoch& epoch) { return epoch.loss.value_or(epoch.train_loss); });
}

Conclusion conclude(const std::vector<ArmResult>& arms) {
    const ArmResult &without = arm_of(arms, "without"), &dropout = arm_of(arms, "dropout");
    for (const ArmResult* result : {&without, &dropout})
        if (result->is_diverged()) return {fmt::format("The run {} diverged: nothing can be said.", result->arm.title), {}};
    const RunEpoch &early = lowest_loss(without), &late = lowest_loss(dropout);
    const double ratio = static_cast<double>(late.epoch) / static_cast<double>(early.epoch);
    const bool is_last = late.epoch == std::ssize(dropout.run->epochs), is_better = dropout.best_test_error() < without.best_test_error(), holds = is_better && ratio >= 1.5;
    return {fmt::format("The test loss is lowest after {} epochs without dropout and after {}{} with it: {:.1f} times as long (the paper: about twice). The best test error is {} without and {} with it, {}. After the last epoch the "
                        "test error lies {:.2f} points above the training error without dropout, {:.2f} with it.",
                        early.epoch, late.epoch, is_last ? ", the last," : "", ratio, percent(without.best_test_error()), percent(dropout.best_test_error()),
                        points(dropout.best_test_error(), without.best_test_error()), 100 * (without.test_error() - without.train_error()), 100 * (dropout.test_error() - dropout.train_error())),
            holds};
}

}  // namespace

Study dropout_study() {
    return {.name = "dropout", .about = "dropout in the hidden linear layers: overfitting and time to converge", .paper = "Krizhevsky, Sutskever, Hinton 2012, sec. 4.2",
            .claim = "Dropout takes about twice as long to converge and ends with less test error", .time = "40 min", .short_time = "16 min", .arms = arms, .conclude = conclude};
}

}  // namespace fovea
