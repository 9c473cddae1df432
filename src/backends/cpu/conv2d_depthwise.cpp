// Depthwise convolutions (one input channel per group) on our own kernel.
#include "backends/cpu/depthwise.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"

namespace fovea::cpu {

Layout depthwise_weights(const Shape& w) {
    // As oneDNN describes grouped weights.
    const Shape grouped{w[0], 1, 1, w[2], w[3]};
    return layout_of(dnnl::memory::desc(dims_of(grouped), dnnl::memory::data_type::f32, dnnl::memory::dims{1, w[0], w[0], w[3] * w[0], w[0]}), grouped);
}

std::optional<Kernel> plan_depthwise_conv2d(const Node& node, const PlanContext& context) {
    const Shape &x = node.inputs[0].shape(), &w = node.inputs[1].shape(), &y = node.outputs[0].shape;
    const auto stride = node.attrs.integers("stride"), pad = node.attrs.integers("pad"), dilation = node.attrs.integers("dilation");
    const std::int64_t groups = node.attrs.integer("groups");
    // oneDNN's post-op adds a residual; no network has one after a depthwise convolution.
    const bool has_bias = node.inputs.size() > 2 && !node.inputs[2].is_empty(), has_residual = node.inputs.size() > 3 && !node.inputs[3].is_empty();
    if (groups == 1 || w[0] != groups || w[1] != 1 || x[1] != groups || y.elements() == 0 || has_residual || !std::ranges::all_of(pad, [](std::int64_t p) { return p >= 0; })) return {};
    const DepthwiseGeometry g{.channels = x[1], .height = x[2], .width = x[3], .out_height = y[2], .out_width = y[3], .kernel_h = w[2], .kernel_w = w[3], .stride_h = stride[0],
                              .stride_w = stride[1], .before_h = pad[0], .before_w = pad[2], .dilation_h = dilation[0], .dilation_w = dilation[1]};
    const auto epilogue = epilogue_of(node);
    if (!epilogue) return {};
    Kernel kernel;
    kernel.name = std::string("depthwise:") + simd().name;
    kernel.in.resize(node.inputs.size());
    kernel.in[0] = channels_last(x);
    kernel.in[1] = depthwise_weights(w);
    kernel.out = {channels_last(y)};
    kernel.workspace_bytes = static_cast<std::size_t>(g.work()) * sizeof(float);
    const std::int64_t samples = x[0], x_row = x.elements() / samples, y_row = y.elements() / samples;
    // Lines [begin, end) of all samples.
    const auto run = [=, end_in = *epilogue](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
        for (std::int64_t at = begin; at < end;) {
            const std::int64_t n = at / g.out_height, first = at - n * g.out_height, last = std::min(g.out_height, end - n * g.out_height);
            depthwise()(as_f32(args.out[0]) + n * y_row, as_f32(args.in[0]) + n * x_row, as_f32(args.in[1]), has_bias ? as_f32(args.in[2]) : nullptr, as_f32(args.workspace), g, end_in, first, last);
            at = n * g.out_height + last;
        }
    };
    const std::int64_t line_macs = g.out_width * g.channels * g.kernel_h * g.kernel_w, lines = samples * g.out_height;
    if (context.is_sharded() && samples == context.rows) {
        kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 1, .run = [run, height = g.out_height](const KernelArgs& args, const Part& part) { run(args, part.begin * height, part.end * height); }});
    } else {
        constexpr std::int64_t piece_macs = 128 << 10, most_pieces = 16;
        kernel.phases.push_back({.parts = static_cast<int>(std::clamp<std::int64_t>(lines * line_macs / piece_macs, 1, std::min(lines, most_pieces))), .run = [run, lines](const KernelArgs& args, const Part& part) {
                                     const auto [begin, end] = piece(part, lines);
                                     run(args, begin, end);
                                 }});
    }
    return kernel;
}

}  // namespace fovea::cpu
