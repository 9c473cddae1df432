// Convolution forward and both gradients on oneDNN. With enough rows each part of the batch runs a single-threaded primitive on its own
// rows: what the next node reads is still in that core's cache, and the partition (so every rounding) is the same for any thread count.
// Weight gradients of the parts are summed in a fixed order. With few rows the maps are cut into stripes, each likewise a primitive of one
// thread.
#include "backends/cpu/bf16.h"
#include "backends/cpu/choice.h"
#include "backends/cpu/conv_pieces.h"
#include "backends/cpu/direct_conv.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"

namespace fovea::cpu {

namespace {

using dnnl::algorithm;
using dnnl::memory;
using dnnl::prop_kind;
using Geometry = ConvGeometry;
constexpr auto any = memory::format_tag::any;
constexpr auto f32 = memory::data_type::f32;

/// A map of one pixel in and out is a small vector: it stays f32.
bool suits_bf16(const PlanContext& context, const Shape& x, const Shape& y) { return context.stores_bf16 && x[2] * x[3] * y[2] * y[3] > 1; }

Layout planned_layout(const Value& weight, const PlanContext& context) { return context.is_undecided(weight) ? nullptr : context.layout(weight); }

/// The forward convolution on maps of f32 or bf16 elements; nothing where oneDNN has no kernel for them.
std::optional<Kernel> plan_forward(const Node& node, const PlanContext& context, memory::data_type element) {
    const Geometry g(node.attrs);
    const Shape &x = node.inputs[0].shape(), &w = node.inputs[1].shape(), &y = node.outputs[0].shape;
    const bool has_bias = node.inputs.size() > 2 && !node.inputs[2].is_empty(), has_residual = node.inputs.size() > 3 && !node.inputs[3].is_empty();
    if (!g.is_supported || y.elements() == 0) return {};
    const bool sharded = context.is_sharded() && x[0] == context.rows, half = element == memory::data_type::bf16;

    dnnl::post_ops post;
    if (has_residual) post.append_sum(1.0f);
    const UnaryKernel activate = append_activation(post, node) ? UnaryKernel{} : activation_kernel(node);
    dnnl::primitive_attr attr = planned_scratch();
    attr.set_post_ops(post);

    // A 1 x 1 convolution sees pixels, not maps.
    const bool is_pointwise = !sharded && w[2] * w[3] == 1 && g.stride == memory::dims{1, 1} && y[2] == x[2] && y[3] == x[3];
    const Shape from = is_pointwise ? Shape{1, x[1], x[0] * x[2] * x[3], 1} : x, to = is_pointwise ? Shape{1, y[1], y[0] * y[2] * y[3], 1} : y;
    const ConvLines lines{from[2], to[2], g.stride[0], (w[2] - 1) * (g.dilation[0] + 1) + 1, g.before[0], g.after[0]};
    const std::vector<ConvPiece> pieces = pieces_of(context, lines, false, sharded, to, y.elements() * w[1] * w[2] * w[3], w.elements());
    std::map<PieceSize, Sized, std::greater<>> sized;
    for (const ConvPiece& piece : pieces) sized[piece.size()];
    std::optional<memory::desc> weights;
    if (!half && !context.is_undecided(node.inputs[1])) weights.emplace(weight_desc(planned_layout(node.inputs[1], context), w, g.groups));
    std::string name;
    const auto create = [&](const PieceSize& size, const memory::desc& weight) {
        const auto [samples, out_lines, in_lines, before, after] = size;
        return dnnl::convolution_forward::primitive_desc({prop_kind::forward_training, algorithm::convolution_direct, channels_last_desc({samples, from[1], in_lines, from[3]}, element), weight,
                                                          has_bias ? plain_desc({w[0]}) : memory::desc(), channels_last_desc({samples, to[1], out_lines, to[3]}, element), g.stride, g.dilation,
                                                          memory::dims{before, g.before[1]}, memory::dims{after, g.after[1]}},
                                                         attr, engine());
    };
    const memory::desc free_weights(weight_dims(w, g.groups), element, any);
    const SingleThreaded single;
    for (auto& [size, s] : sized) {
        auto pd = create(size, weights ? *weights : free_weights);
        // A weight that lies badly for this kernel is better reordered than run by the slow one.
        if (weights && name.empty() && is_slow(pd.impl_info_str())) {
            auto other = create(size, free_weights);
            if (!is_slow(other.impl_info_str())) pd = other;
        }
        weights.emplace(pd.weights_desc());
        name = pd.impl_info_str();
        if (half && is_slow(pd.impl_info_str())) return {};
        s = {dnnl::convolution_forward(pd), pd.src_desc(), pd.weights_desc(), pd.dst_desc(), pd.bias_desc(), pd.scratchpad_desc()};
    }
    std::size_t scratch = 0;
    for (const auto& [size, s] : sized) scratch = std::max(scratch, (s.scratch.get_size() + 63) / 64 * 64);

    Kernel kernel;
    kernel.name = name;
    kernel.in.resize(node.inputs.size());
    kernel.in[0] = map_layout(x, half);
    kernel.in[1] = half ? packed_bf16(*weights, w, g.groups) : weight_layout(*weights, w, g.groups);
    if (has_residual) kernel.in[3] = map_layout(y, half);
    // A slice is filled from the result of a part, which is still in cache.
    const bool spreads = !half && sharded && !has_residual && !activate && context.home(node, 0);
    kernel.out = {spreads ? context.home(node, 0) : map_layout(y, half)};
    // The residual is added where the result goes: it is given up when nobody else reads it, copied otherwise.
    if (has_residual) kernel.in_place = {3};
    const std::int64_t width = half ? 2 : 4, x_line = from[1] * from[3] * width, y_line = to[1] * to[3] * width, x_row = x_line * from[2], y_row = y_line * to[2];  // bytes
    const std::int64_t y_pixel = pixel_stride(kernel.out[0], y), pixels = y[2] * y[3];
    kernel.scratch_bytes = scratch * pieces.size();
    if (spreads) kernel.workspace_bytes = static_cast<std::size_t>(sized.begin()->first[0] * y_row);
    Phase phase{.kind = sharded ? Phase::Kind::rows : Phase::Kind::split, .parts = static_cast<int>(pieces.size()), .row_reads = sharded ? 0b1001u : 0u, .uses_scratch = scratch > 0};
    phase.run = [=, outputs = y[1]](const KernelArgs& args, const Part& part) {
        const ConvPiece& piece = pieces[static_cast<std::size_t>(part.index)];
        const Sized& s = sized.at(piece.size());
        const std::int64_t at = piece.sample * y_row + piece.line * y_line;
        std::byte* y_data = spreads ? args.workspace : args.out[0] + at;
        if (has_residual) {
            const std::byte* residual = args.in[3] + at;
            if (residual != y_data) std::copy_n(residual, piece.samples * piece.lines * y_line, y_data);
        }
        execute(s.primitive, {{DNNL_ARG_SRC, &s.a, args.in[0] + piece.sample * x_row + piece.in_line * x_line},
                              {DNNL_ARG_WEIGHTS, &s.b, args.in[1]},
                              {DNNL_ARG_BIAS, &s.bias, args.in.size() > 2 ? args.in[2] : nullptr},
                              {DNNL_ARG_DST, &s.c, y_data},
                              {DNNL_ARG_SCRATCHPAD, &s.scratch, scratch ? args.scratch + scratch * static_cast<std::size_t>(part.index) : nullptr}});
        if (!spreads) return;
        float* slice = as_f32(args.out[0]) + piece.sample * pixels * y_pixel;
        for (std::int64_t p = 0; p < piece.samples * pixels; ++p) std::copy_n(as_f32(y_data) + p * outputs, outputs, slice + p * y_pixel);
    };
    kernel.phases = {std::move(phase)};
    if (activate) kernel.phases.push_back(half ? in_place_phase<Bf16>(context, y, through_f32(activate)) : in_place_phase<float>(context, y, activate));
    return kernel;
}

DirectWork work_of(const Shape& x, const Shape& w, const Shape& y) {
    const auto elements = [](const Shape& shape) { return static_cast<double>(shape.elements()); };
    return {.sums = elements(y) * static_cast<double>(w[1] * w[2] * w[3]), .weights = elements(w), .map_elements = elements(x) + elements(y)};
}

/// What a kernel on f32 maps costs more where the others are bf16, and one whose result goes to a slice, or comes from one, that it cannot read.
double detour(const PlanContext& context, bool half, bool copies, const DirectWork& work) {
    constexpr double copy_cost = 4;
    return (half ? conversion_cost * work.map_elements : 0) + (context.stores_bf16 || !copies ? 0 : copy_cost * work.map_elements);
}

}  // namespace

// How the rates differ from oneDNN's: docs/benchmarks.md.
std::optional<Kernel> plan_conv2d(const Node& node, const PlanContext& context) {
    const Shape &x = node.inputs[0].shape(), &w = node.inputs[1].shape(), &y = node.outputs[0].shape;
    const bool half = suits_bf16(context, x, y), has_groups = node.attrs.integer("groups") != 1;
    const bool in_slices = is_slice(node.inputs[0], context) || context.home(node, 0), is_sharded = context.is_sharded() && x[0] == context.rows;
    if (!half)
        if (auto kernel = plan_expanded_depthwise(node, context)) return kernel;
    const DirectWork work = work_of(x, w, y);
    const double direct = work.in_f32(context) + detour(context, half, in_slices, work);
    const auto plan = [&](auto planner) { return [&, planner] { return planner(node, context); }; };
    std::vector<Way> ways;
    if (const auto cost = winograd_cost(node, context)) ways.push_back({"winograd", *cost, plan(plan_winograd)});
    if (half) ways.push_back({"onednn bf16", work.in_bf16(context), [&] { return plan_forward(node, context, memory::data_type::bf16); }});
    const auto epilogue = epilogue_of(node);
    const auto ends_in = [&](Epilogue::Kind kind) { return epilogue && epilogue->kind == kind; };
    if (has_groups) {
        if (w[1] == 1 && epilogue) ways.push_back({"depthwise", (ends_in(Epilogue::Kind::silu) ? 0.9 : 1.4) * direct, plan(plan_depthwise_conv2d)});
    } else {
        if (suits_thin_conv2d(node)) ways.push_back({"thin", 0.5 * direct, plan(plan_thin_conv2d)});
        // Slices before our direct kernel, which knows none.
        if (is_pointwise(node) && node.inputs.size() <= 3) ways.push_back({"pointwise", in_slices ? 0.9 * work.in_f32(context) + detour(context, half, false, work) : 1.03 * direct, plan(plan_pointwise)});
        // With few samples its pieces are the even ones; it ends in an exponential or several branches in registers, oneDNN's does not.
        const bool is_better = context.has_few_samples() || (is_sharded && (ends_in(Epilogue::Kind::silu) || ends_in(Epilogue::Kind::sigmoid) || ends_in(Epilogue::Kind::hard_swish)));
        if (direct_conv().is_supported && y.elements() > 0) ways.push_back({"direct", (is_better ? 0.95 : 1.1) * direct, plan(plan_direct_conv2d)});
    }
    ways.push_back({"onednn", direct, [&] { return plan_forward(node, context, f32); }});
    return take_best(node, context, std::move(ways));
}

namespace {

std::optional<Kernel> plan_backward_input(const Node& node, const PlanContext& context, memory::data_type element) {
    const Geometry g(node.attrs);
    const Shape &dy = node.inputs[0].shape(), &w = node.inputs[1].shape(), &dx = node.outputs[0].shape;
    const bool has_bias = node.inputs.size() > 3 && !node.inputs[3].is_empty();
    if (!g.is_supported || has_bias || dx.elements() == 0) return {};
    const bool sharded = context.is_sharded() && dy[0] == context.rows, half = element == memory::data_type::bf16;
    const SingleThreaded single;
    std::optional<memory::desc> weights;
    std::string name;
    memory::dims after = g.after;
    for (int i = 0; i < 2; ++i) {
        const std::int64_t kernel_extent = (w[2 + i] - 1) * (g.dilation[static_cast<std::size_t>(i)] + 1) + 1;
        after[static_cast<std::size_t>(i)] = (dy[2 + i] - 1) * g.stride[static_cast<std::size_t>(i)] + kernel_extent - dx[2 + i] - g.before[static_cast<std::size_t>(i)];
    }
    const ConvLines lines{dy[2], dx[2], g.stride[0], (w[2] - 1) * (g.dilation[0] + 1) + 1, g.before[0], after[0]};
    const std::vector<ConvPiece> pieces = pieces_of(context, lines, true, sharded, dx, dy.elements() * w[1] * w[2] * w[3], w.elements());
    std::map<PieceSize, Sized, std::greater<>> sized;
    for (const ConvPiece& piece : pieces) sized[piece.size()];
    try {
        for (auto& [size, s] : sized) {
            const auto [samples, dx_lines, dy_lines, before_h, after_h] = size;
            const memory::desc source = channels_last_desc({samples, dx[1], dx_lines, dx[3]}, element), target = channels_last_desc({samples, dy[1], dy_lines, dy[3]}, element);
            const memory::dims before{before_h, g.before[1]}, behind{after_h, after[1]};
            const auto create = [&](const memory::desc& weight) {
                const dnnl::convolution_forward::primitive_desc hint(
                    {prop_kind::forward_training, algorithm::convolution_direct, source, memory::desc(weight_dims(w, g.groups), element, any), target, g.stride, g.dilation, before, behind}, engine());
                return dnnl::convolution_backward_data::primitive_desc({algorithm::convolution_direct, source, weight, target, g.stride, g.dilation, before, behind}, planned_scratch(), engine(), hint);
            };
            const auto pd = create(weights ? *weights : memory::desc(weight_dims(w, g.groups), element, any));
            weights.emplace(pd.weights_desc());
            name = pd.impl_info_str();
            if (half && is_slow(pd.impl_info_str())) return {};
            s = {dnnl::convolution_backward_data(pd), pd.diff_dst_desc(), pd.weights_desc(), pd.diff_src_desc(), {}, pd.scratchpad_desc()};
        }
    } catch (const dnnl::error&) {
        return {};
    }
    std::size_t scratch = 0;
    for (const auto& [size, s] : sized) scratch = std::max(scratch, (s.scratch.get_size() + 63) / 64 * 64);
    Kernel kernel;
    kernel.name = name;
    kernel.in.resize(node.inputs.size());
    kernel.in[0] = map_layout(dy, half);
    kernel.in[1] = half ? packed_bf16(*weights, w, g.groups) : weight_layout(*weights, w, g.groups);
    kernel.out = {map_layout(dx, half)};
    const std::int64_t width = half ? 2 : 4, dy_line = dy[1] * dy[3] * width, dx_line = dx[1] * dx[3] * width, dy_row = dy_line * dy[2], dx_row = dx_line * dx[2];  // bytes
    kernel.scratch_bytes = scratch * pieces.size();
    Phase phase{.kind = sharded ? Phase::Kind::rows : Phase::Kind::split, .parts = static_cast<int>(pieces.size()), .row_reads = sharded ? 1u : 0u, .uses_scratch = scratch > 0};
    phase.run = [=](const KernelArgs& args, const Part& part) {
        const ConvPiece& piece = pieces[static_cast<std::size_t>(part.index)];
        const Sized& s = sized.at(piece.size());
        execute(s.primitive, {{DNNL_ARG_DIFF_DST, &s.a, args.in[0] + piece.sample * dy_row + piece.in_line * dy_line},
                              {DNNL_ARG_WEIGHTS, &s.b, args.in[1]},
                              {DNNL_ARG_DIFF_SRC, &s.c, args.out[0] + piece.sample * dx_row + piece.line * dx_line},
                              {DNNL_ARG_SCRATCHPAD, &s.scratch, scratch ? args.scratch + scratch * static_cast<std::size_t>(part.index) : nullptr}});
    };
    kernel.phases = {std::move(phase)};
    return kernel;
}

}  // namespace

std::optional<Kernel> plan_conv2d_backward_input(const Node& node, const PlanContext& context) {
    const Shape &dy = node.inputs[0].shape(), &w = node.inputs[1].shape(), &dx = node.outputs[0].shape;
    const bool half = suits_bf16(context, dx, dy);
    const DirectWork work = work_of(dx, w, dy);
    std::vector<Way> ways;
    if (const auto cost = winograd_backward_input_cost(node, context)) ways.push_back({"winograd", *cost, [&] { return plan_winograd_backward_input(node, context); }});
    if (half) ways.push_back({"onednn bf16", work.in_bf16(context), [&] { return plan_backward_input(node, context, memory::data_type::bf16); }});
    ways.push_back({"onednn", work.in_f32(context) + detour(context, half, false, work), [&] { return plan_backward_input(node, context, f32); }});
    return take_best(node, context, std::move(ways));
}

namespace {

/// The pieces of the sum a weight gradient is: a function of shapes alone, so that the order of every sum is.
struct SumPieces {
    std::vector<ConvPiece> pieces;
    bool is_by_rows = false;  ///< the program's parts
};
SumPieces pieces_of_sum(const PlanContext& context, const Geometry& g, const Shape& x, const Shape& dy, const Shape& w) {
    ConvLines lines{x[2], dy[2], g.stride[0], (w[2] - 1) * (g.dilation[0] + 1) + 1, g.before[0], 0};
    lines.after = std::max<std::int64_t>(0, (lines.out - 1) * lines.stride + lines.extent - lines.before - lines.in);
    if (context.is_sharded() && x[0] == context.rows) {
        const int parts = gradient_parts(context, w.elements(), dy.elements());
        return parts < context.parts() ? SumPieces{grouped(lines, x[0], parts)} : SumPieces{row_pieces(context, lines), true};
    }
    constexpr std::int64_t stripe_macs = 4 << 20, most_stripes = 4;
    const std::int64_t macs = dy.elements() / dy[0] * w[1] * w[2] * w[3];
    return {striped(lines, x[0], std::clamp<std::int64_t>(macs / stripe_macs, 1, most_stripes))};
}

/// The gradient is f32 whatever the maps are.
std::optional<Kernel> plan_backward_weight(const Node& node, const PlanContext& context, memory::data_type element) {
    const Geometry g(node.attrs);
    const Shape &x = node.inputs[0].shape(), &dy = node.inputs[1].shape(), &w = node.outputs[0].shape;
    const bool has_bias = node.outputs.size() > 1;
    if (!g.is_supported || dy.elements() == 0) return {};
    const bool half = element == memory::data_type::bf16;
    const SingleThreaded single;
    const auto [slabs, is_by_rows] = pieces_of_sum(context, g, x, dy, w);
    const std::int64_t width_reach = (dy[3] - 1) * g.stride[1] + (w[3] - 1) * (g.dilation[1] + 1) + 1;
    const std::int64_t width_after = std::max<std::int64_t>(0, width_reach - x[3] - g.before[1]);
    // The gradient is wanted as the weight lies, so that the update needs no reorder.
    const memory::desc like = weight_desc(context.layout(node.inputs[2]), w, g.groups);
    std::map<PieceSize, Sized, std::greater<>> sized;
    for (const ConvPiece& slab : slabs) sized[slab.size()];
    std::optional<memory::desc> weights;
    std::string name;
    try {
        for (auto& [size, s] : sized) {
            const auto [samples, lines, in_lines, before_h, after_h] = size;
            const memory::desc source = channels_last_desc({samples, x[1], in_lines, x[3]}, element), target = channels_last_desc({samples, dy[1], lines, dy[3]}, element);
            const memory::desc bias = has_bias ? plain_desc({w[0]}) : memory::desc();
            const memory::desc free(weight_dims(w, g.groups), f32, any);
            const memory::dims before{before_h, g.before[1]}, after{after_h, width_after};
            const dnnl::convolution_forward::primitive_desc hint({prop_kind::forward_training, algorithm::convolution_direct, source, memory::desc(weight_dims(w, g.groups), element, any), bias, target,
                                                             g.stride, g.dilation, before, after}, engine());
            const auto create = [&](const memory::desc& weight) {
                return dnnl::convolution_backward_weights::primitive_desc({algorithm::convolution_direct, source, weight, bias, target, g.stride, g.dilation, before, after}, planned_scratch(),
                                                                          engine(), hint);
            };
            auto pd = create(weights ? *weights : free);
            if (!weights && !(pd.diff_weights_desc() == like)) {
                try {
                    const auto same = create(like);
                    if (std::string_view(same.impl_info_str()) == pd.impl_info_str()) pd = same;
                } catch (const dnnl::error&) {
                    // no kernel for that layout: the small reorder of the sum it is
                }
            }
            weights.emplace(pd.diff_weights_desc());
            name = pd.impl_info_str();
            if (half && is_slow(pd.impl_info_str())) return {};
            s = {dnnl::convolution_backward_weights(pd), pd.src_desc(), pd.diff_dst_desc(), pd.diff_weights_desc(), pd.diff_bias_desc(), pd.scratchpad_desc()};
        }
    } catch (const dnnl::error&) {
        return {};
    }
    std::size_t scratch = 0;
    for (const auto& [size, s] : sized) scratch = std::max(scratch, (s.scratch.get_size() + 63) / 64 * 64);
    const std::size_t weight_bytes = (weights->get_size() + 63) / 64 * 64, bias_bytes = has_bias ? (static_cast<std::size_t>(w[0]) * 4 + 63) / 64 * 64 : 0;
    const std::size_t part_bytes = scratch + weight_bytes + bias_bytes;

    Kernel kernel;
    kernel.name = name;
    kernel.in = {map_layout(x, half), map_layout(dy, half), nullptr};
    kernel.out = {weight_layout(*weights, w, g.groups)};
    if (has_bias) kernel.out.push_back(nullptr);
    const int parts = static_cast<int>(slabs.size());
    kernel.scratch_bytes = part_bytes * static_cast<std::size_t>(parts);
    const std::int64_t width = half ? 2 : 4, x_line = x[3] * x[1] * width, dy_line = dy[3] * dy[1] * width, x_row = x_line * x[2], dy_row = dy_line * dy[2];  // bytes
    kernel.phases.push_back({.kind = is_by_rows ? Phase::Kind::rows : Phase::Kind::split, .parts = parts, .row_reads = is_by_rows ? 0b11u : 0u, .writes = 0, .uses_scratch = true,
                             .run = [=, slabs = slabs](const KernelArgs& args, const Part& part) {
                                 std::byte* mine = args.scratch + part_bytes * static_cast<std::size_t>(part.index);
                                 const ConvPiece& slab = slabs[static_cast<std::size_t>(part.index)];
                                 const Sized& s = sized.at(slab.size());
                                 execute(s.primitive, {{DNNL_ARG_SRC, &s.a, args.in[0] + slab.sample * x_row + slab.in_line * x_line},
                                                       {DNNL_ARG_DIFF_DST, &s.b, args.in[1] + slab.sample * dy_row + slab.line * dy_line},
                                                       {DNNL_ARG_DIFF_WEIGHTS, &s.c, mine},
                                                       {DNNL_ARG_DIFF_BIAS, &s.bias, has_bias ? mine + weight_bytes : nullptr},
                                                       {DNNL_ARG_SCRATCHPAD, &s.scratch, scratch ? mine + weight_bytes + bias_bytes : nullptr}});
                             }});
    const std::int64_t count = static_cast<std::int64_t>(weights->get_size() / 4);
    kernel.phases.push_back({.kind = Phase::Kind::split, .parts = split_parts(count, 4 * parts), .reads = 0, .uses_scratch = true,
                             .run = [=, channels = w[0]](const KernelArgs& args, const Part& part) {
                                 const auto [begin, end] = piece(part, count);
                                 simd().sum_parts(as_f32(args.out[0]) + begin, as_f32(args.scratch) + begin, static_cast<std::int64_t>(part_bytes / 4), parts, end - begin);
                                 if (has_bias && part.index == 0)
                                     simd().sum_parts(as_f32(args.out[1]), as_f32(args.scratch + weight_bytes), static_cast<std::int64_t>(part_bytes / 4), parts, channels);
                             }});
    return kernel;
}

}  // namespace

std::optional<Kernel> plan_conv2d_backward_weight(const Node& node, const PlanContext& context) {
    const Shape &x = node.inputs[0].shape(), &dy = node.inputs[1].shape(), &w = node.outputs[0].shape;
    const bool half = suits_bf16(context, x, dy);
    const DirectWork work = work_of(x, w, dy);
    const double direct = work.sums + detour(context, half, false, work);
    std::vector<Way> ways;
    if (const auto cost = winograd_backward_weight_cost(node, context)) ways.push_back({"winograd", *cost, [&] { return plan_winograd_backward_weight(node, context); }});
    if (half) ways.push_back({"onednn bf16", work.in_bf16(context), [&] { return plan_backward_weight(node, context, memory::data_type::bf16); }});
    if (suits_thin_gradient(node)) ways.push_back({"thin", 0.5 * direct, [&] { return plan_thin_conv2d_backward_weight(node, context); }});
    ways.push_back({"onednn", direct, [&] { return plan_backward_weight(node, context, f32); }});
    return take_best(node, context, std::move(ways));
}

}  // namespace fovea::cpu
