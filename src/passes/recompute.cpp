// Recomputation: a forward value that the reverse pass reads long after it was made is dropped and made again just before that reader.
// `cheap` repeats what costs about one pass over memory; `blocks` repeats whole segments between kept values (Chen et al. 2016,
// arXiv:1604.06174). Batch norm is made again from the statistics it kept, dropout from its counter-based mask: the bytes stay the same.
#include <algorithm>
#include <map>
#include <set>

#include "fovea/passes.h"
#include "graph/op.h"

namespace fovea {

namespace {

using Key = std::pair<int, int>;  // (node, output)

bool is_source(const Node& node) { return node.inputs.empty(); }
bool is_backward(const Node& node) { return node.op->name.find("_backward") != std::string::npos; }

std::int64_t bytes_of(const Type& type) { return type.shape.elements() * static_cast<std::int64_t>(size_of(type.dtype)); }

/// f(input) for each input whose values are read.
template <class F> void for_each_read(const Node& node, F&& f) {
    for (std::size_t i = 0; i < node.inputs.size(); ++i)
        if (!node.inputs[i].is_empty() && node.op->reads_values_of(i)) f(node.inputs[i]);
}

/// The value whose bytes a view shows.
Value root_of(Value value) {
    while (value.node().op->is_view && !is_source(value.node())) value = value.node().inputs[0];
    return value;
}

/// What lives when, by the order of the nodes: an estimate of the arena without layouts, scratch and stages.
class Lives {
public:
    explicit Lives(const Graph& graph) : profile_(graph.nodes().size() + 1, 0) {
        const int end = static_cast<int>(graph.nodes().size());
        std::map<Key, int> last;
        const auto read = [&](const Value& value, int at) {
            const Value root = root_of(value);
            int& l = last[{root.id(), root.output()}];
            l = std::max(l, at);
        };
        for (const Node& node : graph.nodes()) for_each_read(node, [&](const Value& input) { read(input, node.id); });
        for (const auto& [name, value] : graph.outputs()) read(value, end);
        std::set<Key> updates;  // written over the parameter
        for (const auto& [parameter, value] : graph.updates()) updates.insert({value.id(), value.output()});
        std::vector<std::int64_t> change(graph.nodes().size() + 2, 0);
        for (const Node& node : graph.nodes()) {
            if (is_source(node) || node.op->is_view) continue;
            for (int o = 0; o < static_cast<int>(node.outputs.size()); ++o) {
                const auto it = last.find({node.id, o});
                if (it == last.end() || updates.contains({node.id, o})) continue;
                // An element-by-element node writes over an input that dies with it.
                const bool is_overwritten = it->second < end && writes_over(graph.node(it->second), node, o);
                change[static_cast<std::size_t>(node.id)] += bytes_of(node.outputs[static_cast<std::size_t>(o)]);
                change[static_cast<std::size_t>(it->second + (is_overwritten ? 0 : 1))] -= bytes_of(node.outputs[static_cast<std::size_t>(o)]);
            }
        }
        std::int64_t live = 0;
        for (std::size_t i = 0; i < profile_.size(); ++i) {
            profile_[i] = live += change[i];
            if (profile_[i] > profile_[static_cast<std::size_t>(peak_at_)]) peak_at_ = static_cast<int>(i);
        }
    }
    [[nodiscard]] std::int64_t peak() const { return profile_[static_cast<std::size_t>(peak_at_)]; }
    [[nodiscard]] int peak_at() const { return peak_at_; }

private:
    static bool writes_over(const Node& reader, const Node& made, int output) {
        if (!reader.op->is_elementwise && reader.op->name != "batch_norm_backward") return false;
        const auto reads = std::ranges::find_if(reader.inputs, [&](const Value& v) { return !v.is_empty() && v.id() == made.id && v.output() == output; });
        // One input is written over; of several the first that dies.
        return reads != reader.inputs.end() && made.outputs[static_cast<std::size_t>(output)] == reader.outputs[0] && (reader.op->is_elementwise ? reads == reader.inputs.begin() : reads == reader.inputs.begin() + 1);
    }

    std::vector<std::int64_t> profile_;
    int peak_at_ = 0;
};

/// Nodes that cost about a pass over the memory they read and write.
bool is_cheap(const Node& node) {
    static const std::set<std::string, std::less<>> moves{
        "batch_norm",  "batch_norm_apply", "batch_norm_inference", "concat",          "slice",         "pad",     "flip",       "interpolate",
        "avg_pool2d",  "max_pool2d",       "dropout",              "channel_shuffle", "pixel_shuffle", "unpool",  "expand_to",  "pixel_unshuffle"};
    return node.op->is_elementwise || node.op->is_view || moves.contains(node.op->name);
}

/// Which nodes before `turn` are made again for the readers behind it.
class Recomputer {
public:
    Recomputer(const Graph& graph, int turn) : graph_(graph), turn_(turn), again_(graph.nodes().size(), false), is_gradient_(graph.nodes().size(), false) {
        for (const Node& node : graph.nodes()) {
            bool is = is_backward(node);
            for (const Value& input : node.inputs) is |= !input.is_empty() && is_gradient_[index(input)];
            is_gradient_[static_cast<std::size_t>(node.id)] = is;
        }
    }

    /// Cheap nodes, so that nothing lives longer than what they save; chains that would bring back more than `pulled_limit` bytes are cut.
    void choose_cheap(std::int64_t pulled_limit) {
        std::vector<bool> is_read_late(graph_.nodes().size(), false);
        std::vector<int> uses(graph_.nodes().size(), 0);  // by nodes that are made again
        for (const Node& node : graph_.nodes())
            if (node.id > turn_) for_each_read(node, [&](const Value& input) { mark_late(input, is_read_late); });
        const auto is_there = [&](const Value& value) { return is_source(value.node()) || is_read_late[index(value)] || uses[index(value)] > 0; };
        std::vector<int> chosen;
        for (int id = turn_; id >= 0; --id) {
            const Node& node = graph_.node(id);
            const bool is_wanted = is_read_late[static_cast<std::size_t>(id)] || uses[static_cast<std::size_t>(id)] > 0;
            if (!is_wanted || !may_repeat(node) || !is_cheap(node) || node.op->is_view) continue;
            std::int64_t lives_longer = 0;
            const std::set<Value> inputs = inputs_of(node);
            for (const Value& input : inputs)
                if (!is_there(input)) lives_longer += bytes_of(input.type());
            if (lives_longer > made_bytes(node)) continue;
            again_[static_cast<std::size_t>(id)] = true;
            chosen.push_back(id);
            for (const Value& input : inputs) ++uses[index(input)];
        }
        // What saves nothing after all: its inputs live longer for it alone.
        for (int id : chosen) {
            const Node& node = graph_.node(id);
            std::int64_t lives_longer = 0;
            const std::set<Value> inputs = inputs_of(node);
            for (const Value& input : inputs)
                if (!is_source(input.node()) && !is_read_late[index(input)] && !again_[index(input)] && uses[index(input)] == 1) lives_longer += bytes_of(input.type());
            if (lives_longer < made_bytes(node)) continue;
            again_[static_cast<std::size_t>(id)] = false;
            for (const Value& input : inputs) --uses[index(input)];
        }
        cut_chains(pulled_limit);
    }

    /// Everything, in segments of about `segment_bytes` between values that are kept. A segment ends where one value leads on.
    void choose_blocks(std::int64_t segment_bytes) {
        std::map<Key, int> last;  // forward readers
        for (const Node& node : graph_.nodes())
            if (node.id <= turn_)
                for_each_read(node, [&](const Value& input) { last[key(root_of(input))] = node.id; });
        std::map<int, std::vector<Value>> ends;
        for (const auto& [k, at] : last) ends[at].push_back(Value(const_cast<Graph*>(&graph_), k.first, k.second));
        std::set<Key> open;  // made in this segment and read further on
        std::int64_t open_bytes = 0, made = 0;
        for (int id = 0; id <= turn_; ++id) {
            const Node& node = graph_.node(id);
            for (const Value& value : ends[id])
                if (open.erase(key(value))) open_bytes -= bytes_of(value.type());
            if (is_source(node) || node.op->is_view || is_gradient_[static_cast<std::size_t>(id)]) continue;
            again_[static_cast<std::size_t>(id)] = may_repeat(node);
            made += made_bytes(node);
            const Value y(const_cast<Graph*>(&graph_), id, 0);
            if (last.contains(key(y))) open.insert(key(y)), open_bytes += bytes_of(y.type());
            // Small things beside it (squeezed channels) may be made again from it or kept, they do not count.
            const bool leads_on_alone = open.contains(key(y)) && open_bytes <= bytes_of(y.type()) * 9 / 8;
            if (made < segment_bytes || !(leads_on_alone || made > 2 * segment_bytes)) continue;
            again_[static_cast<std::size_t>(id)] = false;
            open.clear();
            open_bytes = made = 0;
        }
        show_views();
    }

    /// What a node from `id` on makes is kept after all.
    void keep_from(int id) {
        for (std::size_t i = static_cast<std::size_t>(id); i < again_.size(); ++i) again_[i] = false;
        show_views();
    }

    [[nodiscard]] Graph rewritten() const {
        Graph result;
        Rewriter rewrite(graph_, result);
        std::map<Key, Value> copies;
        for (const Node& node : graph_.nodes()) {
            bool is_changed = false;
            std::vector<Value> inputs;
            for (std::size_t i = 0; i < node.inputs.size(); ++i) {
                const Value& input = node.inputs[i];
                const bool is_late = !input.is_empty() && node.id > turn_ && node.op->reads_values_of(i) && is_again(input);
                is_changed |= is_late;
                inputs.push_back(is_late ? made_again(input, rewrite, result, copies) : rewrite(input));
            }
            if (!is_changed) {
                rewrite.copy(node);
                continue;
            }
            const Value made = result.add(node.op->name, std::move(inputs), node.attrs, node.path);
            for (int o = 0; o < static_cast<int>(node.outputs.size()); ++o) rewrite.set(Value(const_cast<Graph*>(&graph_), node.id, o), made.sibling(o));
        }
        rewrite.finish();
        return remove_dead_code(result);
    }

private:
    static Key key(const Value& value) { return {value.id(), value.output()}; }
    static std::size_t index(const Value& value) { return static_cast<std::size_t>(value.id()); }

    /// Of a batch norm only the result is made again; its statistics are small and stay.
    static int repeated_outputs(const Node& node) { return node.op->name == "batch_norm" ? 1 : static_cast<int>(node.outputs.size()); }
    bool is_again(const Value& value) const { return again_[index(value)] && value.output() < repeated_outputs(value.node()); }

    void mark_late(const Value& value, std::vector<bool>& is_read_late) const {
        const Value root = root_of(value);
        if (root.id() <= turn_ && root.output() < repeated_outputs(root.node())) is_read_late[index(root)] = true;
    }

    bool may_repeat(const Node& node) const { return !is_source(node) && !is_gradient_[static_cast<std::size_t>(node.id)] && !node.op->is_collective && node.op->reference != nullptr && node.outputs[0].shape.rank() > 0; }

    static std::int64_t made_bytes(const Node& node) {
        std::int64_t bytes = 0;
        for (int o = 0; o < repeated_outputs(node); ++o) bytes += bytes_of(node.outputs[static_cast<std::size_t>(o)]);
        return bytes;
    }

    /// What a copy of the node reads: roots; a concat reads the pieces of the concats it joins.
    std::set<Value> inputs_of(const Node& node) const {
        std::set<Value> inputs;
        if (node.op->name == "concat") {
            for (const Value& piece : pieces_of(node, [](const Value&) { return true; })) inputs.insert(root_of(piece));
            return inputs;
        }
        for_each_read(node, [&](const Value& input) { inputs.insert(root_of(input)); });
        return inputs;
    }

    /// The inputs of a concat with those of inner concats along the same axis in their place, where `opens` says so.
    template <class F> std::vector<Value> pieces_of(const Node& concat, F opens) const {
        std::vector<Value> pieces;
        for (const Value& input : concat.inputs) {
            const Node& inner = input.node();
            if (inner.op->name == "concat" && inner.attrs.integer("axis") == concat.attrs.integer("axis") && opens(input))
                for (const Value& piece : pieces_of(inner, opens)) pieces.push_back(piece);
            else
                pieces.push_back(input);
        }
        return pieces;
    }

    /// A copy that needs other copies first brings them back early: with too many of them it is kept instead.
    void cut_chains(std::int64_t pulled_limit) {
        std::vector<std::int64_t> pulled(graph_.nodes().size(), 0);
        for (int id = 0; id <= turn_; ++id) {
            if (!again_[static_cast<std::size_t>(id)]) continue;
            for (const Value& input : inputs_of(graph_.node(id)))
                if (is_again(input)) pulled[static_cast<std::size_t>(id)] += bytes_of(input.type()) + pulled[index(input)];
            if (pulled[static_cast<std::size_t>(id)] > pulled_limit) again_[static_cast<std::size_t>(id)] = false;
        }
        show_views();
    }

    void show_views() {
        for (int id = 0; id <= turn_; ++id)
            if (const Node& node = graph_.node(id); node.op->is_view && !is_source(node)) again_[static_cast<std::size_t>(id)] = is_again(node.inputs[0]);
    }

    Value made_again(const Value& value, Rewriter& rewrite, Graph& result, std::map<Key, Value>& copies) const {
        if (!is_again(value)) return rewrite(value);
        if (const auto it = copies.find(key(value)); it != copies.end()) return it->second;
        const Node& node = value.node();
        std::vector<Value> inputs;
        const auto again = [&](const Value& input) { return input.is_empty() ? input : made_again(input, rewrite, result, copies); };
        std::string op = node.op->name;
        Attrs attrs = node.attrs;
        if (op == "batch_norm") {
            op = "batch_norm_apply";
            const Value kept = rewrite(value);
            inputs = {again(node.inputs[0]), again(node.inputs[1]), again(node.inputs[2]), kept.sibling(1), kept.sibling(2)};
            if (node.inputs.size() > 5) inputs.push_back(again(node.inputs[5]));
            attrs = {{"eps", node.attrs.real("eps")}};
            if (const std::string activation = node.attrs.text("activation"); !activation.empty()) attrs.set("activation", activation);
            if (node.attrs.flag("synchronised")) attrs.set("given_statistics", true);
        } else if (op == "concat") {
            for (const Value& piece : pieces_of(node, [&](const Value& inner) { return is_again(inner) && !copies.contains(key(inner)); })) inputs.push_back(again(piece));
            attrs.set("made_again", true);  // its pieces have waited since the forward pass: they are copied, not placed
        } else {
            for (std::size_t i = 0; i < node.inputs.size(); ++i) inputs.push_back(node.op->reads_values_of(i) ? again(node.inputs[i]) : rewrite(node.inputs[i]));
        }
        const Value made = result.add(op, std::move(inputs), std::move(attrs), node.path + ".again");
        for (int o = 0; o < repeated_outputs(node); ++o) copies[{node.id, o}] = made.sibling(o);
        return copies.at(key(value));
    }

    const Graph& graph_;
    int turn_;
    std::vector<bool> again_, is_gradient_;
};

/// The last node before the reverse pass begins.
int turn_of(const Graph& graph) {
    const auto first = std::ranges::find_if(graph.nodes(), is_backward);
    return first == graph.nodes().end() ? Lives(graph).peak_at() : first->id - 1;
}

/// Takes the best of several choices, of which `choose` is told a size in bytes, where it lowers the peak.
template <class F> bool improve(Graph& graph, std::int64_t& peak, int turn, const std::vector<std::int64_t>& sizes, F choose) {
    const auto made = [&](std::int64_t size, int kept_from) {
        Recomputer recomputer(graph, std::min(turn, static_cast<int>(graph.nodes().size()) - 1));
        choose(recomputer, size);
        recomputer.keep_from(kept_from);
        Graph result = recomputer.rewritten();
        const std::int64_t bytes = Lives(result).peak();
        return std::pair(bytes, std::move(result));
    };
    const int end = static_cast<int>(graph.nodes().size());
    std::int64_t best = peak, best_size = -1;
    for (std::int64_t size : sizes)
        if (const std::int64_t bytes = made(size, end).first; bytes < best) best = bytes, best_size = size;
    // Less than a hundredth is not worth the time.
    if (best > peak - peak / 100) return false;
    // The last layers come first in the reverse pass: from a node on, keeping everything costs nothing at the peak.
    int low = 0, high = std::min(turn + 1, end);
    while (high - low > end / 64) {
        const int middle = low + (high - low) / 2;
        if (made(best_size, middle).first <= best) high = middle;
        else low = middle + 1;
    }
    auto [bytes, result] = made(best_size, high);
    peak = bytes;
    graph = std::move(result);
    return true;
}

std::vector<std::int64_t> shares_of(std::int64_t total) {
    std::vector<std::int64_t> sizes;
    for (std::int64_t part : {2, 4, 8, 11, 16, 32}) sizes.push_back(total / part);
    return sizes;
}

}  // namespace

Graph recompute(const Graph& graph, Recompute mode) {
    if (mode == Recompute::none || std::ranges::none_of(graph.nodes(), is_backward)) return graph.clone();
    const auto finished = [&](bool in_blocks) {
        Graph result = graph.clone();
        std::int64_t peak = Lives(result).peak();
        if (in_blocks) improve(result, peak, turn_of(result), shares_of(peak), [](Recomputer& r, std::int64_t size) { r.choose_blocks(size); });
        std::vector<std::int64_t> pulled = shares_of(peak);
        pulled.push_back(0);
        constexpr int rounds = 5;  // what one round saves moves the peak to where the next one looks
        for (int round = 0; round < rounds; ++round) {
            const bool is_first = round == 0 && !in_blocks;
            if (!improve(result, peak, is_first ? turn_of(result) : Lives(result).peak_at(), pulled, [](Recomputer& r, std::int64_t size) { r.choose_cheap(size); }) && !is_first) break;
        }
        return std::pair(peak, std::move(result));
    };
    auto cheap = finished(false);
    if (mode == Recompute::cheap) return std::move(cheap.second);
    // Where maps are joined again and again, their pieces take less than whole maps at the ends of blocks.
    auto blocks = finished(true);
    return std::move(blocks.first < cheap.first ? blocks.second : cheap.second);
}

double relative_time(const Graph& graph) {
    // A multiply-add takes as long as an eighth of a byte: what a core with wide vectors does while its share of the memory delivers one.
    constexpr double operations_per_byte = 8;
    double total = 0;
    for (const Node& node : graph.nodes()) {
        if (is_source(node) || node.op->is_view) continue;
        double bytes = 0;
        for_each_read(node, [&](const Value& input) { bytes += static_cast<double>(bytes_of(input.type())); });
        for (const Type& type : node.outputs) bytes += static_cast<double>(bytes_of(type));
        const double macs = node.op->cost ? static_cast<double>(cost_of(node).macs) : 0;
        total += std::max(bytes, 2 * macs / operations_per_byte);
    }
    return total;
}

Recompute recompute_named(std::string_view name) {
    for (Recompute mode : {Recompute::none, Recompute::cheap, Recompute::blocks})
        if (name == name_of(mode)) return mode;
    fail<ArgumentError>("no recomputation '{}': none, cheap, blocks", name);
}

std::string_view name_of(Recompute mode) { return mode == Recompute::none ? "none" : mode == Recompute::cheap ? "cheap" : "blocks"; }

}  // namespace fovea
