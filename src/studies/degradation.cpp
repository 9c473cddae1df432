// He, Zhang, Ren, Sun 2015, arXiv:1512.03385, sec. 4.2 and figure 6: without shortcuts a deeper network is worse, on the pictures it
// learns as well; with them it is better.
#include "core/text.h"
#include "studies/studies.h"

namespace fovea {

namespace {

std::vector<StudyArm> arms(const StudyOptions& options) {
    const std::int64_t epochs = epochs_of(options, 164, 8);
    const auto arm = [&](const char* name, const char* title, const char* model, const char* published) {
        StudyArm made{.name = name, .title = title, .recipe = options.is_short ? "residual" : "cifar_resnet20", .settings = {{"model", model}}, .published = published};
        made.settings = joined(made.settings, options.is_short ? Settings{{"epochs", std::to_string(epochs)}} : two_drops(epochs));
        return made;
    };
    return {arm("plain20", "plain, 20 layers", "cifar_plain20", ""), arm("plain56", "plain, 56 layers", "cifar_plain56", ""), arm("resnet20", "residual, 20 layers", "cifar_resnet20", "8.75 %"),
            arm("resnet56", "residual, 56 layers", "cifar_resnet56", "6.97 %")};
}

Conclusion conclude(const std::vector<ArmResult>& arms) {
    const auto sentence = [&](const char* how, const char* shallow_name, const char* deep_name) {
        const ArmResult &shallow = arm_of(arms, shallow_name), &deep = arm_of(arms, deep_name);
        return fmt::format("{} shortcuts 56 layers have {} test error than 20 ({} against {}) and {} training error ({} against {})", how, points(deep.test_error(), shallow.test_error()), percent(deep.test_error()),
                           percent(shallow.test_error()), points(deep.train_error(), shallow.train_error()), percent(deep.train_error()), percent(shallow.train_error()));
    };
    const auto is_worse = [&](const char* a, const char* b) { return arm_of(arms, a).test_error() > arm_of(arms, b).test_error() && arm_of(arms, a).train_error() > arm_of(arms, b).train_error(); };
    const bool degrades = is_worse("plain56", "plain20"), gains = is_worse("resnet20", "resnet56");
    const char* verdict = degrades && gains ? "the degradation, and that shortcuts cure it"
                          : degrades        ? "the degradation, but not that shortcuts turn depth into a gain"
                          : gains           ? "that depth is a gain with shortcuts, but not the degradation"
                                            : "neither the degradation nor a gain";
    return {fmt::format("{}; {}. This shows {}.", sentence("Without", "plain20", "plain56"), sentence("with", "resnet20", "resnet56"), verdict), degrades && gains};
}

}  // namespace

Study degradation_study() {
    return {.name = "degradation", .about = "20 and 56 layers with and without shortcuts", .paper = "He et al. 2015, arXiv:1512.03385, fig. 6",
            .claim = "Plain networks get worse with depth in training and test error, residual networks better", .time = "12 h", .short_time = "35 min", .arms = arms, .conclude = conclude};
}

}  // namespace fovea
