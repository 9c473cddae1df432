// fovea summary vgg16: a layer table; the graph after a pass; the plan of kernels.

#include <map>

#include <fmt/format.h>

#include "command.h"
#include "fovea/ops.h"
#include "fovea/passes.h"
#include "fovea/runtime.h"
#include "network.h"

namespace fovea::cli {

namespace {

struct SummaryArguments {
    Common common;
    std::string model, input, stage, backend = "cpu";
    bool explain_plan = false, is_training = false;
};

/// "8x3x224x224"
Shape shape_of(const std::string& text) {
    Shape shape;
    std::size_t at = 0;
    while (at <= text.size()) {
        const std::size_t end = std::min(text.find('x', at), text.size());
        const std::string part = text.substr(at, end - at);
        if (part.empty() || part.size() > 9 || part.find_first_not_of("0123456789") != std::string::npos || std::stoll(part) < 1 || shape.rank() == 4)
            throw ArgumentError(fmt::format("--input takes NxCxHxW, for instance 1x3x224x224, got '{}'", text));
        shape.push_back(std::stoll(part));
        at = end + 1;
    }
    if (shape.rank() != 4) throw ArgumentError(fmt::format("--input takes NxCxHxW, for instance 1x3x224x224, got '{}'", text));
    return shape;
}

struct Layer {
    std::string path, op;
    Shape output;
    std::int64_t parameters = 0, macs = 0;
};

/// A row per node that computes; a parameter counts at the first node that reads it, less its scalars that never train.
std::vector<Layer> layers_of(const Graph& graph) {
    std::map<std::string, std::int64_t> left;
    for (const ParameterInfo& info : graph.parameters())
        if (info.is_trainable) left[info.name] = info.type.shape.elements();
    std::vector<Layer> layers;
    const std::vector<bool> is_needed = reachable(graph);
    for (const Node& node : graph.nodes()) {
        if (!is_needed[static_cast<std::size_t>(node.id)] || node.inputs.empty()) continue;
        Layer layer{node.path, std::string(op_name(node)), node.outputs.front().shape};
        for (const Value& input : node.inputs) {
            if (input.is_empty()) continue;
            const auto it = left.find(input.path());
            if (it == left.end()) continue;
            layer.parameters += it->second;
            left.erase(it);
        }
        layer.macs = cost_of(node).macs;
        layers.push_back(std::move(layer));
    }
    return layers;
}

void print_layers(const SummaryArguments& a, const Network& network, const Graph& graph, const Shape& input) {
    const std::vector<Layer> layers = layers_of(graph);
    std::int64_t volume = 0, macs = 0;
    Json documents = Json::array();
    std::vector<std::vector<std::string>> rows{{"layer", "op", "output", "volume", "parameters", "multiply-adds"}};
    rows.push_back({"image", "input", input.str(), commas(input.elements()), "", ""});
    for (const Layer& layer : layers) {
        volume += layer.output.elements();
        macs += layer.macs;
        documents.push_back({{"layer", layer.path}, {"op", layer.op}, {"output", layer.output.dims()}, {"volume", layer.output.elements()}, {"parameters", layer.parameters}, {"macs", layer.macs}});
        rows.push_back({layer.path, layer.op, layer.output.str(), commas(layer.output.elements()), layer.parameters ? commas(layer.parameters) : "", layer.macs ? commas(layer.macs) : ""});
    }
    const std::int64_t parameters = graph.trainable_scalars();
    if (a.common.json) {
        print_document({{"command", "summary"}, {"model", network.model}, {"input", input.dims()}, {"layers", documents}, {"parameters", parameters}, {"macs", macs}, {"volume", volume},
                        {"parameter_bytes", parameters * 4}});
        return;
    }
    fmt::print("{}\n{}", network.model, table(rows, "<<<>>>"));
    fmt::print("\n{} parameters ({}), {} multiply-adds, {} values between the layers ({})\n", commas(parameters), bytes_text(static_cast<double>(parameters) * 4), commas(macs), commas(volume),
               bytes_text(static_cast<double>(volume) * 4));
}

/// The graph after pass `wanted`, or of a training step; throws ArgumentError naming the passes there are.
void print_stage(const SummaryArguments& a, const Graph& graph, const std::map<std::string, Shape>& shapes) {
    std::string text, names;
    CompileOptions options;
    options.backend = a.backend;
    options.inference = !a.is_training;
    options.on_pass = [&](std::string_view name, const Graph& result) {
        names += (names.empty() ? "" : ", ") + std::string(name);
        if (name == a.stage) text = result.print();
    };
    (void)compile(graph, shapes, options);
    if (text.empty()) throw ArgumentError(fmt::format("no pass '{}'; the passes are {}", a.stage, names));
    if (a.common.json) print_document({{"command", "summary"}, {"stage", a.stage}, {"graph", text}});
    else fmt::print("{}", text);
}

void print_plan(const SummaryArguments& a, const Graph& graph, const std::map<std::string, Shape>& shapes) {
    CompileOptions options;
    options.backend = a.backend;
    options.inference = !a.is_training;
    const Executable executable = compile(graph, shapes, options);
    if (!a.common.json) {
        fmt::print("{}", executable.explain_plan());
        return;
    }
    Json lines = Json::array();
    for (const PlanLine& line : executable.plan())
        lines.push_back({{"node", line.path}, {"op", line.op}, {"kernel", line.kernel}, {"layout", line.layout}, {"fused", line.fused}, {"problem", line.problem}, {"bytes", line.bytes},
                         {"operations", line.operations}});
    print_document({{"command", "summary"}, {"plan", lines}, {"arena_bytes", executable.arena_bytes()}, {"fallbacks", executable.fallbacks()}});
}

void summary(const SummaryArguments& a) {
    a.common.apply();
    ModelOptions options;
    Shape input;
    if (!a.input.empty()) {
        input = shape_of(a.input);
        options.channels = input[1], options.height = input[2], options.width = input[3];
    }
    const Network network = build_network(a.model, options);
    if (a.input.empty()) {
        input = network.graph.inputs().front().shape();
        input[0] = 1;
    }
    if (a.stage.empty() && !a.explain_plan) {
        print_layers(a, network, specialize(network.graph, {{"image", input}}), input);
        return;
    }
    Graph graph = network.graph.clone();
    std::map<std::string, Shape> shapes{{"image", input}};
    if (a.is_training) {
        const Value logits = scores_of(graph);
        const Value label = graph.input("label", {dynamic}, DType::i32);
        const Value loss = network.loss ? network.loss(logits, label) : cross_entropy(logits, label);
        graph.clear_outputs();
        graph.output("loss", loss);
        append_optimizer(graph, loss, Sgd{.lr = 0.1, .momentum = 0.9});
        shapes["label"] = {input[0]};
    }
    if (!a.stage.empty()) print_stage(a, graph, shapes);
    else print_plan(a, graph, shapes);
}

}  // namespace

void add_summary(CLI::App& app) {
    auto a = std::make_shared<SummaryArguments>();
    CLI::App* command = app.add_subcommand("summary", "Layer table: output volume, parameters, multiply-adds");
    command->add_option("model", a->model, "A name of 'fovea models'")->required();
    command->add_option("--input", a->input, "NxCxHxW (default: one picture of the card's size)");
    auto* stage = command->add_option("--stage", a->stage, "The graph after a pass of compile(): specialized, folded, fused, ...");
    command->add_flag("--explain-plan", a->explain_plan, "Kernel, layout, fused parts and bytes of every node")->excludes(stage);
    command->add_flag("--train", a->is_training, "Of a whole training step instead of inference");
    command->add_option("--backend", a->backend, "cpu or reference")->check(CLI::IsMember({"cpu", "reference"}));
    a->common.add_to(*command);
    command->callback([a] { summary(*a); });
}

}  // namespace fovea::cli
