// Dropout. The draw belongs to the element's place in row-major order, so the mask is that of the plain loops, bit for bit, whatever the
// layout and the number of threads.
#include "backends/cpu/kernels.h"

namespace fovea::cpu {

namespace {

/// Draws by element number; neighbours share a block of the generator, so the last one is kept.
class Draws {
public:
    Draws(std::uint64_t seed, std::uint64_t stream, std::uint64_t step, double drop) : rng_(seed, stream, step), drop_(drop) {}
    [[nodiscard]] bool keeps(std::int64_t group) const { return !(rng_.uniform(static_cast<std::uint64_t>(group)) < drop_); }

private:
    Rng rng_;
    double drop_;
};

}  // namespace

std::optional<Kernel> plan_dropout(const Node& node, const PlanContext& context) {
    const Shape& x = node.outputs[0].shape;
    if (x.rank() == 0 || x.elements() == 0 || node.outputs[0].dtype != DType::f32) return {};
    const std::string mode = node.attrs.text("mode", "element");
    const double drop = node.attrs.real("drop"), scale = 1 / (1 - drop);
    const std::uint64_t stream = hash_name(node.attrs.text("key"));
    const Layout layout = channels_last(x);
    const std::int64_t samples = x[0], per_sample = x.elements() / samples, pixels = x.rank() >= 2 ? x.elements(2, x.rank()) : 1, channels = per_sample / pixels;
    // Steps in memory between neighbouring channels and pixels.
    const std::int64_t channel_step = layout ? 1 : pixels, pixel_step = layout ? channels : 1;
    Kernel kernel;
    kernel.name = "loops:rows";
    kernel.in = {layout};
    kernel.out = {layout};
    kernel.in_place = {0};
    const auto sample = [=](const KernelArgs& args, std::int64_t n) {
        const Draws draws(args.seed, stream, args.step, drop);
        const float* from = as_f32(args.in[0]) + n * per_sample;
        float* to = as_f32(args.out[0]) + n * per_sample;
        const auto put = [&](std::int64_t i, bool keep) { to[i] = keep ? static_cast<float>(static_cast<double>(from[i]) * scale) : 0.0f; };
        if (mode == "sample" || mode == "batch") {
            const bool keep = draws.keeps(mode == "sample" ? n : 0);
            for (std::int64_t i = 0; i < per_sample; ++i) put(i, keep);
            return;
        }
        if (mode == "channel") {
            std::vector<char> kept(static_cast<std::size_t>(channels));
            for (std::int64_t c = 0; c < channels; ++c) kept[static_cast<std::size_t>(c)] = draws.keeps(n * channels + c);
            for (std::int64_t p = 0; p < pixels; ++p)
                for (std::int64_t c = 0; c < channels; ++c) put(c * channel_step + p * pixel_step, kept[static_cast<std::size_t>(c)]);
            return;
        }
        // A few pixels of every channel at a time: the tile stays in cache though draws run along the pixels and memory along the channels.
        constexpr std::int64_t tile = 16;
        for (std::int64_t p = 0; p < pixels; p += tile)
            for (std::int64_t c = 0; c < channels; ++c)
                for (std::int64_t i = p; i < std::min(pixels, p + tile); ++i) put(c * channel_step + i * pixel_step, draws.keeps((n * channels + c) * pixels + i));
    };
    if (context.is_sharded() && samples == context.rows) {
        kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 1, .run = [sample](const KernelArgs& args, const Part& part) {
                                     for (std::int64_t n = part.begin; n < part.end; ++n) sample(args, n);
                                 }});
    } else {
        kernel.phases.push_back({.parts = split_parts(samples, per_sample * 16), .run = [sample, samples](const KernelArgs& args, const Part& part) {
                                     const auto [begin, end] = piece(part, samples);
                                     for (std::int64_t n = begin; n < end; ++n) sample(args, n);
                                 }});
    }
    return kernel;
}

}  // namespace fovea::cpu
