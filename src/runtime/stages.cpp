// Which phases may run without waiting for one another. Two rules: a phase may read what was written in its stage only when both go
// by rows (part p reads what part p wrote), and it may write what was read in its stage only likewise.
#include <algorithm>

#include "runtime/executable.h"

namespace fovea {

namespace {

// A stage keeps all its buffers alive at once (its parts run ahead of one another), so long stages cost memory.
constexpr std::size_t stage_bytes_limit = std::size_t{16} << 20;

/// What lies between two accesses that meet: the bytes of a root, or in a joined map the channels of a slice.
struct Range {
    int root;
    std::size_t first, last;
};

struct Access {
    std::size_t first, last;
    bool by_rows;  ///< all accesses so far went by rows
};

class Hazards {
public:
    explicit Hazards(const std::vector<Buffer>& buffers) : buffers_(buffers) {}

    [[nodiscard]] bool allows(const Item& item, int item_index, const Phase& phase) const {
        const bool rows = phase.kind == Phase::Kind::rows;
        bool ok = true;
        each_read(item, phase, [&](const Range& range, bool by_rows) { ok &= fits(written_, range, rows && by_rows); });
        each_write(item, phase, [&](const Range& range) { ok &= fits(read_, range, rows) && fits(written_, range, rows); });
        if (phase.uses_scratch && scratch_.contains(item_index)) ok = false;
        return ok;
    }

    void add(const Item& item, int item_index, const Phase& phase) {
        const bool rows = phase.kind == Phase::Kind::rows;
        each_read(item, phase, [&](const Range& range, bool by_rows) { note(read_, range, rows && by_rows); });
        each_write(item, phase, [&](const Range& range) {
            if (!written_.contains(range.root)) bytes_ += buffers_[static_cast<std::size_t>(range.root)].bytes;
            note(written_, range, rows);
        });
        if (phase.uses_scratch) scratch_.insert(item_index);
    }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    void clear() { read_.clear(), written_.clear(), scratch_.clear(), bytes_ = 0; }

private:
    /// The last bit stands for all inputs from there on: a concat joins more than 32.
    static bool has_bit(std::uint32_t mask, std::size_t i) { return mask >> std::min<std::size_t>(i, 31) & 1; }
    template <class F> void each_read(const Item& item, const Phase& phase, F&& f) const {
        for (std::size_t i = 0; i < item.in.size(); ++i)
            if (item.in[i] >= 0 && has_bit(phase.reads, i)) f(range(item.in[i]), has_bit(phase.row_reads, i));
    }
    template <class F> void each_write(const Item& item, const Phase& phase, F&& f) const {
        for (std::size_t o = 0; o < item.out.size(); ++o)
            if (item.out[o] >= 0 && has_bit(phase.writes, o)) f(range(item.out[o]));
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
    Accesses read_, written_;
    std::set<int> scratch_;
    std::size_t bytes_ = 0;
};

}  // namespace

std::vector<Stage> plan_stages(const std::vector<Item>& items, const std::vector<Buffer>& buffers, int row_parts) {
    std::vector<Stage> stages;
    Hazards hazards(buffers);
    for (std::size_t i = 0; i < items.size(); ++i) {
        for (std::size_t p = 0; p < items[i].kernel.phases.size(); ++p) {
            const Phase& phase = items[i].kernel.phases[p];
            const int index = static_cast<int>(i);
            if (stages.empty() || hazards.bytes() > stage_bytes_limit || !hazards.allows(items[i], index, phase)) {
                stages.emplace_back();
                hazards.clear();
            }
            hazards.add(items[i], index, phase);
            stages.back().phases.emplace_back(index, static_cast<int>(p));
        }
    }
    for (Stage& stage : stages) {
        stage.pieces = {0};
        for (const auto& [item, p] : stage.phases) {
            const Phase& phase = items[static_cast<std::size_t>(item)].kernel.phases[static_cast<std::size_t>(p)];
            if (phase.kind == Phase::Kind::rows)
                stage.rows.emplace_back(item, p), stage.pieces[0] = row_parts;
            else
                stage.splits.emplace_back(item, p), stage.pieces.push_back(phase.parts);
        }
    }
    return stages;
}

}  // namespace fovea
