// Post-training quantisation: ranges of values over calibration images become grids; per-layer errors say what they cost.
#include <cmath>
#include <limits>

#include "backends/reference/interpreter.h"
#include "calibrate/histogram.h"
#include "core/text.h"
#include "fovea/ops.h"
#include "fovea/passes.h"
#include "fovea/runtime.h"
#include "fovea/train.h"

namespace fovea {

namespace {

/// The network before its grids, with its scores as the one output.
Graph fused_network(const Graph& network) {
    Graph scores = network.clone();
    const Value out = scores_of(scores);
    scores.clear_outputs();
    scores.clear_updates();
    scores.output("out", out);
    return fused_for_inference(scores);
}

Value with_path(const Graph& graph, std::string_view path) {
    for (const Node& node : graph.nodes())
        if (node.path == path) return {const_cast<Graph*>(&graph), node.id, 0};
    fail<Error>("calibrate: no value '{}'", path);
}

/// Weights of a layer as it multiplies by them, [K, ...].
Tensor weights_of(const Graph& fused, const std::string& layer, const Parameters& parameters) {
    const Value weight = with_path(fused, layer).node().inputs[1];
    if (weight.node().op->name == "constant") return weight.node().attrs.tensor("value").to(DType::f32);
    return interpret(fused, {&weight, 1}, {}, parameters, {.real = DType::f32}).front();
}

std::vector<double> weight_scales(const Tensor& weights, const std::string& layer) {
    const std::int64_t outputs = weights.shape()[0], each = weights.elements() / outputs;
    std::vector<double> scales;
    for (std::int64_t k = 0; k < outputs; ++k) {
        float largest = 0;
        for (std::int64_t i = 0; i < each; ++i) {
            const float w = weights.data<float>()[static_cast<std::size_t>(k * each + i)];
            require<ArgumentError>(std::isfinite(w), "calibrate: the weights of '{}' hold {}", layer, w);
            largest = std::max(largest, std::abs(w));
        }
        // A channel of zeros (pruned) lies on any grid.
        scales.push_back(largest > 0 ? std::max(static_cast<double>(largest / 127.0f), static_cast<double>(std::numeric_limits<float>::min())) : 1.0);
    }
    return scales;
}

/// All values of the plan over all images: f(group, values of one batch).
template <class F> std::int64_t each_value(Program& program, const QuantizationPlan& plan, const CalibrationImages& images, const std::string& input, F&& f) {
    std::int64_t count = 0;
    images([&](const Tensor& batch) {
        const std::vector<Tensor> values = program.run({{input, batch}});
        std::size_t at = 0;
        for (std::size_t g = 0; g < plan.groups.size(); ++g)
            for (const std::string& path : plan.groups[g]) f(g, path, count, values[at++]);
        count += batch.shape()[0];
    });
    return count;
}

std::string input_of(const Graph& graph) {
    const auto inputs = graph.inputs();
    require<ArgumentError>(inputs.size() == 1, "calibrate: the network has {} inputs; one, for images, is expected", inputs.size());
    return inputs.front().path();
}

Graph with_outputs(const Graph& fused, const QuantizationPlan& plan) {
    Graph graph = fused.clone();
    graph.clear_outputs();
    for (const auto& group : plan.groups)
        for (const std::string& path : group) graph.output("value:" + path, with_path(graph, path));
    return remove_dead_code(graph);
}

std::shared_ptr<State> state_for(const Graph& graph, const Parameters& parameters) {
    return std::make_shared<State>(parameters.of(graph));
}

}  // namespace

std::string_view name_of(Calibration method) {
    switch (method) {
        case Calibration::minmax: return "minmax";
        case Calibration::percentile: return "percentile";
        case Calibration::entropy: return "entropy";
        case Calibration::mse: return "mse";
    }
    return "?";
}

Calibration calibration_named(std::string_view name) {
    for (const Calibration method : {Calibration::minmax, Calibration::percentile, Calibration::entropy, Calibration::mse})
        if (name == name_of(method)) return method;
    fail<ArgumentError>("no calibration '{}'; there are: minmax, percentile, entropy, mse", name);
}

CalibrationImages calibration_images(DatasetPtr dataset, const Preprocess& preprocess, std::int64_t images, std::int64_t batch) {
    require<ArgumentError>(dataset != nullptr && dataset->size() > 0 && images > 0, "calibrate: no images{}", dataset ? fmt::format(" in '{}'", dataset->name()) : "");
    const std::int64_t count = std::min(images, dataset->size());
    // Spread over the set: many are sorted by class.
    auto loader = std::make_shared<Loader>(dataset, LoaderSpec{.batch = batch, .shuffle = true, .seed = 0, .threads = 1, .preprocess = preprocess});
    return [loader, count](const std::function<void(const Tensor&)>& each) {
        Epoch pass = loader->epoch(0);
        for (std::int64_t seen = 0; seen < count;) {
            const std::optional<Batch> got = pass.next();
            if (!got) return;
            const std::int64_t rows = std::min(got->images.shape()[0], count - seen);
            Shape shape = got->images.shape();
            shape[0] = rows;
            each(rows == got->images.shape()[0] ? got->images : Tensor::of<float>(std::span(got->images.data<float>()).first(static_cast<std::size_t>(shape.elements())), shape));
            seen += rows;
        }
    };
}

QuantizationTable calibrate(const Graph& network, const Parameters& parameters, const CalibrationImages& images, const CalibrateSpec& spec) {
    require<ArgumentError>(spec.percentile > 50 && spec.percentile <= 100, "calibrate: the percentile lies above 50 and not beyond 100, got {}", spec.percentile);
    const Graph fused = fused_network(network);
    const std::string input = input_of(fused);
    const QuantizationPlan plan = plan_quantization(fused, spec.keep);
    QuantizationTable table;
    table.method = spec.method == Calibration::percentile ? fmt::format("percentile {}", spec.percentile) : std::string(name_of(spec.method));
    for (const std::string& layer : plan.layers) table.weights[layer] = weight_scales(weights_of(fused, layer, parameters), layer);

    Graph observed = with_outputs(fused, plan);
    const auto state = state_for(observed, parameters);
    Program program(std::move(observed), state, {.inference = true});
    struct Range {
        float low = std::numeric_limits<float>::infinity(), high = -std::numeric_limits<float>::infinity();
    };
    std::vector<Range> ranges(plan.groups.size());
    std::map<std::string, Range> each;
    table.images = each_value(program, plan, images, input, [&](std::size_t g, const std::string& path, std::int64_t first, const Tensor& values) {
        Range& own = each[path];
        const auto data = values.data<float>();
        for (std::size_t i = 0; i < data.size(); ++i) {
            // Written so that NaN fails it too.
            if (!(std::abs(data[i]) <= std::numeric_limits<float>::max()))
                fail<ArgumentError>("calibrate: '{}' holds {} for image {}; a network that is not finite in f32 cannot be quantised", path, data[i],
                                    first + static_cast<std::int64_t>(i) / std::max<std::int64_t>(1, values.elements() / values.shape()[0]));
            own.low = std::min(own.low, data[i]), own.high = std::max(own.high, data[i]);
        }
        ranges[g].low = std::min(ranges[g].low, own.low), ranges[g].high = std::max(ranges[g].high, own.high);
    });
    require<ArgumentError>(table.images > 0, "calibrate: no images");
    for (const auto& [path, own] : each)
        if (own.low == own.high)
            table.notes.push_back(fmt::format("'{}' is {} for every image: a constant, kept exactly; the layer behind it learns nothing from it", path, own.low));

    std::vector<Histogram> histograms;
    for (const Range& range : ranges) histograms.emplace_back(static_cast<double>(range.low), static_cast<double>(range.high));
    if (spec.method != Calibration::minmax)
        each_value(program, plan, images, input, [&](std::size_t g, const std::string&, std::int64_t, const Tensor& values) { histograms[g].add(values.data<float>()); });
    for (std::size_t g = 0; g < plan.groups.size(); ++g) {
        const bool is_constant = ranges[g].low == ranges[g].high;
        const auto [low, high] = is_constant ? std::pair<double, double>(ranges[g].low, ranges[g].high) : histograms[g].range(spec.method, spec.percentile);
        for (const std::string& path : plan.groups[g]) table.values[path] = grid_over(low, high);
    }
    return table;
}

QuantizationTable calibrate(const Graph& network, const Parameters& parameters, DatasetPtr dataset, const Preprocess& preprocess, const CalibrateSpec& spec) {
    return calibrate(network, parameters, calibration_images(std::move(dataset), preprocess, spec.images, spec.batch), spec);
}

std::vector<LayerError> quantization_errors(const Graph& network, const Parameters& parameters, const QuantizationTable& table, const CalibrationImages& images) {
    const Graph fused = fused_network(network);
    const Graph rounded = put_on_grids(fused, table);
    // Side by side in one graph: the network in f32, each layer rounded on the f32 network's values, the network rounded throughout.
    Graph both;
    Rewriter plain(fused, both), throughout(rounded, both);
    for (const Node& node : fused.nodes()) plain.copy(node);
    std::vector<LayerError> errors;
    const auto square_sum = [](const Value& v) { return sum(square(v)); };
    const auto spec_of = [](const Grid& grid) { return QuantizeSpec{.scale = {grid.scale}, .zero_point = {grid.zero_point}, .low = grid.low, .high = grid.high}; };
    const auto on_grid = [&](const Value& original, const std::string& path) {
        const auto grid = table.values.find(path);
        return grid == table.values.end() ? original : fake_quantize(original, spec_of(grid->second), "alone:" + path);
    };
    for (const Node& node : rounded.nodes()) {
        if (node.op->name == "input" || node.op->name == "parameter") {
            throughout.set(Value(const_cast<Graph*>(&rounded), node.id, 0), plain(with_path(fused, node.path)));
            continue;
        }
        std::vector<Value> inputs;
        for (const Value& v : node.inputs) inputs.push_back(throughout(v));
        const Value made = both.add(node.op->name, inputs, node.attrs, "int8:" + node.path);
        for (std::size_t o = 0; o < node.outputs.size(); ++o) throughout.set(Value(const_cast<Graph*>(&rounded), node.id, static_cast<int>(o)), made.sibling(static_cast<int>(o)));
    }
    for (const Node& node : fused.nodes()) {
        const auto weights = table.weights.find(node.path);
        if (weights == table.weights.end() || (node.op->name != "conv2d" && node.op->name != "linear")) continue;
        const Value want(plain(Value(const_cast<Graph*>(&fused), node.id, 0)));
        std::vector<Value> inputs;
        for (const Value& v : node.inputs) inputs.push_back(plain(v));
        inputs[0] = on_grid(inputs[0], node.inputs[0].path());
        inputs[1] = fake_quantize(inputs[1], {.scale = weights->second, .axis = 0, .low = -127, .high = 127});
        const Value alone = on_grid(both.add(node.op->name, inputs, node.attrs, "alone:" + node.path), node.path);
        const std::string made = table.values.contains(node.path) ? node.path + ".quantized" : node.path;
        const Value chained = throughout(with_path(rounded, made));
        both.output("norm:" + node.path, square_sum(want));
        both.output("alone:" + node.path, square_sum(alone - want));
        both.output("chained:" + node.path, square_sum(chained - want));
        errors.push_back({.layer = node.path, .op = node.op->name, .weights = node.inputs[1].shape()});
    }
    const std::string input = input_of(fused);
    std::vector<std::array<double, 3>> sums(errors.size(), {0, 0, 0});
    const auto state = state_for(both, parameters);
    Program program(std::move(both), state, {.inference = true});
    images([&](const Tensor& batch) {
        const std::vector<Tensor> values = program.run({{input, batch}});
        for (std::size_t i = 0; i < errors.size(); ++i)
            for (std::size_t k = 0; k < 3; ++k) sums[i][k] += values[3 * i + k].at(0);
    });
    for (std::size_t i = 0; i < errors.size(); ++i) {
        const double norm = std::max(sums[i][0], 1e-300);
        errors[i].alone = std::sqrt(sums[i][1] / norm);
        errors[i].accumulated = std::sqrt(sums[i][2] / norm);
    }
    return errors;
}

}  // namespace fovea
