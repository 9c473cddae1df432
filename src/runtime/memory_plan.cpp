// Liveness in stages, then placement: largest first, each at the lowest offset where it meets nothing that lives at the same time.
#include <algorithm>

#include "runtime/executable.h"

namespace fovea {

namespace {

struct Interval {
    std::size_t bytes = 0;
    int first = -1, last = -1;  // stages
    std::size_t offset = 0;
    std::size_t* target = nullptr;

    void touch(int stage) {
        if (first < 0) first = stage;
        last = std::max(last, stage);
    }
};

std::size_t rounded(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

std::size_t place(std::vector<Interval>& intervals) {
    std::vector<Interval*> order;
    for (Interval& interval : intervals)
        if (interval.bytes > 0 && interval.first >= 0) order.push_back(&interval);
    std::ranges::stable_sort(order, std::greater<>{}, [](const Interval* i) { return i->bytes; });
    std::vector<const Interval*> placed;  // by offset
    std::size_t total = 0;
    for (Interval* interval : order) {
        std::size_t offset = 0;
        for (const Interval* other : placed) {
            if (other->last < interval->first || interval->last < other->first) continue;
            if (offset + interval->bytes <= other->offset) break;
            offset = std::max(offset, other->offset + other->bytes);
        }
        interval->offset = offset;
        *interval->target = offset;
        total = std::max(total, offset + interval->bytes);
        placed.insert(std::ranges::upper_bound(placed, offset, {}, [](const Interval* i) { return i->offset; }), interval);
    }
    return total;
}

}  // namespace

std::size_t plan_memory(std::vector<Item>& items, std::vector<Buffer>& buffers, const std::vector<Stage>& stages, const std::vector<int>& kept) {
    std::vector<Interval> intervals(buffers.size() + items.size());
    for (std::size_t b = 0; b < buffers.size(); ++b) {
        const Buffer& buffer = buffers[b];
        if (buffer.place == Buffer::Place::arena && buffer.root == static_cast<int>(b)) intervals[b].bytes = rounded(buffer.bytes);
        intervals[b].target = &buffers[b].offset;
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
        intervals[buffers.size() + i].bytes = rounded(items[i].kernel.scratch_bytes);
        intervals[buffers.size() + i].target = &items[i].scratch_offset;
    }
    for (std::size_t s = 0; s < stages.size(); ++s) {
        const int stage = static_cast<int>(s);
        for (const auto& [item, phase] : stages[s].phases) {
            const Item& it = items[static_cast<std::size_t>(item)];
            // A buffer is alive over all phases of every item that touches it.
            for (int buffer : it.in)
                if (buffer >= 0) intervals[static_cast<std::size_t>(buffers[static_cast<std::size_t>(buffer)].root)].touch(stage);
            for (int buffer : it.out)
                if (buffer >= 0) intervals[static_cast<std::size_t>(buffers[static_cast<std::size_t>(buffer)].root)].touch(stage);
            intervals[buffers.size() + static_cast<std::size_t>(item)].touch(stage);
        }
    }
    for (int buffer : kept) intervals[static_cast<std::size_t>(buffers[static_cast<std::size_t>(buffer)].root)].touch(static_cast<int>(stages.size()));
    const std::size_t total = place(intervals);
    for (Buffer& buffer : buffers) buffer.offset = buffers[static_cast<std::size_t>(buffer.root)].offset + buffer.shift;
    return total;
}

}  // namespace fovea
