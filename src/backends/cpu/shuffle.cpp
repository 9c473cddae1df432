// Channels rearranged among themselves or with the pixels of a cell, channels last.
#include "backends/cpu/kernels.h"

namespace fovea::cpu {

std::optional<Kernel> plan_shuffle(const Node& node, const PlanContext& context) {
    const Shape &x = node.inputs[0].shape(), &y = node.outputs[0].shape;
    if (x.rank() != 4 || x[0] != context.rows || x.elements() == 0 || node.outputs[0].dtype != DType::f32) return {};
    Kernel kernel;
    kernel.name = "loops:pixels";
    kernel.in = {channels_last(x)};
    kernel.out = {channels_last(y)};
    if (node.op->name == "channel_shuffle") {
        const std::int64_t C = x[1], groups = node.attrs.integer("groups");
        kernel.phases = {over_pixels(context, x[0], x[2] * x[3], C * 4, 1, [C, groups](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
            for (std::int64_t p = begin; p < end; ++p) {
                const float* from = as_f32(args.in[0]) + p * C;
                float* to = as_f32(args.out[0]) + p * C;
                for (std::int64_t g = 0; g < groups; ++g)
                    for (std::int64_t k = 0; k < C / groups; ++k) to[k * groups + g] = from[g * (C / groups) + k];
            }
        })};
        return kernel;
    }
    // A cell of f x f pixels of few channels is one pixel of many: the same walk both ways.
    const bool gathers = node.op->name == "pixel_unshuffle";
    const std::int64_t f = node.attrs.integer("factor");
    const Shape &many = gathers ? y : x, &few = gathers ? x : y;
    kernel.phases = {over_pixels(context, x[0], many[2] * many[3], many[1] * 4, 1, [=, W = many[3], area = many[2] * many[3], C = few[1]](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
        const float* from = as_f32(args.in[0]);
        float* to = as_f32(args.out[0]);
        for (std::int64_t p = begin; p < end; ++p) {
            const std::int64_t n = p / area, h = p % area / W, w = p % W;
            for (std::int64_t i = 0; i < f * f; ++i) {
                const std::int64_t fine = ((n * area / W + h) * f + i / f) * (W * f) + w * f + i % f;
                for (std::int64_t c = 0; c < C; ++c) {
                    const std::int64_t in_cell = p * C * f * f + c * f * f + i, in_fine = fine * C + c;
                    if (gathers)
                        to[in_cell] = from[in_fine];
                    else
                        to[in_fine] = from[in_cell];
                }
            }
        }
    })};
    return kernel;
}

}  // namespace fovea::cpu
