// The planners of the CPU backend: one per family of ops, each in its own file. A planner returns nothing for a node it does not support.
#pragma once

#include <optional>

#include "backends/cpu/epilogue.h"
#include "backends/cpu/bf16.h"
#include "backends/cpu/onednn.h"

namespace fovea::cpu {

[[nodiscard]] std::optional<Kernel> plan_conv2d(const Node& node, const PlanContext& context);
/// One filter per channel, before an activation that the kernel knows.
[[nodiscard]] std::optional<Kernel> plan_depthwise_conv2d(const Node& node, const PlanContext& context);
/// A convolution of single pixels together with the depthwise one that alone reads it.
[[nodiscard]] std::optional<Kernel> plan_expanded_depthwise(const Node& expand, const PlanContext& context);
/// The weights of a depthwise convolution as our kernel reads them: [R, S, C].
[[nodiscard]] Layout depthwise_weights(const Shape& weight);
/// Without groups, on our own direct kernel.
[[nodiscard]] std::optional<Kernel> plan_direct_conv2d(const Node& node, const PlanContext& context);
/// Convolutions with few channels, and the pooling after them; whether the node is one, and whether its weight gradient is.
[[nodiscard]] bool suits_thin_conv2d(const Node& node);
[[nodiscard]] bool suits_thin_gradient(const Node& node);
[[nodiscard]] std::optional<Kernel> plan_thin_conv2d(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_thin_conv2d_backward_weight(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_conv2d_backward_input(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_conv2d_backward_weight(const Node& node, const PlanContext& context);
/// Those of 3 x 3 kernels and stride 1, on our Winograd kernels; and what that costs (choice.h), nothing where there is no such kernel.
[[nodiscard]] std::optional<double> winograd_cost(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<double> winograd_backward_input_cost(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<double> winograd_backward_weight_cost(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_winograd(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_winograd_backward_input(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_winograd_backward_weight(const Node& node, const PlanContext& context);
/// The reorder into the layout the first two want their weights in; nothing for another `to`.
[[nodiscard]] std::optional<Kernel> plan_winograd_weights(const Type& type, const Layout& from, const Layout& to);
/// Convolutions of single pixels, some pixels at a time; source and result may be slices.
[[nodiscard]] std::optional<Kernel> plan_pointwise(const Node& node, const PlanContext& context);
/// The batch norm of inference together with the convolution of single pixels that alone reads it.
[[nodiscard]] std::optional<Kernel> plan_normed_pointwise(const Node& norm, const PlanContext& context);
/// The mean of each map through the two small layers that alone read it one after another: the gate of squeeze-and-excitation.
[[nodiscard]] std::optional<Kernel> plan_squeeze_excite(const Node& mean, const PlanContext& context);
/// A map times a value per sample and channel, through the convolution of single pixels that alone reads it.
[[nodiscard]] std::optional<Kernel> plan_gated_pointwise(const Node& multiply, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_linear(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_matmul(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_batch_norm(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_batch_norm_apply(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_batch_norm_backward(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_batch_norm_inference(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_pool(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_elementwise(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_reduction(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_resample(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_concat(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_softmax(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_lrn(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_shuffle(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_dropout(const Node& node, const PlanContext& context);
/// Drop-path between columns: a few numbers for the whole network.
[[nodiscard]] std::optional<Kernel> plan_choose_paths(const Node& node, const PlanContext& context);
/// Values of all ranks added up.
[[nodiscard]] std::optional<Kernel> plan_all_reduce(const Node& node, const PlanContext& context);
/// Element-by-element ops with operands that repeat over a map.
[[nodiscard]] std::optional<Kernel> plan_broadcast(const Node& node, const PlanContext& context);
/// The plain loops on the rows of each part, for ops that treat samples alone.
[[nodiscard]] std::optional<Kernel> plan_by_rows(const Node& node, const PlanContext& context);
[[nodiscard]] Kernel plan_reorder(const Type& type, const Layout& from, const Layout& to, const PlanContext& context);

/// The processor's name and the instructions oneDNN uses on it: "AMD EPYC, AVX512_CORE_BF16".
[[nodiscard]] std::string machine_name();

/// Whether the node is a convolution of single pixels: 1 x 1, stride 1, no padding, no groups.
[[nodiscard]] bool is_pointwise(const Node& node);

/// Elements [begin, begin + count) of an op that works element by element, on operands that all lie alike; those of rank 0 are passed whole.
using Slice = std::function<void(const KernelArgs&, std::int64_t begin, std::int64_t count)>;
/// Of an optimiser's update.
[[nodiscard]] Slice update_slice(const Node& update, DType real);
/// Whether an op that works element by element has a vector kernel, which goes over the pixels of slices as well.
[[nodiscard]] bool elementwise_reads_slices(const Node& node);

/// Where an output goes: the slice it is wanted in, else channels last.
[[nodiscard]] inline Layout home_of(const Node& node, int output, const PlanContext& context, bool half = false) {
    const Layout home = half ? nullptr : context.home(node, output);
    return home ? home : map_layout(node.outputs[static_cast<std::size_t>(output)].shape, half);
}
[[nodiscard]] inline bool is_slice(const Value& value, const PlanContext& context) {
    const Layout stored = context.stored(value);
    return stored && stored->is_slice();
}
/// Where an input comes from: the slice it is, else channels last.
[[nodiscard]] inline Layout source_of(const Value& value, const PlanContext& context, bool half = false) {
    return !half && is_slice(value, context) ? context.stored(value) : map_layout(value.shape(), half);
}

/// A phase over the pixels of `samples` maps, channels last: run(args, first pixel, last pixel) of the whole batch. By rows where there are
/// enough of them (inputs `row_reads` go by rows), in pieces of about `pixel_bytes` of work per pixel otherwise.
template <class F> [[nodiscard]] Phase over_pixels(const PlanContext& context, std::int64_t samples, std::int64_t per_sample, std::int64_t pixel_bytes, std::uint32_t row_reads, F run);

/// Whether a value can be cut along dimension 0 into the program's parts: it has that many rows and they lie one after another.
[[nodiscard]] bool has_rows(const Shape& shape, const Layout& layout, const PlanContext& context);

/// Range [begin, end) of piece `part.index` when `count` units are cut into `part.count` pieces.
[[nodiscard]] inline std::pair<std::int64_t, std::int64_t> piece(const Part& part, std::int64_t count) {
    return {count * part.index / part.count, count * (part.index + 1) / part.count};
}

/// Pieces for a split over `units` of about `unit_bytes`: enough to share out, not so many that calls dominate.
[[nodiscard]] inline int split_parts(std::int64_t units, std::int64_t unit_bytes) {
    constexpr std::int64_t piece_bytes = 32 << 10;
    return static_cast<int>(std::clamp<std::int64_t>(units * unit_bytes / piece_bytes, 1, std::min<std::int64_t>(16, std::max<std::int64_t>(1, units))));
}

template <class F> Phase over_pixels(const PlanContext& context, std::int64_t samples, std::int64_t per_sample, std::int64_t pixel_bytes, std::uint32_t row_reads, F run) {
    if (context.is_sharded() && samples == context.rows)
        return {.kind = Phase::Kind::rows, .row_reads = row_reads, .run = [=](const KernelArgs& args, const Part& part) { run(args, part.begin * per_sample, part.end * per_sample); }};
    const std::int64_t pixels = samples * per_sample;
    return {.parts = split_parts(pixels, pixel_bytes), .run = [=](const KernelArgs& args, const Part& part) {
                const auto [begin, end] = piece(part, pixels);
                run(args, begin, end);
            }};
}

/// y = f(x) on `count` elements; y may be x. Empty where the op has no vector kernel.
using UnaryKernel = std::function<void(float* y, const float* x, std::int64_t count)>;
[[nodiscard]] UnaryKernel unary_kernel(const std::string& op, const Attrs& attrs);
/// dx of the op "<activation>_backward" from dy and what its gradient reads (x or y).
using BackwardKernel = std::function<void(float* dx, const float* dy, const float* x, std::int64_t count)>;
[[nodiscard]] BackwardKernel backward_kernel(const std::string& op, const Attrs& attrs);
/// The activation a fused node ends in; empty when there is none.
[[nodiscard]] UnaryKernel activation_kernel(const Node& node);
/// The same in registers; nothing where our convolutions have no such epilogue.
[[nodiscard]] std::optional<Epilogue> epilogue_of(const Node& node);
/// The same as post-ops; false where oneDNN has none for it.
[[nodiscard]] bool append_activation(dnnl::post_ops& post, const Node& node);

[[nodiscard]] inline float* as_f32(std::byte* bytes) { return reinterpret_cast<float*>(bytes); }

/// A last phase that applies `f` to output 0, of shape y and without padding.
template <class Element> [[nodiscard]] Phase in_place_phase(const PlanContext& context, const Shape& y, std::function<void(Element*, const Element*, std::int64_t)> f) {
    const std::int64_t samples = y[0], per_sample = y.elements() / samples;
    Phase phase = over_pixels(context, samples, per_sample, 4, 0, [f = std::move(f)](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
        auto* all = reinterpret_cast<Element*>(args.out[0]);
        f(all + begin, all + begin, end - begin);
    });
    phase.reads = 0;
    return phase;
}

}  // namespace fovea::cpu
