#include "backends/cpu/bf16.h"
#include "backends/cpu/int8.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/linear_bf16.h"
#include "backends/cpu/thin_conv.h"

namespace fovea::cpu {

namespace {
/// Packed grouped weights have one dimension more than the value.
Shape shape_for(const Shape& shape, const Layout& layout) {
    if (!layout) return shape;
    const auto& desc = static_cast<const DnnlLayout&>(*layout).desc();
    if (desc.data.ndims != shape.rank() + 1) return shape;
    return {desc.data.dims[0], desc.data.dims[1], shape[1], shape[2], shape[3]};
}

bool is_channels_last(const Layout& layout) { return layout && layout->name() == "nhwc"; }

/// A slice gets memory of its own, channels last as before.
Kernel plan_gather(const Shape& shape, const Layout& from, const Layout& to, const PlanContext& context) {
    Kernel kernel;
    kernel.name = "copies";
    kernel.in = {from};
    kernel.out = {to};
    const std::int64_t channels = shape[1];
    kernel.phases.push_back(over_pixels(context, shape[0], shape[2] * shape[3], channels * 8, 1, [=, stride = pixel_stride(from, shape)](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
        for (std::int64_t p = begin; p < end; ++p) std::copy_n(as_f32(args.in[0]) + p * stride, channels, as_f32(args.out[0]) + p * channels);
    }));
    return kernel;
}

/// Between rows of pixels and planes, a sample at a time.
Kernel plan_transpose(const Shape& shape, const Layout& from, const Layout& to, const PlanContext& context) {
    const std::int64_t channels = shape[1], pixels = shape[2] * shape[3], size = channels * pixels, stride = pixel_stride(from, shape);
    Kernel kernel;
    kernel.name = "simd:transpose";
    kernel.in = {from};
    kernel.out = {to};
    const auto run = [=, to_planes = from != nullptr](const KernelArgs& args, std::int64_t sample, std::int64_t begin, std::int64_t end) {
        const float* in = as_f32(args.in[0]) + sample * pixels * stride;
        float* out = as_f32(args.out[0]) + sample * size;
        if (to_planes) thin_conv().transpose(out + begin, pixels, in + begin * stride, stride, end - begin, channels);
        else thin_conv().transpose(out + begin * channels, channels, in + begin, pixels, channels, end - begin);
    };
    if (context.is_sharded() && shape[0] == context.rows) {
        kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 1, .run = [=](const KernelArgs& args, const Part& part) {
                                     for (std::int64_t n = part.begin; n < part.end; ++n) run(args, n, 0, pixels);
                                 }});
        return kernel;
    }
    kernel.phases.push_back({.parts = split_parts(shape[0] * pixels, channels * 8), .run = [=, samples = shape[0]](const KernelArgs& args, const Part& part) {
                                 const auto [first, last] = piece(part, samples * pixels);
                                 for (std::int64_t at = first; at < last;) {
                                     const std::int64_t n = at / pixels, begin = at - n * pixels, end = std::min(pixels, last - n * pixels);
                                     run(args, n, begin, end);
                                     at = n * pixels + end;
                                 }
                             }});
    return kernel;
}

}  // namespace

Kernel plan_reorder(const Type& type, const Layout& from, const Layout& to, const PlanContext& context) {
    if (auto kernel = plan_winograd_weights(type, from, to)) return *std::move(kernel);
    if (auto kernel = plan_int8_reorder(type, from, to, context)) return *std::move(kernel);
    if (from && from->is_slice()) return same_layout(from->plain(), to) ? plan_gather(type.shape, from, to, context) : plan_transpose(type.shape, from, nullptr, context);
    if (auto kernel = plan_linear_panels(type, from, to)) return *std::move(kernel);
    if (is_bf16(from) || (is_bf16(to) && !to->is_one_way())) return plan_bf16_reorder(type, from, to, context);
    if (type.shape.rank() == 4 && type.shape.elements() > 0 && ((!from && is_channels_last(to)) || (!to && is_channels_last(from)))) return plan_transpose(type.shape, from, to, context);
    const Layout& shaping = to && to->is_one_way() ? to : from ? from : to;  // packed grouped weights are told apart by their last form
    const Shape shape = shape_for(type.shape, shaping);
    Kernel kernel;
    kernel.in = {from};
    kernel.out = {to};
    const bool by_rows = context.is_sharded() && has_rows(type.shape, from, context) && has_rows(type.shape, to, context) && type.shape.rank() == 4;
    const SingleThreaded single;
    const auto create = [&](const Shape& sized) {
        const bool whole = sized == shape;
        const auto source = whole ? desc_of(from, shape) : (from ? channels_last_desc(sized) : plain_desc(sized));
        const auto target = whole ? desc_of(to, shape) : (to ? channels_last_desc(sized) : plain_desc(sized));
        return dnnl::reorder::primitive_desc(engine(), source, engine(), target, planned_scratch());
    };
    kernel.name = "reorder";
    if (!by_rows) {
        const auto pd = create(shape);
        kernel.scratch_bytes = pd.scratchpad_desc().get_size();
        kernel.phases.push_back({.run = [primitive = dnnl::reorder(pd), source = pd.src_desc(), target = pd.dst_desc(), scratch = pd.scratchpad_desc()](const KernelArgs& args, const Part&) {
            execute(primitive, {{DNNL_ARG_FROM, &source, args.in[0]}, {DNNL_ARG_TO, &target, args.out[0]}, {DNNL_ARG_SCRATCHPAD, &scratch, scratch.get_size() ? args.scratch : nullptr}});
        }});
        return kernel;
    }
    // One sample at a time: any cut of the rows will do and the pieces stay in cache.
    Shape one = type.shape;
    one[0] = 1;
    const auto pd = create(one);
    kernel.scratch_bytes = pd.scratchpad_desc().get_size() * static_cast<std::size_t>(context.parts());
    const std::int64_t row = one.elements();
    kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 1, .run = [=, primitive = dnnl::reorder(pd), source = pd.src_desc(), target = pd.dst_desc(), scratch = pd.scratchpad_desc()](
                                                                               const KernelArgs& args, const Part& part) {
        for (std::int64_t n = part.begin; n < part.end; ++n)
            execute(primitive, {{DNNL_ARG_FROM, &source, as_f32(args.in[0]) + n * row},
                                {DNNL_ARG_TO, &target, as_f32(args.out[0]) + n * row},
                                {DNNL_ARG_SCRATCHPAD, &scratch, scratch.get_size() ? args.scratch + scratch.get_size() * static_cast<std::size_t>(part.index) : nullptr}});
    }});
    return kernel;
}

}  // namespace fovea::cpu
