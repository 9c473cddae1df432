#include "case.h"

namespace fovea::reference {

namespace {

Value pooled(OpCase& op) {
    return max_pool(op.x(), {.kernel = op.size2("kernel", 2), .stride = op.size2("stride", 0), .pad = op.padding(), .dilation = op.size2("dilation", 1), .ceil = op.flag("ceil_mode", false)});
}

OpResult maximum_pool(OpCase& op) {
    const Value y = pooled(op);
    return {{y, y.sibling(1)}, 1};
}

OpResult pool_and_unpool(OpCase& op) {
    const Value y = pooled(op);
    return max_unpool(y, y.sibling(1), op.x());
}

OpResult average_pool(OpCase& op) {
    return avg_pool(op.x(), {.kernel = op.size2("kernel", 2),
                             .stride = op.size2("stride", 0),
                             .pad = op.padding(),
                             .ceil = op.flag("ceil_mode", false),
                             .count_include_pad = op.flag("count_include_pad", true)});
}

}  // namespace

void add_pool_ops(OpTable& table) {
    table["max_pool2d"] = maximum_pool;
    table["max_pool2d+max_unpool2d"] = pool_and_unpool;
    table["avg_pool2d"] = average_pool;
    table["adaptive_avg_pool2d"] = [](OpCase& op) -> OpResult { return adaptive_avg_pool(op.x(), op.size2("output", 1)); };
    table["adaptive_max_pool2d"] = [](OpCase& op) -> OpResult { return adaptive_max_pool(op.x(), op.size2("output", 1)); };
    table["lp_pool2d"] = [](OpCase& op) -> OpResult {
        return lp_pool(op.x(), {.p = op.real("p", 2), .kernel = op.size2("kernel", 2), .stride = op.size2("stride", 0), .ceil = op.flag("ceil_mode", false)});
    };
    table["maxout"] = [](OpCase& op) -> OpResult { return maxout(op.x(), {.pieces = op.integer("pieces", 2)}); };
    table["unpool_bed_of_nails"] = [](OpCase& op) -> OpResult { return unpool_bed_of_nails(op.x(), op.size2("factor", 2)); };
    table["unpool_nearest"] = [](OpCase& op) -> OpResult { return unpool_nearest(op.x(), op.size2("factor", 2)); };
}

}  // namespace fovea::reference
