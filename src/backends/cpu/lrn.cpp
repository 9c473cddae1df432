// Local response normalisation across channels, channels last: the window slides over neighbouring floats.
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"

namespace fovea::cpu {

std::optional<Kernel> plan_lrn(const Node& node, const PlanContext& context) {
    const Shape& x = node.outputs[0].shape;
    const double k = node.attrs.real("k"), alpha = node.attrs.real("alpha");
    if ((x.rank() != 4 && x.rank() != 2) || x[0] != context.rows || x.elements() == 0 || node.outputs[0].dtype != DType::f32 || k <= 0 || alpha < 0) return {};
    const std::int64_t size = node.attrs.integer("size"), channels = x[1], per_sample = x.elements(2, x.rank());
    const LrnGeometry g{.channels = channels, .below = size / 2, .above = (size - 1) / 2,
                        .a = static_cast<float>(node.attrs.flag("divide_by_size", true) ? alpha / static_cast<double>(size) : alpha),
                        .beta = static_cast<float>(node.attrs.real("beta")), .k = static_cast<float>(k)};
    const bool backward = node.op->name == "lrn_backward";
    Kernel kernel;
    kernel.name = std::string("simd:") + simd().name;
    kernel.in.resize(node.inputs.size());
    for (std::size_t i = 0; i < node.inputs.size(); ++i)
        if (i != 1) kernel.in[i] = channels_last(x);
    if (backward) kernel.in[1] = context.layout(node.inputs[1]);  // y is not read
    kernel.out = {channels_last(x)};
    Phase phase = over_pixels(context, x[0], per_sample, channels * 16, 0b101, [=](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
        std::vector<float> work(static_cast<std::size_t>(g.work()));
        const std::int64_t at = begin * channels;
        if (backward)
            simd().lrn_backward(as_f32(args.out[0]) + at, as_f32(args.in[0]) + at, as_f32(args.in[2]) + at, work.data(), g, end - begin);
        else
            simd().lrn(as_f32(args.out[0]) + at, as_f32(args.in[0]) + at, work.data(), g, end - begin);
    });
    phase.reads = 0b101;
    kernel.phases = {std::move(phase)};
    return kernel;
}

}  // namespace fovea::cpu
