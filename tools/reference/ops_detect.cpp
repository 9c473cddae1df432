#include "case.h"

namespace fovea::reference {

// Regions are rows of batch index, x1, y1, x2, y2.
void add_detect_ops(OpTable& table) {
    table["roi_pool"] = [](OpCase& op) -> OpResult { return roi_pool(op.x(), op.x(1), {.size = op.size2({"output_size", "output"}), .scale = op.real("spatial_scale", 1)}); };
    table["roi_align"] = [](OpCase& op) -> OpResult {
        return roi_align(op.x(), op.x(1),
                         {.size = op.size2({"output_size", "output"}), .scale = op.real("spatial_scale", 1),
                          .sampling = std::max<std::int64_t>(0, op.integer("sampling_ratio", 0)), .aligned = op.flag("aligned", false)});
    };
}

}  // namespace fovea::reference
