#include "backends/cpu/int8.h"

#include "backends/cpu/kernels.h"
#include "backends/cpu/thin_conv.h"

namespace fovea::cpu {

namespace {

constexpr std::int64_t cached_floats = 4 << 10;  // a piece of f32 that stays in the first-level cache

/// Runs piece(args, sample, first pixel, pixels) over the whole batch, in pieces of so many pixels that `floats` of each are cached.
template <class F> Phase by_pieces(const PlanContext& context, std::int64_t samples, std::int64_t pixels, std::int64_t floats, std::uint32_t row_reads, F piece) {
    const std::int64_t step = std::max<std::int64_t>(1, cached_floats / std::max<std::int64_t>(1, floats));
    return over_pixels(context, samples, pixels, floats * 4, row_reads, [=](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
        for (std::int64_t at = begin; at < end;) {
            const std::int64_t n = at / pixels, first = at - n * pixels, count = std::min({step, pixels - first, end - at});
            piece(args, n, first, count);
            at += count;
        }
    });
}

/// Samples, pixels and channels of a value; a value that is no map has one pixel.
struct Map {
    explicit Map(const Shape& shape) : samples(shape.rank() > 0 ? shape[0] : 1), pixels(shape.rank() == 4 ? shape[2] * shape[3] : 1), channels(shape.elements() / std::max<std::int64_t>(1, samples * pixels)) {}
    std::int64_t samples, pixels, channels;
};

}  // namespace

bool has_int8() {
    static const bool has = [] {
        const auto isa = dnnl::get_effective_cpu_isa();
        using dnnl::cpu_isa;
        return isa == cpu_isa::avx512_core_vnni || isa == cpu_isa::avx512_core_bf16 || isa == cpu_isa::avx512_core_amx;
    }();
    return has;
}

const Int8Layout* stored_int8(const Value& value, const PlanContext& context) {
    return value.is_empty() || context.is_undecided(value) ? nullptr : as_int8(context.stored(value));
}

std::optional<Grid> byte_grid(const Node& node) {
    const auto scale = node.attrs.reals("scale");
    const std::int64_t low = node.attrs.integer("low"), high = node.attrs.integer("high");
    const bool is_bytes = (low >= 0 && high <= 255) || (low >= -128 && high <= 127);
    if (scale.size() != 1 || !is_bytes) return {};
    return Grid{scale[0], node.attrs.integers("zero_point")[0], low, high};
}

const Node* rounding_after(const Node& node, const PlanContext& context) {
    const Node* next = has_int8() ? context.only_reader(node) : nullptr;
    return next && next->op->name == "fake_quantize" && byte_grid(*next) ? next : nullptr;
}

Int8Output::Int8Output(const Node& node, const PlanContext& context) : through(rounding_after(node, context)) {
    const Shape& y = node.outputs[0].shape;
    if (through) grid = *byte_grid(*through);
    layout = through ? std::make_shared<Int8Layout>(y, grid) : channels_last(y);
}

void Int8Output::write(std::byte* out, std::int64_t at, const float* values, std::int64_t count) const {
    if (is_bytes()) int8_simd().from_f32(place(out, at), values, count, grid);
    else std::copy_n(values, count, as_f32(place(out, at)));
}

std::optional<Kernel> plan_int8(const Node& node, const PlanContext& context) {
    using Planner = std::optional<Kernel> (*)(const Node&, const PlanContext&);
    static const std::map<std::string, Planner, std::less<>> planners{
        {"fake_quantize", plan_fake_quantize}, {"conv2d", plan_int8_conv2d}, {"linear", plan_int8_linear}, {"max_pool2d", plan_int8_pool}, {"avg_pool2d", plan_int8_pool},
        {"adaptive_avg_pool2d", plan_int8_pool}, {"mean", plan_int8_pool}, {"sum", plan_int8_pool}, {"concat", plan_int8_concat},
    };
    if (context.real != DType::f32) return {};
    const auto it = planners.find(node.op->name);
    return it == planners.end() ? plan_int8_pointwise(node, context) : it->second(node, context);
}

std::optional<Kernel> plan_fake_quantize(const Node& node, const PlanContext& context) {
    const Value& x = node.inputs[0];
    const Shape& shape = x.shape();
    const auto grid = byte_grid(node);
    if (!grid || context.real != DType::f32 || shape.rank() == 0 || shape.elements() == 0 || shape[0] != context.rows) return {};
    const Map map(shape);
    const std::int64_t sample = map.pixels * map.channels, channels = map.channels, pixels = map.pixels;
    Kernel kernel;
    kernel.name = std::string("simd:") + int8_simd().name;
    if (const Int8Layout* stored = stored_int8(x, context); stored && stored->grid() == *grid) {
        // On the grid already: the same bytes.
        kernel.in = {context.stored(x)};
        kernel.out = kernel.in;
        kernel.in_place = {0};
        kernel.phases.push_back(over_pixels(context, map.samples, pixels, channels, 1, [channels](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
            if (args.in[0] != args.out[0]) std::copy(args.in[0] + begin * channels, args.in[0] + end * channels, args.out[0] + begin * channels);
        }));
        return kernel;
    }
    const Layout from = context.is_undecided(x) ? nullptr : context.layout(x), last = channels_last(shape);
    const bool is_planar = last && !from;
    kernel.in = {is_planar ? Layout{} : last};
    kernel.workspace_bytes = static_cast<std::size_t>(std::max(cached_floats, channels)) * 5;
    if (!has_int8()) {  // f32 on the grid
        kernel.in = {last};
        kernel.out = {last};
        kernel.in_place = {0};
        kernel.phases.push_back(by_pieces(context, map.samples, pixels, channels, 1, [=, g = *grid](const KernelArgs& args, std::int64_t n, std::int64_t first, std::int64_t count) {
            const std::int64_t at = n * sample + first * channels;
            int8_simd().from_f32(args.workspace, as_f32(args.in[0]) + at, count * channels, g);
            int8_simd().to_f32(as_f32(args.out[0]) + at, args.workspace, count * channels, g);
        }));
        return kernel;
    }
    kernel.out = {std::make_shared<Int8Layout>(shape, *grid)};
    kernel.phases.push_back(by_pieces(context, map.samples, pixels, channels, 1, [=, g = *grid](const KernelArgs& args, std::int64_t n, std::int64_t first, std::int64_t count) {
        const float* in = as_f32(args.in[0]) + n * sample;
        std::byte* out = args.out[0] + n * sample + first * channels;
        if (is_planar) {
            thin_conv().transpose(as_f32(args.workspace), channels, in + first, pixels, channels, count);
            int8_simd().from_f32(out, as_f32(args.workspace), count * channels, g);
        } else {
            int8_simd().from_f32(out, in + first * channels, count * channels, g);
        }
    }));
    return kernel;
}

std::optional<Kernel> plan_int8_reorder(const Type& type, const Layout& from, const Layout& to, const PlanContext& context) {
    if (auto kernel = plan_int8_weights(type, from, to)) return kernel;
    if (auto kernel = plan_packed_linear(type, from, to)) return kernel;
    const Int8Layout* bytes = as_int8(from);
    if (!bytes) return {};
    const Map map(type.shape);
    const std::int64_t channels = map.channels, pixels = map.pixels, sample = pixels * channels;
    const bool to_planes = !to && channels_last(type.shape);
    Kernel kernel;
    kernel.name = std::string("simd:") + int8_simd().name;
    kernel.in = {from};
    kernel.out = {to};
    kernel.workspace_bytes = static_cast<std::size_t>(std::max(cached_floats, channels)) * 4;
    kernel.phases.push_back(by_pieces(context, map.samples, pixels, channels, 1, [=, g = bytes->grid()](const KernelArgs& args, std::int64_t n, std::int64_t first, std::int64_t count) {
        const std::byte* in = args.in[0] + n * sample + first * channels;
        float* out = as_f32(args.out[0]) + n * sample;
        if (to_planes) {
            int8_simd().to_f32(as_f32(args.workspace), in, count * channels, g);
            thin_conv().transpose(out + first, pixels, as_f32(args.workspace), channels, count, channels);
        } else {
            int8_simd().to_f32(out + first * channels, in, count * channels, g);
        }
    }));
    return kernel;
}

}  // namespace fovea::cpu
