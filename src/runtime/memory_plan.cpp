// Liveness, then placement: largest first, each at the lowest offset where it meets nothing that lives at the same time. In the arena time goes
// by stages, in the threads' local memory by phases: a part goes through them in order.
#include <algorithm>

#include "runtime/executable.h"

namespace fovea {

namespace {

struct Interval {
    std::size_t bytes = 0;
    int first = -1, last = -1;  // stages or phases
    std::size_t offset = 0;
    std::size_t* target = nullptr;

    void touch(int time) {
        if (first < 0) first = time;
        last = std::max(last, time);
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

void plan_memory(Executable::Impl& program, const std::vector<int>& kept) {
    std::vector<Buffer>& buffers = program.buffers;
    std::vector<Item>& items = program.items;
    const auto buffer_at = [&](int b) -> Buffer& { return buffers[static_cast<std::size_t>(b)]; };
    const auto& bounds = program.context.row_bounds;
    std::int64_t most_rows = 0;
    for (std::size_t p = 0; p + 1 < bounds.size(); ++p) most_rows = std::max(most_rows, bounds[p + 1] - bounds[p]);
    std::vector<Interval> shared(buffers.size() + items.size()), local(buffers.size());
    for (std::size_t b = 0; b < buffers.size(); ++b) {
        Buffer& buffer = buffers[b];
        if (buffer.root != static_cast<int>(b)) continue;
        if (buffer.place == Buffer::Place::arena) shared[b].bytes = rounded(buffer.bytes);
        if (buffer.place == Buffer::Place::local) local[b].bytes = rounded(buffer.row_bytes * static_cast<std::size_t>(most_rows));
        shared[b].target = local[b].target = &buffer.offset;
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
        shared[buffers.size() + i].bytes = rounded(items[i].kernel.scratch_bytes);
        shared[buffers.size() + i].target = &items[i].scratch_offset;
    }
    int time = 0;
    for (std::size_t s = 0; s < program.stages.size(); ++s)
        for (const auto& [item, phase] : program.stages[s].phases) {
            const Item& it = items[static_cast<std::size_t>(item)];
            // A buffer is alive over all phases of every item that touches it.
            for (const auto* touched : {&it.in, &it.out})
                for (int buffer : *touched) {
                    if (buffer < 0) continue;
                    const auto root = static_cast<std::size_t>(buffer_at(buffer).root);
                    shared[root].touch(static_cast<int>(s));
                    local[root].touch(time);
                }
            shared[buffers.size() + static_cast<std::size_t>(item)].touch(static_cast<int>(s));
            ++time;
        }
    for (int buffer : kept) shared[static_cast<std::size_t>(buffer_at(buffer).root)].touch(static_cast<int>(program.stages.size()));
    program.arena_bytes = place(shared);
    program.local_bytes = place(local);
    for (Buffer& buffer : buffers) buffer.offset = buffer_at(buffer.root).offset + buffer.shift;
    for (Item& item : items)
        for (const auto* touched : {&item.in, &item.out})
            for (int buffer : *touched) item.has_locals |= buffer >= 0 && buffer_at(buffer).place == Buffer::Place::local;
}

}  // namespace fovea
