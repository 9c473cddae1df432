// 1 x 1 convolutions of stride 1, some pixels at a time that stay in a core's cache. oneDNN's kernels refuse maps with gaps between the pixels,
// so here a source that is a slice is gathered, or normalised and rectified as it is read (the pre-activation of DenseNet: the normalised map
// is never in memory), and a result that goes to a slice is spread out. The product itself is oneDNN's.
#include "backends/cpu/conv_primitives.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"

namespace fovea::cpu {

namespace {

using dnnl::memory;

/// A primitive for one count of pixels, with the descriptors its arguments need.
struct Product {
    dnnl::primitive primitive;
    memory::desc source, weights, bias, target, scratch;
};

/// What one thread works on; floats into its workspace. Regions are multiples of a cache line.
struct Regions {
    std::int64_t source = 0, target = 0, scale = 0, scratch = 0, all = 0;
    std::int64_t add(std::int64_t floats) {
        const std::int64_t at = all;
        all += (floats + 15) / 16 * 16;
        return at;
    }
};

/// The ranges of pixels that are cut into chunks: the program's parts, or pieces of the whole.
struct Ranges {
    bool by_rows;
    std::int64_t per_sample, pixels;
    int pieces;
    std::vector<std::int64_t> sizes;  ///< of the ranges
};

Ranges ranges_of(const PlanContext& context, const Shape& x) {
    Ranges ranges{.by_rows = context.is_sharded() && x[0] == context.rows, .per_sample = x[2] * x[3], .pixels = x[0] * x[2] * x[3], .pieces = 1, .sizes = {}};
    if (ranges.by_rows) {
        for (std::size_t p = 0; p + 1 < context.row_bounds.size(); ++p) ranges.sizes.push_back((context.row_bounds[p + 1] - context.row_bounds[p]) * ranges.per_sample);
        return ranges;
    }
    constexpr std::int64_t least_pixels = 24, most_pieces = 16;  // with fewer, the weights come too often for what is done with them
    ranges.pieces = static_cast<int>(std::clamp<std::int64_t>(ranges.pixels / least_pixels, 1, most_pieces));
    for (int p = 0; p < ranges.pieces; ++p) ranges.sizes.push_back(ranges.pixels * (p + 1) / ranges.pieces - ranges.pixels * p / ranges.pieces);
    return ranges;
}

/// Most pixels of a chunk: source and result stay in the second-level cache, with room for weights.
std::int64_t most_pixels(std::int64_t channels, std::int64_t outputs) {
    constexpr std::int64_t cached_floats = (384 << 10) / 4, least = 64, most = 256;
    return std::clamp(cached_floats / (channels + outputs), least, most);
}

std::optional<Kernel> plan_chunks(const Node* norm, const Node& conv, const PlanContext& context) {
    const Shape &x = conv.inputs[0].shape(), &w = conv.inputs[1].shape(), &y = conv.outputs[0].shape;
    const bool has_bias = conv.inputs.size() > 2 && !conv.inputs[2].is_empty(), has_residual = conv.inputs.size() > 3 && !conv.inputs[3].is_empty();
    if (has_residual || y.elements() == 0 || x.elements() == 0) return {};
    const Layout source = source_of((norm ? *norm : conv).inputs[0], context), target = home_of(conv, 0, context);
    const std::int64_t channels = x[1], outputs = y[1], x_pixel = pixel_stride(source, x), y_pixel = pixel_stride(target, y);
    const bool gathers = norm || x_pixel != channels, spreads = y_pixel != outputs;

    dnnl::post_ops post;
    const UnaryKernel activate = append_activation(post, conv) ? UnaryKernel{} : activation_kernel(conv);
    dnnl::primitive_attr attr = planned_scratch();
    attr.set_post_ops(post);
    const Ranges ranges = ranges_of(context, x);
    const std::int64_t most = most_pixels(channels, outputs);
    std::map<std::int64_t, Product, std::greater<>> products;  // the largest is planned first
    for (const std::int64_t size : ranges.sizes) {
        const std::int64_t chunks = (size + most - 1) / most;
        products[size / chunks], products[(size + chunks - 1) / chunks];
    }
    const bool undecided = context.is_undecided(conv.inputs[1]);
    std::optional<memory::desc> weights;
    if (!undecided) weights.emplace(desc_of(context.layout(conv.inputs[1]), w));
    const memory::desc free_weights(dims_of(w), memory::data_type::f32, memory::format_tag::any), bias = has_bias ? plain_desc({outputs}) : memory::desc();
    std::string name;
    std::int64_t scratch_floats = 0;
    const SingleThreaded single;
    for (auto& [pixels, product] : products) {
        const Shape from{1, channels, 1, pixels}, to{1, outputs, 1, pixels};
        const auto create = [&](const memory::desc& weight) {
            return dnnl::convolution_forward::primitive_desc({dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct, channels_last_desc(from), weight, bias, channels_last_desc(to),
                                                              {1, 1}, {0, 0}, {0, 0}}, attr, engine());
        };
        auto pd = create(weights ? *weights : free_weights);
        if (name.empty() && is_slow(pd.impl_info_str()) && weights) pd = create(free_weights);  // a weight that lies badly is better reordered
        if (is_slow(pd.impl_info_str())) return {};
        weights.emplace(pd.weights_desc());
        if (name.empty()) name = pd.impl_info_str();
        scratch_floats = std::max(scratch_floats, static_cast<std::int64_t>(pd.scratchpad_desc().get_size() + 3) / 4);
        product = {dnnl::convolution_forward(pd), pd.src_desc(), pd.weights_desc(), pd.bias_desc(), pd.dst_desc(), pd.scratchpad_desc()};
    }
    Regions at;
    if (gathers) at.source = at.add(most * channels);
    if (spreads) at.target = at.add(most * outputs);
    if (norm) at.scale = at.add(2 * channels);
    if (scratch_floats > 0) at.scratch = at.add(scratch_floats);

    Kernel kernel;
    kernel.name = name;
    kernel.workspace_bytes = static_cast<std::size_t>(at.all) * sizeof(float);
    kernel.out = {target};
    // A norm's inputs come first, then the convolution's but its source.
    const std::size_t weight_at = norm ? norm->inputs.size() : 1;
    kernel.in.resize(weight_at + conv.inputs.size() - 1);
    kernel.in[0] = source;
    kernel.in[weight_at] = layout_of(*weights, w);
    if (norm) kernel.through = {&conv};
    const bool rectifies = norm && norm->attrs.text("activation") == "relu";
    const UnaryKernel activate_source = norm && !rectifies ? activation_kernel(*norm) : UnaryKernel{};
    const double eps = norm ? norm->attrs.real("eps") : 0;
    const auto run = [=, is_normed = norm != nullptr](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
        float *work = as_f32(args.workspace), *scale = work + at.scale, *shift = scale + channels;
        if (is_normed) simd().inference_coefficients(scale, shift, as_f32(args.in[1]), as_f32(args.in[2]), as_f32(args.in[3]), as_f32(args.in[4]), eps, channels);
        const std::int64_t chunks = (end - begin + most - 1) / most;
        for (std::int64_t i = 0, first = begin; i < chunks; ++i) {
            const std::int64_t last = begin + (end - begin) * (i + 1) / chunks, count = last - first;
            const float* x_at = as_f32(args.in[0]) + first * x_pixel;
            float *y_at = as_f32(args.out[0]) + first * y_pixel, *from = gathers ? work + at.source : const_cast<float*>(x_at), *to = spreads ? work + at.target : y_at;
            if (is_normed) {
                simd().norm_apply(from, x_at, nullptr, scale, shift, {count, channels, x_pixel, channels}, rectifies);
                if (activate_source) activate_source(from, from, count * channels);
            } else if (gathers) {
                for (std::int64_t p = 0; p < count; ++p) std::copy_n(x_at + p * x_pixel, channels, from + p * channels);
            }
            const Product& product = products.at(count);
            execute(product.primitive, {{DNNL_ARG_SRC, &product.source, from},
                                        {DNNL_ARG_WEIGHTS, &product.weights, args.in[weight_at]},
                                        {DNNL_ARG_BIAS, &product.bias, has_bias ? args.in[weight_at + 1] : nullptr},
                                        {DNNL_ARG_DST, &product.target, to},
                                        {DNNL_ARG_SCRATCHPAD, &product.scratch, scratch_floats > 0 ? work + at.scratch : nullptr}});
            if (activate) activate(to, to, count * outputs);
            if (spreads)
                for (std::int64_t p = 0; p < count; ++p) std::copy_n(to + p * outputs, outputs, y_at + p * y_pixel);
            first = last;
        }
    };
    if (ranges.by_rows) {
        kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 1, .run = [run, per_sample = ranges.per_sample](const KernelArgs& args, const Part& part) {
                                     run(args, part.begin * per_sample, part.end * per_sample);
                                 }});
    } else {
        kernel.phases.push_back({.parts = ranges.pieces, .run = [run, pixels = ranges.pixels](const KernelArgs& args, const Part& part) {
                                     const auto [begin, end] = piece(part, pixels);
                                     run(args, begin, end);
                                 }});
    }
    return kernel;
}

}  // namespace

bool is_pointwise(const Node& node) {
    if (node.op->name != "conv2d" || node.attrs.integer("groups") != 1) return false;
    const Shape& w = node.inputs[1].shape();
    const auto all = [&](const char* name, std::int64_t wanted) { return std::ranges::all_of(node.attrs.integers(name), [&](std::int64_t i) { return i == wanted; }); };
    return w[2] == 1 && w[3] == 1 && all("stride", 1) && all("pad", 0);
}

std::optional<Kernel> plan_pointwise(const Node& node, const PlanContext& context) {
    if (!is_pointwise(node)) return {};
    return plan_chunks(nullptr, node, context);
}

std::optional<Kernel> plan_normed_pointwise(const Node& norm, const PlanContext& context) {
    const Node* conv = norm.outputs[0].shape.rank() == 4 ? context.only_reader(norm) : nullptr;
    if (!conv || !is_pointwise(*conv) || conv->inputs[0].id() != norm.id) return {};
    for (std::size_t i = 1; i < conv->inputs.size(); ++i)
        if (!conv->inputs[i].is_empty() && conv->inputs[i].node().op->name != "parameter") return {};
    return plan_chunks(&norm, *conv, context);
}

}  // namespace fovea::cpu
