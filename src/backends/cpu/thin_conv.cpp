// When a convolution with few channels runs on our own kernels, and how its work is cut.
#include "backends/cpu/thin_conv.h"

#include <algorithm>

#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"

namespace fovea::cpu {

namespace {

ThinConv geometry_of(const Node& node, const Shape& x, const Shape& w, const Shape& y) {
    const auto stride = node.attrs.integers("stride"), pad = node.attrs.integers("pad");
    return {.channels = x[1], .height = x[2], .width = x[3], .filters = w[0], .out_height = y[2], .out_width = y[3], .kernel_h = w[2], .kernel_w = w[3], .stride_h = stride[0],
            .stride_w = stride[1], .before_h = pad[0], .before_w = pad[2], .is_planar = true, .rectifies = node.attrs.text("activation") == "relu", .pools = false};
}

bool is_plain(const Node& node) {
    const auto pad = node.attrs.integers("pad"), dilation = node.attrs.integers("dilation");
    return node.attrs.integer("groups") == 1 && dilation[0] == 1 && dilation[1] == 1 && std::ranges::all_of(pad, [](std::int64_t p) { return p >= 0; }) &&
           node.inputs.size() <= 3 && node.outputs[0].shape.elements() > 0 && node.inputs[0].shape()[1] > 0;
}

/// 2 x 2 maxima side by side that alone read the convolution, and nobody asks where they were.
const Node* pooling_after(const Node& node, const PlanContext& context) {
    const Node* next = context.only_reader(node);
    if (!next || next->op->name != "max_pool2d" || context.is_read(*next, 1)) return nullptr;
    const auto all = [&](std::string_view name, std::int64_t value) { return std::ranges::all_of(next->attrs.integers(name), [=](std::int64_t v) { return v == value; }); };
    if (!all("kernel", 2) || !all("stride", 2) || !all("pad", 0) || (next->attrs.has("dilation") && !all("dilation", 1))) return nullptr;
    const Shape &y = node.outputs[0].shape, &pooled = next->outputs[0].shape;
    return pooled[2] == y[2] / 2 && pooled[3] == y[3] / 2 && pooled.elements() > 0 ? next : nullptr;
}

enum class Form { none, pixels, filters };

/// Measured against oneDNN on channels last, one thread, AVX-512 (Zen 5), kernels of 1 to 5, maps of 7 to 224: by_pixels is 1.3 to 3.5 times
/// as fast below sixteen filters, 1.2 to 2.2 times for 16 to 20 filters of at most four channels, slower on maps of 7 and from 32 filters on;
/// by_filters is 1.2 to 1.4 times as fast for 16 filters on small maps.
Form form_of(const ThinConv& g) {
    constexpr std::int64_t full = 16;  // filters that fill a vector
    if (g.filters < full && g.channels <= 64 && g.out_width >= 12) return Form::pixels;
    if (g.filters <= full + 4 && g.channels <= 4 && g.stride_w == 1 && g.out_width >= 12) return Form::pixels;
    if (g.filters == full && g.channels <= 12 && g.out_width <= full) return Form::filters;
    return Form::none;
}

}  // namespace

bool suits_thin_conv2d(const Node& node) {
    return thin_conv().by_pixels && is_plain(node) && form_of(geometry_of(node, node.inputs[0].shape(), node.inputs[1].shape(), node.outputs[0].shape)) != Form::none;
}

bool suits_thin_gradient(const Node& node) {
    if (!thin_conv().gradient || !is_plain(node) || node.inputs[1].shape().elements() == 0) return false;
    const ThinConv g = geometry_of(node, node.inputs[0].shape(), node.outputs[0].shape, node.inputs[1].shape());
    // Measured as the forward convolution was; a sample's gradient should stay in the second-level cache.
    constexpr std::int64_t most_floats = 128 << 10;
    return g.channels <= 4 && g.filters <= 20 && g.out_width >= 12 && g.taps() * g.filters <= 4096 && thin_conv().gradient_work(g) <= most_floats;
}

std::optional<Kernel> plan_thin_conv2d(const Node& node, const PlanContext& context) {
    if (!suits_thin_conv2d(node)) return {};
    ThinConv g = geometry_of(node, node.inputs[0].shape(), node.inputs[1].shape(), node.outputs[0].shape);
    const Form form = form_of(g);
    const Value& input = node.inputs[0];
    const Shape &x = input.shape(), &w = node.inputs[1].shape();
    const UnaryKernel activate = g.rectifies ? UnaryKernel{} : activation_kernel(node);
    const Node* pooling = activate ? nullptr : pooling_after(node, context);
    const Type& made = (pooling ? pooling : &node)->outputs[0];
    const Shape& y = made.shape;
    g.pools = pooling;
    const bool by_pixels = form == Form::pixels, has_bias = node.inputs.size() > 2 && !node.inputs[2].is_empty();
    // by_pixels sorts its input into planes anyway: it takes it as it comes.
    g.is_planar = by_pixels && (context.is_undecided(input) || !context.layout(input));

    Kernel kernel;
    kernel.name = std::string(by_pixels ? "simd:pixels:" : "simd:filters:") + simd().name;
    kernel.in.resize(node.inputs.size());
    if (!g.is_planar) kernel.in[0] = channels_last(x);
    if (!by_pixels) kernel.in[1] = layout_of(dnnl::memory::desc(dims_of(w), dnnl::memory::data_type::f32, dnnl::memory::format_tag::hwio), w);
    kernel.out = {channels_last(y)};
    if (pooling) kernel.through = {pooling};

    const bool sharded = context.is_sharded() && x[0] == context.rows;
    const std::int64_t samples = x[0], units = g.units(), x_row = x.elements() / samples, y_row = y.elements() / samples;
    // Few samples: pieces of some lines each.
    constexpr std::int64_t piece_macs = 512 << 10;
    const std::int64_t macs = node.outputs[0].shape.elements() * g.taps();
    const std::int64_t pieces = sharded || context.is_serial ? 1 : std::clamp<std::int64_t>(macs / samples / piece_macs, 1, std::min<std::int64_t>(units, 8));
    // by_pixels copies its input: so much at a time as stays in the second-level cache.
    constexpr std::int64_t most_floats = 64 << 10;
    std::int64_t piece_units = (units + pieces - 1) / pieces;
    while (by_pixels && piece_units > 1 && thin_conv().pixels_work(g, piece_units) > most_floats) piece_units = (piece_units + 1) / 2;
    const std::int64_t floats = by_pixels ? thin_conv().pixels_work(g, piece_units) : thin_conv().filters_work(g, piece_units);
    const int parts = sharded ? context.parts() : context.is_serial ? 1 : static_cast<int>(pieces * samples);
    kernel.scratch_bytes = static_cast<std::size_t>(floats * 4 * parts);
    const auto run_units = [=](const KernelArgs& args, int part, std::int64_t first, std::int64_t count, std::int64_t begin, std::int64_t end) {
        const float* bias = has_bias ? as_f32(args.in[2]) : nullptr;
        float* work = as_f32(args.scratch) + floats * part;
        if (by_pixels)
            thin_conv().by_pixels(as_f32(args.out[0]) + first * y_row, as_f32(args.in[0]) + first * x_row, as_f32(args.in[1]), bias, work, g, count, begin, end, first + count < samples);
        else
            thin_conv().by_filters(as_f32(args.out[0]) + first * y_row, as_f32(args.in[0]) + first * x_row, as_f32(args.in[1]), bias, work, g, count, begin, end);
        if (activate) {
            // Units are pairs of lines here: nothing is pooled.
            const std::int64_t line = g.out_width * g.filters, from = 2 * begin * line, to = std::min(2 * end, g.out_height) * line;
            for (std::int64_t n = first; n < first + count; ++n) activate(as_f32(args.out[0]) + n * y_row + from, as_f32(args.out[0]) + n * y_row + from, to - from);
        }
    };
    const auto run = [=](const KernelArgs& args, int part, std::int64_t first, std::int64_t count, std::int64_t begin, std::int64_t end) {
        if (end - begin <= piece_units) return run_units(args, part, first, count, begin, end);
        for (std::int64_t n = first; n < first + count; ++n)
            for (std::int64_t unit = begin; unit < end; unit += piece_units) run_units(args, part, n, 1, unit, std::min(end, unit + piece_units));
    };
    if (sharded)
        kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 1, .writes = 1, .uses_scratch = floats > 0,
                                 .run = [=](const KernelArgs& args, const Part& part) { run(args, part.index, part.begin, part.end - part.begin, 0, units); }});
    else if (parts == 1)
        kernel.phases.push_back({.writes = 1, .uses_scratch = floats > 0, .run = [=](const KernelArgs& args, const Part&) { run(args, 0, 0, samples, 0, units); }});
    else
        kernel.phases.push_back({.parts = parts, .writes = 1, .uses_scratch = floats > 0, .run = [=](const KernelArgs& args, const Part& part) {
                                     const std::int64_t n = part.index / pieces, i = part.index % pieces;
                                     run(args, part.index, n, 1, units * i / pieces, units * (i + 1) / pieces);
                                 }});
    return kernel;
}

std::optional<Kernel> plan_thin_conv2d_backward_weight(const Node& node, const PlanContext& context) {
    if (!suits_thin_gradient(node)) return {};
    const Shape &x = node.inputs[0].shape(), &dy = node.inputs[1].shape(), &w = node.outputs[0].shape;
    ThinConv g = geometry_of(node, x, w, dy);
    g.is_planar = context.is_undecided(node.inputs[0]) || !context.layout(node.inputs[0]);
    const std::int64_t work = thin_conv().gradient_work(g);
    const bool has_bias = node.outputs.size() > 1, sharded = context.is_sharded() && x[0] == context.rows;
    const std::int64_t samples = x[0], x_row = x.elements() / samples, dy_row = dy.elements() / samples, weights = w.elements(), filters = w[0];
    const std::int64_t part_floats = (weights + filters + 15) / 16 * 16 + (work + 15) / 16 * 16;
    const int parts = sharded ? context.parts() : static_cast<int>(samples);

    Kernel kernel;
    kernel.name = std::string("simd:pixels:") + simd().name;
    kernel.in = {g.is_planar ? Layout{} : channels_last(x), channels_last(dy), nullptr};
    kernel.out.resize(node.outputs.size());
    kernel.scratch_bytes = static_cast<std::size_t>(part_floats * 4 * parts);
    // Each part's sums, then the parts' in their order.
    kernel.phases.push_back({.kind = sharded ? Phase::Kind::rows : Phase::Kind::split, .parts = parts, .row_reads = sharded ? 0b11u : 0u, .writes = 0, .uses_scratch = true,
                             .run = [=](const KernelArgs& args, const Part& part) {
                                 const std::int64_t first = sharded ? part.begin : part.index, count = sharded ? part.end - part.begin : 1;
                                 float* dw = as_f32(args.scratch) + part_floats * part.index;
                                 thin_conv().gradient(dw, has_bias ? dw + weights : nullptr, as_f32(args.in[0]) + first * x_row, as_f32(args.in[1]) + first * dy_row,
                                                      dw + (weights + filters + 15) / 16 * 16, g, count);
                             }});
    kernel.phases.push_back({.reads = 0, .uses_scratch = true, .run = [=](const KernelArgs& args, const Part&) {
                                 simd().sum_parts(as_f32(args.out[0]), as_f32(args.scratch), part_floats, parts, weights);
                                 if (has_bias) simd().sum_parts(as_f32(args.out[1]), as_f32(args.scratch) + weights, part_floats, parts, filters);
                             }});
    return kernel;
}

}  // namespace fovea::cpu
