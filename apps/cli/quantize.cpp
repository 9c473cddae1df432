// fovea quantize RUN|WEIGHTS --data cifar10:DIR --out net-int8.safetensors: a trained network's grids for int8, what they cost, and files of it.

#include <filesystem>

#include <fmt/format.h>

#include "command.h"
#include "data_options.h"
#include "fovea/calibrate.h"
#include "fovea/io.h"
#include "network.h"

namespace fovea::cli {

namespace {

struct QuantizeArguments {
    Common common;
    std::string path, data, model, checkpoint = "last", method = "percentile", out, onnx;
    std::vector<std::string> keep;
    std::int64_t images = 512, batch = 16;
    double percentile = 99.99;
    bool has_report = false, without_accuracy = false;
};

std::string report_table(const std::vector<LayerError>& errors) {
    std::vector<const LayerError*> sorted;
    for (const LayerError& error : errors) sorted.push_back(&error);
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->alone > b->alone; });
    std::vector<std::vector<std::string>> rows{{"layer", "op", "weight", "error alone", "error so far"}};
    for (const LayerError* e : sorted) rows.push_back({e->layer, e->op, e->weights.str(), fmt::format("{:.3f} %", 100 * e->alone), fmt::format("{:.3f} %", 100 * e->accumulated)});
    return table(rows, "<<<>>");
}

Evaluation accuracy(const Network& network, const Graph& graph, const DatasetPtr& data) {
    EvaluateSpec spec;
    spec.preprocess = network.preprocess;
    spec.loss = loss_of(network);
    spec.lowest_wins = lowest_wins(network);
    return evaluate(graph, network.parameters, data, spec);
}

void quantize(const QuantizeArguments& a) {
    a.common.apply();
    if (a.out.empty() && a.onnx.empty()) throw ArgumentError("nothing to write: give --out net-int8.safetensors, --onnx net-int8.onnx, or both");
    const Network network = load_network(a.path, a.model, a.checkpoint);
    CalibrateSpec spec;
    spec.method = calibration_named(a.method);
    spec.percentile = a.percentile;
    spec.images = a.images;
    spec.batch = a.batch;
    spec.keep = a.keep;
    // Training pictures choose the ranges, so that the test set stays unseen.
    const CalibrationImages images = calibration_images(open_dataset(a.data, Split::train), network.preprocess, spec.images, spec.batch);
    const QuantizationTable grids = calibrate(network.graph, network.parameters, images, spec);
    const Graph rounded = quantized(network.graph, grids);
    for (const std::string& line : grids.notes) note(line);
    if (!a.out.empty()) save_quantized(a.out, network, grids);
    if (!a.onnx.empty()) write_onnx(a.onnx, rounded, network.parameters, {.name = std::filesystem::path(network.model).stem().string(), .metadata = {{"fovea", facts_text(network)}}});
    std::vector<LayerError> errors;
    if (a.has_report || a.common.json) errors = quantization_errors(network.graph, network.parameters, grids, images);
    const DatasetPtr test = a.without_accuracy ? nullptr : for_classes(open_dataset(a.data, Split::test), network.classes, fmt::format("'{}'", a.path));
    Evaluation before, after;
    if (test) before = accuracy(network, network.graph, test), after = accuracy(network, rounded, test);
    if (a.common.json) {
        Json layers = Json::array();
        for (const LayerError& e : errors) layers.push_back({{"layer", e.layer}, {"op", e.op}, {"error_alone", e.alone}, {"error_accumulated", e.accumulated}});
        Json document{{"command", "quantize"}, {"model", network.model}, {"weights", a.path}, {"out", a.out}, {"onnx", a.onnx}, {"method", grids.method}, {"images", grids.images},
                      {"quantized_layers", grids.weights.size()}, {"quantized_values", grids.values.size()}, {"notes", grids.notes}, {"layers", layers}};
        if (test) document["top1_before"] = before.top1, document["top1_after"] = after.top1, document["test_images"] = after.images;
        print_document(document);
        return;
    }
    fmt::print("{}: {} layers and {} maps in int8, ranges by {} over {} images of {}\n", network.model, grids.weights.size(), grids.values.size(), grids.method, commas(grids.images), a.data);
    if (a.has_report) fmt::print("\n{}\n", report_table(errors));
    if (test)
        fmt::print("top-1 on {} ({} images): {:.2f} % in f32, {:.2f} % in int8 ({:+.2f})\n", test->name(), commas(after.images), 100 * before.top1, 100 * after.top1, 100 * (after.top1 - before.top1));
    for (const std::string& file : {a.out, a.onnx})
        if (!file.empty()) fmt::print("wrote {}, {}\n", file, bytes_text(static_cast<double>(std::filesystem::file_size(file))));
}

}  // namespace

void add_quantize(CLI::App& app) {
    auto a = std::make_shared<QuantizeArguments>();
    CLI::App* command = app.add_subcommand("quantize", "A trained network in int8: ranges by calibration, their cost, files for fovea and ONNX Runtime");
    command->add_option("network", a->path, "A run directory, an ONNX file, or a weights file with --model")->required();
    command->add_option("--data", a->data, "DATASET: training pictures for the ranges, test pictures for the accuracy")->required();
    command->add_option("--out", a->out, "Weights and grids, for fovea predict, eval and bench: net-int8.safetensors");
    command->add_option("--onnx", a->onnx, "The network with QuantizeLinear and DequantizeLinear nodes, for ONNX Runtime and others");
    command->add_option("--method", a->method, "How ranges are chosen")->check(CLI::IsMember({"minmax", "percentile", "entropy", "mse"}));
    command->add_option("--percentile", a->percentile, "Elements within the range, of 100")->check(CLI::Range(50.0, 100.0));
    command->add_option("--images", a->images, "Pictures to measure on")->check(CLI::Range(1, 10'000'000));
    command->add_option("--batch", a->batch, "Of them at a time")->check(CLI::Range(1, 1'000'000));
    command->add_option("--keep", a->keep, "Layers that stay f32: first, last, or paths with * for any text")->delimiter(',');
    command->add_flag("--report", a->has_report, "The error of each layer, alone and accumulated");
    command->add_flag("--no-accuracy", a->without_accuracy, "Without the test set");
    command->add_option("--model", a->model, "What a plain weights file holds: a name of 'fovea models'");
    command->add_option("--checkpoint", a->checkpoint, "Of a run: last or best")->check(CLI::IsMember({"last", "best"}));
    a->common.add_to(*command);
    command->callback([a] { quantize(*a); });
}

}  // namespace fovea::cli
