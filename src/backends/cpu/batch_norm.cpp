// Batch norm in training: sums per part of the batch, a small serial step in doubles, then one pass that normalises, adds and rectifies.
// The reverse pass likewise: two sums, then one pass. Neither depends on the number of threads.
#include <cmath>

#include "backends/cpu/bf16.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"
#include "ops/over_ranks.h"

namespace fovea::cpu {

namespace {

/// A batch-norm problem seen as rows of channels.
struct Rows {
    std::int64_t channels, per_sample, samples;
    explicit Rows(const Shape& x) : channels(x[1]), per_sample(x.elements(2, x.rank())), samples(x[0]) {}
    [[nodiscard]] std::int64_t stride() const { return channels * per_sample; }
    /// The rows of a part, whose input and output lie as given.
    [[nodiscard]] NormRows of(const Part& part, std::int64_t x_pixel, std::int64_t y_pixel, std::int64_t dy_pixel = 0) const {
        return {(part.end - part.begin) * per_sample, channels, x_pixel, y_pixel, dy_pixel};
    }
    [[nodiscard]] double count() const { return static_cast<double>(samples * per_sample); }
};

/// [N, C, H, W] channels last, or [N, C]: the shapes whose channels are innermost here.
bool is_rows(const Shape& x, const PlanContext& context) { return (x.rank() == 4 || x.rank() == 2) && x[0] == context.rows && x.elements() > 0; }
/// Elements to sample `sample` of a value that lies as `pixel` says.
std::int64_t start_of(const Rows& rows, std::int64_t sample, std::int64_t pixel) { return sample * rows.per_sample * pixel; }

struct Scratch {
    std::int64_t channels;
    int parts;
    // per part: two double sums and one float pivot per channel; then three float coefficients per channel
    [[nodiscard]] std::size_t part_bytes() const { return static_cast<std::size_t>((channels * 20 + 63) / 64 * 64); }
    [[nodiscard]] std::size_t bytes() const { return part_bytes() * static_cast<std::size_t>(parts) + static_cast<std::size_t>(channels) * 12; }
    [[nodiscard]] double* sums(std::byte* base, int part) const { return reinterpret_cast<double*>(base + part_bytes() * static_cast<std::size_t>(part)); }
    [[nodiscard]] double* second(std::byte* base, int part) const { return sums(base, part) + channels; }
    [[nodiscard]] float* pivot(std::byte* base, int part) const { return reinterpret_cast<float*>(second(base, part) + channels); }
    [[nodiscard]] float* coefficient(std::byte* base, int which) const {
        return reinterpret_cast<float*>(base + part_bytes() * static_cast<std::size_t>(parts)) + which * channels;
    }
};

/// y = scale x + shift over a part's rows, with the residual (input 5) and the ReLU behind it.
auto apply_to_part(const Rows& rows, bool half, std::int64_t x_pixel, std::int64_t y_pixel, bool has_residual, bool relu) {
    return [=](const KernelArgs& args, const Part& part, const float* scale, const float* shift) {
        with_element(half, [&]<class E>(E) {
            const E* residual = has_residual ? as<E>(args.in[5]) + part.begin * rows.stride() : nullptr;
            simd().maps<E>().norm_apply(as<E>(args.out[0]) + start_of(rows, part.begin, y_pixel), as<E>(args.in[0]) + start_of(rows, part.begin, x_pixel), residual, scale, shift,
                                        rows.of(part, x_pixel, y_pixel), relu);
        });
    };
}

}  // namespace

std::optional<Kernel> plan_batch_norm(const Node& node, const PlanContext& context) {
    const Shape& x = node.outputs[0].shape;
    if (!is_rows(x, context)) return {};
    const Rows rows(x);
    const bool half = is_half(node.inputs[0], context);
    const Layout layout = map_layout(x, half);
    const Scratch scratch{rows.channels, context.parts()};
    const double eps = node.attrs.real("eps"), momentum = node.attrs.real("momentum");
    const bool relu = node.attrs.text("activation") == "relu", has_residual = node.inputs.size() > 5;
    Kernel kernel;
    kernel.name = std::string("simd:") + simd().name;
    kernel.in.resize(node.inputs.size());
    kernel.in[0] = source_of(node.inputs[0], context, half);
    if (has_residual) kernel.in[5] = layout;
    kernel.out = {home_of(node, 0, context, half), nullptr, nullptr, nullptr, nullptr};
    const std::int64_t x_pixel = pixel_stride(kernel.in[0], x), y_pixel = pixel_stride(kernel.out[0], x);
    const auto apply = apply_to_part(rows, half, x_pixel, y_pixel, has_residual, relu);
    kernel.in_place = {has_residual ? 5 : -1, -1, -1, 3, 4};
    kernel.scratch_bytes = scratch.bytes();
    kernel.phases.push_back({.kind = Phase::Kind::rows, .reads = 1, .row_reads = 1, .writes = 0, .uses_scratch = true, .run = [=](const KernelArgs& args, const Part& part) {
                                 with_element(half, [&]<class E>(E) {
                                     simd().maps<E>().norm_sums(as<E>(args.in[0]) + start_of(rows, part.begin, x_pixel), rows.of(part, x_pixel, y_pixel),
                                                                scratch.pivot(args.scratch, part.index), scratch.sums(args.scratch, part.index), scratch.second(args.scratch, part.index));
                                 });
                             }});
    const bool is_synchronised = node.attrs.flag("synchronised");
    kernel.phases.push_back({.reads = 0b11110, .writes = 0b11110, .uses_scratch = true, .is_collective = is_synchronised, .run = [=, bounds = context.row_bounds](const KernelArgs& args, const Part&) {
                                 ChannelMoments moments{rows.count(), std::vector<double>(static_cast<std::size_t>(rows.channels)), std::vector<double>(static_cast<std::size_t>(rows.channels))};
                                 for (std::int64_t c = 0; c < rows.channels; ++c) {
                                     // Chan et al. 1979: means and squared deviations of the parts, joined in order.
                                     double mean = 0, deviation = 0, count = 0;
                                     for (int p = 0; p < scratch.parts; ++p) {
                                         const double n = static_cast<double>((bounds[static_cast<std::size_t>(p) + 1] - bounds[static_cast<std::size_t>(p)]) * rows.per_sample);
                                         const double sum = scratch.sums(args.scratch, p)[c], square = scratch.second(args.scratch, p)[c];
                                         const double part_mean = scratch.pivot(args.scratch, p)[c] + sum / n, part_deviation = square - sum * sum / n, delta = part_mean - mean;
                                         deviation += part_deviation + delta * delta * count * n / (count + n);
                                         mean += delta * n / (count + n);
                                         count += n;
                                     }
                                     moments.mean[static_cast<std::size_t>(c)] = mean;
                                     moments.deviation[static_cast<std::size_t>(c)] = deviation;
                                 }
                                 if (is_synchronised) join_over_ranks(args.place, moments);
                                 const double count = moments.count;
                                 for (std::int64_t c = 0; c < rows.channels; ++c) {
                                     const double mean = moments.mean[static_cast<std::size_t>(c)], var = std::max(0.0, moments.deviation[static_cast<std::size_t>(c)] / count), inv_std = 1 / std::sqrt(var + eps);
                                     as_f32(args.out[1])[c] = static_cast<float>(mean);
                                     as_f32(args.out[2])[c] = static_cast<float>(inv_std);
                                     as_f32(args.out[3])[c] = static_cast<float>((1 - momentum) * as_f32(args.in[3])[c] + momentum * mean);
                                     as_f32(args.out[4])[c] = static_cast<float>((1 - momentum) * as_f32(args.in[4])[c] + momentum * var * count / std::max(1.0, count - 1));
                                 }
                                 simd().norm_coefficients(scratch.coefficient(args.scratch, 0), scratch.coefficient(args.scratch, 1), as_f32(args.in[1]), as_f32(args.in[2]),
                                                          as_f32(args.out[1]), as_f32(args.out[2]), rows.channels);
                             }});
    kernel.phases.push_back({.kind = Phase::Kind::rows, .reads = 0b100001, .row_reads = 0b100001, .writes = 1, .uses_scratch = true, .run = [=](const KernelArgs& args, const Part& part) {
                                 apply(args, part, scratch.coefficient(args.scratch, 0), scratch.coefficient(args.scratch, 1));
                             }});
    return kernel;
}

std::optional<Kernel> plan_batch_norm_apply(const Node& node, const PlanContext& context) {
    const Shape& x = node.outputs[0].shape;
    if (!is_rows(x, context)) return {};
    const Rows rows(x);
    const bool half = is_half(node.inputs[0], context);
    const Layout layout = map_layout(x, half);
    const bool relu = node.attrs.text("activation") == "relu", has_residual = node.inputs.size() > 5;
    Kernel kernel;
    kernel.name = std::string("simd:") + simd().name;
    kernel.in.resize(node.inputs.size());
    kernel.in[0] = source_of(node.inputs[0], context, half);
    if (has_residual) kernel.in[5] = layout;
    kernel.out = {home_of(node, 0, context, half)};
    kernel.in_place = {has_residual ? 5 : 0};
    kernel.workspace_bytes = static_cast<std::size_t>(rows.channels) * 8;
    const std::int64_t x_pixel = pixel_stride(kernel.in[0], x), y_pixel = pixel_stride(kernel.out[0], x);
    const auto apply = apply_to_part(rows, half, x_pixel, y_pixel, has_residual, relu);
    // One phase by rows, with its own coefficients: it shares a stage with the gradient that wants y.
    kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 0b100001, .run = [=](const KernelArgs& args, const Part& part) {
                                 float *scale = as_f32(args.workspace), *shift = scale + rows.channels;
                                 simd().norm_coefficients(scale, shift, as_f32(args.in[1]), as_f32(args.in[2]), as_f32(args.in[3]), as_f32(args.in[4]), rows.channels);
                                 apply(args, part, scale, shift);
                             }});
    return kernel;
}

std::optional<Kernel> plan_batch_norm_backward(const Node& node, const PlanContext& context) {
    const Shape& x = node.outputs[0].shape;
    if (!is_rows(x, context)) return {};
    const Rows rows(x);
    const bool half = is_half(node.inputs[0], context);
    const Layout layout = map_layout(x, half);
    const Scratch scratch{rows.channels, context.parts()};
    const auto given = [&](std::size_t i) { return node.inputs.size() > i && !node.inputs[i].is_empty(); };
    const bool has_mask = given(5), has_beta = given(6), has_residual = node.outputs.size() > 3;
    // Beta says where a ReLU was open: every part makes the coefficients of y again, a few operations per channel.
    const auto mask_of = [=]<class E>(E, const KernelArgs& args, std::int64_t at) {
        if (!has_beta) return NormMask<E>{.y = has_mask ? as<E>(args.in[5]) + at : nullptr};
        float *scale = as_f32(args.workspace), *shift = scale + rows.channels;
        simd().norm_coefficients(scale, shift, as_f32(args.in[2]), as_f32(args.in[6]), as_f32(args.in[3]), as_f32(args.in[4]), rows.channels);
        return NormMask<E>{.scale = scale, .shift = shift};
    };
    Kernel kernel;
    kernel.name = std::string("simd:") + simd().name;
    kernel.in.resize(node.inputs.size());
    kernel.in[0] = source_of(node.inputs[0], context, half);
    kernel.in[1] = source_of(node.inputs[1], context, half);
    if (has_mask) kernel.in[5] = source_of(node.inputs[5], context, half);
    const std::int64_t x_pixel = pixel_stride(kernel.in[0], x), dy_pixel = pixel_stride(kernel.in[1], x), y_pixel = has_mask ? pixel_stride(kernel.in[5], x) : 0;
    kernel.out = {layout, nullptr, nullptr};
    kernel.in_place = {has_residual ? -1 : 1, -1, -1};
    if (has_residual) {
        kernel.out.push_back(layout);
        kernel.in_place.push_back(1);
    }
    kernel.scratch_bytes = scratch.bytes();
    if (has_beta) kernel.workspace_bytes = static_cast<std::size_t>(rows.channels) * 8;
    kernel.phases.push_back({.kind = Phase::Kind::rows, .reads = has_beta ? 0b1011111u : 0b111011u, .row_reads = 0b100011, .writes = 0, .uses_scratch = true, .run = [=](const KernelArgs& args, const Part& part) {
                                 with_element(half, [&]<class E>(E e) {
                                     simd().maps<E>().norm_backward_sums(as<E>(args.in[0]) + start_of(rows, part.begin, x_pixel), as<E>(args.in[1]) + start_of(rows, part.begin, dy_pixel),
                                                                         mask_of(e, args, start_of(rows, part.begin, y_pixel)), as_f32(args.in[3]), rows.of(part, x_pixel, y_pixel, dy_pixel),
                                                                         scratch.sums(args.scratch, part.index), scratch.second(args.scratch, part.index));
                                 });
                             }});
    const bool is_synchronised = node.attrs.flag("synchronised");
    kernel.phases.push_back({.reads = 0b11100, .writes = 0b110, .uses_scratch = true, .is_collective = is_synchronised, .run = [=](const KernelArgs& args, const Part&) {
                                 ChannelSums sums{rows.count(), std::vector<double>(static_cast<std::size_t>(rows.channels)), std::vector<double>(static_cast<std::size_t>(rows.channels))};
                                 for (std::int64_t c = 0; c < rows.channels; ++c) {
                                     double &sum = sums.first[static_cast<std::size_t>(c)], &product = sums.second[static_cast<std::size_t>(c)];
                                     for (int p = 0; p < scratch.parts; ++p) sum += scratch.sums(args.scratch, p)[c], product += scratch.second(args.scratch, p)[c];
                                     // Of scale and shift each rank gives its own part: they are added up with all other gradients.
                                     as_f32(args.out[1])[c] = static_cast<float>(product * as_f32(args.in[4])[c]);
                                     as_f32(args.out[2])[c] = static_cast<float>(sum);
                                 }
                                 if (is_synchronised) add_over_ranks(args.place, sums);
                                 for (std::int64_t c = 0; c < rows.channels; ++c) {
                                     const double sum = sums.first[static_cast<std::size_t>(c)], product = sums.second[static_cast<std::size_t>(c)];
                                     const double inv_std = as_f32(args.in[4])[c], a = as_f32(args.in[2])[c] * inv_std;
                                     const double b = -a * inv_std * inv_std * product / sums.count;
                                     scratch.coefficient(args.scratch, 0)[c] = static_cast<float>(a);
                                     scratch.coefficient(args.scratch, 1)[c] = static_cast<float>(b);
                                     scratch.coefficient(args.scratch, 2)[c] = static_cast<float>(sum / sums.count);
                                 }
                             }});
    kernel.phases.push_back({.kind = Phase::Kind::rows, .reads = has_beta ? 0b1011111u : 0b101011u, .row_reads = 0b100011, .writes = 0b1001, .uses_scratch = true, .run = [=](const KernelArgs& args, const Part& part) {
                                 const std::int64_t at = part.begin * rows.stride();
                                 with_element(half, [&]<class E>(E e) {
                                     simd().maps<E>().norm_backward_apply(as<E>(args.out[0]) + at, has_residual ? as<E>(args.out[3]) + at : nullptr,
                                                                          as<E>(args.in[0]) + start_of(rows, part.begin, x_pixel), as<E>(args.in[1]) + start_of(rows, part.begin, dy_pixel),
                                                                          mask_of(e, args, start_of(rows, part.begin, y_pixel)), scratch.coefficient(args.scratch, 0),
                                                                          scratch.coefficient(args.scratch, 1), scratch.coefficient(args.scratch, 2), as_f32(args.in[3]),
                                                                          rows.of(part, x_pixel, y_pixel, dy_pixel));
                                 });
                             }});
    return kernel;
}

std::optional<Kernel> plan_batch_norm_inference(const Node& node, const PlanContext& context) {
    const Shape& x = node.outputs[0].shape;
    if (!is_rows(x, context)) return {};
    if (!context.stores_bf16)
        if (auto kernel = plan_normed_pointwise(node, context)) return kernel;
    const Rows rows(x);
    const bool half = is_half(node.inputs[0], context);
    const Layout layout = map_layout(x, half);
    const double eps = node.attrs.real("eps");
    const bool relu = node.attrs.text("activation") == "relu";
    const UnaryKernel activate = relu ? UnaryKernel{} : activation_kernel(node);
    const auto activate_half = activate && half ? through_f32(activate) : std::function<void(Bf16*, const Bf16*, std::int64_t)>{};
    Kernel kernel;
    kernel.name = std::string("simd:") + simd().name;
    kernel.in.resize(node.inputs.size());
    kernel.in[0] = source_of(node.inputs[0], context, half);
    kernel.out = {activate ? layout : home_of(node, 0, context, half)};
    kernel.in_place = {0};
    kernel.workspace_bytes = static_cast<std::size_t>(rows.channels) * 8;
    const std::int64_t x_pixel = pixel_stride(kernel.in[0], x), y_pixel = pixel_stride(kernel.out[0], x);
    // The coefficients are made again in each part: that is less than a barrier.
    kernel.phases.push_back(over_pixels(context, rows.samples, rows.per_sample, rows.channels * 8, 1, [=](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
        constexpr std::int64_t cached_floats = 4 << 10;  // an activation follows while they are in the first-level cache
        float *scale = as_f32(args.workspace), *shift = scale + rows.channels;
        simd().inference_coefficients(scale, shift, as_f32(args.in[1]), as_f32(args.in[2]), as_f32(args.in[3]), as_f32(args.in[4]), eps, rows.channels);
        const std::int64_t step = activate ? std::max<std::int64_t>(1, cached_floats / rows.channels) : end - begin;
        for (std::int64_t row = begin; row < end; row += step) {
            const std::int64_t count = std::min(step, end - row);
            with_element(half, [&]<class E>(E) {
                E* y = as<E>(args.out[0]) + row * y_pixel;
                simd().maps<E>().norm_apply(y, as<E>(args.in[0]) + row * x_pixel, nullptr, scale, shift, {count, rows.channels, x_pixel, y_pixel}, relu);
                if constexpr (sizeof(E) == 2) {
                    if (activate_half) activate_half(y, y, count * rows.channels);
                } else if (activate) {
                    activate(y, y, count * rows.channels);
                }
            });
        }
    }));
    return kernel;
}

}  // namespace fovea::cpu
