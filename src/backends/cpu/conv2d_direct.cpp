// Convolutions on our direct kernel, and how their work is cut.
#include "backends/cpu/direct_conv.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"

namespace fovea::cpu {

DirectCut cut_direct(std::int64_t lines, std::int64_t vectors, std::int64_t macs) {
    constexpr std::int64_t piece_macs = 512 << 10, most_pieces = 16, panel = 4;
    const std::int64_t pieces = std::clamp<std::int64_t>(macs / piece_macs, 1, most_pieces), panels = (vectors + panel - 1) / panel;
    // By lines, where that leaves even pieces: then every core reads its own part of x, and all of the weight.
    if (lines >= 4 * pieces) return {static_cast<int>(pieces), 1};
    const std::int64_t vector_parts = std::min(panels, pieces);
    return {static_cast<int>(std::min(lines, (pieces + vector_parts - 1) / vector_parts)), static_cast<int>(vector_parts)};
}

std::optional<Kernel> plan_direct_conv2d(const Node& node, const PlanContext& context) {
    const Shape &x = node.inputs[0].shape(), &w = node.inputs[1].shape(), &y = node.outputs[0].shape;
    const auto stride = node.attrs.integers("stride"), pad = node.attrs.integers("pad"), dilation = node.attrs.integers("dilation");
    const auto epilogue = epilogue_of(node);
    if (!direct_conv().is_supported || node.attrs.integer("groups") != 1 || y.elements() == 0 || !std::ranges::all_of(pad, [](std::int64_t p) { return p >= 0; })) return {};
    const bool has_bias = node.inputs.size() > 2 && !node.inputs[2].is_empty(), has_residual = node.inputs.size() > 3 && !node.inputs[3].is_empty();
    DirectConv conv{.channels = x[1], .filters = w[0], .height = x[2], .width = x[3], .out_height = y[2], .out_width = y[3], .kernel_h = w[2], .kernel_w = w[3], .stride_h = stride[0],
                    .stride_w = stride[1], .dilation_h = dilation[0], .dilation_w = dilation[1], .before_h = pad[0], .before_w = pad[2], .epilogue = epilogue.value_or(Epilogue{}), .passes = {}};
    const bool is_pointwise = conv.is_pointwise();
    const std::int64_t samples = x[0], map = conv.out_height * conv.out_width, x_row = x.elements() / samples, y_row = y.elements() / samples, macs = y.elements() * w[1] * w[2] * w[3];
    // The pixels of all samples are one line.
    if (is_pointwise) conv.width = conv.out_width = samples * map, conv.height = conv.out_height = 1;
    conv.cut_into_passes();

    Kernel kernel;
    kernel.name = std::string("direct:") + simd().name;
    kernel.in.resize(node.inputs.size());
    kernel.in[0] = channels_last(x);
    kernel.in[1] = layout_of(dnnl::memory::desc(dims_of(w), dnnl::memory::data_type::f32, dnnl::memory::format_tag::Acdb16a), w);
    if (has_residual) kernel.in[3] = channels_last(y), kernel.in_place = {3};
    kernel.out = {channels_last(y)};
    const auto shared = std::make_shared<const DirectConv>(std::move(conv));
    const std::int64_t vectors = shared->vectors(), height = shared->out_height, width = shared->out_width;
    const auto run = [=](const KernelArgs& args, std::int64_t sample, const DirectPiece& piece) {
        direct_conv().run(as_f32(args.out[0]) + sample * y_row, as_f32(args.in[0]) + sample * x_row, as_f32(args.in[1]), has_bias ? as_f32(args.in[2]) : nullptr,
                          has_residual ? as_f32(args.in[3]) + sample * y_row : nullptr, *shared, piece);
    };
    // Lines [begin, end) of all samples, all their columns.
    const auto run_lines = [=](const KernelArgs& args, std::int64_t begin, std::int64_t end, std::int64_t vector, std::int64_t vector_end) {
        for (std::int64_t at = begin; at < end;) {
            const std::int64_t n = at / height, first = at - n * height, last = std::min(height, end - n * height);
            run(args, n, {first, last, 0, width, vector, vector_end});
            at = n * height + last;
        }
    };
    if (context.is_sharded() && samples == context.rows) {
        kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 0b1001u, .run = [=](const KernelArgs& args, const Part& part) {
                                     if (is_pointwise) run(args, 0, {0, 1, part.begin * map, part.end * map, 0, vectors});
                                     else run_lines(args, part.begin * height, part.end * height, 0, vectors);
                                 }});
    } else {
        constexpr std::int64_t columns = 24;  // whole tiles
        const std::int64_t lines = is_pointwise ? (width + columns - 1) / columns : samples * height;
        const DirectCut cut = cut_direct(lines, vectors, macs);
        kernel.phases.push_back({.parts = cut.line_parts * cut.vector_parts, .run = [=](const KernelArgs& args, const Part& part) {
                                     const auto [begin, end] = piece({.index = part.index % cut.line_parts, .count = cut.line_parts}, lines);
                                     const auto [vector, vector_end] = piece({.index = part.index / cut.line_parts, .count = cut.vector_parts}, vectors);
                                     if (is_pointwise) run(args, 0, {0, 1, begin * columns, std::min(end * columns, width), vector, vector_end});
                                     else run_lines(args, begin, end, vector, vector_end);
                                 }});
    }
    if (!epilogue) kernel.phases.push_back(in_place_phase<float>(context, y, activation_kernel(node)));
    return kernel;
}

}  // namespace fovea::cpu
