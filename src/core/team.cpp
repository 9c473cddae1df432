#include "core/team.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/core_time.h"
#include "fovea/core.h"

namespace fovea {

namespace {

// The others' parts end about when one's own do. Longer than that, the core is somebody else's.
constexpr std::int64_t stage_spin_ns = 20'000;
// A shorter interruption is not another program's time slice (12 to 28 ms were seen) but the system's own, or a neighbour of a virtual machine's.
constexpr std::int64_t slice_ns = 4'000'000;

// A share: 40 bits of the stage's number, twice 12 of units. A piece of more parts goes by units of several.
constexpr int unit_bits = 12, most_units = (1 << unit_bits) - 1;
constexpr std::uint64_t packed(std::uint64_t round, int begin, int end) {
    return round << 2 * unit_bits | static_cast<std::uint64_t>(begin) << unit_bits | static_cast<std::uint64_t>(end);
}

thread_local bool is_alone = false;
thread_local WaitForCore wait_for_core;

}  // namespace

Alone::Alone() : before_(std::exchange(is_alone, true)) {}
Alone::~Alone() { is_alone = before_; }

Team::Team(int most_threads, std::size_t most_pieces)
    : most_threads_(most_threads), most_pieces_(most_pieces), shares_(std::make_unique<Share[]>(static_cast<std::size_t>(most_threads) * most_pieces)) {}
Team::~Team() = default;

int Team::units_of(std::size_t piece) const { return std::min(work_->pieces(stage_)[piece], most_units); }

/// A unit of a share, or -1 where nothing is left or the stage is another.
int Team::take(Share& share, std::uint64_t round, bool from_back) {
    std::uint64_t old = share.left.load(std::memory_order_relaxed);
    while (true) {
        const int begin = static_cast<int>(old >> unit_bits) & most_units, end = static_cast<int>(old) & most_units;
        if (begin >= end || old >> 2 * unit_bits != packed(round, 0, 0) >> 2 * unit_bits) return -1;
        const std::uint64_t next = from_back ? packed(round, begin, end - 1) : packed(round, begin + 1, end);
        if (share.left.compare_exchange_weak(old, next, std::memory_order_relaxed)) return from_back ? end - 1 : begin;
    }
}

void Team::run_unit(std::size_t piece, int unit, int thread) {
    const std::int64_t parts = work_->pieces(stage_)[piece], units = units_of(piece);
    const Alone alone;
    try {
        for (std::int64_t part = parts * unit / units; part < parts * (unit + 1) / units; ++part)
            if (!has_failed_.load(std::memory_order_relaxed)) work_->run_part(stage_, piece, static_cast<int>(part), thread);
    } catch (...) {
        const std::lock_guard lock(error_mutex_);
        if (!error_) error_ = std::current_exception();
        has_failed_ = true;
    }
}

/// After what took `ns` on this thread: whether it was another program that had the core meanwhile, for longer than a run takes.
void Team::note_delay(std::int64_t ns) const {
    const std::int64_t shortest = shortest_ns_.load(std::memory_order_relaxed), limit = std::max(slice_ns, shortest);
    if (shortest > 0 && ns > limit && std::min(wait_for_core.take_ns(), ns) > limit) Pool::shared().make_room();
}

void Team::do_parts(std::uint64_t round, int thread) {
    const Pool& pool = Pool::shared();
    const int count = count_.load(std::memory_order_relaxed);
    const std::size_t pieces = pieces_.load(std::memory_order_relaxed);
    if (thread >= count) return;
    int done = 0;
    std::int64_t begin = thread == 0 ? 0 : now_ns();
    for (int other = 0; other < count; ++other) {
        Share* shares = shares_.get() + static_cast<std::size_t>((thread + other) % count) * most_pieces_;
        for (std::size_t piece = 0; piece < pieces; ++piece)
            while (thread == 0 || pool.has_place(thread)) {
                const int unit = take(shares[piece], round / 2, other > 0);
                if (unit < 0) break;
                run_unit(piece, unit, thread);
                ++done;
                if (thread == 0) continue;  // the run's time says it
                const std::int64_t end = now_ns();
                note_delay(end - std::exchange(begin, end));
            }
    }
    if (done > 0 && unfinished_.fetch_sub(done, std::memory_order_acq_rel) == done) open_next(thread);
}

/// One thread at a time is here: the owner at the start of a run, then whoever did the last part of a stage. Stages of one part it does
/// itself; the others it opens to all.
void Team::open_next(int thread) {
    const std::uint64_t number = round_.load(std::memory_order_relaxed) / 2 + 1;
    while (next_ < end_) {
        stage_ = next_++;
        const std::span<const int> pieces = work_->pieces(stage_);
        int units = 0;
        for (std::size_t piece = 0; piece < pieces.size(); ++piece) units += units_of(piece);
        if (units == 1) run_unit(static_cast<std::size_t>(std::ranges::find_if(pieces, [](int parts) { return parts > 0; }) - pieces.begin()), 0, thread);
        if (units <= 1) continue;
        const int count = count_.load(std::memory_order_relaxed);
        int turn = 0;
        for (std::size_t piece = 0; piece < pieces.size(); ++piece) {
            const int n = units_of(piece), owner = n == 1 ? turn++ % count : 0;  // single parts go round the threads
            for (int t = 0; t < count; ++t) {
                const int begin = n == 1 ? 0 : n * t / count, end = n == 1 ? t == owner : n * (t + 1) / count;
                shares_[static_cast<std::size_t>(t) * most_pieces_ + piece].left.store(packed(number, begin, end), std::memory_order_relaxed);
            }
        }
        unfinished_.store(units, std::memory_order_relaxed);
        pieces_.store(pieces.size(), std::memory_order_relaxed);
        round_.store(2 * number, std::memory_order_release);
        Pool::shared().ring();
        if (thread != 0) bell_.ring();
        return;
    }
    round_.store(2 * number + 1, std::memory_order_release);
    if (thread != 0) bell_.ring();
}

bool Team::spin_past(std::uint64_t round) const {
    for (const std::int64_t end = now_ns() + stage_spin_ns; now_ns() < end;)
        for (int i = 0; i < 16; ++i, relax())
            if (round_.load(std::memory_order_relaxed) != round) return true;
    return false;
}

void Team::run(Stages& work, std::size_t stages, int count) {
    work_ = &work;
    next_ = 0;
    end_ = stages;
    error_ = nullptr;
    has_failed_ = false;
    count_.store(std::min(count, most_threads_), std::memory_order_relaxed);
    const std::int64_t begin = now_ns();
    {
        const Pool::Offer offer(Pool::shared(), shared_from_this());
        open_next(0);
        while (true) {
            const std::uint64_t round = round_.load(std::memory_order_acquire);
            if (round % 2 != 0) break;
            do_parts(round, 0);
            if (spin_past(round)) continue;
            const std::uint32_t seen = bell_.rung();
            if (round_.load(std::memory_order_acquire) == round) bell_.wait(seen);
        }
    }
    const std::int64_t end_ns = now_ns(), took = end_ns - begin, shortest = shortest_ns_.load(std::memory_order_relaxed);
    if (shortest == 0 || took < shortest) shortest_ns_.store(took, std::memory_order_relaxed);
    note_delay(took);
    wait_for_core.renew(end_ns);
    if (error_) std::rethrow_exception(error_);
}

void Team::help(int thread) {
    const Pool& pool = Pool::shared();
    wait_for_core.renew(now_ns());
    while (pool.has_place(thread)) {
        const std::uint64_t round = round_.load(std::memory_order_acquire);
        if (round % 2 != 0) return;
        do_parts(round, thread);
        if (!spin_past(round)) return;
    }
}

namespace {

/// Indices 0 .. count - 1 in stretches.
class Loop final : public Stages {
public:
    Loop(std::int64_t count, int parts, const std::function<void(std::int64_t)>& f) : count_(count), parts_{parts}, f_(f) {}
    [[nodiscard]] std::span<const int> pieces(std::size_t) const override { return parts_; }
    void run_part(std::size_t, std::size_t, int part, int) override {
        for (std::int64_t i = count_ * part / parts_[0]; i < count_ * (part + 1) / parts_[0]; ++i) f_(i);
    }

private:
    std::int64_t count_;
    std::array<int, 1> parts_;
    const std::function<void(std::int64_t)>& f_;
};

}  // namespace

void parallel_for(std::int64_t count, const std::function<void(std::int64_t)>& f) {
    const int wanted = threads();
    if (is_alone || wanted == 1 || count <= 1) {
        for (std::int64_t i = 0; i < count; ++i) f(i);
        return;
    }
    constexpr std::int64_t parts_each = 8;
    Loop loop(count, static_cast<int>(std::min(count, parts_each * wanted)), f);
    std::make_shared<Team>(wanted, 1)->run(loop, 1, wanted);
}

}  // namespace fovea
