// What a training step costs on many nodes: each computes as one does, buckets of gradients are summed as soon as they are there, one after another.
#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "fovea/explain.h"

namespace fovea {

double all_reduce_ms(double bytes, std::int64_t nodes, const NetworkLink& link, AllReduceSteps steps) {
    require<ArgumentError>(nodes >= 1 && link.latency_us >= 0 && link.gigabytes_per_second > 0, "scaling: at least one node and a network that carries something, got {} and {} GB/s", nodes,
                           link.gigabytes_per_second);
    if (nodes == 1) return 0;
    const auto n = static_cast<double>(nodes);
    const double messages = steps == AllReduceSteps::ring ? 2 * (n - 1) : 2 * std::ceil(std::log2(n));
    return messages * link.latency_us * 1e-3 + 2 * (n - 1) / n * bytes / (link.gigabytes_per_second * 1e6);
}

ScaledStep step_on(std::int64_t nodes, const StepTimes& step, const NetworkLink& link, AllReduceSteps steps) {
    double bytes = 0, last_ready = step.gradients_ms;
    for (const GradientBucket& bucket : step.buckets) bytes += bucket.bytes, last_ready = std::max(last_ready, bucket.ready_ms);
    ScaledStep result;
    double is_free = 0, now = last_ready;  // of the network; of the processor, which updates bucket by bucket
    for (const GradientBucket& bucket : step.buckets) {
        const double takes = all_reduce_ms(bucket.bytes, nodes, link, steps);
        is_free = std::max(is_free, bucket.ready_ms) + takes;
        result.network_ms += takes;
        now = std::max(now, is_free) + (bytes > 0 ? step.update_ms * bucket.bytes / bytes : 0);
    }
    result.ms = step.buckets.empty() ? last_ready + step.update_ms : now;
    const double alone = last_ready + step.update_ms;
    result.exposed_ms = result.ms - alone;
    result.efficiency = alone / result.ms;
    return result;
}

NetworkLink fitted_link(std::string_view name, std::int64_t nodes, const std::vector<std::pair<double, double>>& bytes_and_ms) {
    require<ArgumentError>(nodes >= 2 && bytes_and_ms.size() >= 2, "scaling: a link is fitted to at least two sums of at least two nodes");
    // ms = a + b bytes by least squares of relative errors, so that short sums count as much as long ones.
    double w = 0, wx = 0, wxx = 0, wy = 0, wxy = 0;
    for (const auto& [bytes, ms] : bytes_and_ms) {
        const double weight = 1 / (ms * ms);
        w += weight, wx += weight * bytes, wxx += weight * bytes * bytes, wy += weight * ms, wxy += weight * bytes * ms;
    }
    const double slope = (w * wxy - wx * wy) / (w * wxx - wx * wx), begin = std::max(0.0, (wy - slope * wx) / w);
    const auto n = static_cast<double>(nodes);
    require<ArgumentError>(slope > 0, "scaling: longer sums took no longer; measure larger ones");
    return {std::string(name), begin / (2 * (n - 1)) * 1e3, 2 * (n - 1) / n / slope * 1e-6};
}

}  // namespace fovea
