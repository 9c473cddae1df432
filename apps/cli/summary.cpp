// fovea summary vgg16: a layer table; the graph after a pass; the plan of kernels.

#include <cctype>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "command.h"
#include "fovea/explain.h"
#include "fovea/ops.h"
#include "fovea/passes.h"
#include "fovea/runtime.h"
#include "network.h"

namespace fovea::cli {

namespace {

struct SummaryArguments {
    Common common;
    MemoryOptions memory;
    Computing computing;
    std::string model, listing, input, stage, convention = "torch", format = "table";
    bool explain_plan = false, is_training = false, wants_memory = false, is_unpadded = false;
    std::string max_batch;
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

void print_layers(const SummaryArguments& a, const Network& network, const Shape& input) {
    const LayerTable table = layer_table(network.graph, input, {.convention = convention_of(a.convention), .model = network.model, .is_training = a.is_training});
    const TableFormat format = chosen_format(a.common, a.format);
    if (format == TableFormat::json) fmt::print("{}\n", to_json(table));
    else fmt::print("{}", to_text(sheet_of(table), format));
}

/// Predicted and measured memory of a run and of a training step.
void print_memory(const SummaryArguments& a, const Network& network, const Shape& input) {
    Sheet sheet{.title = fmt::format("{}, batch {}: bytes while it runs", network.model, input[0])};
    sheet.columns = {{"", "run"},           {"activations", "activations", true}, {"state", "state", true},       {"derived", "derived", true}, {"inputs", "inputs", true}, {"outputs", "outputs", true},
                     {"predicted", "predicted", true}, {"measured", "measured", true},       {"predicted", "predicted_text"}};
    for (const bool is_training : {false, true}) {
        const Graph graph = is_training ? training_step(network.graph, network.loss) : network.graph.clone();
        const Recompute mode = is_training ? recompute_named(a.memory.recompute) : Recompute::none;
        const MemoryUse use = predict_memory(graph, input[0], is_training, mode);
        const auto number = [](std::size_t bytes) { return static_cast<std::int64_t>(bytes); };
        sheet.rows.push_back({is_training ? (mode == Recompute::none ? "training step" : "training step, recompute " + a.memory.recompute) : "inference", number(use.activations), number(use.state), number(use.derived), number(use.inputs), number(use.outputs), number(use.total()),
                              number(measure_memory(graph, input[0], is_training, mode)), bytes_text(static_cast<double>(use.total()))});
    }
    fmt::print("{}", to_text(sheet, chosen_format(a.common, a.format)));
}

void print_max_batch(const SummaryArguments& a, const Network& network) {
    const std::size_t bytes = bytes_given("--max-batch", a.max_batch);
    Json document{{"command", "summary"}, {"model", network.model}, {"bytes", bytes}};
    if (!a.common.json) fmt::print("{} in {}:\n", network.model, bytes_text(static_cast<double>(bytes)));
    for (const bool is_training : {false, true}) {
        const Graph graph = is_training ? training_step(network.graph, network.loss) : network.graph.clone();
        const std::int64_t batch = max_batch(graph, bytes, is_training);
        const std::string what = is_training ? "training" : "inference";
        document["max_batch_" + what] = batch;
        // The plan's word is tried by a run, where the machine has that much to give.
        const bool is_run = batch > 0 && static_cast<double>(available_memory_bytes()) > 1.2 * static_cast<double>(bytes);
        const std::size_t measured = is_run ? measure_memory(graph, batch, is_training) : 0;
        document["measured_" + what] = is_run ? Json(measured) : Json(nullptr);
        if (a.common.json) continue;
        if (batch == 0) fmt::print("  {}: not even one image fits\n", what);
        else fmt::print("  {}: batches up to {}; {}\n", what, commas(batch), is_run ? fmt::format("a run of that size took {}", bytes_text(static_cast<double>(measured))) : "not tried, this machine has not that much free");
    }
    if (a.common.json) print_document(document);
}

/// The graph after pass `wanted`, or of a training step; throws ArgumentError naming the passes there are.
void print_stage(const SummaryArguments& a, const Graph& graph, const std::map<std::string, Shape>& shapes) {
    std::string text, names;
    CompileOptions options = a.computing.options();
    options.inference = !a.is_training;
    a.memory.apply_to(options);
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
    CompileOptions options = a.computing.options();
    options.inference = !a.is_training;
    a.memory.apply_to(options);
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
    const Network network = a.listing.empty() ? named_network(a.model, options)
                                              : read_listing_file(a.listing, {.channels = options.channels, .height = options.height, .width = options.width, .padded = !a.is_unpadded});
    if (a.input.empty()) {
        input = network.graph.inputs().front().shape();
        input[0] = 1;
    }
    if (a.wants_memory) return print_memory(a, network, input);
    if (!a.max_batch.empty()) return print_max_batch(a, network);
    if (a.stage.empty() && !a.explain_plan) {
        print_layers(a, network, input);
        return;
    }
    Graph graph = network.graph.clone();
    std::map<std::string, Shape> shapes{{"image", input}};
    if (a.is_training) {
        const Value logits = scores_of(graph);
        const Value label = graph.input("label", {dynamic}, DType::i32);
        const Value loss = model_loss(network.loss, logits, label);
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
    CLI::App* command = app.add_subcommand("summary", "Layer table: parameters, operations, volume, memory, receptive field");
    auto* model = command->add_option("model", a->model, "A name of 'fovea models', an ONNX file, or listing:FILE");
    auto* listing = command->add_option("--listing", a->listing, "Text of a network instead: dlib's templates or PyTorch's nn.Sequential")->excludes(model);
    command->add_flag("--unpadded", a->is_unpadded, "Of a dlib listing: convolutions without the padding the library adds")->needs(listing);
    command->add_option("--input", a->input, "NxCxHxW (default: one picture of the card's size)");
    add_convention(*command, a->convention);
    add_format(*command, a->format);
    auto* stage = command->add_option("--stage", a->stage, "The graph after a pass of compile(): specialized, folded, fused, ...");
    command->add_flag("--explain-plan", a->explain_plan, "Kernel, layout, fused parts and bytes of every node")->excludes(stage);
    command->add_flag("--memory", a->wants_memory, "Memory of inference and of a training step: predicted from the plan, and measured")->excludes(stage);
    command->add_option("--max-batch", a->max_batch, "Largest batches that fit into so many bytes (800M, 2GiB)")->excludes(stage);
    command->add_flag("--train", a->is_training, "Of training instead of inference: with dropout and auxiliary classifiers; of a whole step with --stage and --explain-plan");
    a->memory.add_to(*command);
    a->computing.add_to(*command);
    a->common.add_to(*command);
    command->callback([a] {
        if (a->model.empty() && a->listing.empty()) throw CLI::RequiredError("A model's name or --listing FILE");
        summary(*a);
    });
}

}  // namespace fovea::cli
