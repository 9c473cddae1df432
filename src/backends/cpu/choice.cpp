#include "backends/cpu/choice.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include <algorithm>
#include <cstring>

#include "backends/cpu/kernels.h"

namespace fovea::cpu {

namespace {

// Two cores of 120 GFLOP/s (60 multiply-adds per ns): only for people who read the plan.
constexpr double nominal_per_ms = 120e6;

}  // namespace

std::string machine_name() {
    std::string name = "unknown processor";
#if defined(__x86_64__)
    constexpr unsigned first = 0x80000002, last = 0x80000004;  // the brand string, sixteen characters each
    if (__get_cpuid_max(0x80000000, nullptr) >= last) {
        char brand[49] = {};
        for (unsigned leaf = first; leaf <= last; ++leaf) {
            unsigned registers[4] = {};
            __get_cpuid(leaf, &registers[0], &registers[1], &registers[2], &registers[3]);
            std::memcpy(brand + 16 * (leaf - first), registers, sizeof(registers));
        }
        name = brand;
        while (name.ends_with(' ')) name.pop_back();
    }
#endif
    const auto known = [](dnnl::cpu_isa isa) -> std::string_view {
        switch (isa) {
            case dnnl::cpu_isa::sse41: return "SSE4.1";
            case dnnl::cpu_isa::avx: return "AVX";
            case dnnl::cpu_isa::avx2: return "AVX2";
            case dnnl::cpu_isa::avx512_core: return "AVX-512";
            case dnnl::cpu_isa::avx512_core_vnni: return "AVX-512 VNNI";
            case dnnl::cpu_isa::avx512_core_bf16: return "AVX-512 BF16";
            case dnnl::cpu_isa::avx512_core_amx: return "AMX";
            default: return "other instructions";
        }
    };
    return name + ", " + std::string(known(dnnl::get_effective_cpu_isa()));
}

// Measured on one Zen 4 core, weights cold, c512 h7 w7 k512 r3s3: 2.25 ms for what warm takes 1.96, 2.4 million elements.
double memory_cost(const PlanContext& context) { return context.has_cold_weights() ? 8 : 0; }

double DirectWork::in_bf16(const PlanContext& context) const {
    constexpr double rate = 0.55;  // two multiply-adds per lane, but the maps are read and written all the same
    return rate * sums + weights * memory_cost(context) / 2;
}

std::optional<Kernel> take_best(const Node& node, const PlanContext& context, std::vector<Way> ways) {
    std::ranges::stable_sort(ways, {}, &Way::cost);
    std::vector<Candidate> candidates;
    for (const Way& way : ways) candidates.push_back({way.name, std::max(way.cost, 0.0) / nominal_per_ms, 0});
    if (context.choose && ways.size() > 1 && !context.forces_winograd) {
        const int best = context.choose(node, candidates, [&](std::size_t i) { return ways[i].plan(); });
        if (best > 0) {
            std::rotate(ways.begin(), ways.begin() + best, ways.begin() + best + 1);
            std::rotate(candidates.begin(), candidates.begin() + best, candidates.begin() + best + 1);
        }
    }
    for (std::size_t i = 0; i < ways.size(); ++i) {
        auto kernel = ways[i].plan();
        if (!kernel) continue;
        kernel->candidates.assign(candidates.begin() + static_cast<std::ptrdiff_t>(i), candidates.end());
        return kernel;
    }
    return {};
}

}  // namespace fovea::cpu
