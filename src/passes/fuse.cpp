// Fusion by pattern. A chain base -> [add] -> [activation] whose inner values have no other reader becomes one node, placed where the
// chain ends so that all its inputs exist. A gradient that reads the pre-activation is such a reader, so training fuses what needs only
// the output. In the reverse pass relu_backward -> batch_norm_backward becomes batch_norm_backward with a mask, and a mask behind the
// gradient of max pooling goes before it.
#include <map>
#include <optional>
#include <set>

#include "fovea/passes.h"
#include "graph/op.h"
#include "ops/activation.h"

namespace fovea {

namespace {

struct Chain {
    int base = -1;          ///< conv2d, linear, batch_norm or batch_norm_inference
    Value residual;         ///< the other operand of the add
    int activation = -1;    ///< the node; -1: the chain ends in the add
};

class Fuser {
public:
    explicit Fuser(const Graph& graph) : graph_(graph), readers_(graph.nodes().size()), is_output_(graph.nodes().size(), false) {
        for (const Node& node : graph.nodes())
            for (const Value& input : node.inputs)
                if (!input.is_empty()) readers_[static_cast<std::size_t>(input.id())].push_back({input.output(), node.id});
        for (const auto& [name, value] : graph.outputs()) is_output_[static_cast<std::size_t>(value.id())] = true;
        for (const auto& [parameter, value] : graph.updates())
            if (value.output() == 0) is_output_[static_cast<std::size_t>(value.id())] = true;
        for (const Node& node : graph.nodes()) find_chain(node);
    }

    Graph run() {
        Graph result;
        Rewriter rewrite(graph_, result);
        for (const Node& node : graph_.nodes()) {
            if (skipped_.contains(node.id)) continue;
            if (const auto it = chains_.find(node.id); it != chains_.end())
                emit_chain(node, it->second, rewrite, result);
            else if (node.op->name == "relu_backward" && masks_norm(node))
                deferred_.insert({node.id, 0});
            else if (node.op->name == "batch_norm_backward" && is_deferred(node.inputs[1]))
                emit_norm_backward(node, rewrite, result);
            else if (masked_by(node) != nullptr)
                continue;  // made behind the mask
            else if (node.op->name == "relu_backward" && masked_by(node.inputs[0].node()) == &node)
                emit_masked_pool(node, rewrite, result);
            else
                rewrite.copy(node);
        }
        rewrite.finish();
        return remove_dead_code(result);
    }

private:
    const Node& node(int id) const { return graph_.node(id); }
    Value value(const Node& of, int output = 0) const { return Value(const_cast<Graph*>(&graph_), of.id, output); }

    /// The only reader of output 0, when there is exactly one and it is no output of the graph.
    std::optional<int> only_reader(const Node& of) const {
        if (is_output_[static_cast<std::size_t>(of.id)]) return {};
        std::optional<int> reader;
        for (const auto& [output, id] : readers_[static_cast<std::size_t>(of.id)]) {
            if (output != 0) continue;
            if (reader) return {};
            reader = id;
        }
        return reader;
    }

    /// A value made here, whose last reader is `add`.
    bool is_given_up(const Value& v, const Node& add) const {
        const std::string& op = node(v.id()).op->name;
        if (op == "input" || op == "parameter" || op == "constant" || is_output_[static_cast<std::size_t>(v.id())]) return false;
        for (const auto& [output, id] : readers_[static_cast<std::size_t>(v.id())])
            if (id > add.id) return false;
        return true;
    }

    void find_chain(const Node& base) {
        const std::string& op = base.op->name;
        const bool is_norm = op == "batch_norm" || op == "batch_norm_inference";
        if (op != "conv2d" && op != "linear" && !is_norm) return;
        if (!base.attrs.text("activation").empty() || base.inputs.size() > (is_norm ? 5u : 3u)) return;
        const auto ends = [&](std::optional<int> next) { return next && (op == "batch_norm" ? node(*next).op->name == "relu" : is_activation(node(*next).op->name)); };
        Chain chain{.base = base.id};
        std::vector<int> links{base.id};
        const Node* end = &base;
        if (const auto next = only_reader(*end); next && (op == "conv2d" || op == "batch_norm") && node(*next).op->name == "add" && !taken_.contains(*next)) {
            const Node& add = node(*next);
            const Value other = add.inputs[0].id() == end->id ? add.inputs[1] : add.inputs[0];
            // The sum must not broadcast. Without an activation it pays where the residual's memory becomes the result's.
            if (other.id() != end->id && other.shape() == end->outputs[0].shape) {
                if (ends(only_reader(add)) || (op == "conv2d" && is_given_up(other, add))) {
                    chain.residual = other;
                    end = &add;
                    links.push_back(add.id);
                }
            }
        }
        if (const auto next = only_reader(*end); ends(next)) {
            chain.activation = *next;
            end = &node(*next);
        } else if (end == &base) {
            return;
        } else {
            links.pop_back();  // the add ends the chain
        }
        // Statistics of a batch norm must not be read before the fused node stands.
        for (const auto& [output, id] : readers_[static_cast<std::size_t>(base.id)])
            if (output != 0 && id < end->id && node(id).op->name != "batch_norm_backward") return;
        for (int link : links) taken_.insert(link), skipped_.insert(link);
        taken_.insert(end->id);
        chains_[end->id] = chain;
    }

    void emit_chain(const Node& end, const Chain& chain, Rewriter& rewrite, Graph& result) {
        const Node& base = node(chain.base);
        std::vector<Value> inputs;
        for (const Value& input : base.inputs) inputs.push_back(rewrite(input));
        if (!chain.residual.is_empty()) {
            inputs.resize(base.op->name == "batch_norm" ? 5 : 3);
            inputs.push_back(rewrite(chain.residual));
        }
        Attrs attrs = base.attrs;
        if (chain.activation >= 0) set_activation(attrs, end.op->name, end.attrs);
        const Value made = result.add(base.op->name, inputs, attrs, base.path);
        for (std::size_t o = 1; o < base.outputs.size(); ++o) rewrite.set(value(base, static_cast<int>(o)), made.sibling(static_cast<int>(o)));
        rewrite.set(value(end), made);
        norm_of_relu_[end.id] = base.op->name == "batch_norm" ? base.id : -1;
    }

    /// relu_backward(dy, y) where y comes from a fused batch norm, and a batch_norm_backward of that norm reads the result.
    bool masks_norm(const Node& mask) const {
        const auto norm = norm_of_relu_.find(mask.inputs[1].id());
        if (norm == norm_of_relu_.end() || norm->second < 0 || is_output_[static_cast<std::size_t>(mask.id)]) return false;
        int backward = -1;
        for (const auto& [output, id] : readers_[static_cast<std::size_t>(mask.id)]) {
            const Node& reader = node(id);
            if (reader.op->name == "batch_norm_backward" && reader.inputs[1].id() == mask.id && reader.inputs[3].id() == norm->second) backward = id;
        }
        if (backward < 0) return false;
        // Everybody else must come later than the fused node that now makes the masked gradient.
        for (const auto& [output, id] : readers_[static_cast<std::size_t>(mask.id)])
            if (id < backward) return false;
        return true;
    }
    bool is_deferred(const Value& v) const { return deferred_.contains({v.id(), v.output()}); }

    void emit_norm_backward(const Node& backward, Rewriter& rewrite, Graph& result) {
        const Node& mask = backward.inputs[1].node();
        std::vector<Value> inputs;
        for (std::size_t i = 0; i < 5; ++i) inputs.push_back(rewrite(i == 1 ? mask.inputs[0] : backward.inputs[i]));
        // Where nothing was added to it, the sign of the norm's result follows from x and beta: the result need not be kept for it.
        const Chain& chain = chains_.at(mask.inputs[1].id());
        if (chain.residual.is_empty()) {
            inputs.resize(6);
            inputs.push_back(rewrite(node(chain.base).inputs[2]));
        } else {
            inputs.push_back(rewrite(mask.inputs[1]));
        }
        Attrs attrs = backward.attrs;
        const bool has_residual = readers_[static_cast<std::size_t>(mask.id)].size() > 1;
        if (has_residual) attrs.set("residual", true);
        const Value made = result.add("batch_norm_backward", inputs, attrs, backward.path);
        for (int o = 0; o < 3; ++o) rewrite.set(value(backward, o), made.sibling(o));
        if (has_residual) rewrite.set(value(mask), made.sibling(3));
    }

    /// relu_backward(max_pool2d_backward(dy, places), y) with max_pool2d(y) -> (pooled, places): y > 0 at a place exactly where pooled > 0,
    /// so the mask can go first. It is smaller there, and y need not be kept. The mask's node, of the pooling's gradient `pool`.
    const Node* masked_by(const Node& pool) const {
        if (pool.op->name != "max_pool2d_backward" || pool.inputs.size() < 3 || pool.inputs[1].output() != 1) return nullptr;
        const auto reader = only_reader(pool);
        if (!reader) return nullptr;
        const Node &mask = node(*reader), &forward = node(pool.inputs[1].id());
        const bool fits = mask.op->name == "relu_backward" && mask.inputs[0].id() == pool.id && forward.op->name == "max_pool2d" && forward.inputs[0] == mask.inputs[1];
        return fits && !masks_norm(mask) ? &mask : nullptr;
    }

    void emit_masked_pool(const Node& mask, Rewriter& rewrite, Graph& result) {
        const Node& pool = mask.inputs[0].node();
        const Value masked = result.add("relu_backward", {rewrite(pool.inputs[0]), rewrite(pool.inputs[1].sibling(0))}, mask.attrs, mask.path);
        rewrite.set(value(mask), result.add("max_pool2d_backward", {masked, rewrite(pool.inputs[1]), rewrite(pool.inputs[2])}, pool.attrs, pool.path));
    }

    const Graph& graph_;
    std::vector<std::vector<std::pair<int, int>>> readers_;  // node -> (output read, reader)
    std::vector<bool> is_output_;
    std::map<int, Chain> chains_;  // by the node that ends the chain
    std::set<int> skipped_, taken_;
    std::set<std::pair<int, int>> deferred_;
    std::map<int, int> norm_of_relu_;  // relu node -> batch_norm node fused with it, or -1
};

}  // namespace

Graph fuse(const Graph& graph) { return Fuser(graph).run(); }

}  // namespace fovea
