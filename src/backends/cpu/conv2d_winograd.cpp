// Which 3 x 3 and 5 x 5 convolutions (and their gradients) run on our Winograd kernels, and the layout of their transformed weights.
#include "backends/cpu/choice.h"
#include "backends/cpu/conv_pieces.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"
#include "backends/cpu/winograd.h"

#include <fmt/format.h>

namespace fovea::cpu {

namespace {

using G = WinogradGeometry;

/// Outputs of a piece along each axis, for as many taps.
std::int64_t tile_of(std::int64_t taps) { return G::piece + 1 - taps; }
std::string kernel_name(std::int64_t taps) { return fmt::format("winograd{0}x{0}:{1}", tile_of(taps), winograd().name); }

/// The form in which weights live between steps: 16 x 16 channels by tap.
Layout blocked_weights(const Shape& weight) { return layout_of(dnnl::memory::desc(dims_of(weight), dnnl::memory::data_type::f32, dnnl::memory::format_tag::OIhw16i16o), weight); }

/// Weights as the 36 matrices the kernels multiply by. Four times the bytes of 3 x 3 ones, and rounded: made from the plain or blocked weight, never back.
class WinogradLayout final : public LayoutDetail {
public:
    WinogradLayout(const Shape& weight, bool is_turned) : weight_(weight), is_turned_(is_turned) {}
    [[nodiscard]] std::string name() const override { return fmt::format("winograd{0}x{0}{1}", tile_of(weight_[2]), is_turned_ ? " turned" : ""); }
    [[nodiscard]] std::size_t bytes() const override { return static_cast<std::size_t>(G::points * weight_[0] * weight_[1]) * sizeof(float); }
    [[nodiscard]] bool equals(const LayoutDetail& other) const override {
        const auto* same = dynamic_cast<const WinogradLayout*>(&other);
        return same && same->weight_ == weight_ && same->is_turned_ == is_turned_;
    }
    [[nodiscard]] bool is_one_way() const override { return true; }
    [[nodiscard]] Layout made_from() const override { return blocked_weights(weight_); }
    [[nodiscard]] bool is_turned() const { return is_turned_; }

private:
    Shape weight_;
    bool is_turned_;
};

constexpr std::int64_t core_bytes = 768 << 10;  // matrices that stay in a core's second-level cache beside the tiles

/// The unsharded plan works on all tiles at once, in three steps, when the matrices are large and the tiles few.
bool in_three_steps(const PlanContext& context, const G& g, std::int64_t samples) {
    constexpr std::int64_t few_blocks = 8;
    return context.has_few_samples() && g.matrix_bytes() > core_bytes && samples * g.tiles() < few_blocks * g.block;
}

/// Times the matrices are read from end to end.
std::int64_t passes_of(const PlanContext& context, const G& g, std::int64_t samples) {
    if (in_three_steps(context, g, samples)) return 1;
    const auto blocks = [&](std::int64_t rows) { return (rows * g.tiles() + g.block - 1) / g.block; };
    if (!context.is_sharded() || samples != context.rows) return blocks(samples);
    std::int64_t passes = 0;
    for (std::size_t p = 0; p + 1 < context.row_bounds.size(); ++p) passes += blocks(context.row_bounds[p + 1] - context.row_bounds[p]);
    return passes;
}

// Costs in multiply-adds at the rate of oneDNN's channels-last kernels, beyond what a direct sum of that rate costs as well; fitted on one
// Zen 5 core (AVX-512), maps of 4 to 56 and 16 to 512 channels (docs/benchmarks.md): an element of v or m costs 10; an element of a weight or
// of its matrices, each time it is read, 8 where it comes from beyond the core's cache and 1 where it does not. From memory it is no dearer:
// c512 h7 w7 k512 with cold matrices takes 1.05 ms on a Zen 4 core, 36 GB/s, and the direct kernels 2.1 to 2.3 ms. Ours multiply in f32 on bf16
// maps too: the matrices hold differences that bf16 would round away.
constexpr double transform_cost = 10;

double cost_of(const PlanContext& context, const G& g, std::int64_t samples) {
    const auto weights = static_cast<double>(g.channels * g.outputs), tiles = static_cast<double>(samples * g.tiles()), passes = static_cast<double>(passes_of(context, g, samples));
    const double read = passes * (g.matrix_bytes() > core_bytes ? 8 : 1);
    return G::points * (weights * (tiles + read) + transform_cost * static_cast<double>(g.channels + g.outputs) * tiles) - static_cast<double>(g.taps * g.taps) * weights * (read - memory_cost(context));
}

// The weight gradient likewise: folding the sums of a block of tiles costs as much as `fold` tiles do. A part's gradient is written and read
// again, four times as dearly where all of them lie beyond the third-level cache; oneDNN's kernel also reorders it.
double gradient_cost_of(const G& g, std::int64_t samples, std::int64_t blocks, std::int64_t parts) {
    const auto weights = static_cast<double>(g.channels * g.outputs), tiles = static_cast<double>(samples * g.tiles());
    constexpr double fold = 8, cached_bytes = 8 << 20;
    const double parted = static_cast<double>(g.taps * g.taps) * weights * static_cast<double>(parts), read = 4 * parted > cached_bytes ? 4 : 1;
    return G::points * (weights * (tiles + fold * static_cast<double>(blocks)) + transform_cost * static_cast<double>(g.channels + g.outputs) * tiles) - 6 * read * parted;
}

/// What all directions ask of a node; `x` goes in, `y` comes out.
std::optional<G> geometry_of(const Node& node, const PlanContext& context, const Shape& w, const Shape& x, const Shape& y, bool is_turned) {
    const auto stride = node.attrs.integers("stride"), pad = node.attrs.integers("pad"), dilation = node.attrs.integers("dilation");
    const auto all = [](const auto& list, auto&& is) { return std::ranges::all_of(list, is); };
    const auto is_one = [](std::int64_t i) { return i == 1; };
    if (!context.allows_winograd || !winograd().is_supported || context.real != DType::f32) return {};
    if ((w[2] != 3 && w[2] != 5) || w[3] != w[2] || w[0] % G::lanes || w[1] % G::lanes || node.attrs.integer("groups") != 1) return {};
    if (!all(stride, is_one) || !all(dilation, is_one) || !all(pad, [](std::int64_t p) { return p >= 0; }) || x.elements() == 0 || y.elements() == 0) return {};
    G g{.channels = x[1], .outputs = y[1], .height = x[2], .width = x[3], .out_height = y[2], .out_width = y[3], .before_h = pad[0], .before_w = pad[2], .x_pixel = x[1], .y_pixel = y[1], .block = 0, .taps = w[2]};
    if (is_turned) g.before_h = w[2] - 1 - pad[0], g.before_w = w[2] - 1 - pad[2];
    return g;
}

bool is_rectified(const Node& node) { return node.attrs.text("activation") == "relu"; }

/// An activation other than the rectifier follows in place, over a map without gaps.
Layout target_of(const Node& node, const PlanContext& context) {
    return is_rectified(node) || !activation_kernel(node) ? home_of(node, 0, context, context.stores_bf16) : map_layout(node.outputs[0].shape, context.stores_bf16);
}

/// Those of a convolution or its data gradient. Input 0 and output 0 may be slices.
std::optional<G> cut_geometry(const Node& node, const PlanContext& context, const Shape& w, const Shape& x, const Shape& y, bool is_turned) {
    auto g = geometry_of(node, context, w, x, y, is_turned);
    if (!g) return {};
    // v and m of 32 tiles stay in the second-level cache; matrices beyond it are worth more tiles per pass.
    constexpr std::int64_t cached_matrices = 8 << 20, few = 32, many = 96;
    g->block = std::min(g->matrix_bytes() > cached_matrices ? many : few, x[0] * g->tiles());
    g->x_pixel = pixel_stride(source_of(node.inputs[0], context, context.stores_bf16), x);
    g->y_pixel = pixel_stride(target_of(node, context), y);
    return g;
}

/// Few tiles and large matrices: the threads share the points, so that each matrix is read once and by one core.
template <class E> void plan_three_steps(Kernel& kernel, G g, std::int64_t tiles, bool has_bias, bool has_residual, bool relu) {
    g.block = tiles;
    constexpr int point_parts = 12, most_tile_parts = 16;
    const int tile_parts = static_cast<int>(std::min<std::int64_t>(tiles, most_tile_parts));
    const std::int64_t m_offset = G::points * G::point_stride(tiles, g.channels);
    kernel.scratch_bytes = static_cast<std::size_t>(g.work()) * sizeof(float);
    kernel.workspace_bytes = static_cast<std::size_t>(g.channels) * sizeof(float);
    kernel.phases.push_back({.parts = tile_parts, .reads = 1, .writes = 0, .uses_scratch = true, .run = [=](const KernelArgs& args, const Part& part) {
                                 const auto [begin, end] = piece(part, tiles);
                                 winograd().maps<E>().input(as_f32(args.scratch), as<E>(args.in[0]), as_f32(args.workspace), g, begin, end);
                             }});
    kernel.phases.push_back({.parts = point_parts, .reads = 0b10, .writes = 0, .uses_scratch = true, .run = [=](const KernelArgs& args, const Part& part) {
                                 const auto [begin, end] = piece(part, G::points);
                                 winograd().multiply(as_f32(args.scratch) + m_offset, as_f32(args.scratch), as_f32(args.in[1]), g, begin, end);
                             }});
    kernel.phases.push_back({.parts = tile_parts, .reads = 0b1100, .uses_scratch = true, .run = [=](const KernelArgs& args, const Part& part) {
                                 const auto [begin, end] = piece(part, tiles);
                                 winograd().maps<E>().output(as<E>(args.out[0]), as_f32(args.scratch) + m_offset, has_bias ? as_f32(args.in[2]) : nullptr,
                                                             has_residual ? as<E>(args.in[3]) : nullptr, relu, g, begin, end);
                             }});
}

template <class E> Kernel kernel_of(const Node& node, const PlanContext& context, const G& g, const Shape& x, const Shape& y, const Shape& w, bool is_turned, bool has_bias, bool has_residual, bool relu) {
    Kernel kernel;
    kernel.name = kernel_name(w[2]);
    kernel.in.resize(node.inputs.size());
    constexpr bool half = sizeof(E) == 2;
    kernel.in[0] = source_of(node.inputs[0], context, half);
    kernel.in[1] = std::make_shared<WinogradLayout>(w, is_turned);
    if (has_residual) kernel.in[3] = map_layout(y, half), kernel.in_place = {3};
    kernel.out = {target_of(node, context)};
    kernel.workspace_bytes = static_cast<std::size_t>(g.work()) * sizeof(float);
    const auto run = [=](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
        winograd().maps<E>().convolve(as<E>(args.out[0]), as<E>(args.in[0]), as_f32(args.in[1]), has_bias ? as_f32(args.in[2]) : nullptr, has_residual ? as<E>(args.in[3]) : nullptr, relu,
                                      as_f32(args.workspace), g, begin, end);
    };
    if (context.is_sharded() && x[0] == context.rows) {
        kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = has_residual ? 0b1001u : 1u, .run = [=, tiles = g.tiles()](const KernelArgs& args, const Part& part) {
                                     run(args, part.begin * tiles, part.end * tiles);
                                 }});
        return kernel;
    }
    const std::int64_t tiles = x[0] * g.tiles();
    if (in_three_steps(context, g, x[0])) {
        plan_three_steps<E>(kernel, g, tiles, has_bias, has_residual, relu);
        return kernel;
    }
    constexpr std::int64_t least_tiles = 12, most_pieces = 16;
    kernel.phases.push_back({.parts = static_cast<int>(std::clamp<std::int64_t>(tiles / least_tiles, 1, most_pieces)), .run = [=](const KernelArgs& args, const Part& part) {
                                 const auto [begin, end] = piece(part, tiles);
                                 run(args, begin, end);
                             }});
    return kernel;
}

}  // namespace

std::optional<Kernel> plan_winograd(const Node& node, const PlanContext& context) {
    const Shape &x = node.inputs[0].shape(), &w = node.inputs[1].shape(), &y = node.outputs[0].shape;
    const auto g = cut_geometry(node, context, w, x, y, false);
    if (!g) return {};
    const bool has_bias = node.inputs.size() > 2 && !node.inputs[2].is_empty(), has_residual = node.inputs.size() > 3 && !node.inputs[3].is_empty();
    const bool relu = is_rectified(node);
    const UnaryKernel activate = relu ? UnaryKernel{} : activation_kernel(node);
    return with_element(context.stores_bf16, [&]<class E>(E) {
        Kernel kernel = kernel_of<E>(node, context, *g, x, y, w, false, has_bias, has_residual, relu);
        if constexpr (sizeof(E) == 2) {
            if (activate) kernel.phases.push_back(in_place_phase<E>(context, y, through_f32(activate)));
        } else if (activate) {
            kernel.phases.push_back(in_place_phase<E>(context, y, activate));
        }
        return kernel;
    });
}

std::optional<Kernel> plan_winograd_backward_input(const Node& node, const PlanContext& context) {
    const Shape &dy = node.inputs[0].shape(), &w = node.inputs[1].shape(), &dx = node.outputs[0].shape;
    const auto g = cut_geometry(node, context, w, dy, dx, true);
    const bool has_bias = node.inputs.size() > 3 && !node.inputs[3].is_empty();
    if (!g || has_bias) return {};
    return with_element(context.stores_bf16, [&]<class E>(E) { return kernel_of<E>(node, context, *g, dy, dx, w, true, false, false, false); });
}

namespace {

/// How the tiles of a weight gradient are cut into parts, and these into blocks.
struct GradientCut {
    G g;
    bool is_by_rows;  ///< the program's parts
    int parts;
    std::vector<std::int64_t> bounds;  ///< of the parts, in tiles of all samples: a function of shapes alone, and so is the order of every sum
    std::int64_t blocks;
};

std::optional<GradientCut> gradient_cut(const Node& node, const PlanContext& context) {
    const Shape &x = node.inputs[0].shape(), &dy = node.inputs[1].shape(), &w = node.outputs[0].shape;
    const auto g = geometry_of(node, context, w, x, dy, false);
    if (!g) return {};
    const bool is_sharded = context.is_sharded() && x[0] == context.rows;
    const std::int64_t tiles = g->tiles(), all = x[0] * tiles;
    constexpr std::int64_t few_tiles = 32, most_parts = 4;
    const int parts = is_sharded ? gradient_parts(context, w.elements(), dy.elements()) : static_cast<int>(std::clamp<std::int64_t>(all / few_tiles, 1, most_parts));
    GradientCut cut{.g = *g, .is_by_rows = is_sharded && parts == context.parts(), .parts = parts, .bounds = {}, .blocks = 0};
    constexpr std::int64_t cached = 640 << 10, least_block = 32, most_block = 128;  // v and z stay in the second-level cache
    const std::int64_t tile_bytes = G::points * (g->channels + g->outputs) * 4;
    cut.g.block = std::min(std::clamp(cached / tile_bytes, least_block, most_block), all);
    for (int p = 0; p <= cut.parts; ++p) cut.bounds.push_back(cut.is_by_rows ? context.row_bounds[static_cast<std::size_t>(p)] * tiles : all * p / cut.parts);
    for (std::size_t p = 0; p + 1 < cut.bounds.size(); ++p) cut.blocks += (cut.bounds[p + 1] - cut.bounds[p] + cut.g.block - 1) / cut.g.block;
    return cut;
}

}  // namespace

std::optional<double> winograd_cost(const Node& node, const PlanContext& context) {
    const auto g = cut_geometry(node, context, node.inputs[1].shape(), node.inputs[0].shape(), node.outputs[0].shape, false);
    if (!g) return {};
    return context.forces_winograd ? 0 : cost_of(context, *g, node.inputs[0].shape()[0]);
}

std::optional<double> winograd_backward_input_cost(const Node& node, const PlanContext& context) {
    const auto g = cut_geometry(node, context, node.inputs[1].shape(), node.inputs[0].shape(), node.outputs[0].shape, true);
    if (!g) return {};
    return context.forces_winograd ? 0 : cost_of(context, *g, node.inputs[0].shape()[0]);
}

std::optional<double> winograd_backward_weight_cost(const Node& node, const PlanContext& context) {
    const auto cut = gradient_cut(node, context);
    if (!cut) return {};
    return context.forces_winograd ? 0 : gradient_cost_of(cut->g, node.inputs[0].shape()[0], cut->blocks, cut->parts);
}

std::optional<Kernel> plan_winograd_backward_weight(const Node& node, const PlanContext& context) {
    const Shape &x = node.inputs[0].shape(), &dy = node.inputs[1].shape(), &w = node.outputs[0].shape;
    auto cut = gradient_cut(node, context);
    if (!cut) return {};
    G* const g = &cut->g;
    const bool is_by_rows = cut->is_by_rows, has_bias = node.outputs.size() > 1;
    const int parts = cut->parts;
    const std::vector<std::int64_t>& bounds = cut->bounds;
    const bool half = context.stores_bf16;
    g->x_pixel = pixel_stride(source_of(node.inputs[0], context, half), x);
    g->y_pixel = pixel_stride(source_of(node.inputs[1], context, half), dy);

    Kernel kernel;
    kernel.name = kernel_name(w[2]);
    kernel.in = {source_of(node.inputs[0], context, half), source_of(node.inputs[1], context, half), nullptr};
    kernel.out = {blocked_weights(w)};
    if (has_bias) kernel.out.push_back(nullptr);
    const std::int64_t count = w.elements(), part_floats = count + (has_bias ? w[0] : 0);
    kernel.scratch_bytes = static_cast<std::size_t>(part_floats * parts) * sizeof(float);
    kernel.workspace_bytes = static_cast<std::size_t>(g->gradient_work()) * sizeof(float);
    kernel.phases.push_back({.kind = is_by_rows ? Phase::Kind::rows : Phase::Kind::split, .parts = parts, .row_reads = is_by_rows ? 0b11u : 0u, .writes = 0, .uses_scratch = true,
                             .run = [=, bounds = bounds, g = *g](const KernelArgs& args, const Part& part) {
                                 const auto p = static_cast<std::size_t>(part.index);
                                 float* mine = as_f32(args.scratch) + part_floats * part.index;
                                 with_element(half, [&]<class E>(E) {
                                     winograd_weight_gradient(mine, has_bias ? mine + count : nullptr, as<E>(args.in[0]), as<E>(args.in[1]), as_f32(args.workspace), g, bounds[p], bounds[p + 1]);
                                 });
                             }});
    kernel.phases.push_back({.kind = Phase::Kind::split, .parts = split_parts(count, 4 * parts), .reads = 0, .uses_scratch = true,
                             .run = [=, channels = w[0]](const KernelArgs& args, const Part& part) {
                                 const auto [begin, end] = piece(part, count);
                                 simd().sum_parts(as_f32(args.out[0]) + begin, as_f32(args.scratch) + begin, part_floats, parts, end - begin);
                                 if (has_bias && part.index == 0) simd().sum_parts(as_f32(args.out[1]), as_f32(args.scratch) + count, part_floats, parts, channels);
                             }});
    return kernel;
}

std::optional<Kernel> plan_winograd_weights(const Type& type, const Layout& from, const Layout& to) {
    const auto* target = dynamic_cast<const WinogradLayout*>(to.get());
    if (!target) return {};
    const std::int64_t k = type.shape[0], c = type.shape[1], taps = type.shape[2] * type.shape[3], lanes = G::lanes, square = lanes * lanes;
    const bool is_turned = target->is_turned();
    const std::int64_t k_block = from ? c * taps * lanes : lanes * c * taps, c_block = from ? taps * square : lanes * taps;
    const std::int64_t k_step = from ? 1 : c * taps, c_step = from ? lanes : taps;
    WinogradWeights g{.contracted = c, .outputs = k, .output_block = k_block, .contracted_block = c_block, .output_step = k_step, .contracted_step = c_step, .tap_step = from ? square : 1,
                      .taps = type.shape[2], .is_turned = is_turned};
    if (is_turned) std::swap(g.contracted, g.outputs), std::swap(g.output_block, g.contracted_block), std::swap(g.output_step, g.contracted_step);
    Kernel kernel;
    kernel.name = kernel_name(type.shape[2]);
    kernel.in = {from};
    kernel.out = {to};
    const std::int64_t unit_bytes = (taps + G::points) * G::lanes * G::lanes * 4;
    kernel.phases.push_back({.parts = split_parts(g.units(), unit_bytes), .run = [g](const KernelArgs& args, const Part& part) {
                                 const auto [begin, end] = piece(part, g.units());
                                 winograd().weights(as_f32(args.out[0]), as_f32(args.in[0]), g, begin, end);
                             }});
    return kernel;
}

}  // namespace fovea::cpu
