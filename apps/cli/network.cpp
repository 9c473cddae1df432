#include "network.h"

#include <fmt/format.h>

#include "command.h"
#include "fovea/calibrate.h"
#include "fovea/io.h"
#include "fovea/nn.h"
#include "fovea/tasks.h"

namespace fovea::cli {

namespace fs = std::filesystem;

Network build_listing(const std::string& file, const ListingOptions& options) {
    Listing listing = load_listing(file, options);
    for (const std::string& line : listing.notes) note(fmt::format("{}: {}", file, line));
    Network network;
    network.model = fmt::format("listing:{}", file);
    const Shape input = listing.graph.inputs().front().shape();
    network.graph = std::move(listing.graph);
    network.preprocess = {.resize_width = input[3], .resize_height = input[2], .channels = static_cast<int>(input[1])};
    return network;
}

namespace {

/// How the model's output is trained and read, where that is not cross-entropy.
void set_loss(Network& network, const ModelCard& card) {
    if (card.loss == ModelLoss::cross_entropy) return;
    network.loss = [kind = card.loss](const Value& out, const Value& labels) { return model_loss(kind, out, labels); };
    network.loss_name = "label_distance";
    network.lowest_wins = card.loss == ModelLoss::label_distance;
}

/// An ONNX file as it stands: its weights, its preprocessing and classes where it says them.
Network read_network(const std::string& path) {
    OnnxNetwork file = read_onnx(path, {.open_batch = true, .input = "image", .output = "out"});
    const CheckpointFacts facts = facts_of(file.metadata, path);
    Network network;
    network.model = path;
    network.graph = std::move(file.graph);
    network.parameters = std::move(file.parameters);
    network.classes = facts.classes;
    if (has_model(facts.model)) set_loss(network, find_model(facts.model));
    if (facts.preprocess) {
        network.preprocess = *facts.preprocess;
    } else if (const Shape input = network.graph.inputs().front().shape(); input.rank() == 4) {
        // Nothing is known but the size: x / 255.
        network.preprocess.channels = static_cast<int>(input[1]);
        if (input[2] != dynamic && input[3] != dynamic) network.preprocess.resize_height = input[2], network.preprocess.resize_width = input[3];
    }
    return network;
}

}  // namespace

Network build_network(std::string_view name, const ModelOptions& options) {
    if (is_onnx(std::string(name))) return read_network(std::string(name));
    constexpr std::string_view listing = "listing:";
    if (name.starts_with(listing)) return build_listing(std::string(name.substr(listing.size())), {.channels = options.channels, .height = options.height, .width = options.width});
    const ModelCard& card = find_model(name);
    Network network;
    network.model = card.name;
    network.model_options = to_text(options);
    network.graph = build_model(name, options);
    network.preprocess = card.preprocess;
    set_loss(network, card);
    return network;
}

Network build_for(std::string_view model, const Dataset& train, bool by_data, ModelOptions options) {
    const Shape image = train.image_shape();  // [H, W, C], zeros where pictures differ
    const bool is_one_size = image[0] > 0 && image[1] > 0;
    const bool is_file = is_onnx(std::string(model));
    options.classes = static_cast<std::int64_t>(train.classes().size());
    if (!is_file && is_one_size && image[2] != find_model(model).channels) options.channels = image[2];
    Network network = build_network(model, options);
    const std::int64_t channels = network.graph.inputs().front().shape()[1];
    if (const Shape scores = scores_of(network.graph).shape(); is_file && scores[-1] != options.classes)
        throw ArgumentError(fmt::format("'{}' tells {} classes apart, the data has {}", model, scores[-1], options.classes));
    Preprocess& preprocess = network.preprocess;
    preprocess.channels = static_cast<int>(channels);
    const Shape input = network.graph.inputs().front().shape();
    const Image picture(is_one_size ? image[1] : 1, is_one_size ? image[0] : 1, static_cast<int>(channels));
    const Image prepared = apply_geometry(picture, preprocess);
    if (prepared.height != input[2] || prepared.width != input[3]) {
        preprocess.resize_shorter = 0;
        preprocess.crop_width = preprocess.crop_height = 0;
        preprocess.resize_width = input[3], preprocess.resize_height = input[2];
    }
    if (by_data && is_one_size && image[2] == channels && !preprocess.is_bgr) {
        const ChannelStatistics statistics = channel_statistics(train);
        preprocess.scale = 1.0 / 255;
        preprocess.mean = statistics.mean;
        preprocess.std = statistics.std;
    }
    network.classes = train.classes();
    return network;
}

ModelOptions options_of(const Recipe& recipe) {
    ModelOptions options;
    options.dropout = recipe.dropout;
    options.drop_path = recipe.drop_path;
    options.width_multiplier = recipe.width_multiplier;
    if (!recipe.shortcut.empty()) options.shortcut = recipe.shortcut == "a" ? Shortcut::a : recipe.shortcut == "b" ? Shortcut::b : Shortcut::c;
    return options;
}

Parameters start_from(const Network& network, const std::string& path, const std::vector<std::string>& map, std::uint64_t seed, LoadReport& report) {
    const fs::path file = weights_file(path, "last");
    Parameters source = without_optimizer(load_weights(file.string()));
    Parameters start = make_parameters(network.graph, seed);
    LoadOptions load{.name = file.string(), .keep = head_of(network.graph)};
    std::vector<PrefixRule> rules;
    for (const std::string& rule : map) {
        const auto [from, to] = parse_setting(rule);
        rules.push_back({from, to});
    }
    if (!rules.empty()) source = with_prefixes(source, rules), load.allow_missing = true;
    // With another number of classes only a head whose shape differs is new.
    std::erase_if(load.keep, [&](const std::string& name) { return source.has(name) && source.at(name).shape() == start.at(name).shape(); });
    report = load_into(start, source, load);
    return start;
}

fs::path weights_file(const fs::path& path, std::string_view which) {
    if (fs::is_directory(path)) {
        const fs::path file = path / fmt::format("checkpoint-{}.safetensors", which);
        if (!fs::exists(file)) throw FormatError(fmt::format("'{}' is no run: it has no {}", path.string(), file.filename().string()));
        return file;
    }
    if (!fs::exists(path)) throw FormatError(fmt::format("no run or weights file '{}'", path.string()));
    return path;
}

Network load_network(const fs::path& path, const std::string& model, std::string_view which) {
    const fs::path file = weights_file(path, which);
    if (model.empty() && is_onnx(file.string())) return read_network(file.string());
    Metadata metadata;
    const Parameters values = without_optimizer(load_weights(file.string(), &metadata));
    const CheckpointFacts facts = facts_of(metadata, file.string());
    const std::string name = model.empty() ? facts.model : model;
    if (name.empty()) throw ArgumentError(fmt::format("'{}' holds weights but not the model's name: add --model NAME; 'fovea models' lists them", path.string()));
    Network network = build_network(name, parse_model_options(facts.model_options.empty() || !model.empty() ? "{}" : facts.model_options));
    network.parameters = parameters_from(network.graph, values, {.name = file.string()});
    if (facts.preprocess) network.preprocess = *facts.preprocess;
    network.classes = facts.classes;
    network.epoch = facts.epoch, network.step = facts.step;
    if (const auto table = metadata.find(quantization_key); table != metadata.end()) network.graph = quantized(network.graph, parse_quantization(table->second, file.string()));
    return network;
}

}  // namespace fovea::cli
