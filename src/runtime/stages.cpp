// Which phases may run without waiting for one another. Two rules: a phase may read what was written in its stage only when both go
// by rows (part p reads what part p wrote), and it may write what was read in its stage only likewise. Phases in which ranks meet have a stage each. What by these rules lives inside a stage
// is a thread's own: as large as a part, it stays in the core's cache and is never in memory.
#include <algorithm>

#include "runtime/executable.h"

namespace fovea {

namespace {

// A stage keeps what it writes for later ones alive at once (its parts run ahead of one another), so long stages cost memory.
constexpr std::size_t stage_bytes_limit = std::size_t{16} << 20;
// Each part of a stage reads all its weights again: they should wait for the next part in the last-level cache.
constexpr std::size_t stage_weights_limit = std::size_t{8} << 20;

/// What lies between two accesses that meet: the bytes of a root, or in a joined map the channels of a slice.
struct Range {
    int root;
    std::size_t first, last;
};

struct Access {
    std::size_t first, last;
    bool by_rows;  ///< all accesses so far went by rows
};

/// The last bit stands for all inputs from there on: a concat joins more than 32.
bool has_bit(std::uint32_t mask, std::size_t i) { return mask >> std::min<std::size_t>(i, 31) & 1; }

/// f(buffer, whether only its part's rows are read) for what a phase reads.
template <class F> void reads_of(const Item& item, const Phase& phase, F&& f) {
    for (std::size_t i = 0; i < item.in.size(); ++i)
        if (item.in[i] >= 0 && has_bit(phase.reads, i)) f(item.in[i], has_bit(phase.row_reads, i));
}
template <class F> void writes_of(const Item& item, const Phase& phase, F&& f) {
    for (std::size_t o = 0; o < item.out.size(); ++o)
        if (item.out[o] >= 0 && has_bit(phase.writes, o)) f(item.out[o]);
}

class Hazards {
public:
    /// `is_local`: by root, whether a buffer may be a thread's own, which costs a stage nothing.
    Hazards(const std::vector<Buffer>& buffers, const std::vector<bool>& is_local) : buffers_(buffers), is_local_(is_local) {}

    [[nodiscard]] bool allows(const Item& item, int item_index, const Phase& phase) const {
        const bool rows = phase.kind == Phase::Kind::rows;
        bool ok = true;
        each_read(item, phase, [&](const Range& range, bool by_rows) { ok &= fits(written_, range, rows && by_rows); });
        each_write(item, phase, [&](const Range& range) { ok &= fits(read_, range, rows) && fits(written_, range, rows); });
        if (phase.uses_scratch && scratch_.contains(item_index)) ok = false;
        if (phase.is_collective && has_collective_) ok = false;
        return ok;
    }

    void add(const Item& item, int item_index, const Phase& phase) {
        const bool rows = phase.kind == Phase::Kind::rows;
        each_read(item, phase, [&](const Range& range, bool by_rows) {
            const Buffer& buffer = buffers_[static_cast<std::size_t>(range.root)];
            const bool is_weight = buffer.place == Buffer::Place::parameter || buffer.place == Buffer::Place::packed || buffer.place == Buffer::Place::constant;
            if (rows && is_weight && !read_.contains(range.root)) weights_ += buffer.bytes;
            note(read_, range, rows && by_rows);
        });
        each_write(item, phase, [&](const Range& range) {
            if (!written_.contains(range.root) && !is_local_[static_cast<std::size_t>(range.root)]) bytes_ += buffers_[static_cast<std::size_t>(range.root)].bytes;
            note(written_, range, rows);
        });
        if (phase.uses_scratch) scratch_.insert(item_index);
        has_collective_ |= phase.is_collective;
    }
    /// Written for later stages.
    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    /// Parameters that every part reads.
    [[nodiscard]] std::size_t weights() const { return weights_; }
    void clear() { read_.clear(), written_.clear(), scratch_.clear(), bytes_ = 0, weights_ = 0, has_collective_ = false; }

private:
    template <class F> void each_read(const Item& item, const Phase& phase, F&& f) const {
        reads_of(item, phase, [&](int buffer, bool by_rows) { f(range(buffer), by_rows); });
    }
    template <class F> void each_write(const Item& item, const Phase& phase, F&& f) const {
        writes_of(item, phase, [&](int buffer) { f(range(buffer)); });
    }
    /// A slice counts in whole vectors of channels: a kernel may write back the lanes beside its own.
    [[nodiscard]] Range range(int buffer) const {
        constexpr std::size_t lanes = 16 * sizeof(float);
        const Buffer& b = buffers_[static_cast<std::size_t>(buffer)];
        if (!b.layout || !b.layout->is_slice()) return {b.root, 0, ~std::size_t{0}};
        const std::size_t end = b.shift + static_cast<std::size_t>(b.type.shape[1]) * sizeof(float);
        return {b.root, b.shift / lanes * lanes, (end + lanes - 1) / lanes * lanes};
    }
    using Accesses = std::map<int, std::vector<Access>>;  // by root
    /// Whether an access may follow those noted: where they meet, all go by rows.
    static bool fits(const Accesses& accesses, const Range& range, bool by_rows) {
        const auto it = accesses.find(range.root);
        return it == accesses.end() || std::ranges::all_of(it->second, [&](const Access& a) { return a.last <= range.first || range.last <= a.first || (by_rows && a.by_rows); });
    }
    static void note(Accesses& accesses, const Range& range, bool by_rows) {
        for (Access& a : accesses[range.root])
            if (a.first == range.first && a.last == range.last) {
                a.by_rows &= by_rows;
                return;
            }
        accesses[range.root].push_back({range.first, range.last, by_rows});
    }

    const std::vector<Buffer>& buffers_;
    const std::vector<bool>& is_local_;
    Accesses read_, written_;
    std::set<int> scratch_;
    std::size_t bytes_ = 0, weights_ = 0;
    bool has_collective_ = false;
};

/// The phases of a program one after another, cut into stages.
class Cutting {
public:
    Cutting(Executable::Impl& program, const std::vector<int>& kept) : p_(program), uses_(program.buffers.size()), is_local_(program.buffers.size(), false) {
        for (std::size_t i = 0; i < p_.items.size(); ++i)
            for (std::size_t p = 0; p < p_.items[i].kernel.phases.size(); ++p) order_.emplace_back(static_cast<int>(i), static_cast<int>(p));
        for (std::size_t b = 0; b < p_.buffers.size(); ++b) note_shape(p_.buffers[b]);
        for (std::size_t k = 0; k < order_.size(); ++k) note_uses(static_cast<int>(k));
        for (int buffer : kept) root_use(buffer).by_rows = false;
        for (int buffer : kept) root_use(buffer).last = static_cast<int>(order_.size());
    }

    void run() {
        // What would be local if stages ended only where they must; then they end where that costs least as well.
        const std::vector<std::size_t> needed = cuts(false);
        mark_locals(needed);
        const std::vector<std::size_t> chosen = cuts(true);
        is_local_.assign(is_local_.size(), false);
        mark_locals(chosen);
        for (Buffer& buffer : p_.buffers)
            if (const auto root = static_cast<std::size_t>(buffer.root); is_local_[root]) {
                buffer.place = Buffer::Place::local;
                buffer.row_bytes = p_.buffers[root].bytes / static_cast<std::size_t>(p_.context.rows);
            }
        for (std::size_t s = 0; s + 1 < chosen.size(); ++s) add_stage(chosen[s], chosen[s + 1]);
    }

private:
    /// Of a root: the first and the last phase that touches it, and whether all go by rows.
    struct Use {
        int first = -1, last = -1;
        bool by_rows = true;
    };
    Use& root_use(int buffer) { return uses_[static_cast<std::size_t>(p_.buffers[static_cast<std::size_t>(buffer)].root)]; }
    [[nodiscard]] const Item& item_at(std::size_t k) const { return p_.items[static_cast<std::size_t>(order_[k].first)]; }
    [[nodiscard]] const Phase& phase_at(std::size_t k) const { return item_at(k).kernel.phases[static_cast<std::size_t>(order_[k].second)]; }

    /// Rows of a buffer lie one after another, as many as the batch has.
    void note_shape(const Buffer& buffer) {
        const Shape& shape = buffer.type.shape;
        const auto rows = static_cast<std::size_t>(p_.context.rows);
        Use& use = uses_[static_cast<std::size_t>(buffer.root)];
        if (shape.rank() == 0 || shape[0] != p_.context.rows || p_.buffers[static_cast<std::size_t>(buffer.root)].bytes % rows != 0) use.by_rows = false;
    }

    void note_uses(int k) {
        const Item& item = item_at(static_cast<std::size_t>(k));
        const Phase& phase = phase_at(static_cast<std::size_t>(k));
        const bool rows = phase.kind == Phase::Kind::rows;
        // An item may look at its buffers in any of its phases.
        for (const auto* buffers : {&item.in, &item.out})
            for (int buffer : *buffers)
                if (buffer >= 0) touch(buffer, k);
        reads_of(item, phase, [&](int buffer, bool by_rows) { root_use(buffer).by_rows &= rows && by_rows; });
        writes_of(item, phase, [&](int buffer) { root_use(buffer).by_rows &= rows; });
    }
    void touch(int buffer, int k) {
        Use& use = root_use(buffer);
        if (use.first < 0) use.first = k;
        use.last = std::max(use.last, k);
    }

    /// The first phase of each stage, and the end of the last.
    std::vector<std::size_t> cuts(bool by_cost) const {
        std::vector<std::size_t> begins{0};
        Hazards hazards(p_.buffers, is_local_);
        for (std::size_t k = 0; k < order_.size(); ++k) {
            const bool is_open = k > begins.back();
            if (is_open && !hazards.allows(item_at(k), order_[k].first, phase_at(k))) {
                begins.push_back(k);
                hazards.clear();
            } else if (is_open && by_cost && (hazards.bytes() > stage_bytes_limit || hazards.weights() > stage_weights_limit)) {
                const std::size_t cut = hazards.bytes() > stage_bytes_limit ? k : narrowest(begins.back(), k);
                begins.push_back(cut);
                hazards.clear();
                k = cut;
            }
            hazards.add(item_at(k), order_[k].first, phase_at(k));
        }
        if (begins.back() != order_.size()) begins.push_back(order_.size());
        return begins;
    }

    /// Where in the second half of (begin, end] fewest bytes go from phase to phase: those a stage's end sends through memory.
    [[nodiscard]] std::size_t narrowest(std::size_t begin, std::size_t end) const {
        std::size_t best = end, least = ~std::size_t{0};
        for (std::size_t k = end; k > begin + (end - begin) / 2; --k) {
            std::size_t bytes = 0;
            for (std::size_t b = 0; b < uses_.size(); ++b)
                if (p_.buffers[b].place == Buffer::Place::arena && p_.buffers[b].root == static_cast<int>(b) && uses_[b].first >= 0 && uses_[b].first < static_cast<int>(k) && uses_[b].last >= static_cast<int>(k)) bytes += p_.buffers[b].bytes;
            if (bytes < least) least = bytes, best = k;
        }
        return best;
    }

    /// Buffers whose whole life is by rows and inside one stage.
    void mark_locals(const std::vector<std::size_t>& begins) {
        for (std::size_t b = 0; b < uses_.size(); ++b) {
            const Use& use = uses_[b];
            if (p_.buffers[b].root != static_cast<int>(b) || p_.buffers[b].place != Buffer::Place::arena || !use.by_rows || use.first < 0) continue;
            const auto end = std::ranges::upper_bound(begins, static_cast<std::size_t>(use.first));
            is_local_[b] = static_cast<std::size_t>(use.last) < *end;
        }
    }

    void add_stage(std::size_t begin, std::size_t end) {
        Stage stage;
        stage.pieces = {0};
        for (std::size_t k = begin; k < end; ++k) {
            stage.phases.push_back(order_[k]);
            if (phase_at(k).kind == Phase::Kind::rows)
                stage.rows.push_back(order_[k]), stage.pieces[0] = p_.context.parts();
            else
                stage.splits.push_back(order_[k]), stage.pieces.push_back(phase_at(k).parts);
        }
        p_.stages.push_back(std::move(stage));
    }

    Executable::Impl& p_;
    std::vector<std::pair<int, int>> order_;  // (item, phase)
    std::vector<Use> uses_;                   // by root
    std::vector<bool> is_local_;              // by root
};

}  // namespace

void plan_stages(Executable::Impl& program, const std::vector<int>& kept) { Cutting(program, kept).run(); }

}  // namespace fovea
