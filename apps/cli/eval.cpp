// fovea eval RUN|WEIGHTS --data cifar10:DIR

#include <algorithm>

#include <fmt/format.h>

#include "command.h"
#include "network.h"

namespace fovea::cli {

namespace {

struct EvalArguments {
    Common common;
    std::string path, data, model, checkpoint = "last", split = "test", backend = "cpu";
    std::int64_t batch = 256, topk = 5;
    int loader_threads = 1;
};

/// Cells as wide as the largest count; class names cut to 12 letters.
std::string confusion_table(const ConfusionMatrix& confusion, const std::vector<std::string>& classes) {
    std::vector<std::vector<std::string>> rows{{"true \\ predicted"}};
    std::string align = "<";
    for (std::int64_t c = 0; c < confusion.classes(); ++c) {
        rows[0].push_back(classes.empty() ? std::to_string(c) : classes[static_cast<std::size_t>(c)].substr(0, 7));
        align += '>';
    }
    rows[0].push_back("recall");
    align += '>';
    const std::vector<double> recall = confusion.recall();
    for (std::int64_t label = 0; label < confusion.classes(); ++label) {
        std::vector<std::string> row{classes.empty() ? std::to_string(label) : classes[static_cast<std::size_t>(label)].substr(0, 16)};
        for (std::int64_t predicted = 0; predicted < confusion.classes(); ++predicted) {
            const std::int64_t count = confusion.at(label, predicted);
            row.push_back(count ? std::to_string(count) : "·");
        }
        row.push_back(fmt::format("{:.1f} %", recall[static_cast<std::size_t>(label)] * 100));
        rows.push_back(std::move(row));
    }
    return table(rows, align);
}

void eval(const EvalArguments& a) {
    a.common.apply();
    const Network network = load_network(a.path, a.model, a.checkpoint);
    const DatasetPtr data = open_dataset(a.data, a.split == "train" ? Split::train : a.split == "val" ? Split::val : Split::test);
    EvaluateSpec spec;
    spec.batch = a.batch;
    spec.k = a.topk;
    spec.preprocess = network.preprocess;
    spec.loader_threads = a.loader_threads;
    spec.loss = network.loss;
    spec.lowest_wins = network.lowest_wins;
    spec.compile.backend = a.backend;
    const Evaluation result = evaluate(network.graph, network.parameters, data, spec);
    for (const std::string& damaged : data->damaged()) note(damaged + "; left out");
    const ConfusionMatrix& confusion = result.confusion;
    if (a.common.json) {
        Json matrix = Json::array();
        for (std::int64_t label = 0; label < confusion.classes(); ++label) {
            Json row = Json::array();
            for (std::int64_t predicted = 0; predicted < confusion.classes(); ++predicted) row.push_back(confusion.at(label, predicted));
            matrix.push_back(std::move(row));
        }
        print_document({{"command", "eval"}, {"model", network.model}, {"weights", a.path}, {"data", data->name()}, {"images", result.images}, {"skipped_images", result.skipped},
                        {"loss", result.loss}, {"top1", result.top1}, {"top" + std::to_string(result.k), result.topk}, {"classes", data->classes()}, {"confusion", matrix},
                        {"recall", confusion.recall()}, {"precision", confusion.precision()}, {"seconds", result.seconds}});
        return;
    }
    fmt::print("{} on {}: {} images in {:.2f} s ({} images/s)\n\n", network.model, data->name(), commas(result.images), result.seconds,
               short_count(static_cast<double>(result.images) / std::max(result.seconds, 1e-9)));
    // Beyond 20 classes a matrix no longer fits a terminal: the most frequent mistakes say more.
    if (confusion.classes() <= 20) {
        fmt::print("{}\n", confusion_table(confusion, data->classes()));
    } else {
        std::vector<std::tuple<std::int64_t, std::int64_t, std::int64_t>> mistakes;
        for (std::int64_t label = 0; label < confusion.classes(); ++label)
            for (std::int64_t predicted = 0; predicted < confusion.classes(); ++predicted)
                if (label != predicted && confusion.at(label, predicted) > 0) mistakes.emplace_back(-confusion.at(label, predicted), label, predicted);
        std::sort(mistakes.begin(), mistakes.end());
        mistakes.resize(std::min<std::size_t>(mistakes.size(), 15));
        std::vector<std::vector<std::string>> rows{{"true", "predicted", "times"}};
        for (const auto& [count, label, predicted] : mistakes)
            rows.push_back({data->classes()[static_cast<std::size_t>(label)], data->classes()[static_cast<std::size_t>(predicted)], std::to_string(-count)});
        fmt::print("{}\n", table(rows, "<<>"));
    }
    fmt::print("loss {:.4f}\ntop-{} {:.2f} %\ntest accuracy {:.2f} %\n", result.loss, result.k, result.topk * 100, result.top1 * 100);
}

}  // namespace

void add_eval(CLI::App& app) {
    auto a = std::make_shared<EvalArguments>();
    CLI::App* command = app.add_subcommand("eval", "Top-1, top-k, loss and confusion matrix on a data set");
    command->add_option("network", a->path, "A run directory, an ONNX file, or a weights file with --model")->required();
    command->add_option("--data", a->data, "DATASET: fashion-mnist, mnist:DIR, cifar10:DIR, folder:DIR")->required();
    command->add_option("--split", a->split, "Which part of it")->check(CLI::IsMember({"train", "test", "val"}));
    command->add_option("--model", a->model, "What a plain weights file holds: a name of 'fovea models'");
    command->add_option("--checkpoint", a->checkpoint, "Of a run: last, or best (chosen by the test set: flatters)")->check(CLI::IsMember({"last", "best"}));
    command->add_option("--batch", a->batch, "Pictures at a time")->check(CLI::Range(1, 1'000'000));
    command->add_option("--topk", a->topk, "k of the top-k accuracy")->check(CLI::Range(1, 1'000'000));
    command->add_option("--loader-threads", a->loader_threads, "Threads that prepare pictures")->check(CLI::Range(0, 256));
    command->add_option("--backend", a->backend, "cpu or reference")->check(CLI::IsMember({"cpu", "reference"}));
    a->common.add_to(*command);
    command->callback([a] { eval(*a); });
}

}  // namespace fovea::cli
