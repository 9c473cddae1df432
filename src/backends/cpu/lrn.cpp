// Local response normalisation across channels, channels last: the window slides over neighbouring floats.
#include "backends/cpu/bf16.h"
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
    const bool half = is_half(node.inputs[0], context);
    Kernel kernel;
    kernel.name = std::string("simd:") + simd().name;
    kernel.in.resize(node.inputs.size());
    for (std::size_t i = 0; i < node.inputs.size(); ++i)
        if (i != 1) kernel.in[i] = map_layout(x, half);
    if (backward) kernel.in[1] = context.stored(node.inputs[1]);  // y is not read
    kernel.out = {map_layout(x, half)};
    Phase phase = over_pixels(context, x[0], per_sample, channels * 16, 0b101, [=](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
        std::vector<float> work(static_cast<std::size_t>(g.work()));
        const auto run = [&](float* y, const float* x0, const float* x2, std::int64_t pixels) {
            if (backward) simd().lrn_backward(y, x0, x2, work.data(), g, pixels);
            else simd().lrn(y, x0, work.data(), g, pixels);
        };
        if (!half) return run(as_f32(args.out[0]) + begin * channels, as_f32(args.in[0]) + begin * channels, backward ? as_f32(args.in[2]) + begin * channels : nullptr, end - begin);
        std::vector<float> pixel(static_cast<std::size_t>(3 * channels));
        for (std::int64_t p = begin; p < end; ++p) {
            float *x0 = pixel.data(), *x2 = x0 + channels, *y = x2 + channels;
            simd().from_bf16(x0, as_bf16(args.in[0]) + p * channels, channels);
            if (backward) simd().from_bf16(x2, as_bf16(args.in[2]) + p * channels, channels);
            run(y, x0, x2, 1);
            simd().to_bf16(as_bf16(args.out[0]) + p * channels, y, channels);
        }
    });
    phase.reads = 0b101;
    kernel.phases = {std::move(phase)};
    return kernel;
}

}  // namespace fovea::cpu
