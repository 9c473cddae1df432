// Session: binds an executable to memory and runs its stages on the calling thread and those that help.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <mutex>
#include <optional>
#include <span>

#include "core/team.h"
#include "runtime/denormals.h"
#include "runtime/executable.h"
#include "runtime/state.h"

namespace fovea {

namespace {

using Clock = std::chrono::steady_clock;
double ms_since(Clock::time_point start) { return std::chrono::duration<double, std::milli>(Clock::now() - start).count(); }

}  // namespace

struct Session::Impl final : Stages {
    Impl(const Executable& e, std::shared_ptr<State> s) : executable(e), program(e.impl()), state(std::move(s)), arena(program.arena_bytes) {
        require<ArgumentError>(state != nullptr, "a session needs a state");
        is_shared = !program.context.is_serial && has_parts();
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
                case Buffer::Place::local: pointers[b] = nullptr; break;  // each thread's own
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

    /// What a thread has for itself.
    struct Memory {
        Memory(std::size_t workspace_bytes, std::size_t local_bytes) : workspace(workspace_bytes), locals(local_bytes) {}
        AlignedBytes workspace, locals;
        Bound bound;  // of the call
    };

    /// The addresses of an item for one part: of a local buffer only the part's rows are there, and kernels count rows from the batch's first.
    const Bound& with_locals(const Item& item, const Bound& shared, const Part& part, Memory& mine) const {
        const auto place = [&](const std::vector<int>& buffers, const std::vector<std::byte*>& from, std::vector<std::byte*>& to) {
            to.assign(from.begin(), from.end());
            for (std::size_t i = 0; i < buffers.size(); ++i) {
                if (buffers[i] < 0) continue;
                const Buffer& buffer = program.buffers[static_cast<std::size_t>(buffers[i])];
                if (buffer.place == Buffer::Place::local) to[i] = mine.locals.data() + buffer.offset - static_cast<std::size_t>(part.begin) * buffer.row_bytes;
            }
        };
        place(item.in, shared.in, mine.bound.in);
        place(item.out, shared.out, mine.bound.out);
        return mine.bound;
    }

    void call(const std::pair<int, int>& place, const Part& part, int thread) {
        const Item& it = program.items[static_cast<std::size_t>(place.first)];
        const Phase& phase = it.kernel.phases[static_cast<std::size_t>(place.second)];
        Memory& mine = memories[static_cast<std::size_t>(thread)];
        const Bound& b = it.has_locals ? with_locals(it, bound[static_cast<std::size_t>(place.first)], part, mine) : bound[static_cast<std::size_t>(place.first)];
        const KernelArgs args{b.in, b.out, arena.data() + it.scratch_offset, mine.workspace.data(), options.seed, options.step, options.place};
        if (!profiling) return phase.run(args, part);
        const auto start = Clock::now();
        phase.run(args, part);
        records[static_cast<std::size_t>(thread)].push_back({it.line, std::chrono::duration<double, std::milli>(start - run_start).count(), ms_since(start), thread});
    }

    [[nodiscard]] std::span<const int> pieces(std::size_t stage) const override { return program.stages[stage].pieces; }

    /// Piece 0 is the phases by rows: one part goes through all of them, what one made is still in cache for the next. The others are splits.
    void run_part(std::size_t stage_index, std::size_t piece, int part, int thread) override {
        const FlushDenormals flush;
        const Stage& stage = program.stages[stage_index];
        const int parts = stage.pieces[piece];
        if (piece > 0) return call(stage.splits[piece - 1], {part, parts}, thread);
        const auto& bounds = program.context.row_bounds;
        const Part rows{part, parts, bounds[static_cast<std::size_t>(part)], bounds[static_cast<std::size_t>(part) + 1]};
        for (const auto& place : stage.rows) call(place, rows, thread);
    }

    /// Whether any stage has something to share out.
    [[nodiscard]] bool has_parts() const {
        return std::ranges::any_of(program.stages, [](const Stage& stage) { return std::ranges::any_of(stage.pieces, [](int parts) { return parts > 1; }); });
    }

    void run_stages() {
        const int count = is_shared ? threads() : 1;
        while (memories.size() < static_cast<std::size_t>(count)) memories.emplace_back(program.workspace_bytes, program.local_bytes);
        if (count == 1) return run_alone();
        if (!team || team->most_threads() < count) {
            std::size_t most_pieces = 1;
            for (const Stage& stage : program.stages) most_pieces = std::max(most_pieces, stage.pieces.size());
            team = std::make_shared<Team>(count, most_pieces);
        }
        team->run(*this, program.stages.size(), count);
    }

    void run_alone() {
        const std::optional<Alone> alone = program.context.is_serial ? std::optional<Alone>(std::in_place) : std::nullopt;
        for (std::size_t s = 0; s < program.stages.size(); ++s)
            for (std::size_t piece = 0; piece < program.stages[s].pieces.size(); ++piece)
                for (int part = 0; part < program.stages[s].pieces[piece]; ++part) run_part(s, piece, part, 0);
    }

    Executable executable;
    const Executable::Impl& program;
    std::shared_ptr<State> state;
    AlignedBytes arena;
    std::vector<std::byte*> pointers;
    std::vector<Bound> bound;
    std::vector<Memory> memories;  // one per thread
    std::vector<AlignedBytes> held, held_packed;  // keeps parameters alive while another session changes their layout
    std::uint64_t version = 0, bound_version = 0;
    std::vector<const std::byte*> bound_inputs;
    bool is_bound = false, is_shared = false;
    bool profiling = false;
    std::shared_ptr<Team> team;
    RunOptions options;  // of the run
    Clock::time_point run_start;
    std::vector<std::vector<ProfileLine>> records;
    std::vector<ProfileLine> profile;
};

void set_thread_pinning(bool on) { Pool::shared().set_pinning(on); }
bool thread_pinning() { return Pool::shared().is_pinning(); }

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
    s.options = options;
    s.run_stages();
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
