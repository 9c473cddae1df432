// Softmax, log-softmax and softmax cross-entropy over the classes, which lie side by side: [N, L], or [N, L, H, W] channels last.
// Exponentials in f32, sums in double.
#include <cmath>

#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"

namespace fovea::cpu {

namespace {

/// Scores seen as `pixels` rows of `classes`.
struct Scores {
    std::int64_t classes, per_sample, pixels;
    explicit Scores(const Shape& x) : classes(x[1]), per_sample(x.elements(2, x.rank())), pixels(x[0] * per_sample) {}
};

bool is_supported(const Value& scores, const PlanContext& context) {
    const Shape& x = scores.shape();
    return (x.rank() == 2 || x.rank() == 4) && x[0] == context.rows && x.elements() > 0 && scores.dtype() == DType::f32;
}

/// A phase over the pixels: run(args, part index, first pixel, last pixel). Its parts are `count`.
struct PixelPhase {
    Phase phase;
    int count;
};
template <class F> PixelPhase over_scores(const Scores& scores, const PlanContext& context, std::uint32_t row_reads, F&& run) {
    if (context.is_sharded())
        return {{.kind = Phase::Kind::rows, .row_reads = row_reads,
                 .run = [=](const KernelArgs& args, const Part& part) { run(args, part.index, part.begin * scores.per_sample, part.end * scores.per_sample); }},
                context.parts()};
    const int parts = split_parts(scores.pixels, scores.classes * 16);  // an exponential costs a few copies
    return {{.parts = parts, .run = [=](const KernelArgs& args, const Part& part) {
                 const auto [begin, end] = piece(part, scores.pixels);
                 run(args, part.index, begin, end);
             }},
            parts};
}

/// What the labels and their weights say, as the plain loops have it.
struct Target {
    double smoothing;
    std::int64_t ignore, classes;
    bool is_wide;  ///< labels are i64
    int weights_input;

    Target(const Node& node, int weights_at)
        : smoothing(node.attrs.real("label_smoothing", 0)), ignore(node.attrs.integer("ignore_index", -100)), classes(node.inputs[0].shape()[1]),
          is_wide(node.inputs[1].dtype() == DType::i64), weights_input(weights_at) {}
    [[nodiscard]] const float* weights(const KernelArgs& args) const {
        return static_cast<std::size_t>(weights_input) < args.in.size() ? as_f32(args.in[static_cast<std::size_t>(weights_input)]) : nullptr;
    }
    [[nodiscard]] std::int64_t label(const KernelArgs& args, std::int64_t pixel) const {
        const std::int64_t l = is_wide ? reinterpret_cast<const std::int64_t*>(args.in[1])[pixel] : reinterpret_cast<const std::int32_t*>(args.in[1])[pixel];
        require<ArgumentError>(l == ignore || (l >= 0 && l < classes), "softmax_cross_entropy: label {} at position {} is outside 0..{} and is not ignore_index {}", l, pixel, classes - 1,
                               ignore);
        return l;
    }
    /// The sum of the weights of the labels that count.
    [[nodiscard]] double counted(const KernelArgs& args, std::int64_t begin, std::int64_t end) const {
        const float* w = weights(args);
        double total = 0;
        for (std::int64_t i = begin; i < end; ++i)
            if (const std::int64_t l = label(args, i); l != ignore) total += w ? static_cast<double>(w[l]) : 1.0;
        return total;
    }
};

double total_of(const std::byte* scratch, int parts, int stride, int at) {
    double total = 0;
    for (int p = 0; p < parts; ++p) total += reinterpret_cast<const double*>(scratch)[p * stride + at];
    return total;
}

std::optional<Kernel> plan_plain_softmax(const Node& node, const PlanContext& context) {
    const Value& x = node.inputs[0];
    const std::int64_t axis = node.attrs.integer("axis");
    if (!is_supported(x, context) || (axis != 1 && axis != 1 - x.shape().rank())) return {};
    const Scores scores(x.shape());
    Kernel kernel;
    kernel.name = std::string("simd:") + simd().name;
    kernel.in = {channels_last(x.shape())};
    kernel.out = {channels_last(x.shape())};
    kernel.in_place = {0};
    kernel.phases = {over_scores(scores, context, 1, [L = scores.classes, is_log = node.op->name == "log_softmax"](const KernelArgs& args, int, std::int64_t begin, std::int64_t end) {
                         for (std::int64_t i = begin; i < end; ++i) {
                             const float* from = as_f32(args.in[0]) + i * L;
                             float* to = as_f32(args.out[0]) + i * L;
                             const float top = simd().largest(from, L);
                             const double total = simd().exponentials(is_log ? nullptr : to, from, top, L);
                             if (!is_log) {
                                 simd().scale_shift(to, to, static_cast<float>(1 / total), 0, L);
                                 continue;
                             }
                             // Two roundings of x - (top + log total) would lose the small log beside a large top.
                             const double shift = static_cast<double>(top) + std::log(total);
                             for (std::int64_t c = 0; c < L; ++c) to[c] = static_cast<float>(static_cast<double>(from[c]) - shift);
                         }
                     }).phase};
    return kernel;
}

std::optional<Kernel> plan_cross_entropy(const Node& node, const PlanContext& context) {
    const Value& x = node.inputs[0];
    if (!is_supported(x, context)) return {};
    const Scores scores(x.shape());
    const Target target(node, 2);
    const std::string reduction = node.attrs.text("reduction", "mean");
    const bool keeps = reduction == "none";
    auto [phase, parts] = over_scores(scores, context, 0b11, [=, L = scores.classes](const KernelArgs& args, int part, std::int64_t begin, std::int64_t end) {
        const float* w = target.weights(args);
        const double share = target.smoothing / static_cast<double>(L);
        double losses = 0, counted = 0;
        for (std::int64_t i = begin; i < end; ++i) {
            const std::int64_t label = target.label(args, i);
            double loss = 0;
            if (label != target.ignore) {
                const float* from = as_f32(args.in[0]) + i * L;
                const float top = simd().largest(from, L);
                const double log_sum = static_cast<double>(top) + std::log(simd().exponentials(nullptr, from, top, L)), weight = w ? static_cast<double>(w[label]) : 1.0;
                loss = (1 - target.smoothing) * weight * (log_sum - static_cast<double>(from[label]));
                if (share > 0)
                    for (std::int64_t c = 0; c < L; ++c) loss += share * (w ? static_cast<double>(w[c]) : 1.0) * (log_sum - static_cast<double>(from[c]));
                counted += weight;
            }
            losses += loss;
            if (keeps) as_f32(args.out[0])[i] = static_cast<float>(loss);
        }
        if (keeps) return;
        double* mine = reinterpret_cast<double*>(args.scratch) + 2 * part;
        mine[0] = losses, mine[1] = counted;
    });
    Kernel kernel;
    kernel.name = std::string("simd:") + simd().name;
    kernel.in.resize(node.inputs.size());
    kernel.in[0] = channels_last(x.shape());
    kernel.out.resize(1);
    if (!keeps) {
        phase.writes = 0;
        phase.uses_scratch = true;
        kernel.scratch_bytes = static_cast<std::size_t>(parts) * 16;
    }
    kernel.phases = {std::move(phase)};
    if (keeps) return kernel;
    kernel.phases.push_back({.reads = 0, .uses_scratch = true, .run = [count = parts, is_mean = reduction == "mean"](const KernelArgs& args, const Part&) {
                                 const double divisor = is_mean ? total_of(args.scratch, count, 2, 1) : 1;
                                 as_f32(args.out[0])[0] = static_cast<float>(divisor > 0 ? total_of(args.scratch, count, 2, 0) / divisor : 0);
                             }});
    return kernel;
}

std::optional<Kernel> plan_cross_entropy_backward(const Node& node, const PlanContext& context) {
    const Value& x = node.inputs[0];
    if (!is_supported(x, context)) return {};
    const Scores scores(x.shape());
    const Target target(node, 3);
    const std::string reduction = node.attrs.text("reduction", "mean");
    const bool is_mean = reduction == "mean", keeps = reduction == "none";
    Kernel kernel;
    kernel.name = std::string("simd:") + simd().name;
    kernel.in.resize(node.inputs.size());
    kernel.in[0] = channels_last(x.shape());
    kernel.out = {channels_last(x.shape())};
    kernel.in_place = {0};
    int counters = 0;
    if (is_mean) {
        auto [phase, parts] = over_scores(scores, context, 0b10, [target](const KernelArgs& args, int part, std::int64_t begin, std::int64_t end) {
            reinterpret_cast<double*>(args.scratch)[part] = target.counted(args, begin, end);
        });
        counters = parts;
        phase.reads = 0b1010, phase.writes = 0, phase.uses_scratch = true;
        kernel.scratch_bytes = static_cast<std::size_t>(parts) * 8;
        kernel.phases.push_back(std::move(phase));
    }
    auto second = over_scores(scores, context, keeps ? 0b111 : 0b11, [=, L = scores.classes](const KernelArgs& args, int, std::int64_t begin, std::int64_t end) {
        const float* w = target.weights(args);
        const double divisor = is_mean ? total_of(args.scratch, counters, 1, 0) : 1, scale = divisor > 0 ? 1 / divisor : 0, share = target.smoothing / static_cast<double>(L);
        double every_weight = static_cast<double>(L);
        if (w) every_weight = simd().sum(w, L);
        for (std::int64_t i = begin; i < end; ++i) {
            const std::int64_t label = target.label(args, i);
            const float* from = as_f32(args.in[0]) + i * L;
            float* to = as_f32(args.out[0]) + i * L;
            if (label == target.ignore) {
                std::fill_n(to, L, 0.0f);
                continue;
            }
            const double g = scale * static_cast<double>(as_f32(args.in[2])[keeps ? i : 0]), own = (1 - target.smoothing) * (w ? static_cast<double>(w[label]) : 1.0);
            const double total = simd().exponentials(to, from, simd().largest(from, L), L);
            const double at_label = static_cast<double>(to[label]) / total * (own + share * every_weight) - own;
            simd().scale_shift(to, to, static_cast<float>(g * (own + share * every_weight) / total), w ? 0.0f : static_cast<float>(-g * share), L);
            if (w && share > 0)
                for (std::int64_t c = 0; c < L; ++c) to[c] -= static_cast<float>(g * share * static_cast<double>(w[c]));
            to[label] = static_cast<float>(g * (at_label - share * (w ? static_cast<double>(w[label]) : 1.0)));
        }
    }).phase;
    second.uses_scratch = is_mean;
    kernel.phases.push_back(std::move(second));
    return kernel;
}

}  // namespace

std::optional<Kernel> plan_softmax(const Node& node, const PlanContext& context) {
    if (node.op->name == "softmax_cross_entropy") return plan_cross_entropy(node, context);
    if (node.op->name == "softmax_cross_entropy_backward") return plan_cross_entropy_backward(node, context);
    return plan_plain_softmax(node, context);
}

}  // namespace fovea::cpu
