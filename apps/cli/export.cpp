// fovea export RUN|MODEL|WEIGHTS --out net.onnx: a network for other programs, with its preprocessing and class names.

#include <filesystem>

#include <fmt/format.h>

#include "command.h"
#include "fovea/io.h"
#include "fovea/nn.h"
#include "network.h"

namespace fovea::cli {

namespace {

struct ExportArguments {
    Common common;
    std::string what, out, weights, init, model, checkpoint = "last";
    int opset = 13;
    std::int64_t batch = 0;
    bool keep_batch_norm = false;
};

void write(const ExportArguments& a) {
    a.common.apply();
    Network network;
    if (std::filesystem::exists(a.what)) {
        network = load_network(a.what, a.model, a.checkpoint);
    } else {
        network = named_network(a.what);
        network.parameters = a.init.empty() ? make_parameters(network.graph, a.common.seed) : make_parameters(network.graph, a.common.seed, a.init);
        note(fmt::format("'{}' is a model, not a run: its weights are untrained", network.model));
    }
    WriteOnnxOptions options;
    options.opset = a.opset;
    options.batch = a.batch;
    options.fold_batch_norm = !a.keep_batch_norm;
    options.name = std::filesystem::path(network.model).stem().string();
    options.metadata["fovea"] = facts_text(network);
    write_onnx(a.out, network.graph, network.parameters, options);
    if (!a.weights.empty()) save_checkpoint({.parameters = network.parameters, .optimizer = {}, .facts = options.metadata["fovea"]}, a.weights);
    const auto bytes = std::filesystem::file_size(a.out);
    const Shape input = network.graph.inputs().front().shape();
    if (a.common.json) {
        print_document({{"command", "export"}, {"model", network.model}, {"out", a.out}, {"bytes", bytes}, {"opset", a.opset}, {"batch", a.batch},
                        {"input", std::vector<std::int64_t>(input.dims().begin(), input.dims().end())}});
        return;
    }
    fmt::print("{}: {}, input {}, operator set {}, {}\n", a.out, network.model, input.str(), a.opset, bytes_text(static_cast<double>(bytes)));
}

}  // namespace

void add_export(CLI::App& app) {
    auto a = std::make_shared<ExportArguments>();
    CLI::App* command = app.add_subcommand("export", "A network as an ONNX file, for inference elsewhere");
    command->add_option("network", a->what, "A run directory, a weights file with --model, or a name of 'fovea models'")->required();
    command->add_option("--out", a->out, "The file to write, for instance net.onnx")->required();
    command->add_option("--weights", a->weights, "The same weights also as safetensors, for fovea: an untrained model's, to compare programs on");
    command->add_option("--init", a->init, "How an untrained model's weights start, as for 'fovea train' (default: the model's own way)");
    command->add_option("--opset", a->opset, "ONNX operator set")->check(CLI::Range(13, 17));
    command->add_option("--batch", a->batch, "Pictures at a time; 0: any number")->check(CLI::Range(0, 1'000'000));
    command->add_option("--model", a->model, "What a plain weights file holds: a name of 'fovea models'");
    command->add_option("--checkpoint", a->checkpoint, "Of a run: last or best")->check(CLI::IsMember({"last", "best"}));
    command->add_flag("--keep-batch-norm", a->keep_batch_norm, "BatchNormalization nodes instead of weights that hold them");
    a->common.add_to(*command);
    command->callback([a] { write(*a); });
}

}  // namespace fovea::cli
