// Sums over ranks: values are packed and unpacked in pieces on all threads, between them one call starts the sum or waits for it. Ranks may hold
// different numbers of samples and so choose other layouts: what travels is row-major.
#include <cstring>

#include "backends/cpu/kernels.h"
#include "fovea/comm.h"

namespace fovea::cpu {

namespace {

/// A stretch of one of the values, and where it lies in the vector.
struct Stretch {
    std::size_t value, from, at, bytes;
};

std::vector<Stretch> stretches_of(std::span<const Type> types) {
    constexpr std::size_t most = std::size_t{256} << 10;
    std::vector<Stretch> stretches;
    std::size_t at = 0;
    for (std::size_t i = 0; i < types.size(); ++i) {
        const auto bytes = static_cast<std::size_t>(types[i].shape.elements()) * sizeof(float);
        for (std::size_t from = 0; from < bytes; from += most) stretches.push_back({i, from, at + from, std::min(most, bytes - from)});
        at += bytes;
    }
    return stretches;
}

/// A phase that does copy(args, stretch) for all of them.
template <class F> Phase over_stretches(std::vector<Stretch> stretches, F copy) {
    const int parts = static_cast<int>(std::clamp<std::size_t>(stretches.size(), 1, 64));
    return {.parts = parts, .run = [stretches = std::move(stretches), copy](const KernelArgs& args, const Part& part) {
                const auto [begin, end] = piece(part, std::ssize(stretches));
                for (std::int64_t i = begin; i < end; ++i) copy(args, stretches[static_cast<std::size_t>(i)]);
            }};
}

}  // namespace

std::optional<Kernel> plan_all_reduce(const Node& node, const PlanContext& context) {
    if (context.real != DType::f32) return {};
    const bool is_begin = node.op->name == "all_reduce_begin";
    std::vector<Type> types;
    if (is_begin)
        for (const Value& input : node.inputs) types.push_back(input.type());
    else types = node.outputs;
    Kernel kernel;
    kernel.name = "ranks";
    kernel.in.resize(node.inputs.size());
    kernel.out.resize(node.outputs.size());
    if (is_begin) {
        const auto bytes = static_cast<std::size_t>(node.outputs[0].shape.elements()) * sizeof(float);
        kernel.phases.push_back(over_stretches(stretches_of(types), [](const KernelArgs& args, const Stretch& s) { std::memcpy(args.out[0] + s.at, args.in[s.value] + s.from, s.bytes); }));
        kernel.phases.push_back({.reads = 0, .writes = 1, .is_collective = true, .run = [bytes](const KernelArgs& args, const Part&) {
                                     if (args.place.ranks) args.place.ranks->start_sum({args.out[0], bytes}, DType::f32);
                                 }});
        return kernel;
    }
    // The scratch holds nothing: with it unpacking begins in a stage of its own, behind the wait.
    kernel.scratch_bytes = 64;
    kernel.phases.push_back({.reads = 1, .writes = 0, .uses_scratch = true, .is_collective = true, .run = [](const KernelArgs& args, const Part&) {
                                 if (args.place.ranks) args.place.ranks->finish_sum(args.in[0]);
                             }});
    kernel.phases.push_back(over_stretches(stretches_of(types), [](const KernelArgs& args, const Stretch& s) { std::memcpy(args.out[s.value] + s.from, args.in[0] + s.at, s.bytes); }));
    kernel.phases.back().reads = 1;
    kernel.phases.back().uses_scratch = true;
    return kernel;
}

}  // namespace fovea::cpu
