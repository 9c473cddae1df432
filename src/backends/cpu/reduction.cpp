// Sums: over everything (loss, gradient norm), over a map (global average pooling), over all but the channels (bias gradients); and the
// broadcasts that are their gradients.
#include "backends/cpu/bf16.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"

namespace fovea::cpu {

namespace {

std::vector<bool> reduced_axes(const Node& node) {
    const int rank = node.inputs[0].shape().rank();
    if (node.op->name == "sum_to") {
        // Shapes are aligned at their end; what is longer than the target is summed.
        const Shape &x = node.inputs[0].shape(), &y = node.outputs[0].shape;
        std::vector<bool> reduced(static_cast<std::size_t>(rank), true);
        for (int i = 1; i <= y.rank(); ++i) reduced[static_cast<std::size_t>(rank - i)] = y[-i] != x[-i];
        return reduced;
    }
    const auto axes = node.attrs.integers("axes");
    std::vector<bool> reduced(static_cast<std::size_t>(rank), axes.empty());
    for (std::int64_t axis : axes) reduced[static_cast<std::size_t>(axis < 0 ? axis + rank : axis)] = true;
    return reduced;
}

Kernel sum_of_everything(const Node& node, const PlanContext& context, float factor) {
    const Value& x = node.inputs[0];
    const Layout layout = context.is_undecided(x) ? nullptr : context.layout(x);
    const std::int64_t count = static_cast<std::int64_t>(bytes_of(x.type(), layout, DType::f32) / 4);  // padding holds zeros
    const int parts = split_parts(count, 4);
    Kernel kernel;
    kernel.name = "sum";
    kernel.in = {layout};
    kernel.out.resize(1);
    kernel.scratch_bytes = static_cast<std::size_t>(parts) * 8;
    kernel.phases.push_back({.parts = parts, .writes = 0, .uses_scratch = true, .run = [count](const KernelArgs& args, const Part& part) {
                                 const auto [begin, end] = piece(part, count);
                                 double total = 0;
                                 for (std::int64_t i = begin; i < end; i += 1024) {
                                     float lanes[16] = {};
                                     const std::int64_t stop = std::min(end, i + 1024);
                                     std::int64_t j = i;
                                     for (; j + 16 <= stop; j += 16)
                                         for (int l = 0; l < 16; ++l) lanes[l] += as_f32(args.in[0])[j + l];
                                     for (; j < stop; ++j) lanes[0] += as_f32(args.in[0])[j];
                                     for (float lane : lanes) total += static_cast<double>(lane);
                                 }
                                 reinterpret_cast<double*>(args.scratch)[part.index] = total;
                             }});
    kernel.phases.push_back({.reads = 0, .uses_scratch = true, .run = [parts, factor](const KernelArgs& args, const Part&) {
                                 double total = 0;
                                 for (int p = 0; p < parts; ++p) total += reinterpret_cast<const double*>(args.scratch)[p];
                                 as_f32(args.out[0])[0] = static_cast<float>(total * static_cast<double>(factor));
                             }});
    return kernel;
}

/// x as rows of channels: sums per sample or over all of them.
Kernel sum_of_maps(const Shape& x, bool half, float factor) {
    const std::int64_t channels = x[1], pixels = x[2] * x[3];
    Kernel kernel;
    kernel.name = std::string("simd:") + simd().name;
    kernel.in = {map_layout(x, half)};
    kernel.out.resize(1);
    kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 1, .run = [=](const KernelArgs& args, const Part& part) {
                                 for (std::int64_t n = part.begin; n < part.end; ++n) {
                                     float* to = as_f32(args.out[0]) + n * channels;
                                     with_element(half, [&]<class E>(E) { simd().maps<E>().column_sums(as<E>(args.in[0]) + n * pixels * channels, pixels, channels, to); });
                                     if (factor != 1) simd().scale_shift(to, to, factor, 0, channels);
                                 }
                             }});
    return kernel;
}

Kernel sum_per_channel(const Shape& x, bool half, const PlanContext& context, float factor) {
    const std::int64_t channels = x[1], pixels = x.elements(2, x.rank());
    const int parts = context.parts();
    Kernel kernel;
    kernel.name = std::string("simd:") + simd().name;
    kernel.in = {map_layout(x, half)};
    kernel.out.resize(1);
    kernel.scratch_bytes = static_cast<std::size_t>(parts * channels) * 4;
    kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 1, .writes = 0, .uses_scratch = true, .run = [=](const KernelArgs& args, const Part& part) {
                                 with_element(half, [&]<class E>(E) {
                                     simd().maps<E>().column_sums(as<E>(args.in[0]) + part.begin * pixels * channels, (part.end - part.begin) * pixels, channels,
                                                                  as_f32(args.scratch) + part.index * channels);
                                 });
                             }});
    kernel.phases.push_back({.reads = 0, .uses_scratch = true, .run = [=](const KernelArgs& args, const Part&) {
                                 simd().sum_parts(as_f32(args.out[0]), as_f32(args.scratch), channels, parts, channels);
                                 if (factor != 1) simd().scale_shift(as_f32(args.out[0]), as_f32(args.out[0]), factor, 0, channels);
                             }});
    return kernel;
}

/// The kernel reads input 0; the others are there for their shape.
Kernel with_inputs(Kernel kernel, const Node& node) {
    kernel.in.resize(node.inputs.size());
    return kernel;
}

/// Over the channels of each pixel.
Kernel sum_of_pixels(const Shape& x, const PlanContext& context, float factor) {
    const std::int64_t channels = x[1], per_sample = x[2] * x[3], all = x[0] * per_sample;
    const auto pixels = [=](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) as_f32(args.out[0])[i] = static_cast<float>(simd().sum(as_f32(args.in[0]) + i * channels, channels) * static_cast<double>(factor));
    };
    Kernel kernel;
    kernel.name = std::string("simd:") + simd().name;
    kernel.in = {channels_last(x)};
    kernel.out.resize(1);
    if (context.is_sharded())
        kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 1, .run = [=](const KernelArgs& args, const Part& part) { pixels(args, part.begin * per_sample, part.end * per_sample); }});
    else
        kernel.phases.push_back({.parts = split_parts(all, channels * 4), .run = [=](const KernelArgs& args, const Part& part) {
                                     const auto [begin, end] = piece(part, all);
                                     pixels(args, begin, end);
                                 }});
    return kernel;
}

std::optional<Kernel> plan_sum(const Node& node, const PlanContext& context) {
    const Shape& x = node.inputs[0].shape();
    if (x.elements() == 0 || node.inputs[0].dtype() != DType::f32) return {};
    const std::vector<bool> reduced = reduced_axes(node);
    // Summing a dimension of one is no work: a map of one pixel or channel takes the kernel of its shape either way.
    const auto is = [&](std::initializer_list<bool> wanted) {
        int d = 0;
        for (bool w : wanted) {
            if (reduced[static_cast<std::size_t>(d)] != w && x[d] != 1) return false;
            ++d;
        }
        return true;
    };
    const float factor = node.op->name == "mean" ? static_cast<float>(static_cast<double>(node.outputs[0].shape.elements()) / static_cast<double>(x.elements())) : 1.0f;
    if (node.outputs[0].shape.elements() == 1) return with_inputs(sum_of_everything(node, context, factor), node);
    const bool has_batch = x[0] == context.rows, half = is_half(node.inputs[0], context);
    if (x.rank() == 4 && has_batch && is({false, false, true, true})) return with_inputs(sum_of_maps(x, half, factor), node);
    if (x.rank() == 4 && has_batch && is({true, false, true, true})) return with_inputs(sum_per_channel(x, half, context, factor), node);
    if (x.rank() == 4 && has_batch && is({false, true, false, false})) return with_inputs(sum_of_pixels(x, context, factor), node);
    if (x.rank() == 2 && has_batch && is({true, false})) return with_inputs(sum_per_channel(x, half, context, factor), node);
    return {};
}

/// [N, C, 1, 1] repeated over a map, or a scalar over anything.
std::optional<Kernel> plan_expand(const Node& node, const PlanContext& context) {
    const Shape &x = node.inputs[0].shape(), &y = node.outputs[0].shape;
    if (node.outputs[0].dtype != DType::f32 || y.elements() == 0) return {};
    Kernel kernel;
    kernel.name = "expand";
    kernel.in.resize(node.inputs.size());
    if (x.elements() == 1) {
        kernel.out = {channels_last(y)};
        const std::int64_t count = y.elements();
        kernel.phases.push_back({.parts = split_parts(count, 4), .run = [count](const KernelArgs& args, const Part& part) {
                                     const auto [begin, end] = piece(part, count);
                                     std::fill(as_f32(args.out[0]) + begin, as_f32(args.out[0]) + end, as_f32(args.in[0])[0]);
                                 }});
        return kernel;
    }
    if (y.rank() == 4 && x.rank() == 4 && y[0] == context.rows && x == Shape{y[0], 1, y[2], y[3]}) {
        kernel.out = {channels_last(y)};
        kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 1, .run = [channels = y[1], pixels = y[2] * y[3]](const KernelArgs& args, const Part& part) {
                                     for (std::int64_t i = part.begin * pixels; i < part.end * pixels; ++i) std::fill_n(as_f32(args.out[0]) + i * channels, channels, as_f32(args.in[0])[i]);
                                 }});
        return kernel;
    }
    if (y.rank() != 4 || x.rank() != 4 || y[0] != context.rows || !(x == Shape{y[0], y[1], 1, 1})) return {};
    const bool half = context.stores_bf16 && y[2] * y[3] > 1;
    kernel.out = {map_layout(y, half)};
    kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 1, .run = [half, channels = y[1], pixels = y[2] * y[3]](const KernelArgs& args, const Part& part) {
                                 with_element(half, [&]<class E>(E) {
                                     for (std::int64_t n = part.begin; n < part.end; ++n) {
                                         E* to = as<E>(args.out[0]) + n * pixels * channels;
                                         if constexpr (sizeof(E) == 2) simd().to_bf16(to, as_f32(args.in[0]) + n * channels, channels);
                                         else std::copy_n(as_f32(args.in[0]) + n * channels, channels, to);
                                         for (std::int64_t i = 1; i < pixels; ++i) std::copy_n(to, channels, to + i * channels);
                                     }
                                 });
                             }});
    return kernel;
}

/// x * (elements of input 2 / elements of input 1), in whatever layout x has.
Kernel plan_divide_by_count(const Node& node, const PlanContext& context) {
    const Value& x = node.inputs[0];
    const Layout layout = context.layout(x);
    const float factor = static_cast<float>(static_cast<double>(node.inputs[2].shape().elements()) / static_cast<double>(std::max<std::int64_t>(1, node.inputs[1].shape().elements())));
    const std::int64_t count = static_cast<std::int64_t>(bytes_of(x.type(), layout, DType::f32) / 4);
    Kernel kernel;
    kernel.name = std::string("simd:") + simd().name;
    kernel.in = {layout, nullptr, nullptr};
    kernel.out = {layout};
    kernel.in_place = {0};
    const auto scale = [factor](const KernelArgs& args, std::int64_t begin, std::int64_t end) { simd().scale_shift(as_f32(args.out[0]) + begin, as_f32(args.in[0]) + begin, factor, 0, end - begin); };
    if (has_rows(x.shape(), layout, context))
        kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 1, .run = [scale, row = count / context.rows](const KernelArgs& args, const Part& part) { scale(args, part.begin * row, part.end * row); }});
    else
        kernel.phases.push_back({.parts = split_parts(count, 4), .run = [scale, count](const KernelArgs& args, const Part& part) {
                                     const auto [begin, end] = piece(part, count);
                                     scale(args, begin, end);
                                 }});
    return kernel;
}

}  // namespace

std::optional<Kernel> plan_reduction(const Node& node, const PlanContext& context) {
    if (auto kernel = plan_squeeze_excite(node, context)) return kernel;
    if (node.op->name == "sum" || node.op->name == "mean" || node.op->name == "sum_to") return plan_sum(node, context);
    if (node.op->name == "expand_to") return plan_expand(node, context);
    if (node.op->name == "divide_by_count") return plan_divide_by_count(node, context);
    return {};
}

}  // namespace fovea::cpu
