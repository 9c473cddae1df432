// Huang, Sun, Liu, Sedra, Weinberger 2016, arXiv:1603.09382, sec. 4: ResNet-110 whose blocks are dropped in training, the last one half
// of the time.
#include "core/text.h"
#include "studies/studies.h"

namespace fovea {

namespace {

std::vector<StudyArm> arms(const StudyOptions& options) {
    const std::int64_t epochs = epochs_of(options, 500, 12);
    const auto arm = [&](const char* name, const char* title, const char* drop, const char* published) {
        StudyArm made{.name = name, .title = title, .recipe = options.is_short ? "residual" : "cifar_stochastic_depth",
                      .settings = {{"model", options.is_short ? "cifar_resnet32" : "cifar_resnet110"}, {"network.drop_path", drop}}, .published = published};
        made.settings = joined(made.settings, options.is_short ? Settings{{"epochs", std::to_string(epochs)}} : two_drops(epochs));
        return made;
    };
    return {arm("constant", "constant depth", "0", "6.41 %"), arm("stochastic", "stochastic depth", "0.5", "5.23 %")};
}

Conclusion conclude(const std::vector<ArmResult>& arms) {
    const ArmResult &constant = arm_of(arms, "constant"), &stochastic = arm_of(arms, "stochastic");
    const bool is_better = stochastic.test_error() < constant.test_error();
    const auto gap = [](const ArmResult& result) { return 100 * (result.test_error() - result.train_error()); };
    return {fmt::format("With stochastic depth the test error is {} ({} against {}) and the training error {} ({} against {}); test error lies {:.2f} points above training error, with constant depth {:.2f}.{}",
                        points(stochastic.test_error(), constant.test_error()), percent(stochastic.test_error()), percent(constant.test_error()), points(stochastic.train_error(), constant.train_error()),
                        percent(stochastic.train_error()), percent(constant.train_error()), gap(stochastic), gap(constant),
                        is_better ? "" : " The gain of the paper is one of long training, where the constant network overfits."),
            is_better};
}

}  // namespace

Study stochastic_depth_study() {
    return {.name = "stochastic-depth", .about = "blocks of a residual network dropped at random in training", .paper = "Huang et al. 2016, arXiv:1603.09382, table 1",
            .claim = "Dropping whole blocks in training lowers the test error", .time = "56 h", .short_time = "20 min", .arms = arms, .conclude = conclude};
}

}  // namespace fovea
