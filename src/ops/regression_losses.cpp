// Losses on distances: squares, absolute values, the two with a knee, angles and triplets.
#include <cmath>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/loss.h"

namespace fovea {

Value mse(const Value& x, const Value& t, const LossSpec& spec, std::string_view name) { return reduce(square(x - t), spec.reduction, name); }
Value mse(const Value& x, double t, const LossSpec& spec, std::string_view name) { return reduce(square(x - t), spec.reduction, name); }
Value l1(const Value& x, const Value& t, const LossSpec& spec, std::string_view name) { return reduce(abs(x - t), spec.reduction, name); }

Value huber(const Value& x, const Value& t, const HuberSpec& spec, std::string_view name) {
    require<ArgumentError>(spec.delta > 0, "huber '{}': delta must be positive, got {}", name, spec.delta);
    const Value d = x - t, a = abs(d);
    return reduce(where(greater(a, spec.delta), spec.delta * (a - spec.delta / 2), 0.5 * square(d)), spec.reduction, name);
}

Value smooth_l1(const Value& x, const Value& t, const SmoothL1Spec& spec, std::string_view name) {
    require<ArgumentError>(spec.beta >= 0 && spec.sigma >= 0, "smooth_l1 '{}': beta and sigma must not be negative, got {} and {}", name, spec.beta, spec.sigma);
    const double beta = spec.sigma > 0 ? 1 / (spec.sigma * spec.sigma) : spec.beta;
    if (beta == 0) return l1(x, t, {.reduction = spec.reduction}, name);
    // Huber's loss divided by its knee: the slope beyond is 1.
    const Value loss = huber(x, t, {.delta = beta, .reduction = Reduction::none}) / beta;
    return reduce(loss, spec.reduction, name);
}

Value cosine_similarity(const Value& a, const Value& b, const CosineSpec& spec, std::string_view name) {
    const ReduceSpec along{.axes = {spec.axis}};
    const auto norm = [&](const Value& v) { return maximum(sqrt(sum(square(v), along)), spec.eps); };
    return divide(sum(a * b, along), norm(a) * norm(b), name.empty() ? "cosine_similarity" : name);
}

Value triplet_margin(const Value& anchor, const Value& positive, const Value& negative, const TripletSpec& spec, std::string_view name) {
    require<ArgumentError>(spec.p >= 1, "triplet_margin '{}': p must be at least 1, got {}", name, spec.p);
    // eps inside the distance keeps the root's derivative finite at 0, as in PyTorch.
    const auto distance = [&](const Value& other) {
        const Value d = (anchor - other) + spec.eps;
        const ReduceSpec last{.axes = {-1}};
        if (spec.p == 1) return sum(abs(d), last);
        if (spec.p == 2) return sqrt(sum(square(d), last));
        return pow(sum(pow(abs(d), spec.p), last), 1 / spec.p);
    };
    return reduce(relu((distance(positive) - distance(negative)) + spec.margin), spec.reduction, name);
}

void register_regression_losses(OpRegistry&) {}  // composed

}  // namespace fovea
