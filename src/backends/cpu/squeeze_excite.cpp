// Squeeze-and-excitation of inference in two kernels instead of five: from the map to a gate per channel, and the gated map straight into the
// convolution that projects it. Hu et al. 2018, arXiv:1709.01507.
#include "backends/cpu/direct_conv.h"
#include "backends/cpu/few_rows.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"

namespace fovea::cpu {

namespace {

/// Whether the map lies in f32, channels last: what the kernels here read.
bool is_plain_map(const Value& map, const PlanContext& context) {
    return map.dtype() == DType::f32 && map.shape().rank() == 4 && map.shape().elements() > 0 && !context.stores_bf16 && same_layout(context.stored(map), channels_last(map.shape()));
}

/// A pointwise convolution of f32 weights with no residual, or null.
const Node* pointwise_reader(const Node& node, const PlanContext& context) {
    const Node* conv = context.only_reader(node);
    if (!conv || !is_pointwise(*conv) || conv->inputs[0].id() != node.id || conv->attrs.has("weight_scale") || conv->inputs[1].node().op->name != "parameter") return nullptr;
    return conv;
}
bool has_residual(const Node& conv) { return conv.inputs.size() > 3 && !conv.inputs[3].is_empty(); }
bool has_bias(const Node& conv) { return conv.inputs.size() > 2 && !conv.inputs[2].is_empty(); }

/// An input of a node that another does as well is there before it.
bool is_ready(const Value& input, const Node& first) { return input.is_empty() || input.node().op->name == "parameter" || input.id() < first.id; }

}  // namespace

std::optional<Kernel> plan_squeeze_excite(const Node& mean, const PlanContext& context) {
    if (!context.is_inference || mean.op->name != "mean" || !is_plain_map(mean.inputs[0], context)) return {};
    const Shape& x = mean.inputs[0].shape();
    if (mean.outputs[0].shape != Shape{x[0], x[1], 1, 1} || x[2] * x[3] == 1) return {};
    const Node* squeeze = pointwise_reader(mean, context);
    const Node* excite = squeeze && !has_residual(*squeeze) ? pointwise_reader(*squeeze, context) : nullptr;
    if (!excite || has_residual(*excite)) return {};
    for (const Node* conv : {squeeze, excite})
        for (const Value& input : conv->inputs)
            if (input.id() != mean.id && input.id() != squeeze->id && !is_ready(input, mean)) return {};
    const std::int64_t samples = x[0], channels = x[1], pixels = x[2] * x[3], hidden = squeeze->outputs[0].shape[1], gates = excite->outputs[0].shape[1];
    const UnaryKernel activate_hidden = activation_kernel(*squeeze), activate_gates = activation_kernel(*excite);
    const auto is_activated = [](const Node& node, const UnaryKernel& kernel) { return node.attrs.text("activation").empty() || kernel; };
    if (!is_activated(*squeeze, activate_hidden) || !is_activated(*excite, activate_gates)) return {};

    Kernel kernel;
    kernel.name = std::string("squeeze:") + simd().name;
    const std::size_t squeeze_at = mean.inputs.size(), excite_at = squeeze_at + squeeze->inputs.size() - 1;
    kernel.in.resize(excite_at + excite->inputs.size() - 1);
    kernel.in[0] = channels_last(x);
    kernel.out.resize(1);
    kernel.through = {squeeze, excite};
    const std::int64_t hidden_floats = (hidden + 15) / 16 * 16, channel_floats = (channels + 15) / 16 * 16;
    kernel.workspace_bytes = static_cast<std::size_t>(hidden_floats + channel_floats) * sizeof(float);
    // The workspace holds the sums of a sample's channels.
    const auto gate = [=, squeeze_bias = has_bias(*squeeze), excite_bias = has_bias(*excite)](const KernelArgs& args, std::int64_t n, float* sums) {
        float *inner = as_f32(args.workspace) + channel_floats, *y = as_f32(args.out[0]) + n * gates;
        simd().scale_shift(sums, sums, 1.0f / static_cast<float>(pixels), 0, channels);
        few_rows()(inner, sums, as_f32(args.in[squeeze_at]), squeeze_bias ? as_f32(args.in[squeeze_at + 1]) : nullptr, 1, channels, hidden, 0, hidden);
        if (activate_hidden) activate_hidden(inner, inner, hidden);
        few_rows()(y, inner, as_f32(args.in[excite_at]), excite_bias ? as_f32(args.in[excite_at + 1]) : nullptr, 1, hidden, gates, 0, gates);
        if (activate_gates) activate_gates(y, y, gates);
    };
    const auto sum_pixels = [=](const KernelArgs& args, std::int64_t first, std::int64_t last, float* sums) {
        std::fill_n(sums, channels, 0.0f);
        simd().column_sums(as_f32(args.in[0]) + first * channels, last - first, channels, sums);
    };
    const auto whole = [=](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
        for (std::int64_t n = begin; n < end; ++n) {
            sum_pixels(args, n * pixels, (n + 1) * pixels, as_f32(args.workspace));
            gate(args, n, as_f32(args.workspace));
        }
    };
    // A map that takes longer to read than two cores take to meet is summed in stretches.
    constexpr std::int64_t stretch_bytes = 128 << 10, most_stretches = 4;
    const int stretches = static_cast<int>(std::clamp<std::int64_t>(pixels * channels * 4 / stretch_bytes, 1, most_stretches));
    if (context.is_sharded() && samples == context.rows) {
        kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 1, .run = [whole](const KernelArgs& args, const Part& part) { whole(args, part.begin, part.end); }});
    } else if (context.is_serial || stretches == 1) {
        kernel.phases.push_back({.parts = static_cast<int>(samples), .run = [whole](const KernelArgs& args, const Part& part) { whole(args, part.index, part.index + 1); }});
    } else {
        kernel.scratch_bytes = static_cast<std::size_t>(samples * stretches * channel_floats) * sizeof(float);
        kernel.phases.push_back({.parts = static_cast<int>(samples) * stretches, .reads = 1, .writes = 0, .uses_scratch = true, .run = [=](const KernelArgs& args, const Part& part) {
                                     const std::int64_t n = part.index / stretches;
                                     const auto [begin, end] = piece({.index = part.index % stretches, .count = stretches}, pixels);
                                     sum_pixels(args, n * pixels + begin, n * pixels + end, as_f32(args.scratch) + part.index * channel_floats);
                                 }});
        kernel.phases.push_back({.parts = static_cast<int>(samples), .reads = ~1u, .uses_scratch = true, .run = [=](const KernelArgs& args, const Part& part) {
                                     simd().sum_parts(as_f32(args.workspace), as_f32(args.scratch) + part.index * stretches * channel_floats, channel_floats, stretches, channels);
                                     gate(args, part.index, as_f32(args.workspace));
                                 }});
    }
    return kernel;
}

std::optional<Kernel> plan_gated_pointwise(const Node& multiply, const PlanContext& context) {
    // With many samples the gated map lies in the core's cache either way, and oneDNN's product is a little faster.
    if (!direct_conv().is_supported || !context.is_inference || !context.has_few_samples() || multiply.outputs[0].shape.rank() != 4) return {};
    const Shape& x = multiply.outputs[0].shape;
    const auto is_map = [&](const Value& v) { return !v.is_empty() && v.shape() == x; };
    const auto is_gate = [&](const Value& v) { return !v.is_empty() && v.shape() == Shape{x[0], x[1], 1, 1} && v.dtype() == DType::f32; };
    const std::size_t map_at = is_map(multiply.inputs[0]) ? 0 : 1;
    if (x[2] * x[3] == 1 || !is_map(multiply.inputs[map_at]) || !is_gate(multiply.inputs[1 - map_at]) || !is_plain_map(multiply.inputs[map_at], context)) return {};
    const Node* conv = pointwise_reader(multiply, context);
    if (!conv || conv->outputs[0].shape.elements() == 0 || context.home(*conv, 0)) return {};
    for (const Value& input : conv->inputs)
        if (input.id() != multiply.id && !is_ready(input, multiply)) return {};
    const auto epilogue = epilogue_of(*conv);
    if (!epilogue) return {};
    const Shape &w = conv->inputs[1].shape(), &y = conv->outputs[0].shape;
    const std::int64_t samples = x[0], channels = x[1], filters = y[1], map = x[2] * x[3];
    DirectConv plan{.channels = channels, .filters = filters, .height = 1, .width = map, .out_height = 1, .out_width = map, .kernel_h = 1, .kernel_w = 1, .stride_h = 1, .stride_w = 1,
                    .dilation_h = 1, .dilation_w = 1, .before_h = 0, .before_w = 0, .epilogue = *epilogue, .passes = {}};
    plan.cut_into_passes();

    Kernel kernel;
    kernel.name = std::string("gated direct:") + simd().name;
    constexpr std::size_t weight_at = 2, bias_at = 3, residual_at = 4;
    kernel.in.resize(conv->inputs.size() + 1);
    kernel.in[map_at] = channels_last(x);
    kernel.in[weight_at] = layout_of(dnnl::memory::desc(dims_of(w), dnnl::memory::data_type::f32, dnnl::memory::format_tag::Acdb16a), w);
    if (has_residual(*conv)) kernel.in[residual_at] = channels_last(y);
    kernel.out = {channels_last(y)};
    kernel.through = {conv};
    // So many pixels at a time: they stay in the first-level cache from the product with the gates to that with the weights, whole tiles of 24.
    constexpr std::int64_t cached_floats = 24 << 10, tile = 24;
    const std::int64_t chunk = std::clamp(cached_floats / channels / tile, std::int64_t{1}, (map + tile - 1) / tile) * tile;
    kernel.workspace_bytes = static_cast<std::size_t>(chunk * channels) * sizeof(float);
    const auto shared = std::make_shared<const DirectConv>(std::move(plan));
    // Pixels [begin, end) of sample n, for the filters of the vectors [vector, vector_end).
    const auto run = [=, has_bias = has_bias(*conv), has_residual = has_residual(*conv)](const KernelArgs& args, std::int64_t n, std::int64_t begin, std::int64_t end, std::int64_t vector, std::int64_t vector_end) {
        const float *from = as_f32(args.in[map_at]) + n * map * channels, *gate = as_f32(args.in[1 - map_at]) + n * channels;
        float *work = as_f32(args.workspace), *to = as_f32(args.out[0]) + n * map * filters;
        const float* residual = has_residual ? as_f32(args.in[residual_at]) + n * map * filters : nullptr;
        for (std::int64_t first = begin; first < end; first += chunk) {
            const std::int64_t count = std::min(chunk, end - first);
            simd().multiply_channels(work, from + first * channels, gate, count, channels);
            direct_conv().run(to + first * filters, work, as_f32(args.in[weight_at]), has_bias ? as_f32(args.in[bias_at]) : nullptr, residual ? residual + first * filters : nullptr, *shared,
                              {0, 1, 0, count, vector, vector_end});
        }
    };
    const std::int64_t vectors = shared->vectors(), tiles = (map + tile - 1) / tile;
    const DirectCut cut = cut_direct(samples * tiles, vectors, y.elements() * channels);
    kernel.phases.push_back({.parts = cut.line_parts * cut.vector_parts, .run = [=](const KernelArgs& args, const Part& part) {
                                 auto [begin, end] = piece({.index = part.index % cut.line_parts, .count = cut.line_parts}, samples * tiles);
                                 const auto [vector, vector_end] = piece({.index = part.index / cut.line_parts, .count = cut.vector_parts}, vectors);
                                 while (begin < end) {
                                     const std::int64_t n = begin / tiles, stop = std::min(end, (n + 1) * tiles);
                                     run(args, n, (begin - n * tiles) * tile, std::min((stop - n * tiles) * tile, map), vector, vector_end);
                                     begin = stop;
                                 }
                             }});
    return kernel;
}

}  // namespace fovea::cpu
