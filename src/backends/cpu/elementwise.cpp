// Ops that work element by element run on slices of whatever layout their inputs share. A few hot ones have vector kernels; the others
// call their plain loops on the slice, which the compiler has vectorised.
#include <array>

#include "backends/cpu/bf16.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"

namespace fovea::cpu {

namespace {

/// A vector kernel for the op on either kind of element, or nothing.
template <class E> Slice plain_slice(const Node& node) {
    const std::string& op = node.op->name;
    const auto in = [](const KernelArgs& a, int i, std::int64_t at) { return as<E>(a.in[static_cast<std::size_t>(i)]) + at; };
    const bool is_pair = node.inputs.size() == 2 && node.inputs[0].shape() == node.inputs[1].shape();
    const MapKernels<E>& maps = simd().maps<E>();
    const auto pair = [in](auto f) { return [in, f](const KernelArgs& a, std::int64_t at, std::int64_t n) { f(as<E>(a.out[0]) + at, in(a, 0, at), in(a, 1, at), n); }; };
    if (op == "add" && is_pair) return pair(maps.add);
    if (op == "multiply" && is_pair) return pair(maps.multiply);
    if (op == "relu_backward" && is_pair) return pair(maps.relu_backward);
    if (op == "relu") return [in, f = maps.relu](const KernelArgs& a, std::int64_t at, std::int64_t n) { f(as<E>(a.out[0]) + at, in(a, 0, at), n); };
    if (op == "scale_shift")
        return [in, f = maps.scale_shift, scale = static_cast<float>(node.attrs.real("scale")), shift = static_cast<float>(node.attrs.real("shift"))](
                   const KernelArgs& a, std::int64_t at, std::int64_t n) { f(as<E>(a.out[0]) + at, in(a, 0, at), scale, shift, n); };
    return {};
}

/// A vector kernel for the op, or nothing.
Slice fast_slice(const Node& node) {
    if (auto slice = plain_slice<float>(node)) return slice;
    const std::string& op = node.op->name;
    const auto in = [](const KernelArgs& a, int i, std::int64_t at) { return as_f32(a.in[static_cast<std::size_t>(i)]) + at; };
    const bool is_pair = node.inputs.size() == 2 && node.inputs[0].shape() == node.inputs[1].shape();
    if (node.inputs.size() == 1)
        if (auto f = unary_kernel(op, node.attrs)) return [in, f](const KernelArgs& a, std::int64_t at, std::int64_t n) { f(as_f32(a.out[0]) + at, in(a, 0, at), n); };
    if (is_pair)
        if (auto f = backward_kernel(op, node.attrs)) return [in, f](const KernelArgs& a, std::int64_t at, std::int64_t n) { f(as_f32(a.out[0]) + at, in(a, 0, at), in(a, 1, at), n); };
    return {};
}

/// The plain loops on a slice: operands of rank 0 are passed whole.
Slice loop_slice(const Node& node, DType real) {
    struct Operand {
        std::size_t size;
        bool is_scalar;
        DType dtype;
    };
    std::vector<Operand> ins, outs;
    for (const Value& input : node.inputs) {
        const DType dtype = input.is_empty() ? DType::f32 : stored_as(input.dtype(), real);
        ins.push_back({size_of(dtype), !input.is_empty() && input.shape().rank() == 0, dtype});
    }
    for (const Type& type : node.outputs) outs.push_back({size_of(stored_as(type.dtype, real)), type.shape.rank() == 0, stored_as(type.dtype, real)});
    return [op = node.op, attrs = node.attrs, ins, outs, real](const KernelArgs& args, std::int64_t begin, std::int64_t count) {
        constexpr std::size_t most = 10;
        const void* in[most];
        void* out[most];
        Type in_types[most], out_types[most];
        for (std::size_t i = 0; i < ins.size(); ++i) {
            in[i] = args.in[i] && !ins[i].is_scalar ? args.in[i] + static_cast<std::size_t>(begin) * ins[i].size : args.in[i];
            in_types[i] = {ins[i].is_scalar ? Shape{} : Shape{count}, ins[i].dtype};
        }
        for (std::size_t o = 0; o < outs.size(); ++o) {
            out[o] = args.out[o] + (outs[o].is_scalar ? 0 : static_cast<std::size_t>(begin) * outs[o].size);
            out_types[o] = {outs[o].is_scalar ? Shape{} : Shape{count}, outs[o].dtype};
        }
        op->reference(OpRun(attrs, {in_types, ins.size()}, {out_types, outs.size()}, {in, ins.size()}, {out, outs.size()}, real, args.seed, args.step));
    };
}

/// Maps of which some lie between other channels: the kernel runs pixel by pixel, over whole rows of channels.
Kernel plan_slices(const Node& node, const PlanContext& context, const Slice& slice) {
    const Shape& shape = node.outputs[0].shape;
    Kernel kernel;
    kernel.name = std::string("simd:") + simd().name;
    kernel.out = {home_of(node, 0, context)};
    kernel.in_place = {-1};
    std::vector<std::int64_t> pixels;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        kernel.in.push_back(source_of(node.inputs[i], context));
        pixels.push_back(pixel_stride(kernel.in[i], shape));
        if (kernel.in_place[0] >= 0 || !context.may_overwrite(node, static_cast<int>(i))) continue;
        kernel.in_place = {static_cast<int>(i)};
        kernel.out = {kernel.in[i]};
    }
    kernel.phases.push_back(over_pixels(context, shape[0], shape[2] * shape[3], shape[1] * 4, (1u << node.inputs.size()) - 1,
                                        [=, out = pixel_stride(kernel.out[0], shape), channels = shape[1]](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
                                            std::array<std::byte*, 2> from{};
                                            for (std::int64_t p = begin; p < end; ++p) {
                                                for (std::size_t i = 0; i < pixels.size(); ++i) from[i] = args.in[i] + static_cast<std::size_t>(p * pixels[i]) * sizeof(float);
                                                std::byte* to = args.out[0] + static_cast<std::size_t>(p * out) * sizeof(float);
                                                slice({.in = {from.data(), pixels.size()}, .out = {&to, 1}}, 0, channels);
                                            }
                                        }));
    return kernel;
}

/// A slice of bf16 maps, a piece at a time through f32 in the first-level cache. Operands of rank 0 are f32.
Slice through_f32(const Node& node, Slice slice) {
    std::vector<bool> is_map;
    for (const Value& input : node.inputs) is_map.push_back(!input.is_empty() && input.shape().rank() > 0);
    return [is_map, slice = std::move(slice), outputs = node.outputs.size()](const KernelArgs& args, std::int64_t begin, std::int64_t count) {
        constexpr std::int64_t piece = 1024;
        constexpr std::size_t most = 8;
        float buffers[most][piece];
        std::byte *in[most], *out[most];
        for (std::int64_t at = begin; at < begin + count; at += piece) {
            const std::int64_t size = std::min(piece, begin + count - at);
            std::size_t used = 0;
            const auto next = [&] { return reinterpret_cast<std::byte*>(buffers[used++]); };
            for (std::size_t i = 0; i < is_map.size(); ++i) {
                in[i] = is_map[i] ? next() : args.in[i];
                if (is_map[i]) simd().from_bf16(as_f32(in[i]), as_bf16(args.in[i]) + at, size);
            }
            for (std::size_t o = 0; o < outputs; ++o) out[o] = next();
            slice({.in = {in, is_map.size()}, .out = {out, outputs}, .seed = args.seed, .step = args.step}, 0, size);
            for (std::size_t o = 0; o < outputs; ++o) simd().to_bf16(as_bf16(args.out[o]) + at, as_f32(out[o]), size);
        }
    };
}

/// Whether the maps of the node may be bf16, because one of them is.
bool takes_bf16(const Node& node, const PlanContext& context) {
    constexpr std::size_t most_buffers = 8;
    const auto is_real = [](const Type& type) { return type.dtype == DType::f32; };
    return node.inputs.size() + node.outputs.size() <= most_buffers && std::ranges::all_of(node.outputs, is_real) &&
           std::ranges::all_of(node.inputs, [&](const Value& v) { return v.is_empty() || is_real(v.type()); }) &&
           std::ranges::any_of(node.inputs, [&](const Value& v) { return !v.is_empty() && v.shape().rank() > 0 && is_half(v, context); });
}

}  // namespace

Slice update_slice(const Node& update, DType real) { return loop_slice(update, real); }

bool elementwise_reads_slices(const Node& node) {
    if (!node.op->is_elementwise || node.inputs.size() > 2 || node.outputs.size() != 1 || node.outputs[0].dtype != DType::f32) return false;
    return std::ranges::all_of(node.inputs, [&](const Value& v) { return !v.is_empty() && v.type() == node.outputs[0]; }) && fast_slice(node);
}

bool has_rows(const Shape& shape, const Layout& layout, const PlanContext& context) {
    if (shape.rank() == 0 || shape[0] != context.rows || context.parts() < 2) return false;
    if (!layout) return true;
    return layout->name().starts_with("nhwc");
}

std::optional<Kernel> plan_elementwise(const Node& node, const PlanContext& context) {
    if (!node.op->is_elementwise || node.inputs.size() > 10 || node.outputs.size() > 10) return {};
    const Shape& shape = node.outputs[0].shape;
    const bool has_slices = std::ranges::any_of(node.inputs, [&](const Value& v) { return !v.is_empty() && is_slice(v, context); });
    if (shape.rank() == 4 && (has_slices || context.home(node, 0)) && elementwise_reads_slices(node)) return plan_slices(node, context, fast_slice(node));
    // One layout for all: that of the first operand that is not row-major; an undecided parameter follows.
    Layout layout;
    for (const Value& input : node.inputs) {
        if (input.is_empty() || input.shape().rank() == 0) continue;
        if (!(input.shape() == shape)) return {};
        if (!layout && !context.is_undecided(input)) layout = context.layout(input);
    }
    // An update is made where its parameter lies: the gradient comes to it.
    if (node.op->name.ends_with("_update") && !context.is_undecided(node.inputs[0])) layout = context.layout(node.inputs[0]);
    for (const Type& type : node.outputs)
        if (!(type.shape == shape)) return {};
    const bool half = takes_bf16(node, context);
    if (half) layout = map_layout(shape, half);
    // Padded layouts hold zeros between the values: they stay zero only where the op maps zeros to zero, so only packed weights use them.
    const std::int64_t count = layout && !half ? static_cast<std::int64_t>(layout->bytes() / 4) : shape.elements();
    if (count != shape.elements() && !node.op->name.ends_with("_update") && node.op->name != "add" && node.op->name != "multiply") layout = nullptr;
    const std::int64_t elements = layout ? count : shape.elements();

    const Slice fast = context.real == DType::f32 && node.outputs[0].dtype == DType::f32 ? fast_slice(node) : Slice{};
    Slice slice = fast ? fast : loop_slice(node, context.real);
    if (half) {
        Slice plain = plain_slice<Bf16>(node);
        slice = plain ? plain : through_f32(node, slice);
    }
    Kernel kernel;
    kernel.name = fast ? std::string("simd:") + simd().name : "loops:slices";
    kernel.in.resize(node.inputs.size());
    std::uint32_t rows_mask = 0;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        if (node.inputs[i].is_empty() || node.inputs[i].shape().rank() == 0) continue;
        kernel.in[i] = layout;
        rows_mask |= 1u << i;
    }
    kernel.out.assign(node.outputs.size(), layout);
    // Output o of an update replaces the o-th tensor; elsewhere the first operand of the same type may be overwritten.
    kernel.in_place.assign(node.outputs.size(), -1);
    std::size_t next = 0;
    for (std::size_t o = 0; o < node.outputs.size(); ++o)
        for (; next < node.inputs.size() && kernel.in_place[o] < 0; ++next) {
            if (!(rows_mask >> next & 1) || !(node.inputs[next].type() == node.outputs[o])) continue;
            if (node.op->name.ends_with("_update") && next == 1) continue;  // the gradient is not what an update replaces
            kernel.in_place[o] = static_cast<int>(next);
        }
    if (shape.rank() > 0 && has_rows(shape, layout, context)) {
        const std::int64_t row = elements / context.rows;
        kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = rows_mask, .run = [slice, row](const KernelArgs& args, const Part& part) {
                                     slice(args, part.begin * row, (part.end - part.begin) * row);
                                 }});
    } else {
        kernel.phases.push_back({.parts = split_parts(elements, 4), .run = [slice, elements](const KernelArgs& args, const Part& part) {
                                     const auto [begin, end] = piece(part, elements);
                                     slice(args, begin, end - begin);
                                 }});
    }
    return kernel;
}

}  // namespace fovea::cpu
