// Linear layers on bytes. The outputs are cut into pieces, each with its own packed weights that are read once for the whole batch: with
// few rows these layers are as fast as memory gives their weights. Sums leave oneDNN as s32; scales, bias, activation and the next grid follow here.
#include "backends/cpu/conv_primitives.h"
#include "backends/cpu/int8.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"

namespace fovea::cpu {

namespace {

using dnnl::memory;

/// The product of all rows with outputs [begin, end).
struct Piece {
    dnnl::matmul primitive;
    memory::desc x, weights, sums, scratch;
    std::int64_t begin, end;
    std::size_t offset;  ///< of the packed weights
};

/// From rows of the weight [K, C] to the form of a piece.
dnnl::reorder::primitive_desc packing(const Piece& piece, const std::vector<float>& scale, std::int64_t channels) {
    std::vector<float> inverse;
    for (std::int64_t k = piece.begin; k < piece.end; ++k) inverse.push_back(1 / scale[static_cast<std::size_t>(k)]);
    dnnl::primitive_attr attr;
    attr.set_output_scales(2, inverse);
    const SingleThreaded single;
    const memory::desc plain({channels, piece.end - piece.begin}, memory::data_type::f32, memory::dims{1, channels});
    return {engine(), plain, engine(), piece.weights, attr};
}

/// Packed weights of all pieces one after another.
class PackedLinear final : public LayoutDetail {
public:
    PackedLinear(std::shared_ptr<const std::vector<Piece>> pieces, std::size_t bytes, std::vector<float> scale) : pieces_(std::move(pieces)), bytes_(bytes), scale_(std::move(scale)) {}
    [[nodiscard]] std::string name() const override { return "packed s8"; }
    [[nodiscard]] std::size_t bytes() const override { return bytes_; }
    [[nodiscard]] bool equals(const LayoutDetail& other) const override {
        const auto* same = dynamic_cast<const PackedLinear*>(&other);
        return same && same->scale_ == scale_ && std::ranges::equal(*same->pieces_, *pieces_, [](const Piece& a, const Piece& b) { return a.weights == b.weights && a.begin == b.begin; });
    }
    [[nodiscard]] bool is_one_way() const override { return true; }
    [[nodiscard]] Kernel made(const Shape& w) const {
        Kernel kernel;
        kernel.name = "reorder";
        const std::int64_t channels = w[1];
        kernel.phases.push_back({.parts = static_cast<int>(pieces_->size()), .run = [pieces = pieces_, scale = scale_, channels](const KernelArgs& args, const Part& part) {
            const Piece& piece = (*pieces)[static_cast<std::size_t>(part.index)];
            const dnnl::reorder::primitive_desc pd = packing(piece, scale, channels);
            const memory::desc plain = pd.src_desc();
            execute(dnnl::reorder(pd), {{DNNL_ARG_FROM, &plain, cpu::as_f32(args.in[0]) + piece.begin * channels}, {DNNL_ARG_TO, &piece.weights, args.out[0] + piece.offset}});
        }});
        return kernel;
    }

private:
    std::shared_ptr<const std::vector<Piece>> pieces_;
    std::size_t bytes_;
    std::vector<float> scale_;
};

}  // namespace

std::optional<Kernel> plan_packed_linear(const Type& type, const Layout& from, const Layout& to) {
    const auto* packed = dynamic_cast<const PackedLinear*>(to.get());
    if (from || !packed) return {};
    Kernel kernel = packed->made(type.shape);
    kernel.in = {from};
    kernel.out = {to};
    return kernel;
}

std::optional<Kernel> plan_int8_linear(const Node& node, const PlanContext& context) {
    const Int8Layout* source = stored_int8(node.inputs[0], context);
    const Shape &x = node.inputs[0].shape(), &w = node.inputs[1].shape();
    if (!source || !node.attrs.has("weight_scale") || x.rank() != 2 || x.elements() == 0) return {};
    const std::int64_t rows = x[0], channels = w[1], outputs = w[0];
    const bool has_bias = node.inputs.size() > 2 && !node.inputs[2].is_empty();
    constexpr std::int64_t piece_weights = 128 << 10, most_pieces = 16, least_outputs = 16;
    const std::int64_t count = context.is_serial ? 1 : std::clamp<std::int64_t>(outputs * channels / piece_weights, 1, std::clamp<std::int64_t>(outputs / least_outputs, 1, most_pieces));
    auto pieces = std::make_shared<std::vector<Piece>>();
    std::size_t bytes = 0, scratch = 0;
    std::string name;
    const SingleThreaded single;
    try {
        for (std::int64_t i = 0; i < count; ++i) {
            const std::int64_t begin = outputs * i / count, end = outputs * (i + 1) / count;
            dnnl::primitive_attr attr = planned_scratch();
            if (source->grid().zero_point != 0) attr.set_zero_points(DNNL_ARG_SRC, 0, {static_cast<std::int32_t>(source->grid().zero_point)});
            const dnnl::matmul::primitive_desc pd({memory::desc({rows, channels}, source->data_type(), memory::format_tag::ab), memory::desc({channels, end - begin}, memory::data_type::s8, memory::format_tag::any),
                                                   memory::desc({rows, end - begin}, memory::data_type::s32, memory::format_tag::ab)},
                                                  attr, engine());
            if (is_reference(pd.impl_info_str())) return {};
            name = pd.impl_info_str();
            pieces->push_back({dnnl::matmul(pd), pd.src_desc(), pd.weights_desc(), pd.dst_desc(), pd.scratchpad_desc(), begin, end, bytes});
            bytes += (pd.weights_desc().get_size() + 63) / 64 * 64;
            scratch = std::max(scratch, (pd.scratchpad_desc().get_size() + 63) / 64 * 64);
        }
    } catch (const dnnl::error&) {
        return {};
    }
    std::vector<float> plain_scales, scales;
    for (const double s : node.attrs.reals("weight_scale")) plain_scales.push_back(static_cast<float>(s)), scales.push_back(static_cast<float>(s * source->grid().scale));
    try {
        (void)packing(pieces->front(), plain_scales, channels);
    } catch (const dnnl::error&) {  // oneDNN runs on a form that it cannot make
        return {};
    }
    const Int8Output output(node, context);
    const UnaryKernel activate = activation_kernel(node);
    const std::int64_t widest = (outputs + count - 1) / count;
    Kernel kernel;
    kernel.name = name;
    kernel.in.resize(node.inputs.size());
    kernel.in[0] = context.stored(node.inputs[0]);
    kernel.in[1] = std::make_shared<PackedLinear>(pieces, bytes, plain_scales);
    kernel.out = {output.layout};
    if (output.through) kernel.through = {output.through};
    const std::size_t sums_bytes = static_cast<std::size_t>(rows * widest * 4 + 63) / 64 * 64;
    kernel.workspace_bytes = scratch + sums_bytes + static_cast<std::size_t>(widest) * 4;
    kernel.phases.push_back({.parts = static_cast<int>(count), .run = [=](const KernelArgs& args, const Part& part) {
                                 const Piece& piece = (*pieces)[static_cast<std::size_t>(part.index)];
                                 auto* sums = reinterpret_cast<std::int32_t*>(args.workspace + scratch);
                                 float* line = as_f32(args.workspace + scratch + sums_bytes);
                                 execute(piece.primitive, {{DNNL_ARG_SRC, &piece.x, args.in[0]},
                                                           {DNNL_ARG_WEIGHTS, &piece.weights, args.in[1] + piece.offset},
                                                           {DNNL_ARG_DST, &piece.sums, sums},
                                                           {DNNL_ARG_SCRATCHPAD, &piece.scratch, scratch ? args.workspace : nullptr}});
                                 const std::int64_t width = piece.end - piece.begin;
                                 for (std::int64_t n = 0; n < rows; ++n) {
                                     for (std::int64_t k = 0; k < width; ++k)
                                         line[k] = static_cast<float>(sums[n * width + k]) * scales[static_cast<std::size_t>(piece.begin + k)] + (has_bias ? as_f32(args.in[2])[piece.begin + k] : 0.0f);
                                     if (activate) activate(line, line, width);
                                     output.write(args.out[0], n * outputs + piece.begin, line, width);
                                 }
                             }});
    return kernel;
}

}  // namespace fovea::cpu
