// Dropout. The draw belongs to the element's place in row-major order, so the mask is that of the plain loops, bit for bit, whatever the
// layout and the number of threads.
#include <array>
#include <bit>
#include <cmath>

#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"

namespace fovea::cpu {

namespace {

/// Which of `count` elements from number `first` on are kept, as Rng::uniform(element) >= drop says.
class Draws {
public:
    Draws(std::uint64_t seed, std::uint64_t stream, std::uint64_t step, double drop)
        : rng_(seed, stream, step), drop_(drop), threshold_(static_cast<std::uint32_t>(std::ceil(drop * 0x1p24))) {}
    [[nodiscard]] bool keeps(std::int64_t element) const { return !(rng_.uniform(static_cast<std::uint64_t>(element)) < drop_); }
    /// The same many at a time.
    [[nodiscard]] std::vector<std::uint8_t> keeps(std::int64_t first, std::int64_t count) const {
        constexpr std::int64_t most = 256;
        std::array<std::uint32_t, 4 * (most + Math::spare_blocks)> words;
        std::vector<std::uint8_t> kept(static_cast<std::size_t>(count));
        for (std::int64_t block = first / 4; block * 4 < first + count; block += most) {
            const std::int64_t begin = std::max(first, block * 4), end = std::min(first + count, (block + most) * 4);
            math().draws(words.data(), static_cast<std::uint64_t>(block), (end + 3) / 4 - block, rng_.step(), rng_.key());
            std::uint8_t* to = kept.data() + (begin - first);
            const std::uint32_t* from = words.data() + (begin - block * 4);
            for (std::int64_t i = 0; i < end - begin; ++i) to[i] = from[i] >> 8 >= threshold_;
        }
        return kept;
    }

private:
    Rng rng_;
    double drop_;
    std::uint32_t threshold_;  // 24-bit draws below it are dropped
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
    kernel.name = std::string("simd:") + simd().name;
    kernel.in = {layout};
    kernel.out = {layout};
    kernel.in_place = {0};
    const auto sample = [=](const KernelArgs& args, std::int64_t n) {
        const Draws draws(args.seed, stream, args.step, drop);
        const float* from = as_f32(args.in[0]) + n * per_sample;
        float* to = as_f32(args.out[0]) + n * per_sample;
        // Chance decides: a branch would be guessed wrong all the time.
        const auto put = [&](std::int64_t i, bool keep) {
            to[i] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(static_cast<float>(static_cast<double>(from[i]) * scale)) & (std::uint32_t{0} - std::uint32_t{keep}));
        };
        const std::int64_t number = args.place.first_row + n;  // in the batch of all ranks
        if (mode == "sample" || mode == "batch") {
            const bool keep = draws.keeps(mode == "sample" ? number : 0);
            for (std::int64_t i = 0; i < per_sample; ++i) put(i, keep);
            return;
        }
        if (mode == "channel") {
            const auto kept = draws.keeps(number * channels, channels);
            for (std::int64_t p = 0; p < pixels; ++p)
                for (std::int64_t c = 0; c < channels; ++c) put(c * channel_step + p * pixel_step, kept[static_cast<std::size_t>(c)] != 0);
            return;
        }
        const auto kept = draws.keeps(number * per_sample, per_sample);
        if (!layout) {
            for (std::int64_t i = 0; i < per_sample; ++i) put(i, kept[static_cast<std::size_t>(i)] != 0);
            return;
        }
        for (std::int64_t p = 0; p < pixels; ++p)
            for (std::int64_t c = 0; c < channels; ++c) put(p * channels + c, kept[static_cast<std::size_t>(c * pixels + p)] != 0);
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

std::optional<Kernel> plan_choose_paths(const Node& node, const PlanContext& context) {
    // A handful of numbers that depend on the seed and the step alone: the op's own draw is as fast as any, its input is never read.
    Kernel kernel = plan_loops(node, context.real);
    kernel.name = "draw";
    kernel.phases.front().reads = 0;
    return kernel;
}

}  // namespace fovea::cpu
