#include "train/probe.h"

#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "fovea/ops.h"
#include "fovea/passes.h"
#include "train/with_loss.h"

namespace fovea {

namespace {

/// Evenly spaced over the set, which may be sorted by class.
std::vector<std::int64_t> probe_pictures(const FitSpec& spec) {
    const std::int64_t size = spec.train->size(), count = std::min({size, spec.batch, std::max<std::int64_t>(8, std::min(spec.probe, size / 100))});
    std::vector<std::int64_t> indices;
    for (std::int64_t i = 0; i < count; ++i) indices.push_back((2 * i + 1) * size / (2 * count));
    return indices;
}

/// The outputs between which an activation still learns; nothing for ops that do not saturate.
std::optional<std::pair<double, double>> live_range(const Node& node) {
    // Slopes 1 - y^2 of tanh and 4 y (1 - y) of the sigmoid, as a part of their largest, are 1/20 here.
    static const double edge = std::sqrt(0.95);
    const std::string_view op = op_name(node);
    if (op == "tanh") return std::pair(-edge, edge);
    if (op == "sigmoid") return std::pair((1 - edge) / 2, (1 + edge) / 2);
    if (op == "hard_sigmoid") return std::pair(0.0, 1.0);
    if (op == "hard_tanh") return std::pair(node.attrs.real("low"), node.attrs.real("high"));
    return {};
}

/// Whether a weight is not trained.
bool is_frozen(const FitSpec& spec, std::string_view name) {
    return std::ranges::any_of(spec.step.frozen, [&](const std::string& pattern) { return matches_glob(pattern, name); });
}

/// Everything but the channels: the axes of one unit.
std::vector<std::int64_t> unit_axes(const Shape& shape) {
    std::vector<std::int64_t> axes{0};
    for (int i = 2; i < shape.rank(); ++i) axes.push_back(i);
    return axes;
}

}  // namespace

Probe::Probe(const Graph& network, const FitSpec& spec) : network_(network), spec_(spec) {
    const Loader loader(subset(spec.train, probe_pictures(spec), "probe"), {.batch = spec.batch, .threads = 0, .preprocess = spec.preprocess});
    batch_ = loader.epoch(0).next();
}

Json Probe::look(const Parameters& parameters) const {
    if (!batch_) return Json::object();
    WithLoss built = with_loss(network_, spec_.loss, spec_.lowest_wins, true, labels_for(*spec_.train, {}));
    Graph graph = std::move(*built.graph);
    Value loss(&graph, built.loss.id(), built.loss.output());
    if (!spec_.step.frozen.empty()) {
        Graph frozen = with_frozen_norms(graph, spec_.step.frozen, loss);
        graph = std::move(frozen);
        loss = Value(&graph, loss.id(), loss.output());
    }
    graph.clear_outputs();
    graph.clear_updates();

    struct Entry {
        std::string layer, what;  ///< what: "gradient", "zero", "dead", "saturated"
        std::string op{};
    };
    std::vector<Entry> entries;
    const auto add = [&](Entry entry, const Value& value) {
        graph.output(fmt::format("probe{}", entries.size()), value);
        entries.push_back(std::move(entry));
    };
    const auto last = static_cast<std::size_t>(loss.id());
    for (std::size_t id = 0; id <= last; ++id) {
        const std::string path = graph.nodes()[id].path, op(op_name(graph.nodes()[id]));
        if (graph.nodes()[id].outputs.empty() || graph.nodes()[id].outputs[0].shape.rank() < 2) continue;
        const Value y(&graph, static_cast<int>(id), 0);
        if (op == "relu" || op == "relu6") {
            add({path, "zero", op}, mean(greater(y, 0.0)));
            add({path, "dead", op}, sum(y, {.axes = unit_axes(y.shape())}));
        } else if (const auto range = live_range(graph.nodes()[id])) {
            add({path, "saturated", op}, mean(in_range(y, range->first, range->second)));
        }
    }
    std::vector<Value> trained;
    for (const ParameterInfo& info : graph.parameters())
        if (info.is_trainable && !is_frozen(spec_, info.name)) trained.push_back(graph.find(info.name));
    const std::vector<Value> slopes = gradients(loss, trained);
    for (std::size_t i = 0; i < trained.size(); ++i)
        if (!slopes[i].is_empty()) add({trained[i].path().substr(0, trained[i].path().rfind('.')), "gradient"}, sum(square(slopes[i])));

    CompileOptions options = spec_.compile;
    options.inference = false;
    auto state = std::make_shared<State>(parameters.of(graph));
    Program program(std::move(graph), std::move(state), options);
    const std::vector<Tensor> results = program.run({{"image", batch_->images}, {"label", labels_of(*batch_)}}, {.seed = spec_.seed});

    Json norms = Json::object(), activations = Json::array();
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const auto& [layer, what, op] = entries[i];
        if (what == "gradient") {
            norms[layer] = norms.value(layer, 0.0) + results[i].at(0);
        } else if (what == "dead") {
            std::int64_t dead = 0;
            for (std::int64_t unit = 0; unit < results[i].elements(); ++unit) dead += results[i].at(unit) == 0;
            activations.back()["dead"] = static_cast<double>(dead) / static_cast<double>(results[i].elements());
        } else {
            activations.push_back({{"layer", layer}, {"op", op}, {what, 1 - results[i].at(0)}});
        }
    }
    for (auto& [layer, norm] : norms.items()) norm = std::sqrt(norm.get<double>());
    return {{"images", batch_->images.shape()[0]}, {"gradient_norms", std::move(norms)}, {"activations", std::move(activations)}};
}

}  // namespace fovea
