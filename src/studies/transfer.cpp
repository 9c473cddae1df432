// Yosinski, Clune, Bengio, Lipson 2014, arXiv:1411.1792: how much features learnt on one set help on another depends on how alike the
// two are. A residual network trained on CIFAR-10 goes on to few photographs (ants and bees) and to as few handwritten digits: from
// scratch, with its features frozen, and all of it.
#include "core/text.h"
#include "studies/studies.h"

namespace fovea {

namespace {

constexpr const char* model = "cifar_resnet20";

std::vector<StudyArm> arms(const StudyOptions& options) {
    // The card's normalisation everywhere, so that the features see colours as they did before.
    const Settings common{{"model", model}, {"normalise", "card"}, {"network.channels", "3"}};
    std::vector<StudyArm> all;
    if (options.weights.empty())
        all.push_back({.name = "source", .title = "source", .recipe = "residual", .settings = joined(common, {{"epochs", std::to_string(epochs_of(options, 20, 6))}})});
    const Settings few{{"epochs", std::to_string(epochs_of(options, 60, 30))}, {"batch", "32"}, {"optimizer.weight_decay", "5e-4"}};
    const auto add = [&](const std::string& set, const Settings& data) {
        const auto arm = [&](const char* how, const std::string& title, const Settings& settings, bool begins_anew) {
            StudyArm made{.name = fmt::format("{}_{}", set, how), .title = fmt::format("{}, {}", set, title), .recipe = "residual", .settings = joined(joined(common, few), joined(data, settings))};
            if (!begins_anew && options.weights.empty()) made.begins_with = "source";
            else if (!begins_anew) made.settings.emplace_back("weights", options.weights);
            all.push_back(std::move(made));
        };
        arm("scratch", "from scratch", {{"optimizer.lr", "0.1"}}, true);
        arm("frozen", "frozen features", {{"optimizer.lr", "0.05"}, {"freeze", "backbone"}}, false);
        arm("tuned", "fine-tuned", {{"optimizer.lr", "0.02"}}, false);
    };
    // 24 digits of each class are as many pictures as there are photographs. Digits are not mirrored.
    add("near", {{"data", options.near.empty() ? fmt::format("folder:{}/hymenoptera", options.data_root) : options.near}, {"augment", "pad-crop,mirror"}});
    add("far", {{"data", options.far.empty() ? fmt::format("mnist:{}/mnist", options.data_root) : options.far}, {"augment", "pad-crop"}, {"per_class", "24"}});
    return all;
}

Conclusion conclude(const std::vector<ArmResult>& arms) {
    std::string text;
    double frozen_gain[2];
    int number = 0;
    for (const char* set : {"near", "far"}) {
        const auto error = [&](const char* how) { return arm_of(arms, fmt::format("{}_{}", set, how)).test_error(); };
        const double scratch = error("scratch"), frozen = error("frozen"), tuned = error("tuned");
        // Of the error from scratch, the part that the features take away: sets of different difficulty can be compared.
        frozen_gain[number++] = 1 - frozen / std::max(scratch, 1e-9);
        text += fmt::format("{}On the {} set the test error is {} from scratch, {} with frozen features ({}) and {} fine-tuned ({}).", text.empty() ? "" : " ", set, percent(scratch), percent(frozen), points(frozen, scratch),
                            percent(tuned), points(tuned, scratch));
    }
    const bool holds = frozen_gain[0] > frozen_gain[1];
    return {fmt::format("{} Frozen features change the error by {:+.0f} % of itself on the near set and by {:+.0f} % on the far one: {}.", text, -100 * frozen_gain[0], -100 * frozen_gain[1],
                        holds ? "the nearer set gains more" : "the nearer set does not gain more"),
            holds};
}

}  // namespace

Study transfer_study() {
    return {.name = "transfer", .about = "features of CIFAR-10 on a near and a far set of few pictures", .paper = "Yosinski et al. 2014, arXiv:1411.1792",
            .claim = "Features learnt on one set help on another the more, the more alike the two are", .time = "14 min", .short_time = "5 min", .arms = arms, .conclude = conclude};
}

}  // namespace fovea
