// Session: binds an executable to memory and runs its stages on the threads of one parallel region.
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <mutex>
#include <optional>

#include "runtime/denormals.h"
#include "runtime/executable.h"
#include "runtime/state.h"
#include "runtime/team.h"

namespace fovea {

namespace {

using Clock = std::chrono::steady_clock;
double ms_since(Clock::time_point start) { return std::chrono::duration<double, std::milli>(Clock::now() - start).count(); }

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

    [[nodiscard]] const Phase& phase_of(const std::pair<int, int>& place) const {
        return program.items[static_cast<std::size_t>(place.first)].kernel.phases[static_cast<std::size_t>(place.second)];
    }

    /// A stage's pieces of work are its phases by rows, all together, then every split.
    [[nodiscard]] std::size_t pieces_of(const Stage& stage) const {
        return 1 + static_cast<std::size_t>(std::ranges::count_if(stage.phases, [this](const auto& place) { return phase_of(place).kind == Phase::Kind::split; }));
    }

    /// Who begins with which parts of stages [begin, end).
    [[nodiscard]] Shares shared_out(std::size_t begin, std::size_t end, int count) const {
        std::size_t pieces = 0;
        for (std::size_t s = begin; s < end; ++s) pieces += pieces_of(program.stages[s]);
        Shares shares(count, pieces);
        std::size_t piece = 0;
        const auto add = [&](int parts, int turn) {  // single parts go round the threads
            for (int t = 0; t < count; ++t)
                if (parts == 1) shares.set(t, piece, 0, t == turn % count);
                else shares.set(t, piece, parts * t / count, parts * (t + 1) / count);
            ++piece;
        };
        for (std::size_t s = begin; s < end; ++s) {
            add(program.context.parts(), 0);
            int turn = 0;
            for (const auto& place : program.stages[s].phases)
                if (phase_of(place).kind == Phase::Kind::split) add(phase_of(place).parts, phase_of(place).parts == 1 ? turn++ : 0);
        }
        return shares;
    }

    /// One part through all the phases by rows: what one made is still in cache for the next.
    void run_rows(const Stage& stage, int part, const RunOptions& options, int thread) {
        const auto& bounds = program.context.row_bounds;
        for (const auto& place : stage.phases)
            if (phase_of(place).kind == Phase::Kind::rows)
                call(place.first, phase_of(place), {part, program.context.parts(), bounds[static_cast<std::size_t>(part)], bounds[static_cast<std::size_t>(part) + 1]}, options, thread);
    }

    /// Every part of the stage that each(piece, parts, do) gives this thread.
    template <class Each> void run_parts(const Stage& stage, std::size_t piece, Each each, const RunOptions& options, int thread) {
        each(piece, program.context.parts(), [&](int part) { run_rows(stage, part, options, thread); });
        for (const auto& place : stage.phases) {
            const Phase& phase = phase_of(place);
            if (phase.kind == Phase::Kind::split) each(++piece, phase.parts, [&](int part) { call(place.first, phase, {part, phase.parts}, options, thread); });
        }
    }

    void run_stage(const Stage& stage, Shares& shares, std::size_t piece, int thread, int count, const RunOptions& options) {
        const auto all = [](auto next, auto run) {
            for (int part = next(); part >= 0; part = next()) run(part);
        };
        run_parts(stage, piece, [&](std::size_t p, int, auto run) { all([&] { return shares.take(thread, p); }, run); }, options, thread);
        for (int other = 1; other < count; ++other)
            run_parts(stage, piece, [&](std::size_t p, int, auto run) { all([&] { return shares.steal((thread + other) % count, p); }, run); }, options, thread);
    }

    void run_alone(const Stage& stage, const RunOptions& options) {
        const auto each = [](std::size_t, int parts, auto run) {
            for (int part = 0; part < parts; ++part) run(part);
        };
        run_parts(stage, 0, each, options, 0);
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
            for (std::size_t s = begin; s < end; ++s) run_alone(program.stages[s], options);
            return;
        }
        std::optional<Shares> shares;
        std::optional<Barrier> barrier;
        std::exception_ptr error;
        std::mutex error_mutex;
        const auto prepare = [&](int count) {
            shares.emplace(shared_out(begin, end, count));
            barrier.emplace(count);
        };
        on_team(wanted, prepare, [&](int thread, int count) {
            const FlushDenormals flush_here;
            std::size_t piece = 0;
            for (std::size_t s = begin; s < end; ++s) {
                try {
                    run_stage(program.stages[s], *shares, piece, thread, count, options);
                } catch (...) {
                    const std::lock_guard lock(error_mutex);
                    error = std::current_exception();
                }
                piece += pieces_of(program.stages[s]);
                barrier->wait();
            }
        });
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
