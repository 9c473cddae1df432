#include "runtime/choose.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "core/memory.h"
#include "core/team.h"
#include "core/text.h"
#include "runtime/denormals.h"

namespace fovea {

namespace {

double now_ms() { return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Memory with a number that is small and no denormal in f32 and in bf16 alike.
class Filled {
public:
    explicit Filled(std::size_t bytes) : data_(allocate(bytes)) {
        constexpr std::uint32_t pattern = 0x3c003c00;
        auto* words = reinterpret_cast<std::uint32_t*>(data_.get());
        std::fill_n(words, allocated(std::max<std::size_t>(bytes, 1)) / sizeof(pattern), pattern);
    }
    [[nodiscard]] std::byte* data() const { return data_.get(); }

private:
    std::shared_ptr<std::byte[]> data_;
};

/// Kernels one after another: a stage per phase.
class Run final : public Stages {
public:
    explicit Run(const PlanContext& context) : context_(context) {}

    void add(const Kernel& kernel, std::vector<std::byte*> in, std::vector<std::byte*> out) {
        scratch_.emplace_back(kernel.scratch_bytes);
        calls_.push_back({&kernel, std::move(in), std::move(out)});
        for (const Phase& phase : kernel.phases) {
            steps_.push_back({calls_.size() - 1, &phase});
            pieces_.push_back(phase.kind == Phase::Kind::rows ? context_.parts() : phase.parts);
        }
        workspace_bytes_ = std::max(workspace_bytes_, kernel.workspace_bytes);
    }
    void set_input(std::size_t call, std::size_t input, std::byte* data) { calls_[call].in[input] = data; }

    void once() {
        const int count = context_.is_serial ? 1 : threads();
        while (workspaces_.size() < static_cast<std::size_t>(count)) workspaces_.emplace_back(workspace_bytes_);
        if (count > 1) {
            if (!team_) team_ = std::make_shared<Team>(count, 1);
            return team_->run(*this, steps_.size(), count);
        }
        for (std::size_t s = 0; s < steps_.size(); ++s)
            for (int part = 0; part < pieces_[s]; ++part) run_part(s, 0, part, 0);
    }

    [[nodiscard]] std::span<const int> pieces(std::size_t stage) const override { return {&pieces_[stage], 1}; }
    void run_part(std::size_t stage, std::size_t, int part, int thread) override {
        const FlushDenormals flush;
        const Call& call = calls_[steps_[stage].first];
        const Phase& phase = *steps_[stage].second;
        Part piece{part, pieces_[stage]};
        if (phase.kind == Phase::Kind::rows) piece.begin = context_.row_bounds[static_cast<std::size_t>(part)], piece.end = context_.row_bounds[static_cast<std::size_t>(part) + 1];
        phase.run({call.in, call.out, scratch_[steps_[stage].first].data(), workspaces_[static_cast<std::size_t>(thread)].data()}, piece);
    }

private:
    struct Call {
        const Kernel* kernel;
        std::vector<std::byte*> in, out;
    };
    const PlanContext& context_;
    std::vector<Call> calls_;
    std::vector<std::pair<std::size_t, const Phase*>> steps_;
    std::vector<int> pieces_;
    std::vector<Filled> scratch_, workspaces_;
    std::size_t workspace_bytes_ = 0;
    std::shared_ptr<Team> team_;
};

std::size_t room_of(const Type& type, const Layout& layout, DType real) { return layout ? std::max(layout->bytes(), layout->span_bytes()) : row_major_bytes(type, real); }

constexpr double never = 1e9;  ///< ms of a candidate that had no kernel after all: remembered, so that it is not planned again

bool is_parameter(const Value& value) { return value.node().op->name == "parameter"; }

/// What decides a kernel's time beside the problem: how its maps lie, whether weights are packed once, where they come from.
std::string key_of(const Node& node, const PlanContext& context, Precision precision) {
    std::string key = problem_of(node, precision);
    for (std::size_t i = 0; i < node.inputs.size(); ++i)
        if (const Value& input = node.inputs[i]; !input.is_empty() && !is_parameter(input)) key += fmt::format(" | {}", layout_name(context.stored(input)));
    if (const Layout home = context.home(node, 0)) key += " | into " + home->name();
    key += context.is_sharded() ? fmt::format(" | {} of {} rows", context.parts(), context.rows) : context.is_serial ? " | serial" : " | few rows";
    return key + (context.has_fixed_parameters ? " | fixed" : " | updated") + (context.has_cold_weights() ? " | cold" : " | warm");
}

}  // namespace

double time_of(const Kernel& kernel, const Node& node, const PlanContext& context, const Backend& backend, const Layout& elsewhere) {
    Run run(context);
    std::vector<Filled> memory;
    std::vector<Kernel> reorders;
    reorders.reserve(node.inputs.size() + 1);
    const auto room = [&](const Type& type, const Layout& layout) { return memory.emplace_back(room_of(type, layout, context.real)).data(); };

    // Weights in many copies: each run reads another one, from memory.
    constexpr std::size_t beyond_caches = std::size_t{64} << 20;
    const Node& last = kernel.through.empty() ? node : *kernel.through.back();
    std::size_t weight = node.inputs.size(), weight_bytes = 0;
    std::vector<std::byte*> in, out;
    for (std::size_t i = 0; i < kernel.in.size(); ++i) {
        const bool is_own = i < node.inputs.size();
        if (is_own && (node.inputs[i].is_empty() || !node.op->reads_values_of(i))) {
            in.push_back(nullptr);
            continue;
        }
        const Type type = is_own ? node.inputs[i].type() : last.outputs[0];
        const Layout& wanted = kernel.in[i];
        if (is_own && i == 1 && is_parameter(node.inputs[i]) && context.has_cold_weights()) {
            weight = i;
            weight_bytes = (room_of(type, wanted, context.real) + 63) / 64 * 64;
            in.push_back(memory.emplace_back(std::max(weight_bytes, beyond_caches)).data());
            continue;
        }
        in.push_back(room(type, wanted));
        if (!is_own) continue;
        const bool is_packed_each_time = is_parameter(node.inputs[i]) && wanted && wanted->is_one_way() && !context.has_fixed_parameters;
        const Layout from = is_packed_each_time ? wanted->made_from() : is_parameter(node.inputs[i]) ? wanted : context.stored(node.inputs[i]);
        if (same_layout(from, wanted) || context.is_undecided(node.inputs[i])) continue;
        const Kernel& reorder = reorders.emplace_back(backend.reorder(type, from, wanted, context));
        run.add(reorder, {room(type, from)}, {in.back()});
    }
    for (std::size_t o = 0; o < last.outputs.size(); ++o) out.push_back(room(last.outputs[o], o < kernel.out.size() ? kernel.out[o] : nullptr));
    const std::size_t call = reorders.size();
    run.add(kernel, in, out);
    if (elsewhere && &last == &node && (!kernel.out[0] || kernel.out[0]->is_plain())) {
        const Kernel& reorder = reorders.emplace_back(backend.reorder(node.outputs[0], kernel.out[0], elsewhere, context));
        run.add(reorder, {out[0]}, {room(node.outputs[0], elsewhere)});
    }

    constexpr double long_enough_ms = 12;
    constexpr int least_runs = 3, most_runs = 60;
    double least = 0, all = 0;
    std::size_t copy = 0;
    for (int i = 0; i < least_runs || (i < most_runs && all < long_enough_ms); ++i) {
        if (weight_bytes > 0) {
            if ((copy + 2) * weight_bytes > std::max(beyond_caches, weight_bytes)) copy = 0;
            else ++copy;
            run.set_input(call, weight, in[weight] + copy * weight_bytes);
        }
        const double begin = now_ms();
        run.once();
        const double took = now_ms() - begin;
        if (i == 0) continue;  // first touches of memory
        all += took;
        least = least == 0 ? took : std::min(least, took);
    }
    return least;
}

Chooser::Chooser(const Backend& backend, const CompileOptions& options, Precision precision)
    : backend_(backend), measures_(options.autotune), precision_(precision), cache_(PlanCache::open(options.plan_cache, this_machine(backend.machine()))) {}

Chooser::~Chooser() { cache_->save(); }

int Chooser::choose(const Node& node, std::vector<Candidate>& candidates, const std::function<std::optional<Kernel>(std::size_t)>& plan, const PlanContext& context) const {
    const std::string key = key_of(node, context, precision_);
    auto known = cache_->find(key);
    const auto is_complete = [&] { return known && std::ranges::all_of(candidates, [&](const Candidate& c) { return known->contains(c.name); }); };
    if (!is_complete() && measures_) {
        const std::lock_guard lock(cache_->measuring());
        MeasuredWays ways;
        std::vector<std::optional<Kernel>> kernels;
        for (std::size_t i = 0; i < candidates.size(); ++i) kernels.push_back(plan(i));
        Layout elsewhere;
        for (const auto& kernel : kernels)
            if (kernel && !kernel->out.empty() && kernel->out[0] && !kernel->out[0]->is_plain() && !kernel->out[0]->is_slice()) elsewhere = kernel->out[0];
        for (std::size_t i = 0; i < candidates.size(); ++i) ways[candidates[i].name] = kernels[i] ? time_of(*kernels[i], node, context, backend_, elsewhere) : never;
        cache_->add(key, ways);
        known = std::move(ways);
    }
    if (!known) return -1;
    int best = -1;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const auto it = known->find(candidates[i].name);
        if (it == known->end() || it->second >= never) continue;
        candidates[i].measured_ms = it->second;
        // The candidates come in the cost model's order: a later one has to be faster by more than measurements differ.
        constexpr double noise = 0.97;
        if (best < 0 || it->second < noise * candidates[static_cast<std::size_t>(best)].measured_ms) best = static_cast<int>(i);
    }
    return best;
}

}  // namespace fovea
