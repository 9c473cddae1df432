#include "train/over_ranks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/text.h"
#include "fovea/ops.h"
#include "fovea/passes.h"
#include "graph/op.h"
#include "train/facts.h"

namespace fovea {

namespace {

std::int64_t bytes_of(const Value& value) { return value.shape().elements() * static_cast<std::int64_t>(sizeof(float)); }

bool is_synchronised(const Value& value) { return value.node().attrs.flag("synchronised"); }

}  // namespace

void reduce_over_ranks(Graph& graph, std::vector<Value>& gradients, StepInputs& inputs, std::int64_t bucket_bytes) {
    const Value share = inputs("share");
    // In the order they are made, which is that of their nodes; the same on every rank, whatever the number of its rows.
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < gradients.size(); ++i) order.push_back(i);
    std::ranges::stable_sort(order, {}, [&](std::size_t i) { return std::pair(gradients[i].id(), gradients[i].output()); });
    std::vector<std::vector<Value*>> buckets(1);
    std::int64_t bytes = 0;
    for (const std::size_t i : order) {
        if (bytes >= bucket_bytes) buckets.emplace_back(), bytes = 0;
        buckets.back().push_back(&gradients[i]);
        bytes += bytes_of(gradients[i]);
    }
    auto outputs = graph.outputs();
    auto updates = graph.updates();
    for (auto& [name, value] : outputs)
        if (value.shape().rank() == 0 && value.dtype() == DType::f32) value = value * share, buckets.back().push_back(&value);
    for (auto& [parameter, value] : updates) {
        const bool is_own = !parameter.path().starts_with(optimizer_prefix) && value.dtype() == DType::f32 && !is_synchronised(value);
        if (is_own) value = value * share, buckets.back().push_back(&value);
    }
    for (const std::vector<Value*>& bucket : buckets) {
        if (bucket.empty()) continue;
        std::vector<Value> parts;
        for (const Value* part : bucket) parts.push_back(*part);
        const std::vector<Value> sums = all_reduce(parts, true, "sum_over_ranks");
        for (std::size_t i = 0; i < bucket.size(); ++i) *bucket[i] = sums[i];
    }
    graph.clear_outputs();
    for (const auto& [name, value] : outputs) graph.output(name, value);
    graph.clear_updates();
    for (const auto& [parameter, value] : updates) graph.update(parameter, value);
}

Graph with_synchronised_norms(const Graph& graph, Value& loss) {
    Graph result;
    Rewriter rewrite(graph, result);
    for (const Node& node : graph.nodes()) {
        if (op_name(node) != "batch_norm") {
            rewrite.copy(node);
            continue;
        }
        std::vector<Value> inputs;
        for (const Value& input : node.inputs) inputs.push_back(rewrite(input));
        Attrs attrs = node.attrs;
        attrs.set("synchronised", true);
        const Value made = result.add("batch_norm", inputs, attrs, node.path);
        for (int o = 0; o < static_cast<int>(node.outputs.size()); ++o) rewrite.set(Value(const_cast<Graph*>(&graph), node.id, o), made.sibling(o));
    }
    rewrite.finish();
    loss = rewrite(Value(const_cast<Graph*>(&graph), loss.id(), loss.output()));
    return result;
}

Checkpoint from_first(Communicator* ranks, Checkpoint mine) {
    if (ranks == nullptr || ranks->size() == 1) return mine;
    Json list = Json::array();
    for (const Parameters* parameters : {&mine.parameters, &mine.optimizer})
        for (const std::string& name : parameters->names()) {
            const Tensor& tensor = parameters->at(name);
            list.push_back({{"name", name}, {"is_optimizer", parameters == &mine.optimizer}, {"dtype", static_cast<int>(tensor.dtype())},
                            {"shape", std::vector<std::int64_t>(tensor.shape().dims().begin(), tensor.shape().dims().end())}});
        }
    Checkpoint result;
    result.facts = from_first(ranks, mine.facts);
    const std::string text = from_first(ranks, list.dump());
    for (const Json& entry : Json::parse(text)) {
        const std::string name = entry.at("name");
        const bool is_optimizer = entry.at("is_optimizer");
        const std::vector<std::int64_t> dims = entry.at("shape");
        const Parameters& from = is_optimizer ? mine.optimizer : mine.parameters;
        const Tensor own = ranks->rank() == 0 ? from.at(name) : Tensor();
        (is_optimizer ? result.optimizer : result.parameters).set(name, from_first(ranks, own, Shape(std::span<const std::int64_t>(dims)), static_cast<DType>(entry.at("dtype").get<int>())));
    }
    return result;
}

Evaluation joined(Communicator* ranks, Evaluation mine, std::int64_t worst) {
    if (ranks == nullptr || ranks->size() == 1) return mine;
    const auto n = static_cast<double>(mine.images);
    // Counts are exact in f64.
    std::vector<double> numbers{n, static_cast<double>(mine.skipped), mine.loss * n, std::round(mine.top1 * n), std::round(mine.topk * n), mine.reliability.squares};
    for (const Reliability::Bin& bin : mine.reliability.bins)
        for (const double number : {static_cast<double>(bin.images), static_cast<double>(bin.right), bin.sum}) numbers.push_back(number);
    numbers = summed(ranks, std::move(numbers));
    Evaluation all;
    all.k = mine.k;
    all.seconds = mine.seconds;
    all.images = static_cast<std::int64_t>(numbers[0]);
    all.skipped = static_cast<std::int64_t>(numbers[1]);
    const double total = std::max(1.0, numbers[0]);
    all.loss = numbers[2] / total;
    all.top1 = numbers[3] / total;
    all.topk = numbers[4] / total;
    all.reliability.squares = numbers[5];
    all.reliability.bins.resize(mine.reliability.bins.size());
    for (std::size_t b = 0; b < all.reliability.bins.size(); ++b)
        all.reliability.bins[b] = {static_cast<std::int64_t>(numbers[6 + 3 * b]), static_cast<std::int64_t>(numbers[7 + 3 * b]), numbers[8 + 3 * b]};
    all.confusion = ConfusionMatrix(mine.confusion.classes());
    std::vector<std::array<std::int64_t, 3>> cells;
    for (const auto& [cell, count] : mine.confusion.cells()) cells.push_back({cell.first, cell.second, count});
    for (const auto& [label, predicted, count] : joined(ranks, cells)) all.confusion.add(label, predicted, count);
    all.worst = joined(ranks, mine.worst);
    std::ranges::stable_sort(all.worst, {}, &Mistake::of_label);
    all.worst.resize(std::min(all.worst.size(), static_cast<std::size_t>(worst)));
    return all;
}

std::uint64_t fingerprint(const Parameters& parameters) {
    std::uint64_t hash = 0xCBF29CE484222325ull;
    const auto add = [&](std::uint64_t word) { hash = (hash ^ word) * 0x9E3779B97F4A7C15ull, hash ^= hash >> 29; };
    for (const std::string& name : parameters.names()) {
        const Tensor& tensor = parameters.at(name);
        add(hash_name(name));
        std::size_t at = 0;
        for (std::uint64_t word = 0; at + sizeof(word) <= tensor.bytes(); at += sizeof(word)) std::memcpy(&word, tensor.raw() + at, sizeof(word)), add(word);
        std::uint64_t rest = 0;
        if (at < tensor.bytes()) std::memcpy(&rest, tensor.raw() + at, tensor.bytes() - at), add(rest);
    }
    return hash;
}

}  // namespace fovea
