// Values side by side, channels last: along the channels a copy per pixel, along rows or columns a copy per line or sample. A part that lies in
// its place already (PlanContext::is_placed) is not copied; where all do, nothing runs.
#include <cstring>

#include "backends/cpu/bf16.h"
#include "backends/cpu/kernels.h"

namespace fovea::cpu {

namespace {

/// How often per sample a run of bytes repeats, and how long it is, for a piece of `size` along the axis.
struct Runs {
    std::int64_t count;
    std::size_t unit;  ///< bytes of one step along the axis
};

/// Dimensions in the order in which they lie: N H W C for maps, as declared otherwise.
Runs runs_along(const Shape& shape, int axis, std::size_t width) {
    std::vector<int> order;
    for (int d = 1; d < shape.rank(); ++d) order.push_back(d);
    if (shape.rank() == 4) order = {2, 3, 1};
    Runs runs{1, width};
    bool is_inside = false;
    for (int d : order) {
        if (d == axis)
            is_inside = true;
        else if (is_inside)
            runs.unit *= static_cast<std::size_t>(shape[d]);
        else
            runs.count *= shape[d];
    }
    return runs;
}

/// One piece of a joined row: the operand it is, where it starts, how long it is, and how far apart its runs lie, in bytes.
struct Strip {
    std::size_t input, at, bytes, step;
};

/// A layout other than row-major is described for real values alone.
Layout lies(const Type& type, bool half) { return type.dtype == DType::f32 ? map_layout(type.shape, half) : nullptr; }

}  // namespace

std::optional<Kernel> plan_concat(const Node& node, const PlanContext& context) {
    const bool is_part = node.op->name == "concat_part";
    const int axis = static_cast<int>(node.attrs.integer("axis"));
    const Type whole = is_part ? node.inputs[0].type() : node.outputs[0];
    if (axis == 0 || whole.shape.rank() < 2 || whole.shape[0] != context.rows || whole.shape.elements() == 0) return {};
    if (whole.shape.rank() == 4 && whole.dtype != DType::f32) return {};
    const bool half = whole.shape.rank() == 4 && (is_part ? is_half(node.inputs[0], context) : std::ranges::any_of(node.inputs, [&](const Value& v) { return is_half(v, context); }));
    const std::size_t width = half ? sizeof(Bf16) : size_of(stored_as(whole.dtype, context.real));
    const Runs runs = runs_along(whole.shape, axis, width);
    // Only what is joined along the channels of a map has a home in a larger one, or parts that may be slices.
    const bool by_channels = whole.shape.rank() == 4 && axis == 1;
    const Layout home = by_channels && !is_part ? context.home(node, 0) : nullptr;
    const std::size_t row = home ? static_cast<std::size_t>(pixel_stride(home, whole.shape)) * width : runs.unit * static_cast<std::size_t>(whole.shape[axis]);
    Kernel kernel;
    kernel.in.resize(node.inputs.size());
    kernel.out = {home ? home : lies(node.outputs[0], half)};
    std::vector<Strip> strips;
    std::size_t at = 0;
    for (std::size_t i = is_part ? 1 : 0; i < node.inputs.size(); ++i) {
        const Shape& shape = node.inputs[i].shape();
        const std::size_t bytes = runs.unit * static_cast<std::size_t>(shape[axis]);
        std::size_t step = bytes;
        if (!is_part) {
            kernel.in[i] = lies(node.inputs[i].type(), half);
            if (by_channels && is_slice(node.inputs[i], context)) {
                kernel.in[i] = context.stored(node.inputs[i]);
                step = static_cast<std::size_t>(pixel_stride(kernel.in[i], shape)) * width;
            }
        }
        if (is_part || !context.is_placed(node, static_cast<int>(i))) strips.push_back({is_part ? 0 : i, at, bytes, step});
        at += bytes;
    }
    if (is_part) {
        strips = {strips[static_cast<std::size_t>(node.attrs.integer("index"))]};
        kernel.in[0] = lies(whole, half);
    }
    kernel.name = strips.empty() ? "placed" : !is_part && strips.size() < node.inputs.size() ? fmt::format("copies {} of {}", strips.size(), node.inputs.size()) : "copies";
    if (strips.empty()) return kernel;
    // Runs [begin, end) of the whole batch.
    const auto copy = [strips, row, is_part](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
        for (const auto& [input, place, bytes, step] : strips)
            for (auto r = static_cast<std::size_t>(begin); r < static_cast<std::size_t>(end); ++r)
                is_part ? std::memcpy(args.out[0] + r * bytes, args.in[0] + r * row + place, bytes) : std::memcpy(args.out[0] + r * row + place, args.in[input] + r * step, bytes);
    };
    if (context.is_sharded()) {
        kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = ~0u, .run = [copy, per_sample = runs.count](const KernelArgs& args, const Part& part) {
                                     copy(args, part.begin * per_sample, part.end * per_sample);
                                 }});
        return kernel;
    }
    const std::int64_t units = runs.count * whole.shape[0];
    kernel.phases.push_back({.parts = split_parts(units, static_cast<std::int64_t>(row)), .run = [copy, units](const KernelArgs& args, const Part& part) {
                                 const auto [begin, end] = piece(part, units);
                                 copy(args, begin, end);
                             }});
    return kernel;
}

}  // namespace fovea::cpu
