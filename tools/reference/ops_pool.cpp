#include "case.h"

namespace fovea::reference {

namespace {

Value pooled(OpCase& op) {
    return max_pool(op.x(), {.kernel = op.size2({"kernel_size", "kernel"}), .stride = op.size2("stride", 0), .pad = op.padding(),
                             .dilation = op.size2("dilation", 1), .ceil = op.flag("ceil_mode", false)});
}

/// The maxima and, where the case wants them, their places.
OpResult with_places(OpCase& op, const Value& y, bool otherwise) {
    if (!op.flag("return_indices", otherwise)) return y;
    return {{y, y.sibling(1)}, 1};
}

OpResult pool_and_unpool(OpCase& op) {
    const Value y = pooled(op);
    return max_unpool(y, y.sibling(1), op.x());
}

OpResult average_pool(OpCase& op) {
    return avg_pool(op.x(), {.kernel = op.size2({"kernel_size", "kernel"}),
                             .stride = op.size2("stride", 0),
                             .pad = op.padding(),
                             .ceil = op.flag("ceil_mode", false),
                             .count_include_pad = op.flag("count_include_pad", true)});
}

}  // namespace

void add_pool_ops(OpTable& table) {
    table["max_pool2d"] = [](OpCase& op) { return with_places(op, pooled(op), true); };
    table["max_pool2d+max_unpool2d"] = pool_and_unpool;
    table["avg_pool2d"] = average_pool;
    table["adaptive_avg_pool2d"] = [](OpCase& op) -> OpResult { return adaptive_avg_pool(op.x(), op.size2({"output_size", "output"})); };
    table["adaptive_max_pool2d"] = [](OpCase& op) { return with_places(op, adaptive_max_pool(op.x(), op.size2({"output_size", "output"})), false); };
    table["lp_pool2d"] = [](OpCase& op) -> OpResult {
        return lp_pool(op.x(), {.p = op.real({"norm_type", "p"}), .kernel = op.size2({"kernel_size", "kernel"}), .stride = op.size2("stride", 0), .ceil = op.flag("ceil_mode", false)});
    };
    table["maxout"] = [](OpCase& op) -> OpResult {
        op.attrs().says("grouping", "consecutive channels c*k .. c*k+k-1");
        return maxout(op.x(), {.pieces = op.integer("pieces")});
    };
    table["unpool_bed_of_nails"] = [](OpCase& op) -> OpResult { return unpool_bed_of_nails(op.x(), op.size2("factor")); };
    table["unpool_nearest"] = [](OpCase& op) -> OpResult { return unpool_nearest(op.x(), op.size2("factor")); };
}

}  // namespace fovea::reference
