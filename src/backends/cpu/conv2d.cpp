// Convolution forward and both gradients on oneDNN. With enough rows each part of the batch runs a single-threaded primitive on its own
// rows: what the next node reads is still in that core's cache, and the partition (so every rounding) is the same for any thread count.
// Weight gradients of the parts are summed in a fixed order. With few rows oneDNN's own threads share the work, except in weight gradients:
// there it would sum in an order that depends on their number.
#include <array>

#include "backends/cpu/conv_primitives.h"
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

Layout planned_layout(const Value& weight, const PlanContext& context) { return context.is_undecided(weight) ? nullptr : context.layout(weight); }

}  // namespace

std::optional<Kernel> plan_conv2d(const Node& node, const PlanContext& context) {
    for (const auto planner : {plan_depthwise_conv2d, plan_thin_conv2d, plan_winograd, plan_direct_conv2d})
        if (auto kernel = planner(node, context)) return kernel;
    const Geometry g(node.attrs);
    const Shape &x = node.inputs[0].shape(), &w = node.inputs[1].shape(), &y = node.outputs[0].shape;
    const bool has_bias = node.inputs.size() > 2 && !node.inputs[2].is_empty(), has_residual = node.inputs.size() > 3 && !node.inputs[3].is_empty();
    if (!g.is_supported || y.elements() == 0) return {};
    const bool sharded = context.is_sharded() && x[0] == context.rows;

    dnnl::post_ops post;
    if (has_residual) post.append_sum(1.0f);
    const UnaryKernel activate = append_activation(post, node) ? UnaryKernel{} : activation_kernel(node);
    dnnl::primitive_attr attr = planned_scratch();
    attr.set_post_ops(post);

    const bool undecided = context.is_undecided(node.inputs[1]);
    BySize sized;
    std::optional<memory::desc> weights;
    if (!undecided) weights.emplace(weight_desc(planned_layout(node.inputs[1], context), w, g.groups));
    std::string name;
    const auto create = [&](std::int64_t rows, const memory::desc& weight) {
        return dnnl::convolution_forward::primitive_desc({prop_kind::forward_training, algorithm::convolution_direct, channels_last_desc(with_rows(x, rows)), weight,
                                                          has_bias ? plain_desc({w[0]}) : memory::desc(), channels_last_desc(with_rows(y, rows)), g.stride, g.dilation, g.before, g.after},
                                                         attr, engine());
    };
    const memory::desc free_weights(weight_dims(w, g.groups), f32, any);
    std::unique_ptr<SingleThreaded> single = !context.has_team() ? std::make_unique<SingleThreaded>() : nullptr;
    for (std::int64_t rows : part_sizes(context, sharded, x[0])) {
        auto pd = create(rows, weights ? *weights : free_weights);
        // A weight that lies badly for this kernel is better reordered than run by the slow one.
        if (weights && sized.empty() && is_slow(pd.impl_info_str())) {
            auto other = create(rows, free_weights);
            if (!is_slow(other.impl_info_str())) pd = other;
        }
        weights.emplace(pd.weights_desc());
        name = pd.impl_info_str();
        sized[rows] = {dnnl::convolution_forward(pd), pd.src_desc(), pd.weights_desc(), pd.dst_desc(), pd.bias_desc(), pd.scratchpad_desc()};
    }
    std::size_t scratch = 0;
    for (const auto& [rows, s] : sized) scratch = std::max(scratch, (s.scratch.get_size() + 63) / 64 * 64);

    Kernel kernel;
    kernel.name = name;
    kernel.in.resize(node.inputs.size());
    kernel.in[0] = channels_last(x);
    kernel.in[1] = weight_layout(*weights, w, g.groups);
    if (has_residual) kernel.in[3] = channels_last(y);
    kernel.out = {channels_last(y)};
    // The residual is added where the result goes: it is given up when nobody else reads it, copied otherwise.
    if (has_residual) kernel.in_place = {3};
    const std::int64_t x_row = x.elements() / x[0], y_row = y.elements() / y[0];
    Phase phase{.kind = sharded ? Phase::Kind::rows : context.has_team() ? Phase::Kind::team : Phase::Kind::split, .row_reads = sharded ? 0b1001u : 0u, .uses_scratch = false};
    kernel.scratch_bytes = scratch * static_cast<std::size_t>(sharded ? context.parts() : 1);
    phase.run = [sized, x_row, y_row, scratch, has_residual, all = x[0], sharded](const KernelArgs& args, const Part& part) {
        const std::int64_t begin = sharded ? part.begin : 0, rows = sharded ? part.end - part.begin : all;
        const Sized& s = sized.at(rows);
        float* y_data = as_f32(args.out[0]) + begin * y_row;
        if (has_residual) {
            const float* residual = as_f32(args.in[3]) + begin * y_row;
            if (residual != y_data) std::copy_n(residual, rows * y_row, y_data);
        }
        execute(s.primitive, {{DNNL_ARG_SRC, &s.a, as_f32(args.in[0]) + begin * x_row},
                              {DNNL_ARG_WEIGHTS, &s.b, args.in[1]},
                              {DNNL_ARG_BIAS, &s.bias, args.in.size() > 2 ? args.in[2] : nullptr},
                              {DNNL_ARG_DST, &s.c, y_data},
                              {DNNL_ARG_SCRATCHPAD, &s.scratch, scratch ? args.scratch + scratch * static_cast<std::size_t>(part.index) : nullptr}});
    };
    kernel.phases = {std::move(phase)};
    if (activate) kernel.phases.push_back(in_place_phase(context, y, activate));
    return kernel;
}

std::optional<Kernel> plan_conv2d_backward_input(const Node& node, const PlanContext& context) {
    if (auto kernel = plan_winograd_backward_input(node, context)) return kernel;
    const Geometry g(node.attrs);
    const Shape &dy = node.inputs[0].shape(), &w = node.inputs[1].shape(), &dx = node.outputs[0].shape;
    const bool has_bias = node.inputs.size() > 3 && !node.inputs[3].is_empty();
    if (!g.is_supported || has_bias || dx.elements() == 0) return {};
    const bool sharded = context.is_sharded() && dy[0] == context.rows;
    std::unique_ptr<SingleThreaded> single = !context.has_team() ? std::make_unique<SingleThreaded>() : nullptr;
    BySize sized;
    std::optional<memory::desc> weights;
    std::string name;
    memory::dims after = g.after;
    for (int i = 0; i < 2; ++i) {
        const std::int64_t kernel_extent = (w[2 + i] - 1) * (g.dilation[static_cast<std::size_t>(i)] + 1) + 1;
        after[static_cast<std::size_t>(i)] = (dy[2 + i] - 1) * g.stride[static_cast<std::size_t>(i)] + kernel_extent - dx[2 + i] - g.before[static_cast<std::size_t>(i)];
    }
    try {
        for (std::int64_t rows : part_sizes(context, sharded, dy[0])) {
            const memory::desc source = channels_last_desc(with_rows(dx, rows)), target = channels_last_desc(with_rows(dy, rows));
            const auto create = [&](const memory::desc& weight) {
                const dnnl::convolution_forward::primitive_desc hint(
                    {prop_kind::forward_training, algorithm::convolution_direct, source, memory::desc(weight_dims(w, g.groups), f32, any), target, g.stride, g.dilation, g.before, after}, engine());
                return dnnl::convolution_backward_data::primitive_desc({algorithm::convolution_direct, source, weight, target, g.stride, g.dilation, g.before, after}, planned_scratch(), engine(), hint);
            };
            const auto pd = create(weights ? *weights : memory::desc(weight_dims(w, g.groups), f32, any));
            weights.emplace(pd.weights_desc());
            name = pd.impl_info_str();
            sized[rows] = {dnnl::convolution_backward_data(pd), pd.diff_dst_desc(), pd.weights_desc(), pd.diff_src_desc(), {}, pd.scratchpad_desc()};
        }
    } catch (const dnnl::error&) {
        return {};
    }
    std::size_t scratch = 0;
    for (const auto& [rows, s] : sized) scratch = std::max(scratch, (s.scratch.get_size() + 63) / 64 * 64);
    Kernel kernel;
    kernel.name = name;
    kernel.in.resize(node.inputs.size());
    kernel.in[0] = channels_last(dy);
    kernel.in[1] = weight_layout(*weights, w, g.groups);
    kernel.out = {channels_last(dx)};
    kernel.scratch_bytes = scratch * static_cast<std::size_t>(sharded ? context.parts() : 1);
    Phase phase{.kind = sharded ? Phase::Kind::rows : context.has_team() ? Phase::Kind::team : Phase::Kind::split, .row_reads = sharded ? 1u : 0u};
    phase.run = [sized, scratch, dy_row = dy.elements() / dy[0], dx_row = dx.elements() / dx[0], all = dy[0], sharded](const KernelArgs& args, const Part& part) {
        const std::int64_t begin = sharded ? part.begin : 0, rows = sharded ? part.end - part.begin : all;
        const Sized& s = sized.at(rows);
        execute(s.primitive, {{DNNL_ARG_DIFF_DST, &s.a, as_f32(args.in[0]) + begin * dy_row},
                              {DNNL_ARG_WEIGHTS, &s.b, args.in[1]},
                              {DNNL_ARG_DIFF_SRC, &s.c, as_f32(args.out[0]) + begin * dx_row},
                              {DNNL_ARG_SCRATCHPAD, &s.scratch, scratch ? args.scratch + scratch * static_cast<std::size_t>(part.index) : nullptr}});
    };
    kernel.phases = {std::move(phase)};
    return kernel;
}

namespace {

/// A piece of the sum a weight gradient is: output lines [line, line + lines) of samples [sample, sample + samples), and the input lines
/// they read. Several samples go with whole maps, whose lines all lie in one stretch of memory.
struct Slab {
    std::int64_t sample, samples, line, lines, in_line, in_lines, before, after;
    [[nodiscard]] auto size() const { return std::array{samples, lines, in_lines, before, after}; }
};

/// The pieces: a function of shapes alone, so that the order of every sum is. With few rows the maps are cut into stripes.
std::vector<Slab> slabs_of(const PlanContext& context, const Geometry& g, const Shape& x, const Shape& dy, const Shape& w) {
    const std::int64_t stride = g.stride[0], extent = (w[2] - 1) * (g.dilation[0] + 1) + 1, before = g.before[0];
    const std::int64_t reach = (dy[2] - 1) * stride + extent - before;
    const std::int64_t after = std::max<std::int64_t>(0, reach - x[2]);
    std::vector<Slab> slabs;
    if (context.is_sharded() && x[0] == context.rows) {
        for (std::size_t p = 0; p + 1 < context.row_bounds.size(); ++p)
            slabs.push_back({context.row_bounds[p], context.row_bounds[p + 1] - context.row_bounds[p], 0, dy[2], 0, x[2], before, after});
        return slabs;
    }
    constexpr std::int64_t stripe_macs = 4 << 20, most_stripes = 4;
    const std::int64_t macs = dy.elements() / dy[0] * w[1] * w[2] * w[3];
    for (std::int64_t count = std::clamp<std::int64_t>(macs / stripe_macs, 1, std::min(most_stripes, dy[2])); count >= 1; --count) {
        slabs.clear();
        bool reads_something = true;
        for (std::int64_t n = 0; n < x[0]; ++n)
            for (std::int64_t s = 0; s < count; ++s) {
                const std::int64_t begin = dy[2] * s / count, end = dy[2] * (s + 1) / count, from = begin * stride - before, to = (end - 1) * stride - before + extent;
                const std::int64_t first = std::max<std::int64_t>(from, 0), last = std::min(to, x[2]);
                reads_something &= first < last;
                slabs.push_back({n, 1, begin, end - begin, first, last - first, first - from, to - last});
            }
        if (reads_something) return slabs;
    }
    return {{0, x[0], 0, dy[2], 0, x[2], before, after}};
}

}  // namespace

std::optional<Kernel> plan_conv2d_backward_weight(const Node& node, const PlanContext& context) {
    if (auto thin = plan_thin_conv2d_backward_weight(node, context)) return thin;
    if (auto kernel = plan_winograd_backward_weight(node, context)) return kernel;
    const Geometry g(node.attrs);
    const Shape &x = node.inputs[0].shape(), &dy = node.inputs[1].shape(), &w = node.outputs[0].shape;
    const bool has_bias = node.outputs.size() > 1;
    if (!g.is_supported || dy.elements() == 0) return {};
    const bool sharded = context.is_sharded() && x[0] == context.rows;
    const SingleThreaded single;
    const std::vector<Slab> slabs = slabs_of(context, g, x, dy, w);
    const std::int64_t width_reach = (dy[3] - 1) * g.stride[1] + (w[3] - 1) * (g.dilation[1] + 1) + 1;
    const std::int64_t width_after = std::max<std::int64_t>(0, width_reach - x[3] - g.before[1]);
    // The gradient is wanted as the weight lies, so that the update needs no reorder.
    const memory::desc like = weight_desc(context.layout(node.inputs[2]), w, g.groups);
    using Sizes = decltype(Slab{}.size());
    std::map<Sizes, Sized, std::greater<>> sized;
    for (const Slab& slab : slabs) sized[slab.size()];
    std::optional<memory::desc> weights;
    std::string name;
    try {
        for (auto& [size, s] : sized) {
            const auto [samples, lines, in_lines, before_h, after_h] = size;
            const memory::desc source = channels_last_desc({samples, x[1], in_lines, x[3]}), target = channels_last_desc({samples, dy[1], lines, dy[3]});
            const memory::desc bias = has_bias ? plain_desc({w[0]}) : memory::desc();
            const memory::desc free(weight_dims(w, g.groups), f32, any);
            const memory::dims before{before_h, g.before[1]}, after{after_h, width_after};
            const dnnl::convolution_forward::primitive_desc hint({prop_kind::forward_training, algorithm::convolution_direct, source, free, bias, target, g.stride, g.dilation, before, after}, engine());
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
    kernel.in = {channels_last(x), channels_last(dy), nullptr};
    kernel.out = {weight_layout(*weights, w, g.groups)};
    if (has_bias) kernel.out.push_back(nullptr);
    const int parts = static_cast<int>(slabs.size());
    kernel.scratch_bytes = part_bytes * static_cast<std::size_t>(parts);
    const std::int64_t x_row = x.elements() / x[0], dy_row = dy.elements() / dy[0], x_line = x[3] * x[1], dy_line = dy[3] * dy[1];
    kernel.phases.push_back({.kind = sharded ? Phase::Kind::rows : Phase::Kind::split, .parts = parts, .row_reads = sharded ? 0b11u : 0u, .writes = 0, .uses_scratch = true,
                             .run = [=](const KernelArgs& args, const Part& part) {
                                 std::byte* mine = args.scratch + part_bytes * static_cast<std::size_t>(part.index);
                                 const Slab& slab = slabs[static_cast<std::size_t>(part.index)];
                                 const Sized& s = sized.at(slab.size());
                                 execute(s.primitive, {{DNNL_ARG_SRC, &s.a, as_f32(args.in[0]) + slab.sample * x_row + slab.in_line * x_line},
                                                       {DNNL_ARG_DIFF_DST, &s.b, as_f32(args.in[1]) + slab.sample * dy_row + slab.line * dy_line},
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

}  // namespace fovea::cpu
