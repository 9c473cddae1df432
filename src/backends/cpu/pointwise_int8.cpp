// Element-by-element ops on bytes: a piece becomes f32 in the first-level cache, our f32 kernels run on it, and what comes out is bytes
// again where it is rounded next. Maps cross memory as bytes.
#include <cmath>

#include "backends/cpu/int8.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"

namespace fovea::cpu {

namespace {

/// y = f(maps) on `pixels` pixels of sample n; `args` holds what is not a map.
using OnPixels = std::function<void(const KernelArgs& args, float* y, const float* const* maps, std::int64_t n, std::int64_t pixels)>;

struct Pointwise {
    OnPixels run;
    std::vector<std::size_t> maps;       ///< inputs of the output's shape
    std::uint32_t whole_reads = 0;       ///< inputs that are not
    std::uint32_t other_rows = 0;        ///< of these, those with a row per sample
    std::optional<Phase> before;         ///< what is made of the other inputs first, in scratch
    std::size_t scratch_bytes = 0;
};

std::optional<Pointwise> batch_norm(const Node& node) {
    const std::int64_t channels = node.outputs[0].shape[1];
    const double eps = node.attrs.real("eps");
    const bool relu = node.attrs.text("activation") == "relu";
    const UnaryKernel activate = relu ? UnaryKernel{} : activation_kernel(node);
    Pointwise op;
    op.maps = {0};
    op.scratch_bytes = static_cast<std::size_t>(channels) * 8;
    op.before = Phase{.reads = 0b11110, .writes = 0, .uses_scratch = true, .run = [=](const KernelArgs& args, const Part&) {
                          float* scale = as_f32(args.scratch);
                          for (std::int64_t c = 0; c < channels; ++c) {
                              const double s = as_f32(args.in[1])[c] / std::sqrt(static_cast<double>(as_f32(args.in[4])[c]) + eps);
                              scale[c] = static_cast<float>(s);
                              scale[channels + c] = static_cast<float>(as_f32(args.in[2])[c] - as_f32(args.in[3])[c] * s);
                          }
                      }};
    op.run = [=](const KernelArgs& args, float* y, const float* const* maps, std::int64_t, std::int64_t pixels) {
        simd().norm_apply(y, maps[0], nullptr, as_f32(args.scratch), as_f32(args.scratch) + channels, {pixels, channels, channels, channels}, relu);
        if (activate) activate(y, y, pixels * channels);
    };
    return op;
}

std::optional<Pointwise> pointwise_of(const Node& node) {
    const std::string& op = node.op->name;
    const Shape& y = node.outputs[0].shape;
    const std::int64_t channels = y[1];
    if (op == "batch_norm_inference") return batch_norm(node);
    if (node.inputs.size() == 1) {
        const UnaryKernel f = unary_kernel(op, node.attrs);
        if (!f) return {};
        return Pointwise{.run = [f, channels](const KernelArgs&, float* to, const float* const* maps, std::int64_t, std::int64_t pixels) { f(to, maps[0], pixels * channels); }, .maps = {0}};
    }
    if ((op != "add" && op != "multiply") || node.inputs.size() != 2) return {};
    const auto f = op == "add" ? simd().add : simd().multiply;
    if (node.inputs[0].shape() == y && node.inputs[1].shape() == y)
        return Pointwise{.run = [=](const KernelArgs&, float* to, const float* const* maps, std::int64_t, std::int64_t pixels) { f(to, maps[0], maps[1], pixels * channels); }, .maps = {0, 1}};
    // A value per sample and channel: squeeze-and-excitation.
    for (const std::size_t i : {0u, 1u})
        if (node.inputs[i].shape() == y && node.inputs[1 - i].shape() == Shape{y[0], y[1], 1, 1})
            return Pointwise{.run =
                                 [=](const KernelArgs& args, float* to, const float* const* maps, std::int64_t n, std::int64_t pixels) {
                                     const float* gate = as_f32(args.in[1 - i]) + n * channels;
                                     for (std::int64_t p = 0; p < pixels; ++p) f(to + p * channels, maps[0] + p * channels, gate, channels);
                                 },
                             .maps = {i}, .whole_reads = 1u << (1 - i), .other_rows = 1u << (1 - i)};
    return {};
}

}  // namespace

std::optional<Kernel> plan_int8_pointwise(const Node& node, const PlanContext& context) {
    const Shape& y = node.outputs[0].shape;
    if (!has_int8() || node.outputs.size() != 1 || y.rank() != 4 || y[0] != context.rows || y.elements() == 0 || node.outputs[0].dtype != DType::f32) return {};
    const auto op = pointwise_of(node);
    if (!op) return {};
    const Int8Output output(node, context);
    std::vector<const Int8Layout*> stored;
    bool any = output.is_bytes();
    for (const std::size_t i : op->maps) stored.push_back(stored_int8(node.inputs[i], context)), any |= stored.back() != nullptr;
    if (!any) return {};
    Kernel kernel;
    kernel.name = std::string("simd:") + int8_simd().name;
    kernel.in.resize(node.inputs.size());
    std::vector<std::optional<Grid>> grids;
    std::uint32_t reads = op->whole_reads, rows = op->other_rows;
    for (std::size_t m = 0; m < stored.size(); ++m) {
        const std::size_t i = op->maps[m];
        kernel.in[i] = stored[m] ? context.stored(node.inputs[i]) : channels_last(y);
        grids.push_back(stored[m] ? std::optional(stored[m]->grid()) : std::nullopt);
        reads |= 1u << i, rows |= 1u << i;
    }
    kernel.out = {output.layout};
    if (output.through) kernel.through = {output.through};
    const std::int64_t channels = y[1], pixels = y[2] * y[3], step = std::max<std::int64_t>(1, (2 << 10) / channels), floats = step * channels;
    kernel.workspace_bytes = static_cast<std::size_t>(floats) * 4 * (stored.size() + 1);
    kernel.scratch_bytes = op->scratch_bytes;
    if (op->before) kernel.phases.push_back(*op->before);
    Phase phase = over_pixels(context, y[0], pixels, channels * 4, rows, [=, maps = op->maps, run = op->run](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
        for (std::int64_t at = begin; at < end;) {
            const std::int64_t n = at / pixels, count = std::min({step, (n + 1) * pixels - at, end - at}), first = at * channels;
            const float* from[2];
            for (std::size_t m = 0; m < maps.size(); ++m) {
                const std::byte* in = args.in[maps[m]];
                float* piece = as_f32(args.workspace) + static_cast<std::int64_t>(m + 1) * floats;
                if (grids[m]) int8_simd().to_f32(piece, in + first, count * channels, *grids[m]);
                from[m] = grids[m] ? piece : reinterpret_cast<const float*>(in) + first;
            }
            float* to = output.is_bytes() ? as_f32(args.workspace) : as_f32(args.out[0]) + first;
            run(args, to, from, n, count);
            if (output.is_bytes()) output.write(args.out[0], first, to, count * channels);
            at += count;
        }
    });
    phase.reads = reads;
    phase.uses_scratch = op->scratch_bytes > 0;
    kernel.phases.push_back(std::move(phase));
    return kernel;
}

}  // namespace fovea::cpu
