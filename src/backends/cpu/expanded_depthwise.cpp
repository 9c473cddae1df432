// The first half of an inverted residual with few samples (Sandler et al. 2018, arXiv:1801.04381): a 1 x 1 convolution and the depthwise one that
// alone reads it. A piece takes some channels of some lines through both, so the expanded map is never in memory whole and no thread waits for
// another between them; lines at the edge of a piece are expanded once more.
#include "backends/cpu/depthwise.h"
#include "backends/cpu/direct_conv.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"

namespace fovea::cpu {

namespace {

bool has_bias(const Node& conv) { return conv.inputs.size() > 2 && !conv.inputs[2].is_empty(); }
bool has_residual(const Node& conv) { return conv.inputs.size() > 3 && !conv.inputs[3].is_empty(); }

/// f32 weights that nothing but the parameter makes, and all else there before `first`.
bool has_own_weights(const Node& conv, const Node& first) {
    if (conv.attrs.has("weight_scale") || conv.inputs[1].node().op->name != "parameter") return false;
    return !has_bias(conv) || conv.inputs[2].node().op->name == "parameter" || conv.inputs[2].id() < first.id;
}

/// One filter per channel, no residual.
bool is_depthwise(const Node& node) {
    if (node.op->name != "conv2d" || has_residual(node)) return false;
    const Shape &x = node.inputs[0].shape(), &w = node.inputs[1].shape();
    return x[1] > 1 && node.attrs.integer("groups") == x[1] && w[0] == x[1] && w[1] == 1 && std::ranges::all_of(node.attrs.integers("pad"), [](std::int64_t p) { return p >= 0; });
}

struct Cut {
    int channel_parts, line_parts;  ///< of a sample
};

/// `vectors` of channels by output `lines`. By channels first, which costs nothing; by lines until a piece's expanded lines of `line_bytes` per
/// vector lie in half a second-level cache.
Cut cut_of(std::int64_t vectors, std::int64_t lines, std::int64_t in_lines, std::int64_t line_bytes) {
    constexpr std::int64_t vectors_at_once = 4, most_parts = 16, least_parts = 8, cached_bytes = 384 << 10;
    const std::int64_t channel_parts = std::min((vectors + vectors_at_once - 1) / vectors_at_once, most_parts), piece_vectors = (vectors + channel_parts - 1) / channel_parts;
    const std::int64_t for_cache = (in_lines * line_bytes * piece_vectors + cached_bytes - 1) / cached_bytes, for_threads = (least_parts + channel_parts - 1) / channel_parts;
    return {static_cast<int>(channel_parts), static_cast<int>(std::clamp<std::int64_t>(std::max(for_cache, for_threads), 1, lines))};
}

}  // namespace

std::optional<Kernel> plan_expanded_depthwise(const Node& expand, const PlanContext& context) {
    if (!direct_conv().is_supported || !context.is_inference || !context.has_few_samples() || context.stores_bf16 || !is_pointwise(expand) || has_residual(expand)) return {};
    const Node* filter = context.only_reader(expand);
    if (!filter || !is_depthwise(*filter) || filter->inputs[0].id() != expand.id || !has_own_weights(expand, expand) || !has_own_weights(*filter, expand) || context.home(*filter, 0)) return {};
    const auto expand_end = epilogue_of(expand), filter_end = epilogue_of(*filter);
    const Shape &x = expand.inputs[0].shape(), &inner = expand.outputs[0].shape, &y = filter->outputs[0].shape, &w = filter->inputs[1].shape();
    // Before other activations oneDNN's depthwise kernel is faster by more than this saves (docs/benchmarks.md).
    if (!filter_end || filter_end->kind != Epilogue::Kind::silu) return {};
    if (!expand_end || y.elements() == 0 || inner[2] * inner[3] == 1 || !same_layout(context.stored(expand.inputs[0]), channels_last(x))) return {};
    const auto stride = filter->attrs.integers("stride"), pad = filter->attrs.integers("pad"), dilation = filter->attrs.integers("dilation");
    const std::int64_t samples = x[0], channels = x[1], filters = inner[1], height = x[2], width = x[3], lines = y[2], lanes = DirectConv::lanes, vectors = (filters + lanes - 1) / lanes;
    const std::int64_t reach = (w[2] - 1) * dilation[0] + 1;
    const Cut cut = cut_of(vectors, lines, height, width * lanes * 4);

    // A convolution for each count of channels that a piece may have.
    std::map<std::int64_t, DirectConv> expansions;
    const auto channels_of = [=](int part) {
        const auto [first, last] = piece({.index = part, .count = cut.channel_parts}, vectors);
        return std::pair{first * lanes, std::min(last * lanes, filters)};
    };
    std::int64_t most_channels = 0, most_lines = 0;
    for (int part = 0; part < cut.channel_parts; ++part) {
        const auto [first, last] = channels_of(part);
        most_channels = std::max(most_channels, last - first);
        DirectConv& conv = expansions[last - first];
        conv = {.channels = channels, .filters = last - first, .height = 1, .width = height * width, .out_height = 1, .out_width = height * width, .kernel_h = 1, .kernel_w = 1, .stride_h = 1,
                .stride_w = 1, .dilation_h = 1, .dilation_w = 1, .before_h = 0, .before_w = 0, .epilogue = *expand_end, .passes = {}};
        conv.cut_into_passes();
    }
    // Input lines that the output lines [begin, end) read.
    const auto read_by = [=, step = stride[0], before = pad[0]](std::int64_t begin, std::int64_t end) {
        const std::int64_t first = std::clamp<std::int64_t>(begin * step - before, 0, height);
        return std::pair{first, std::clamp<std::int64_t>((end - 1) * step - before + reach, first, height)};
    };
    for (int part = 0; part < cut.line_parts; ++part) {
        const auto [begin, end] = piece({.index = part, .count = cut.line_parts}, lines);
        const auto [first, last] = read_by(begin, end);
        most_lines = std::max(most_lines, last - first);
    }
    const DepthwiseGeometry whole{.channels = filters, .height = height, .width = width, .out_height = lines, .out_width = y[3], .kernel_h = w[2], .kernel_w = w[3], .stride_h = stride[0],
                                  .stride_w = stride[1], .before_h = pad[0], .before_w = pad[2], .dilation_h = dilation[0], .dilation_w = dilation[1]};

    Kernel kernel;
    kernel.name = std::string("expanded depthwise:") + simd().name;
    const std::size_t filter_at = expand.inputs.size(), filter_bias = filter_at + 1;
    kernel.in.resize(filter_at + filter->inputs.size() - 1);
    kernel.in[0] = channels_last(x);
    const Shape& expand_weight = expand.inputs[1].shape();
    kernel.in[1] = layout_of(dnnl::memory::desc(dims_of(expand_weight), dnnl::memory::data_type::f32, dnnl::memory::format_tag::Acdb16a), expand_weight);
    kernel.in[filter_at] = depthwise_weights(w);
    kernel.out = {channels_last(y)};
    kernel.through = {filter};
    const std::int64_t work_floats = (2 * most_channels + 15) / 16 * 16;
    kernel.workspace_bytes = static_cast<std::size_t>(work_floats + most_lines * width * most_channels) * sizeof(float);
    const int pieces = cut.channel_parts * cut.line_parts;
    kernel.phases.push_back({.parts = static_cast<int>(samples) * pieces, .run = [=, expand_bias = has_bias(expand), has_filter_bias = has_bias(*filter), filter_end = *filter_end](const KernelArgs& args, const Part& part) {
                                 const std::int64_t n = part.index / pieces, at = part.index % pieces;
                                 const auto [channel, channel_end] = channels_of(static_cast<int>(at % cut.channel_parts));
                                 const auto [begin, end] = piece({.index = static_cast<int>(at / cut.channel_parts), .count = cut.line_parts}, lines);
                                 const auto [first, last] = read_by(begin, end);
                                 const DirectConv& conv = expansions.at(channel_end - channel);
                                 DepthwiseGeometry g = whole;
                                 g.channels = g.x_pixel = channel_end - channel;
                                 float *work = as_f32(args.workspace), *expanded = work + work_floats;
                                 const float* bias = expand_bias ? as_f32(args.in[2]) + channel : nullptr;
                                 direct_conv().run(expanded, as_f32(args.in[0]) + (n * height + first) * width * channels, as_f32(args.in[1]) + channel * channels, bias, nullptr, conv,
                                                   {0, 1, 0, (last - first) * width, 0, conv.vectors()});
                                 depthwise()(as_f32(args.out[0]) + n * lines * g.out_width * filters + channel, expanded - first * width * g.x_pixel, as_f32(args.in[filter_at]) + channel,
                                             has_filter_bias ? as_f32(args.in[filter_bias]) + channel : nullptr, work, g, filter_end, begin, end);
                             }});
    return kernel;
}

}  // namespace fovea::cpu
