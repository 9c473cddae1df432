// Element-by-element ops with operands that repeat over a map [N, C, H, W], channels last: a value per channel, per sample and channel
// (squeeze-and-excite), per pixel (attention), or one for all. Sums and products have vector kernels; the others run their plain loops
// on rows of channels.
#include "backends/cpu/bf16.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"

namespace fovea::cpu {

namespace {

enum class Repeats { full, channel, sample_channel, pixel, scalar };

std::optional<Repeats> repeats_of(const Shape& operand, const Shape& out) {
    Shape s = operand;
    if (s.elements() == 1) return Repeats::scalar;
    while (s.rank() < out.rank()) {
        Shape wider{1};
        for (std::int64_t d : s.dims()) wider.push_back(d);
        s = wider;
    }
    if (s == out) return Repeats::full;
    if (s == Shape{1, out[1], 1, 1}) return Repeats::channel;
    if (s == Shape{out[0], out[1], 1, 1}) return Repeats::sample_channel;
    if (s == Shape{out[0], 1, out[2], out[3]}) return Repeats::pixel;
    return {};
}

struct Operand {
    Repeats repeats;
};

}  // namespace

std::optional<Kernel> plan_broadcast(const Node& node, const PlanContext& context) {
    constexpr std::size_t most = 4;
    if (!node.op->is_elementwise || node.outputs.size() != 1 || node.outputs[0].dtype != DType::f32 || node.inputs.size() > most) return {};
    const Shape& out = node.outputs[0].shape;
    if (out.rank() != 4 || out[0] != context.rows || out.elements() == 0) return {};
    std::vector<Operand> operands;
    std::uint32_t row_mask = 0;
    Kernel kernel;
    kernel.in.resize(node.inputs.size());
    kernel.in_place = {-1};
    bool half = false;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        if (node.inputs[i].is_empty() || node.inputs[i].dtype() != DType::f32) return {};
        const auto repeats = repeats_of(node.inputs[i].shape(), out);
        if (!repeats) return {};
        if (*repeats != Repeats::channel && *repeats != Repeats::scalar) row_mask |= 1u << i;
        if (*repeats == Repeats::full) {
            half |= is_half(node.inputs[i], context);
            if (kernel.in_place[0] < 0) kernel.in_place = {static_cast<int>(i)};
        }
        operands.push_back({*repeats});
    }
    const std::int64_t channels = out[1], pixels = out[2] * out[3];
    // The operand (add and multiply commute) that is whole, and the other.
    const bool is_add = node.op->name == "add", is_multiply = node.op->name == "multiply";
    std::optional<std::size_t> whole;
    if ((is_add || is_multiply) && operands.size() == 2)
        for (std::size_t i : {0u, 1u})
            if (operands[i].repeats == Repeats::full) whole = i;
    half &= whole.has_value();
    kernel.out = {map_layout(out, half)};
    for (std::size_t i = 0; i < operands.size(); ++i)
        if (operands[i].repeats == Repeats::full) kernel.in[i] = map_layout(out, half);
    // Pixels [begin, end) of sample n.
    std::function<void(const KernelArgs&, std::int64_t, std::int64_t, std::int64_t)> run;
    if (whole) {
        kernel.name = std::string("simd:") + simd().name;
        const auto rows = [=, other = operands[1 - *whole].repeats, at = *whole]<class E>(E, const KernelArgs& args, std::int64_t n, std::int64_t begin, std::int64_t end) {
            const std::int64_t first = (n * pixels + begin) * channels, count = end - begin;
            const MapKernels<E>& maps = simd().maps<E>();
            const E* x = as<E>(args.in[at]) + first;
            const float* b = as_f32(args.in[1 - at]);
            E* y = as<E>(args.out[0]) + first;
            const auto by_number = [&](E* to, const E* from, float v, std::int64_t length) { maps.scale_shift(to, from, is_add ? 1.0f : v, is_add ? v : 0.0f, length); };
            if (other == Repeats::scalar) return by_number(y, x, b[0], count * channels);
            if (other == Repeats::pixel) {
                for (std::int64_t p = 0; p < count; ++p) by_number(y + p * channels, x + p * channels, b[n * pixels + begin + p], channels);
                return;
            }
            if (other == Repeats::full) return (is_add ? maps.add : maps.multiply)(y, x, as<E>(args.in[1 - at]) + first, count * channels);  // the same map under a shape of lower rank
            if (other == Repeats::sample_channel) b += n * channels;
            (is_add ? maps.add_channels : maps.multiply_channels)(y, x, b, count, channels);
        };
        run = [=](const KernelArgs& args, std::int64_t n, std::int64_t begin, std::int64_t end) { with_element(half, [&](auto e) { rows(e, args, n, begin, end); }); };
    } else {
        kernel.name = "loops:pixels";
        run = [=, op = node.op, attrs = node.attrs](const KernelArgs& args, std::int64_t n, std::int64_t begin, std::int64_t end) {
            const void* in[most];
            Type types[most];
            const std::int64_t count = end - begin, pixel = n * pixels + begin;
            for (std::size_t i = 0; i < operands.size(); ++i) {
                std::int64_t offset = 0;
                switch (operands[i].repeats) {
                    case Repeats::full: types[i] = {{count, channels}, DType::f32}, offset = pixel * channels; break;
                    case Repeats::channel: types[i] = {{channels}, DType::f32}; break;
                    case Repeats::sample_channel: types[i] = {{channels}, DType::f32}, offset = n * channels; break;
                    case Repeats::pixel: types[i] = {{count, 1}, DType::f32}, offset = pixel; break;
                    case Repeats::scalar: types[i] = {{}, DType::f32}; break;
                }
                in[i] = as_f32(args.in[i]) + offset;
            }
            void* to = as_f32(args.out[0]) + pixel * channels;
            const Type type{{count, channels}, DType::f32};
            op->reference(OpRun(attrs, {types, operands.size()}, {&type, 1}, {in, operands.size()}, {&to, 1}, DType::f32, args.seed, args.step));
        };
    }
    if (context.is_sharded()) {
        kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = row_mask, .run = [run, pixels](const KernelArgs& args, const Part& part) {
                                     for (std::int64_t n = part.begin; n < part.end; ++n) run(args, n, 0, pixels);
                                 }});
        return kernel;
    }
    const std::int64_t units = out[0] * pixels;
    kernel.phases.push_back({.parts = split_parts(units, channels * 4), .run = [run, units, pixels](const KernelArgs& args, const Part& part) {
                                 auto [at, end] = piece(part, units);
                                 while (at < end) {
                                     const std::int64_t n = at / pixels, stop = std::min(end, (n + 1) * pixels);
                                     run(args, n, at - n * pixels, stop - n * pixels);
                                     at = stop;
                                 }
                             }});
    return kernel;
}

}  // namespace fovea::cpu
