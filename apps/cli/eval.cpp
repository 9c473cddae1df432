// fovea eval RUN|WEIGHTS [RUN ...] --data cifar10:DIR [--crops 10] [--scales 256,288] [--precision bf16 --against f32] [--robustness]

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "command.h"
#include "data_options.h"
#include "fovea/explain/reliability.h"
#include "fovea/explain/robustness.h"
#include "fovea/io.h"
#include "fovea/train.h"
#include "network.h"

namespace fovea::cli {

namespace {

struct EvalArguments {
    Common common;
    std::vector<std::string> paths;
    std::string crops = "1", data, model, checkpoint = "last", split = "test", against;
    Computing computing;
    std::vector<std::int64_t> scales;
    std::int64_t batch = 256, topk = 5;
    int loader_threads = 1;
    PreprocessArguments preprocess;
    bool robustness = false;
    std::string svg, calibration, format = "table";
};

/// Cells as wide as the largest count; class names cut to 12 letters.
std::string confusion_table(const Evaluation& result, const std::vector<std::string>& classes) {
    const ConfusionMatrix& confusion = result.confusion;
    const auto name_of = [&](std::int64_t c, std::size_t letters) { return class_name(classes, c).substr(0, letters); };
    std::vector<std::vector<std::string>> rows{{"true \\ predicted"}};
    std::string align = "<";
    for (std::int64_t c = 0; c < confusion.classes(); ++c) {
        rows[0].push_back(name_of(c, 7));
        align += '>';
    }
    rows[0].push_back("recall");
    align += '>';
    const bool has_ap = !result.average_precision.empty();
    if (has_ap) rows[0].push_back("AP"), align += '>';
    const std::vector<double> recall = confusion.recall();
    for (std::int64_t label = 0; label < confusion.classes(); ++label) {
        std::vector<std::string> row{name_of(label, 16)};
        for (std::int64_t predicted = 0; predicted < confusion.classes(); ++predicted) {
            const std::int64_t count = confusion.at(label, predicted);
            row.push_back(count ? std::to_string(count) : "·");
        }
        row.push_back(fmt::format("{:.1f} %", recall[static_cast<std::size_t>(label)] * 100));
        const double ap = has_ap ? result.average_precision[static_cast<std::size_t>(label)] : 0;
        if (has_ap) row.push_back(std::isnan(ap) ? "·" : fmt::format("{:.1f} %", ap * 100));
        rows.push_back(std::move(row));
    }
    return table(rows, align);
}

/// One network on its usual view; several views or several networks by their averaged probabilities.
Evaluation measure(const std::vector<Network>& networks, const DatasetPtr& data, const Views& views, const EvaluateSpec& spec) {
    if (networks.size() == 1 && views.crops == 1 && views.scales.empty()) return evaluate(networks.front().graph, networks.front().parameters, data, spec);
    std::vector<Member> members;
    for (const Network& network : networks) members.push_back({&network.graph, &network.parameters, network.preprocess, lowest_wins(network)});
    return evaluate_views(members, data, views, spec);
}

/// The same pictures in another precision: how many keep their answer, and how far the scores move.
void compare_precisions(const EvalArguments& a, const Network& network, const DatasetPtr& data, const EvaluateSpec& spec) {
    if (a.paths.size() > 1 || a.crops != "1" || !a.scales.empty()) throw ArgumentError("--against compares one network on its usual view: leave --crops, --scales and further networks out");
    CompileOptions against = spec.compile;
    against.precision = precision_named(a.against);
    if (const std::string why = unmet_precision(against); !why.empty()) note(why);
    const Agreement found = agreement(network.graph, network.parameters, data, spec, against);
    for (const std::string& damaged : data->damaged()) note(damaged + "; left out");
    const double share = static_cast<double>(found.same_top1) / static_cast<double>(std::max<std::int64_t>(1, found.images));
    if (a.common.json)
        print_document({{"command", "eval"}, {"model", network.model}, {"weights", a.paths.front()}, {"data", data->name()}, {"precision", name_of(spec.compile.precision)}, {"against", a.against},
                        {"images", found.images}, {"same_top1", found.same_top1}, {"relative_l2", found.relative_l2}, {"worst_relative_l2", found.worst_l2}});
    else
        fmt::print("{} on {}, {} against {}: {} of {} images keep their class ({:.2f} %); the scores move by {:.2e} (relative L2), those of the worst image by {:.2e}\n", network.model, data->name(),
                   name_of(spec.compile.precision), a.against, commas(found.same_top1), commas(found.images), share * 100, found.relative_l2, found.worst_l2);
}

/// Accuracy under disturbances: a table, and a picture in the run's directory or where --svg says.
void report_robustness(const EvalArguments& a, const Network& network, const DatasetPtr& data, const EvaluateSpec& spec) {
    ProgressLine line;
    const std::int64_t all = robustness_evaluations();
    const Robustness found = measure_robustness(network.graph, network.parameters, data, spec, [&](std::int64_t made) {
        if (line.is_due(made == all)) line.write(fmt::format("{} {}/{}", bar(static_cast<double>(made) / static_cast<double>(all), 20), made, all));
    });
    line.clear();
    for (const std::string& damaged : data->damaged()) note(damaged + "; left out");
    const bool is_run = std::filesystem::is_directory(a.paths.front());
    const std::string svg = !a.svg.empty() ? a.svg : is_run ? (std::filesystem::path(a.paths.front()) / "robustness.svg").string() : "";
    if (!svg.empty()) write_file_atomically(svg, robustness_chart(found));
    const TableFormat format = chosen_format(a.common, a.format);
    if (format != TableFormat::json) {
        fmt::print("{} on {}: {} images, {} times\n\n{}{}", network.model, data->name(), commas(found.clean.images), all, to_text(robustness_sheet(found), format), svg.empty() ? "" : "\n" + svg + "\n");
        return;
    }
    Json points = Json::array();
    for (const Robustness::Point& point : found.points) points.push_back({{"disturbance", point.name}, {"strength", point.strength}, {"top1", point.top1}, {"loss", point.loss}});
    Json means = Json::object();
    for (const Disturbance& disturbance : disturbances()) means[disturbance.name] = found.mean_top1(disturbance.name);
    print_document({{"command", "eval"}, {"model", network.model}, {"weights", a.paths.front()}, {"data", data->name()}, {"images", found.clean.images}, {"skipped_images", found.clean.skipped}, {"top1", found.clean.top1},
                    {"loss", found.clean.loss}, {"robustness", points}, {"mean_top1", means}, {"mean", found.mean_top1()}, {"svg", svg}});
}

void eval(const EvalArguments& a) {
    a.common.apply();
    std::vector<Network> networks;
    for (const std::string& path : a.paths) {
        networks.push_back(load_network(path, a.model, a.checkpoint));
        networks.back().preprocess = a.preprocess.over(networks.back().preprocess);
    }
    const Network& network = networks.front();
    for (const Network& other : networks)
        if (other.classes != network.classes) throw ArgumentError(fmt::format("'{}' and '{}' were trained on different classes: their answers cannot be averaged", a.paths.front(), a.paths[static_cast<std::size_t>(&other - networks.data())]));
    const DatasetPtr data = for_classes(open_dataset(a.data, split_of(a.split)), network.classes, fmt::format("'{}'", a.paths.front()));
    EvaluateSpec spec;
    spec.batch = a.batch;
    spec.k = a.topk;
    spec.preprocess = network.preprocess;
    spec.loader_threads = a.loader_threads;
    spec.loss = loss_of(network);
    spec.lowest_wins = lowest_wins(network);
    spec.compile = a.computing.noted_options();
    if (!a.against.empty()) return compare_precisions(a, network, data, spec);
    if (a.robustness) {
        if (networks.size() > 1 || a.crops != "1" || !a.scales.empty()) throw ArgumentError("--robustness is of one network and one view of each picture: leave out further networks, --crops and --scales");
        return report_robustness(a, network, data, spec);
    }
    if (!a.svg.empty() || a.format != "table") throw ArgumentError("--svg and --format belong to --robustness");
    spec.average_precision = true;
    const Evaluation result = measure(networks, data, {.crops = a.crops == "dense" ? 0 : std::stoll(a.crops), .scales = a.scales}, spec);
    const std::string weights = fmt::format("{}", fmt::join(a.paths, ", ")), what = networks.size() == 1 ? network.model : fmt::format("{} networks", networks.size());
    for (const std::string& damaged : data->damaged()) note(damaged + "; left out");
    if (result.average_precision.empty()) note(fmt::format("average precision is left out: it keeps the probabilities of all pictures, at most {} MiB", most_average_precision_bytes >> 20));
    if (!a.calibration.empty()) write_file_atomically(a.calibration, reliability_chart(result.reliability));
    const ConfusionMatrix& confusion = result.confusion;
    if (a.common.json) {
        Json matrix = Json::array();
        for (std::int64_t label = 0; label < confusion.classes(); ++label) {
            Json row = Json::array();
            for (std::int64_t predicted = 0; predicted < confusion.classes(); ++predicted) row.push_back(confusion.at(label, predicted));
            matrix.push_back(std::move(row));
        }
        print_document({{"command", "eval"}, {"model", network.model}, {"weights", weights}, {"networks", networks.size()}, {"crops", a.crops}, {"scales", a.scales}, {"data", data->name()}, {"images", result.images}, {"skipped_images", result.skipped},
                        {"loss", result.loss}, {"top1", result.top1}, {"top" + std::to_string(result.k), result.topk}, {"classes", data->classes()}, {"confusion", matrix},
                        {"recall", confusion.recall()}, {"precision", confusion.precision()}, {"average_precision", result.average_precision}, {"mean_average_precision", result.mean_average_precision()},
                        {"calibration", Json::parse(to_text(result.reliability))}, {"seconds", result.seconds}});
        return;
    }
    fmt::print("{} on {}: {} images in {:.2f} s ({} images/s)\n\n", what, data->name(), commas(result.images), result.seconds,
               short_count(static_cast<double>(result.images) / std::max(result.seconds, 1e-9)));
    // Beyond 20 classes a matrix no longer fits a terminal: the most frequent mistakes say more. Of pictures with several classes there is none.
    if (data->has_tags()) {
        std::vector<std::vector<std::string>> rows{{"class", "AP"}};
        for (std::int64_t c = 0; c < std::ssize(result.average_precision); ++c)
            if (const double ap = result.average_precision[static_cast<std::size_t>(c)]; !std::isnan(ap)) rows.push_back({class_name(data->classes(), c), fmt::format("{:.1f} %", ap * 100)});
        fmt::print("{}\n", table(rows, "<>"));
    } else if (confusion.classes() <= 20) {
        fmt::print("{}\n", confusion_table(result, data->classes()));
    } else {
        std::vector<std::tuple<std::int64_t, std::int64_t, std::int64_t>> mistakes;
        for (const auto& [cell, count] : confusion.cells())
            if (cell.first != cell.second) mistakes.emplace_back(-count, cell.first, cell.second);
        std::sort(mistakes.begin(), mistakes.end());
        mistakes.resize(std::min<std::size_t>(mistakes.size(), 15));
        std::vector<std::vector<std::string>> rows{{"true", "predicted", "times"}};
        for (const auto& [count, label, predicted] : mistakes)
            rows.push_back({class_name(data->classes(), label), class_name(data->classes(), predicted), std::to_string(-count)});
        fmt::print("{}\n", table(rows, "<<>"));
    }
    if (const double mean = result.mean_average_precision(); !std::isnan(mean)) fmt::print("mean average precision {:.2f} %\n", mean * 100);
    if (!data->has_tags()) fmt::print("calibration error (ECE) {:.2f} %, Brier {:.3f}\n", result.reliability.expected_error() * 100, result.reliability.brier());
    fmt::print("loss {:.4f}\ntop-{} {:.2f} %\n{} accuracy {:.2f} %{}\n", result.loss, result.k, result.topk * 100, a.split, result.top1 * 100,
               data->has_tags() ? " (any class of the picture)" : "");
}

}  // namespace

void add_eval(CLI::App& app) {
    auto a = std::make_shared<EvalArguments>();
    CLI::App* command = app.add_subcommand("eval", "Top-1, top-k, loss, confusion matrix, average precision and calibration on a data set");
    command->add_option("network", a->paths, "A run directory, an ONNX file, or a weights file with --model; several are an ensemble")->required();
    command->add_option("--crops", a->crops, "Views of a picture whose answers are averaged: 1, 2 (with its mirror image), 10, 144, or dense (the whole picture, at every place)")->check(CLI::IsMember({"1", "2", "10", "144", "dense"}));
    command->add_option("--scales", a->scales, "Shorter sides to resize to, one view or set of crops each: 256,288")->delimiter(',')->check(CLI::Range(1, 20'000));
    command->add_option("--data", a->data, "DATASET: fashion-mnist, mnist:DIR, cifar10:DIR, folder:DIR")->required();
    command->add_option("--split", a->split, "Which part of it")->check(CLI::IsMember({"train", "test", "val"}));
    command->add_option("--model", a->model, "What a plain weights file holds: a name of 'fovea models'");
    command->add_option("--checkpoint", a->checkpoint, "Of a run: last, or best (chosen by the test set: flatters)")->check(CLI::IsMember({"last", "best"}));
    auto* calibration = command->add_option("--calibration", a->calibration, "Reliability diagram: how often answers of each confidence are right, an SVG file");
    command->add_flag("--robustness", a->robustness, "Accuracy under changes of fixed strength: scale, rotation, shear, occlusion, brightness, contrast, saturation, blur, noise")->excludes(calibration);
    command->add_option("--svg", a->svg, "Of --robustness: the picture (default: robustness.svg in the run's directory)");
    add_format(*command, a->format);
    command->add_option("--batch", a->batch, "Pictures at a time")->check(CLI::Range(1, 1'000'000));
    command->add_option("--topk", a->topk, "k of the top-k accuracy")->check(CLI::Range(1, 1'000'000));
    command->add_option("--loader-threads", a->loader_threads, "Threads that prepare pictures")->check(CLI::Range(0, 256));
    a->computing.add_to(*command);
    command->add_option("--against", a->against, "Compare with another precision in place of the labels: equal answers, distance of the scores")->check(CLI::IsMember({"f32", "bf16"}))->excludes(calibration);
    a->preprocess.add_to(*command);
    a->common.add_to(*command);
    command->callback([a] { eval(*a); });
}

}  // namespace fovea::cli
