// How far training moved each parameter.
#include <cmath>

#include "core/text.h"
#include "fovea/train.h"

namespace fovea {

std::vector<ParameterChange> parameter_changes(const Graph& network, const Parameters& before, const Parameters& after) {
    std::vector<ParameterChange> changes;
    for (const ParameterInfo& info : network.parameters()) {
        if (!info.is_trainable) continue;
        const Tensor &a = before.at(info.name), &b = after.at(info.name);
        require<ShapeError>(a.shape() == b.shape(), "parameter '{}' is {} before and {} after", info.name, a.shape(), b.shape());
        double moved = 0, size = 0;
        for (std::int64_t i = 0; i < a.elements(); ++i) moved += (b.at(i) - a.at(i)) * (b.at(i) - a.at(i)), size += a.at(i) * a.at(i);
        changes.push_back({info.name, size > 0 ? std::sqrt(moved / size) : std::sqrt(moved)});
    }
    return changes;
}

}  // namespace fovea
