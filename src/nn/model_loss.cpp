// What an output is trained with, by name.
#include <algorithm>
#include <array>

#include <fmt/ranges.h>

#include "core/text.h"
#include "fovea/nn.h"
#include "fovea/ops.h"

namespace fovea {

namespace {

constexpr std::array<std::string_view, 5> loss_names{"cross_entropy", "label_distance", "bce", "focal", "hinge"};

}  // namespace

std::string_view name_of(ModelLoss loss) { return loss_names[static_cast<std::size_t>(loss)]; }

ModelLoss model_loss_named(std::string_view name) {
    const auto it = std::ranges::find(loss_names, name);
    require<ArgumentError>(it != loss_names.end(), "no loss '{}'; there are {}", name, fmt::join(loss_names, ", "));
    return static_cast<ModelLoss>(it - loss_names.begin());
}

Value model_loss(ModelLoss loss, const Value& out, const Value& labels) {
    if (loss == ModelLoss::cross_entropy) return cross_entropy(out, labels);
    if (loss == ModelLoss::hinge) return svm_loss(out, labels);
    const Value targets = labels.shape().rank() == out.shape().rank() ? labels : one_hot(labels, out);
    if (loss == ModelLoss::bce) return bce_with_logits(out, targets);
    return mean(sum(loss == ModelLoss::focal ? sigmoid_focal_loss(out, targets, {.reduction = Reduction::none}) : out * targets, {.axes = {1}}));
}

std::vector<std::int64_t> predicted_classes(ModelLoss loss, const Tensor& out) {
    require<ShapeError>(out.shape().rank() == 2 && out.shape()[1] > 0, "classes are told from [N, classes], got {}", out.shape());
    std::vector<std::int64_t> classes;
    for (std::int64_t n = 0; n < out.shape()[0]; ++n) {
        std::int64_t best = 0;
        for (std::int64_t j = 1; j < out.shape()[1]; ++j) {
            const double value = out.at(n * out.shape()[1] + j), leader = out.at(n * out.shape()[1] + best);
            if (loss == ModelLoss::label_distance ? value < leader : value > leader) best = j;
        }
        classes.push_back(best);
    }
    return classes;
}

}  // namespace fovea
