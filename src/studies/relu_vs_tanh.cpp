// Krizhevsky, Sutskever, Hinton 2012, figure 1: a four-layer network with ReLU reaches 25 % training error on CIFAR-10 six times faster
// than an equivalent one with tanh; nothing regularises, and each has the learning rate that is fastest for it.
#include "core/text.h"
#include "studies/studies.h"

namespace fovea {

namespace {

constexpr double goal = 0.25, expected_ratio = 3;

std::vector<StudyArm> arms(const StudyOptions& options) {
    const std::int64_t epochs = epochs_of(options, 100, 40);
    const auto arm = [&](const char* name, const char* title, const char* model, const char* rate) {
        return StudyArm{.name = name, .title = title, .recipe = "cifar_convnet", .settings = {{"model", model}, {"epochs", std::to_string(epochs)}, {"optimizer.lr", rate}}};
    };
    return {arm("relu", "ReLU", "cifar_convnet", "0.001"), arm("tanh", "tanh", "cifar_convnet_tanh", "0.005")};
}

Conclusion conclude(const std::vector<ArmResult>& arms) {
    const ArmResult &relu = arm_of(arms, "relu"), &tanh = arm_of(arms, "tanh");
    const auto fast = epochs_to(*relu.run, goal), slow = epochs_to(*tanh.run, goal);
    const auto reached = [](const ArmResult& result) { return fmt::format("{} epochs end at {}", result.run->epochs.size(), percent(result.train_error())); };
    if (!fast && !slow) return {fmt::format("Neither reached 25 % training error (ReLU: {}; tanh: {}): nothing can be said.", reached(relu), reached(tanh)), {}};
    if (!fast) return {fmt::format("tanh reached 25 % training error after {:.1f} epochs, ReLU not at all ({}): the opposite of what was expected.", *slow, reached(relu)), false};
    if (!slow) {
        const double least = static_cast<double>(tanh.run->epochs.size()) / *fast;
        if (least < expected_ratio)
            return {fmt::format("ReLU reached 25 % training error after {:.1f} epochs, tanh not yet ({}): the run is too short to say more than that it takes {:.1f} times as long or longer.", *fast, reached(tanh), least), {}};
        return {fmt::format("ReLU reached 25 % training error after {:.1f} epochs, tanh not at all ({}): at least {:.1f} times as long.", *fast, reached(tanh), least), true};
    }
    const double ratio = *slow / *fast;
    return {fmt::format("ReLU reached 25 % training error after {:.1f} epochs, tanh after {:.1f}: {:.1f} times as long{}; the paper has six.", *fast, *slow, ratio,
                        ratio >= expected_ratio ? "" : fmt::format(", less than the {:g} times expected", expected_ratio)),
            ratio >= expected_ratio};
}

}  // namespace

Study relu_vs_tanh_study() {
    return {.name = "relu-vs-tanh", .about = "epochs to 25 % training error with ReLU and with tanh", .paper = "Krizhevsky, Sutskever, Hinton 2012, fig. 1",
            .claim = "With ReLU a four-layer network reaches 25 % training error at least three times sooner than with tanh", .time = "60 min", .short_time = "20 min", .arms = arms,
            .conclude = conclude, .goal = goal};
}

}  // namespace fovea
