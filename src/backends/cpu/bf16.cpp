#include "backends/cpu/bf16.h"

#include <algorithm>
#include <array>

#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"
#include "backends/cpu/thin_conv.h"

namespace fovea::cpu {

namespace {

using dnnl::memory;

class Bf16Layout final : public DnnlLayout {
public:
    Bf16Layout(const memory::desc& desc, const Shape& shape) : DnnlLayout(desc), shape_(shape) {}
    [[nodiscard]] bool is_plain() const override { return false; }
    [[nodiscard]] Layout plain() const override { return channels_last(shape_); }

private:
    Shape shape_;
};

class PackedWeights final : public DnnlLayout {
public:
    PackedWeights(const memory::desc& desc, Layout made_from) : DnnlLayout(desc), made_from_(std::move(made_from)) {}
    [[nodiscard]] bool is_one_way() const override { return true; }
    [[nodiscard]] Layout made_from() const override { return made_from_; }

private:
    Layout made_from_;
};

/// Pieces of about this many elements pass through the first-level cache.
constexpr std::int64_t piece_elements = 2048;

/// Elements [begin, end) of the pixels of one sample, from row-major f32 planes to bf16 pixels or back.
void turn(const KernelArgs& args, std::int64_t sample, std::int64_t channels, std::int64_t pixels, std::int64_t begin, std::int64_t end, bool to_bf16) {
    const std::int64_t step = std::max<std::int64_t>(1, piece_elements / channels);
    std::vector<float> piece(static_cast<std::size_t>(step * channels));
    const std::int64_t at = sample * channels * pixels;
    for (std::int64_t p = begin; p < end; p += step) {
        const std::int64_t count = std::min(step, end - p);
        if (to_bf16) {
            thin_conv().transpose(piece.data(), channels, as_f32(args.in[0]) + at + p, pixels, channels, count);
            simd().to_bf16(as_bf16(args.out[0]) + at + p * channels, piece.data(), count * channels);
        } else {
            simd().from_bf16(piece.data(), as_bf16(args.in[0]) + at + p * channels, count * channels);
            thin_conv().transpose(as_f32(args.out[0]) + at + p, pixels, piece.data(), channels, count, channels);
        }
    }
}

}  // namespace

bool has_bf16() {
    constexpr auto wanted = static_cast<unsigned>(dnnl_cpu_isa_avx512_core_bf16);
    static const bool has = (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & wanted) == wanted && simd().to_bf16 != nullptr;
    return has;
}

Layout bf16_layout(const Shape& shape) {
    const memory::desc plain = shape.rank() == 4 ? channels_last_desc(shape) : plain_desc(shape);
    memory::dims strides(plain.data.format_desc.blocking.strides, plain.data.format_desc.blocking.strides + shape.rank());
    return std::make_shared<Bf16Layout>(memory::desc(dims_of(shape), memory::data_type::bf16, strides), shape);
}

bool is_bf16(const Layout& layout) {
    const auto* dnnl = dynamic_cast<const DnnlLayout*>(layout.get());
    return dnnl && dnnl->desc().data.data_type == dnnl_bf16;
}

Layout packed_bf16(const memory::desc& desc, const Shape& weight, std::int64_t groups) {
    constexpr std::int64_t block = 16;
    const bool is_blocked = weight.rank() == 4 && groups == 1 && weight[0] % block == 0 && weight[1] % block == 0;
    return std::make_shared<PackedWeights>(desc, is_blocked ? layout_of(memory::desc(dims_of(weight), memory::data_type::f32, memory::format_tag::OIhw16i16o), weight) : nullptr);
}

Kernel plan_bf16_reorder(const Type& type, const Layout& from, const Layout& to, const PlanContext& context) {
    const Shape& shape = type.shape;
    const bool to_half = is_bf16(to);
    const Layout& other = to_half ? from : to;
    const std::int64_t samples = shape.rank() == 4 ? shape[0] : 1, channels = shape.rank() == 4 ? shape[1] : 1, pixels = shape.elements() / std::max<std::int64_t>(1, samples * channels);
    Kernel kernel;
    kernel.in = {from};
    kernel.out = {to};
    if (shape.elements() == 0) return kernel;
    // Pixels of channels on both sides, or planes where one is row-major and has more than one of both.
    if (!other && channels > 1 && pixels > 1) {
        kernel.name = "simd:transpose";
        kernel.phases.push_back(over_pixels(context, samples, pixels, channels * 6, 1, [=](const KernelArgs& args, std::int64_t first, std::int64_t last) {
            for (std::int64_t at = first; at < last;) {
                const std::int64_t n = at / pixels, begin = at - n * pixels, end = std::min(pixels, last - n * pixels);
                turn(args, n, channels, pixels, begin, end, to_half);
                at = n * pixels + end;
            }
        }));
        return kernel;
    }
    kernel.name = std::string("simd:") + simd().name;
    const std::int64_t rows = shape.rank() > 0 ? shape[0] : 1, row = shape.elements() / rows;
    kernel.phases.push_back(over_pixels(context, rows, row, 6, 1, [=](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
        if (to_half) simd().to_bf16(as_bf16(args.out[0]) + begin, as_f32(args.in[0]) + begin, end - begin);
        else simd().from_bf16(as_f32(args.out[0]) + begin, as_bf16(args.in[0]) + begin, end - begin);
    }));
    return kernel;
}

std::function<void(Bf16* y, const Bf16* x, std::int64_t count)> through_f32(std::function<void(float* y, const float* x, std::int64_t count)> f) {
    return [f = std::move(f)](Bf16* y, const Bf16* x, std::int64_t count) {
        std::array<float, piece_elements> piece;
        for (std::int64_t begin = 0; begin < count; begin += piece_elements) {
            const std::int64_t size = std::min(piece_elements, count - begin);
            simd().from_bf16(piece.data(), x + begin, size);
            f(piece.data(), piece.data(), size);
            simd().to_bf16(y + begin, piece.data(), size);
        }
    };
}

}  // namespace fovea::cpu
