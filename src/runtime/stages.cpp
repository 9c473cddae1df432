// Which phases may run without waiting for one another. Two rules: a phase may read what was written in its stage only when both go
// by rows (part p reads what part p wrote), and it may write what was read in its stage only likewise.
#include "runtime/executable.h"

namespace fovea {

namespace {

// A stage keeps all its buffers alive at once (its parts run ahead of one another), so long stages cost memory.
constexpr std::size_t stage_bytes_limit = std::size_t{16} << 20;

struct Access {
    bool by_rows = true;  ///< all accesses so far went by rows
};

class Hazards {
public:
    explicit Hazards(const std::vector<Buffer>& buffers) : buffers_(buffers) {}

    [[nodiscard]] bool allows(const Item& item, int item_index, const Phase& phase) const {
        const bool rows = phase.kind == Phase::Kind::rows;
        bool ok = true;
        each_read(item, phase, [&](int root, bool by_rows) {
            if (const auto it = written_.find(root); it != written_.end()) ok &= rows && by_rows && it->second.by_rows;
        });
        each_write(item, phase, [&](int root) {
            if (const auto it = read_.find(root); it != read_.end()) ok &= rows && it->second.by_rows;
            if (const auto it = written_.find(root); it != written_.end()) ok &= rows && it->second.by_rows;
        });
        if (phase.uses_scratch && scratch_.contains(item_index)) ok = false;
        return ok;
    }

    void add(const Item& item, int item_index, const Phase& phase) {
        const bool rows = phase.kind == Phase::Kind::rows;
        each_read(item, phase, [&](int root, bool by_rows) { note(read_, root, rows && by_rows); });
        each_write(item, phase, [&](int root) {
            if (!written_.contains(root)) bytes_ += buffers_[static_cast<std::size_t>(root)].bytes;
            note(written_, root, rows);
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
            if (item.in[i] >= 0 && has_bit(phase.reads, i)) f(root(item.in[i]), has_bit(phase.row_reads, i));
    }
    template <class F> void each_write(const Item& item, const Phase& phase, F&& f) const {
        for (std::size_t o = 0; o < item.out.size(); ++o)
            if (item.out[o] >= 0 && has_bit(phase.writes, o)) f(root(item.out[o]));
    }
    [[nodiscard]] int root(int buffer) const { return buffers_[static_cast<std::size_t>(buffer)].root; }
    static void note(std::map<int, Access>& accesses, int root, bool by_rows) {
        auto& access = accesses[root];
        access.by_rows &= by_rows;
    }

    const std::vector<Buffer>& buffers_;
    std::map<int, Access> read_, written_;
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
