// Convolutions on bytes by oneDNN: products summed in s32, times scale of map and weight, plus residual, activation, and rounded to the
// next map's grid where a fake_quantize alone reads the result. In oneDNN 2.6 the bias enters before the scales, so it is divided by them.
#include "backends/cpu/conv_pieces.h"
#include "backends/cpu/int8.h"
#include "backends/cpu/kernels.h"

namespace fovea::cpu {

namespace {

using dnnl::memory;

memory::desc byte_map(const Shape& s, memory::data_type type) { return memory::desc(dims_of(s), type, memory::dims{s[1] * s[2] * s[3], 1, s[3] * s[1], s[1]}); }

/// Weights as s8 in the form a primitive asks for, made from f32 ones on the grid of `scale`.
class PackedInt8 final : public LayoutDetail {
public:
    PackedInt8(memory::desc desc, std::int64_t groups, std::vector<float> scale) : desc_(std::move(desc)), groups_(groups), scale_(std::move(scale)) {}
    [[nodiscard]] std::string name() const override { return "packed s8"; }
    [[nodiscard]] std::size_t bytes() const override { return desc_.get_size(); }
    [[nodiscard]] bool equals(const LayoutDetail& other) const override {
        const auto* same = dynamic_cast<const PackedInt8*>(&other);
        return same && same->desc_ == desc_ && same->groups_ == groups_ && same->scale_ == scale_;
    }
    [[nodiscard]] bool is_one_way() const override { return true; }
    [[nodiscard]] Kernel made(const Shape& w) const {
        std::vector<float> inverse;
        for (const float s : scale_) inverse.push_back(1 / s);
        dnnl::primitive_attr attr = planned_scratch();
        attr.set_output_scales(groups_ == 1 ? 1 : 3, inverse);
        const SingleThreaded single;
        const dnnl::reorder::primitive_desc pd(engine(), plain_desc(weight_shape(w, groups_)), engine(), desc_, attr);
        Kernel kernel;
        kernel.name = "reorder";
        kernel.scratch_bytes = pd.scratchpad_desc().get_size();
        kernel.phases.push_back({.run = [primitive = dnnl::reorder(pd), source = pd.src_desc(), target = pd.dst_desc(), scratch = pd.scratchpad_desc()](const KernelArgs& args, const Part&) {
            execute(primitive, {{DNNL_ARG_FROM, &source, args.in[0]}, {DNNL_ARG_TO, &target, args.out[0]}, {DNNL_ARG_SCRATCHPAD, &scratch, scratch.get_size() ? args.scratch : nullptr}});
        }});
        return kernel;
    }

private:
    memory::desc desc_;
    std::int64_t groups_;
    std::vector<float> scale_;
};

/// A vector [K] divided by scales.
class DividedLayout final : public LayoutDetail {
public:
    explicit DividedLayout(std::vector<float> scale) : scale_(std::move(scale)) {}
    [[nodiscard]] std::string name() const override { return "scaled"; }
    [[nodiscard]] std::size_t bytes() const override { return scale_.size() * sizeof(float); }
    [[nodiscard]] bool equals(const LayoutDetail& other) const override {
        const auto* same = dynamic_cast<const DividedLayout*>(&other);
        return same && same->scale_ == scale_;
    }
    [[nodiscard]] bool is_one_way() const override { return true; }
    [[nodiscard]] Kernel made() const {
        Kernel kernel;
        kernel.name = "simd";
        kernel.phases.push_back({.run = [scale = scale_](const KernelArgs& args, const Part&) {
            for (std::size_t i = 0; i < scale.size(); ++i) cpu::as_f32(args.out[0])[i] = cpu::as_f32(args.in[0])[i] / scale[i];
        }});
        return kernel;
    }

private:
    std::vector<float> scale_;
};

}  // namespace

std::optional<Kernel> plan_int8_weights(const Type& type, const Layout& from, const Layout& to) {
    const auto* weights = dynamic_cast<const PackedInt8*>(to.get());
    const auto* bias = dynamic_cast<const DividedLayout*>(to.get());
    if (from || (!weights && !bias)) return {};
    Kernel kernel = weights ? weights->made(type.shape) : bias->made();
    kernel.in = {from};
    kernel.out = {to};
    return kernel;
}

std::optional<Kernel> plan_int8_conv2d(const Node& node, const PlanContext& context) {
    const Int8Layout* source = stored_int8(node.inputs[0], context);
    const ConvGeometry g(node.attrs);
    const Shape &x = node.inputs[0].shape(), &w = node.inputs[1].shape(), &y = node.outputs[0].shape;
    if (!source || !node.attrs.has("weight_scale") || !g.is_supported || y.elements() == 0) return {};
    const bool has_bias = node.inputs.size() > 2 && !node.inputs[2].is_empty(), has_residual = node.inputs.size() > 3 && !node.inputs[3].is_empty();
    const bool sharded = context.is_sharded() && x[0] == context.rows;
    const Int8Layout* residual = has_residual ? stored_int8(node.inputs[3], context) : nullptr;
    dnnl::post_ops probe;
    // Bytes are written where all that lies before the rounding is part of the primitive. oneDNN 2.6 leaves out the third of three
    // elementwise steps (hard_sigmoid is two, the grid's scale one).
    const bool is_part = append_activation(probe, node) && probe.len() < 2;
    const Int8Output output = has_residual == (residual != nullptr) && is_part ? Int8Output(node, context) : Int8Output(y);

    const std::vector<double> weight_scale = node.attrs.reals("weight_scale");
    const std::string activation = node.attrs.text("activation");
    const bool is_homogeneous = activation.empty() || activation == "relu" || activation == "leaky_relu";  // f(a x) = a f(x)
    const double step = output.is_bytes() ? output.grid.scale : 1, early_step = is_homogeneous ? step : 1;
    std::vector<float> scales, bias_scales, plain_scales;
    for (const double s : weight_scale) {
        scales.push_back(static_cast<float>(source->grid().scale * s / early_step));
        bias_scales.push_back(static_cast<float>(source->grid().scale * s));
        plain_scales.push_back(static_cast<float>(s));
    }
    dnnl::post_ops post;
    if (has_residual && output.is_bytes())
        post.append_sum(static_cast<float>(residual->grid().scale / early_step), static_cast<std::int32_t>(residual->grid().zero_point), residual->data_type());
    else if (has_residual)
        post.append_sum(1.0f);
    const UnaryKernel activate = append_activation(post, node) ? UnaryKernel{} : activation_kernel(node);
    if (early_step != step) post.append_eltwise(1.0f, dnnl::algorithm::eltwise_linear, static_cast<float>(1 / step), 0);
    dnnl::primitive_attr attr = planned_scratch();
    attr.set_post_ops(post);
    attr.set_output_scales(2, scales);
    if (source->grid().zero_point != 0) attr.set_zero_points(DNNL_ARG_SRC, 0, {static_cast<std::int32_t>(source->grid().zero_point)});
    if (output.is_bytes() && output.grid.zero_point != 0) attr.set_zero_points(DNNL_ARG_DST, 0, {static_cast<std::int32_t>(output.grid.zero_point)});

    const auto target = output.is_bytes() ? (output.grid.low < 0 ? memory::data_type::s8 : memory::data_type::u8) : memory::data_type::f32;
    const ConvLines lines{x[2], y[2], g.stride[0], (w[2] - 1) * (g.dilation[0] + 1) + 1, g.before[0], g.after[0]};
    const std::vector<ConvPiece> pieces = pieces_of(context, lines, false, sharded, y, y.elements() * w[1] * w[2] * w[3], w.elements());
    std::map<PieceSize, Sized, std::greater<>> sized;
    for (const ConvPiece& piece : pieces) sized[piece.size()];
    memory::desc weights(weight_dims(w, g.groups), memory::data_type::s8, memory::format_tag::any);
    std::string name;
    std::size_t scratch = 0;
    const SingleThreaded single;
    try {
        for (auto& [size, s] : sized) {
            const auto [samples, out_lines, in_lines, before, after] = size;
            const dnnl::convolution_forward::primitive_desc pd({dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, byte_map({samples, x[1], in_lines, x[3]}, source->data_type()), weights,
                                                                has_bias ? plain_desc({w[0]}) : memory::desc(), byte_map({samples, y[1], out_lines, y[3]}, target), g.stride, g.dilation,
                                                                memory::dims{before, g.before[1]}, memory::dims{after, g.after[1]}},
                                                               attr, engine());
            if (is_slow(pd.impl_info_str())) return {};
            weights = pd.weights_desc();
            name = pd.impl_info_str();
            scratch = std::max(scratch, (pd.scratchpad_desc().get_size() + 63) / 64 * 64);
            s = {dnnl::convolution_forward(pd), pd.src_desc(), pd.weights_desc(), pd.dst_desc(), pd.bias_desc(), pd.scratchpad_desc()};
        }
    } catch (const dnnl::error&) {
        return {};
    }
    const auto packed = std::make_shared<PackedInt8>(weights, g.groups, plain_scales);
    try {
        (void)packed->made(w);
    } catch (const dnnl::error&) {  // oneDNN runs on a form that it cannot make
        return {};
    }
    Kernel kernel;
    kernel.name = name;
    kernel.in.resize(node.inputs.size());
    kernel.in[0] = context.stored(node.inputs[0]);
    kernel.in[1] = packed;
    if (has_bias) kernel.in[2] = std::make_shared<DividedLayout>(bias_scales);
    if (has_residual) kernel.in[3] = output.is_bytes() ? context.stored(node.inputs[3]) : channels_last(y);
    kernel.out = {output.layout};
    if (has_residual) kernel.in_place = {3};
    if (output.through) kernel.through = {output.through};
    const std::int64_t width = output.is_bytes() ? 1 : 4, x_line = x[1] * x[3], y_line = y[1] * y[3] * width;
    Phase phase{.kind = sharded ? Phase::Kind::rows : Phase::Kind::split, .parts = static_cast<int>(pieces.size()), .row_reads = sharded ? 0b1001u : 0u, .uses_scratch = scratch > 0};
    kernel.scratch_bytes = scratch * pieces.size();
    phase.run = [sized, pieces, x_line, y_line, x_lines = x[2], y_lines = y[2], scratch, has_residual](const KernelArgs& args, const Part& part) {
        const ConvPiece& piece = pieces[static_cast<std::size_t>(part.index)];
        const Sized& s = sized.at(piece.size());
        const std::int64_t at = (piece.sample * y_lines + piece.line) * y_line;
        std::byte* to = args.out[0] + at;
        if (has_residual && args.in[3] != args.out[0]) std::copy_n(args.in[3] + at, piece.samples * piece.lines * y_line, to);
        execute(s.primitive, {{DNNL_ARG_SRC, &s.a, args.in[0] + (piece.sample * x_lines + piece.in_line) * x_line},
                              {DNNL_ARG_WEIGHTS, &s.b, args.in[1]},
                              {DNNL_ARG_BIAS, &s.bias, args.in.size() > 2 ? args.in[2] : nullptr},
                              {DNNL_ARG_DST, &s.c, to},
                              {DNNL_ARG_SCRATCHPAD, &s.scratch, scratch ? args.scratch + scratch * static_cast<std::size_t>(part.index) : nullptr}});
    };
    kernel.phases = {std::move(phase)};
    if (activate) kernel.phases.push_back(in_place_phase<float>(context, y, activate));
    return kernel;
}

}  // namespace fovea::cpu
