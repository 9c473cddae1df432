// fovea convert IN OUT: weights of any format to safetensors or PyTorch, matched to a network where one is named.

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "command.h"
#include "fovea/io.h"
#include "fovea/nn.h"
#include "fovea/tasks.h"
#include "network.h"

namespace fovea::cli {

namespace {

namespace fs = std::filesystem;

struct ConvertArguments {
    Common common;
    std::string in, out, model, description, only, strip = "module.", class_names;
    PreprocessArguments preprocess;
    std::int64_t classes = 0;
    bool explain = false, new_head = false, allow_missing = false, allow_unexpected = false;
};

std::string extension_of(const std::string& path) {
    std::string extension = fs::path(path).extension().string();
    std::ranges::transform(extension, extension.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return extension;
}

bool is_pytorch_name(const std::string& path) {
    const std::string extension = extension_of(path);
    return extension == ".pth" || extension == ".pt" || extension == ".th";
}

/// Without the prefix of DataParallel, when every name has it.
Parameters stripped(const Parameters& file, const std::string& prefix) {
    if (prefix.empty() || !std::ranges::all_of(file.names(), [&](const std::string& name) { return name.starts_with(prefix); })) return file;
    return with_prefixes(file, {{.source = prefix, .target = ""}});
}

void write(const ConvertArguments& a, const Parameters& weights, const CheckpointFacts& facts, const Metadata& metadata) {
    if (is_pytorch_name(a.out)) return save_pytorch(a.out, weights);
    if (facts.model.empty()) return save_safetensors(a.out, weights, metadata);
    save_checkpoint({.parameters = weights, .optimizer = {}, .facts = to_text(facts)}, a.out);
}

void print_report(const LoadReport& report, const Parameters& target, const Parameters& source, bool all) {
    if (report.is_in_order) fmt::print("no name is shared: the {} tensors were matched in order, every shape agrees\n", report.matched.size());
    std::vector<std::vector<std::string>> rows{{"", "network", "shape", "file"}};
    if (all)
        for (const auto& [to, from] : report.matched) rows.push_back({"matched", to, target.at(to).shape().str(), from});
    for (const std::string& name : report.missing) {
        const auto nearest = report.nearest.find(name);
        rows.push_back({"missing", name, target.at(name).shape().str(), nearest == report.nearest.end() ? "" : fmt::format("nearest: {} {}", nearest->second, source.at(nearest->second).shape().str())});
    }
    for (const std::string& name : report.unexpected) rows.push_back({"unexpected", "", source.at(name).shape().str(), name});
    for (const std::string& name : report.kept) rows.push_back({"new", name, target.at(name).shape().str(), ""});
    if (rows.size() > 1) fmt::print("{}", table(rows, "<<<<"));
    for (const std::string& text : report.mismatched) fmt::print("another shape: {}\n", text);
    fmt::print("{} matched, {} missing, {} unexpected, {} of another shape, {} new\n", report.matched.size(), report.missing.size(), report.unexpected.size(), report.mismatched.size(),
               report.kept.size());
}

void convert(const ConvertArguments& a) {
    a.common.apply();
    if (!a.out.empty() && !is_pytorch_name(a.out) && extension_of(a.out) != ".safetensors")
        throw ArgumentError(fmt::format("'{}': written are .safetensors and PyTorch's .pth, .pt, .th", a.out));
    if (a.out.empty() && !a.explain) throw ArgumentError("name a file to write, or --explain to see only how the tensors match");
    const fs::path in = weights_file(a.in, "last");
    Metadata metadata;
    const Parameters source = stripped(without_optimizer(load_weights(in.string(), &metadata, a.description)), a.strip);
    const std::string format(name_of(weights_format(in.string())));
    CheckpointFacts facts = facts_of(metadata, in.string());
    const bool is_same_model = a.model.empty() || (has_model(facts.model) && find_model(a.model).name == find_model(facts.model).name);
    if (!a.model.empty()) facts.model = find_model(a.model).name, facts.listing.clear();
    if (facts.model.empty() && (a.classes > 0 || a.new_head || !a.only.empty() || !a.class_names.empty() || a.preprocess.is_given()))
        throw ArgumentError("--classes, --new-head, --only, --class-names, --preprocess and what changes it need --model: the file does not say what it is of");
    LoadReport report;
    Parameters target;
    if (facts.model.empty()) {
        if (a.explain && !a.common.json)
            for (const std::string& name : source.names()) fmt::print("{} {} {}\n", name, source.at(name).shape().str(), name_of(source.at(name).dtype()));
        target = source;
        for (const std::string& name : source.names()) report.matched.emplace_back(name, name);
    } else {
        ModelOptions options = parse_model_options(is_same_model && !facts.model_options.empty() ? facts.model_options : "{}");
        if (a.classes > 0 && !facts.listing.empty()) throw ArgumentError("--classes: how many classes a listing tells apart stands in its text");
        if (a.classes > 0) options.classes = a.classes;
        facts.model_options = to_text(options);
        const Network network = fovea::build_network(facts);
        target = make_parameters(network.graph, a.common.seed);
        LoadOptions load{.name = in.string(), .strip_prefix = "", .allow_missing = a.allow_missing, .allow_unexpected = a.allow_unexpected, .only = a.only};
        if (a.new_head || a.classes > 0) load.keep = head_of(network.graph);
        // With another number of classes only a head whose shape differs is new.
        if (!a.new_head) std::erase_if(load.keep, [&](const std::string& name) { return source.has(name) && source.at(name).shape() == target.at(name).shape(); });
        report = compare(target, source, load);
        if (a.explain && !a.common.json) print_report(report, target, source, true);
        if (!a.out.empty()) load_into(target, source, load);
        if (!is_same_model) facts.preprocess.reset();
        if (!facts.preprocess) facts.preprocess = network.preprocess;
        facts.preprocess = a.preprocess.over(*facts.preprocess);
        if (a.classes > 0 || !is_same_model) facts.classes.clear();
        if (!a.class_names.empty()) facts.classes = class_names_of(a.class_names);
        const std::int64_t outputs = scores_of(network.graph).shape()[-1];
        if (!facts.classes.empty() && static_cast<std::int64_t>(facts.classes.size()) != outputs)
            throw ArgumentError(fmt::format("'{}' names {} classes, {} has {}", a.class_names.empty() ? in.string() : a.class_names, facts.classes.size(), facts.model, outputs));
    }
    if (!a.out.empty()) write(a, target, facts, metadata);
    if (a.common.json) {
        Json nearest = Json::object();
        for (const auto& [name, other] : report.nearest) nearest[name] = other;
        print_document({{"command", "convert"}, {"in", in.string()}, {"format", format}, {"out", a.out}, {"model", facts.model}, {"tensors", target.size()}, {"matched", report.matched.size()},
                        {"in_order", report.is_in_order}, {"missing", report.missing}, {"unexpected", report.unexpected}, {"mismatched", report.mismatched}, {"new", report.kept},
                        {"nearest", nearest}});
    } else if (!a.out.empty()) {
        fmt::print("{} ({}, {} tensors) -> {} ({} tensors{})\n", in.string(), format, source.size(), a.out, target.size(), facts.model.empty() ? "" : ", " + facts.model);
    }
}

}  // namespace

void add_convert(CLI::App& app) {
    auto a = std::make_shared<ConvertArguments>();
    CLI::App* command = app.add_subcommand("convert", "Weights of any format to safetensors or PyTorch; how they match a network");
    command->add_option("in", a->in, "safetensors, PyTorch, Caffe, Darknet, Keras or dlib (told by content), or a run directory")->required();
    command->add_option("out", a->out, ".safetensors, or .pth for PyTorch");
    command->add_option("--model", a->model, "The network the weights are for: a name of 'fovea models'");
    command->add_option("--description", a->description, "Darknet's .cfg or Caffe's .prototxt (default: the .cfg beside the file)");
    command->add_flag("--explain", a->explain, "List matched, missing, unexpected and wrongly shaped tensors with the nearest candidate");
    command->add_option("--classes", a->classes, "Another number of classes: the last layer starts anew")->check(CLI::Range(1, 10'000'000));
    command->add_flag("--new-head", a->new_head, "The last layer starts anew, whatever the file has");
    command->add_option("--only", a->only, "Take only parameters whose names begin like this; the others start anew");
    command->add_option("--strip", a->strip, "Prefix taken off when every name has it (default: module.)");
    command->add_flag("--allow-missing", a->allow_missing, "What the file lacks starts anew");
    command->add_flag("--allow-unexpected", a->allow_unexpected, "What the network lacks is left out");
    command->add_option("--class-names", a->class_names, "What the classes are called: a text file, one per line, or imagenet, imagenet1001, mnist, fashion-mnist, cifar10, cifar100");
    a->preprocess.add_to(*command);
    a->common.add_to(*command);
    command->callback([a] { convert(*a); });
}

}  // namespace fovea::cli
