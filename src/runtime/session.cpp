// Session: binds an executable to memory and runs its stages on the threads of one parallel region.
#include <omp.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>
#include <optional>
#include <thread>

#include "runtime/denormals.h"
#include "runtime/executable.h"
#include "runtime/state.h"

namespace fovea {

namespace {

using Clock = std::chrono::steady_clock;
double ms_since(Clock::time_point start) { return std::chrono::duration<double, std::milli>(Clock::now() - start).count(); }

/// Waits for all threads of a region. Spins for some microseconds, then yields: a thread that shares its core with another program must
/// not burn the time the others need to arrive.
class Barrier {
public:
    explicit Barrier(int count) : count_(count) {}
    void wait() {
        const int round = round_.load(std::memory_order_relaxed);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == count_) {
            arrived_.store(0, std::memory_order_relaxed);
            round_.store(round + 1, std::memory_order_release);
            return;
        }
        for (int spins = 0; round_.load(std::memory_order_acquire) == round; ++spins)
            if (spins > 4000) std::this_thread::yield();
    }

private:
    const int count_;
    std::atomic<int> arrived_{0}, round_{0};
};

}  // namespace

struct Session::Impl {
    Impl(const Executable& e, std::shared_ptr<State> s) : executable(e), program(e.impl()), state(std::move(s)), arena(program.arena_bytes) {
        require<ArgumentError>(state != nullptr, "a session needs a state");
        pointers.resize(program.buffers.size(), nullptr);
        bound.resize(program.items.size());
        for (std::size_t i = 0; i < program.items.size(); ++i) bound[i].in.resize(program.items[i].in.size()), bound[i].out.resize(program.items[i].out.size());
    }

    struct Bound {
        std::vector<std::byte*> in, out;
    };

    /// Takes the addresses of everything but the inputs of a run.
    void bind_state() {
        state->adopt(executable);
        State::Impl& s = state->impl();
        const std::lock_guard lock(s.mutex);
        held.clear();
        for (std::size_t i = 0; i < program.parameters.size(); ++i) {
            const std::string& name = program.parameters[i].name;
            held.push_back(program.derived.contains(name) ? s.derived.at(&program).bytes.at(name) : s.entries.find(name)->second.bytes);
        }
        held_packed.clear();
        if (!program.packed.empty()) held_packed = s.derived.at(&program).packed;
        version = s.version;
        is_bound = true;
    }

    void bind(const std::vector<const std::byte*>& inputs) {
        if (inputs == bound_inputs && bound_version == version) return;
        bound_inputs = inputs;
        bound_version = version;
        for (std::size_t b = 0; b < program.buffers.size(); ++b) {
            const Buffer& buffer = program.buffers[b];
            switch (buffer.place) {
                case Buffer::Place::arena: pointers[b] = arena.data() + buffer.offset; break;
                case Buffer::Place::input: pointers[b] = const_cast<std::byte*>(inputs[static_cast<std::size_t>(buffer.index)]); break;
                case Buffer::Place::parameter: pointers[b] = held[static_cast<std::size_t>(buffer.index)].data(); break;
                case Buffer::Place::packed: pointers[b] = held_packed[static_cast<std::size_t>(buffer.index)].data(); break;
                case Buffer::Place::constant: pointers[b] = const_cast<std::byte*>(program.constants[static_cast<std::size_t>(buffer.index)].raw()); break;
            }
        }
        const auto at = [&](int buffer) { return buffer < 0 ? nullptr : pointers[static_cast<std::size_t>(buffer)]; };
        for (std::size_t i = 0; i < program.items.size(); ++i) {
            for (std::size_t k = 0; k < bound[i].in.size(); ++k) bound[i].in[k] = at(program.items[i].in[k]);
            for (std::size_t k = 0; k < bound[i].out.size(); ++k) bound[i].out[k] = at(program.items[i].out[k]);
        }
    }

    void call(int item, const Phase& phase, const Part& part, const RunOptions& options, int thread) {
        const Item& it = program.items[static_cast<std::size_t>(item)];
        const Bound& b = bound[static_cast<std::size_t>(item)];
        const KernelArgs args{b.in, b.out, arena.data() + it.scratch_offset, workspaces[static_cast<std::size_t>(thread)].data(), options.seed, options.step};
        if (!profiling) return phase.run(args, part);
        const auto start = Clock::now();
        phase.run(args, part);
        records[static_cast<std::size_t>(thread)].push_back({it.line, std::chrono::duration<double, std::milli>(start - run_start).count(), ms_since(start), thread});
    }

    /// This thread's share of a stage: phases by rows part by part (what one part made is still in cache), then the splits.
    void run_share(const Stage& stage, int thread, int count, const RunOptions& options) {
        const auto share = [&](int parts) { return std::pair(parts * thread / count, parts * (thread + 1) / count); };
        const auto& bounds = program.context.row_bounds;
        const auto [first, last] = share(program.context.parts());
        for (int p = first; p < last; ++p)
            for (const auto& [item, phase_index] : stage.phases) {
                const Phase& phase = program.items[static_cast<std::size_t>(item)].kernel.phases[static_cast<std::size_t>(phase_index)];
                if (phase.kind == Phase::Kind::rows)
                    call(item, phase, {p, program.context.parts(), bounds[static_cast<std::size_t>(p)], bounds[static_cast<std::size_t>(p) + 1]}, options, thread);
            }
        int turn = 0;  // single-part splits go round the threads
        for (const auto& [item, phase_index] : stage.phases) {
            const Phase& phase = program.items[static_cast<std::size_t>(item)].kernel.phases[static_cast<std::size_t>(phase_index)];
            if (phase.kind != Phase::Kind::split) continue;
            if (phase.parts == 1) {
                if (turn++ % count == thread) call(item, phase, {}, options, thread);
                continue;
            }
            const auto [begin, end] = share(phase.parts);
            for (int p = begin; p < end; ++p) call(item, phase, {p, phase.parts}, options, thread);
        }
    }

    void run_stages(const RunOptions& options) {
        // A setting of the calling thread: kernels that bring their own team ask it.
        if (omp_get_max_threads() != (program.context.is_serial ? 1 : threads())) omp_set_num_threads(program.context.is_serial ? 1 : threads());
        while (workspaces.size() < static_cast<std::size_t>(std::max(1, threads()))) workspaces.emplace_back(program.workspace_bytes);
        const std::size_t count = program.stages.size();
        std::size_t s = 0;
        while (s < count) {
            if (program.stages[s].is_team) {
                for (const auto& [item, phase] : program.stages[s].phases) call(item, program.items[static_cast<std::size_t>(item)].kernel.phases[static_cast<std::size_t>(phase)], {}, options, 0);
                ++s;
                continue;
            }
            std::size_t end = s;
            while (end < count && !program.stages[end].is_team) ++end;
            run_parallel(s, end, options);
            s = end;
        }
    }

    /// Stages in which nothing can be shared out are not worth a parallel region.
    [[nodiscard]] bool is_single_part(std::size_t begin, std::size_t end) const {
        for (std::size_t s = begin; s < end; ++s)
            for (const auto& [item, phase_index] : program.stages[s].phases) {
                const Phase& phase = program.items[static_cast<std::size_t>(item)].kernel.phases[static_cast<std::size_t>(phase_index)];
                if ((phase.kind == Phase::Kind::rows ? program.context.parts() : phase.parts) > 1) return false;
            }
        return true;
    }

    void run_parallel(std::size_t begin, std::size_t end, const RunOptions& options) {
        const int wanted = program.context.is_serial || is_single_part(begin, end) ? 1 : threads();
        const FlushDenormals flush;
        if (wanted == 1) {
            for (std::size_t s = begin; s < end; ++s) run_share(program.stages[s], 0, 1, options);
            return;
        }
        std::exception_ptr error;
        std::optional<Barrier> barrier;
#pragma omp parallel num_threads(wanted)
        {
            const FlushDenormals flush_here;
            const int thread = omp_get_thread_num(), count = omp_get_num_threads();
#pragma omp single
            barrier.emplace(count);
            for (std::size_t s = begin; s < end; ++s) {
                try {
                    run_share(program.stages[s], thread, count, options);
                } catch (...) {
#pragma omp critical
                    error = std::current_exception();
                }
                barrier->wait();
            }
        }
        if (error) std::rethrow_exception(error);
    }

    Executable executable;
    const Executable::Impl& program;
    std::shared_ptr<State> state;
    AlignedBytes arena;
    std::vector<std::byte*> pointers;
    std::vector<Bound> bound;
    std::vector<AlignedBytes> workspaces;  // one per thread
    std::vector<AlignedBytes> held, held_packed;  // keeps parameters alive while another session changes their layout
    std::uint64_t version = 0, bound_version = 0;
    std::vector<const std::byte*> bound_inputs;
    bool is_bound = false;
    bool profiling = false;
    Clock::time_point run_start;
    std::vector<std::vector<ProfileLine>> records;
    std::vector<ProfileLine> profile;
};

Session::Session(const Executable& executable, std::shared_ptr<State> state) : impl_(std::make_unique<Impl>(executable, std::move(state))) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;

State& Session::state() const { return *impl_->state; }
void Session::set_profiling(bool on) { impl_->profiling = on; }
const std::vector<ProfileLine>& Session::profile() const { return impl_->profile; }

std::vector<Tensor> Session::run(const std::map<std::string, Tensor>& inputs, const RunOptions& options) {
    Impl& s = *impl_;
    const Executable::Impl& program = s.program;
    std::vector<Tensor> given;
    std::vector<const std::byte*> addresses;
    for (const auto& port : program.inputs) {
        const auto it = inputs.find(port.name);
        require<ArgumentError>(it != inputs.end(), "run: input '{}' {} is missing", port.name, port.type.shape);
        require<ShapeError>(it->second.shape() == port.type.shape, "run: input '{}' is compiled for {}, got {}", port.name, port.type.shape, it->second.shape());
        given.push_back(it->second.to(stored_as(port.type.dtype, program.real)));
        addresses.push_back(given.back().raw());
    }
    bool is_stale = !s.is_bound;
    {
        const std::lock_guard lock(s.state->impl().mutex);
        is_stale |= s.version != s.state->impl().version;
    }
    if (is_stale) s.bind_state();
    s.bind(addresses);
    if (s.profiling) {
        s.records.assign(static_cast<std::size_t>(threads()), {});
        s.run_start = Clock::now();
    }
    s.run_stages(options);
    for (const auto& [parameter, buffer] : program.copies)
        std::memcpy(s.held[static_cast<std::size_t>(parameter)].data(), s.pointers[static_cast<std::size_t>(buffer)], program.buffers[static_cast<std::size_t>(buffer)].bytes);
    if (!program.updated.empty()) {
        // Programs that keep something derived from the parameters must see that they changed; this one has.
        const std::lock_guard lock(s.state->impl().mutex);
        s.version = s.bound_version = ++s.state->impl().version;
    }
    if (s.profiling) {
        s.profile.clear();
        for (const auto& lines : s.records) s.profile.insert(s.profile.end(), lines.begin(), lines.end());
    }
    std::vector<Tensor> outputs;
    for (std::size_t o = 0; o < program.outputs.size(); ++o) {
        const Type& type = program.outputs[o].type;
        Tensor tensor(type.shape, stored_as(type.dtype, program.real));
        std::memcpy(tensor.raw(), s.pointers[static_cast<std::size_t>(program.output_buffers[o])], tensor.bytes());
        outputs.push_back(std::move(tensor));
    }
    return outputs;
}

}  // namespace fovea
