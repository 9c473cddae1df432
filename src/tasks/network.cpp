// From what somebody names (a model, a listing, a run, a file) to a network that can run.
#include "core/file.h"
#include "core/text.h"
#include "fovea/calibrate.h"
#include "fovea/io.h"
#include "fovea/tasks.h"
#include "fovea/train.h"

namespace fovea {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view listing_prefix = "listing:";

std::int64_t outputs_of(const Graph& graph) {
    const Shape shape = scores_of(graph).shape();
    return shape.rank() == 2 ? shape[1] : 0;
}

/// What the network was trained with, where the file says so by a name that is known.
void read_loss(Network& network, const CheckpointFacts& facts) {
    for (const ModelLoss loss : {ModelLoss::cross_entropy, ModelLoss::label_distance, ModelLoss::bce, ModelLoss::focal, ModelLoss::hinge})
        if (facts.loss == name_of(loss)) network.loss = loss;
}

/// An ONNX file as it stands: its weights, its preprocessing and classes where it says them.
Network read_network(const std::string& path) {
    OnnxNetwork file = read_onnx(path, {.open_batch = true, .input = "image", .output = "out"});
    const CheckpointFacts facts = facts_of(file.metadata, path);
    Network network{.model = path, .graph = std::move(file.graph), .parameters = std::move(file.parameters), .classes = facts.classes, .weights = path};
    if (has_model(facts.model)) {
        const ModelCard& card = find_model(facts.model);
        network.loss = card.loss;
        if (network.classes.empty()) network.classes = class_names(card, outputs_of(network.graph));
    }
    read_loss(network, facts);
    if (facts.preprocess) {
        network.preprocess = *facts.preprocess;
    } else if (const Shape input = network.graph.inputs().front().shape(); input.rank() == 4) {
        // Nothing is known but the size: x / 255.
        network.preprocess.channels = static_cast<int>(input[1]);
        if (input[2] != dynamic && input[3] != dynamic) network.preprocess.resize_height = input[2], network.preprocess.resize_width = input[3];
    }
    return network;
}

std::string content(const std::string& path) {
    const std::vector<std::byte> bytes = read_file(path);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

ListingOptions listing_options(const ModelOptions& options) { return {.channels = options.channels, .height = options.height, .width = options.width}; }

}  // namespace

Network build_listing(const std::string& text, const std::string& file, const ListingOptions& options) {
    Listing listing = read_listing(text, file, options);
    const Shape input = listing.graph.inputs().front().shape();
    return {.model = std::string(listing_prefix) + file, .model_options = to_text(ModelOptions{.channels = input[1], .height = input[2], .width = input[3]}), .listing = text,
            .graph = std::move(listing.graph), .preprocess = {.resize_width = input[3], .resize_height = input[2], .channels = static_cast<int>(input[1])}, .notes = std::move(listing.notes)};
}

void refuse_changes(std::string_view name, const ModelOptions& options) {
    const ModelOptions card;
    const std::pair<std::string_view, bool> changes[] = {{"dropout", options.dropout != card.dropout},
                                                         {"drop_path", options.drop_path != card.drop_path},
                                                         {"width_multiplier", options.width_multiplier != card.width_multiplier},
                                                         {"shortcut", options.shortcut != card.shortcut}};
    for (const auto& [option, is_set] : changes)
        require<ArgumentError>(!is_set, "'{}' is a network as it is written: {} (in recipes network.{}) changes models of 'fovea models' only", name, option, option);
}

Network build_network(std::string_view name, const ModelOptions& options) {
    if (is_onnx(std::string(name))) {
        refuse_changes(name, options);
        return read_network(std::string(name));
    }
    if (name.starts_with(listing_prefix)) {
        refuse_changes(name, options);
        const std::string file(name.substr(listing_prefix.size()));
        return build_listing(content(file), file, listing_options(options));
    }
    const ModelCard& card = find_model(name);
    Network network{.model = card.name, .model_options = to_text(options), .graph = build_model(name, options), .preprocess = card.preprocess, .loss = card.loss};
    network.classes = class_names(card, outputs_of(network.graph));
    return network;
}

fs::path weights_file(const fs::path& given, std::string_view checkpoint) {
    require<FormatError>(fs::exists(given), "no run or weights file '{}'", given.string());
    if (!fs::is_directory(given)) return given;
    const std::vector<std::string_view> wanted = checkpoint.empty() ? std::vector<std::string_view>{"best", "last"} : std::vector<std::string_view>{checkpoint};
    for (const std::string_view which : wanted)
        if (const fs::path file = given / fmt::format("checkpoint-{}.safetensors", which); fs::exists(file)) return file;
    fail<FormatError>("'{}' is no run: it has no checkpoint-{}.safetensors", given.string(), fmt::join(wanted, ".safetensors and no checkpoint-"));
}

Network build_network(const CheckpointFacts& facts) {
    const ModelOptions options = parse_model_options(facts.model_options.empty() ? "{}" : facts.model_options);
    // A run that began with a listing carries its text: the file may be gone.
    if (!facts.listing.empty())
        return build_listing(facts.listing, facts.model.starts_with(listing_prefix) ? facts.model.substr(listing_prefix.size()) : facts.model, listing_options(options));
    return build_network(facts.model, options);
}

Network load_network(const fs::path& run_or_weights, const LoadNetworkSpec& spec) {
    const fs::path file = weights_file(run_or_weights, spec.checkpoint);
    if (spec.model.empty() && is_onnx(file.string())) return read_network(file.string());
    Metadata metadata;
    const Parameters values = without_optimizer(load_weights(file.string(), &metadata));
    CheckpointFacts facts = facts_of(metadata, file.string());
    const std::string name = spec.model.empty() ? facts.model : spec.model;
    require<ArgumentError>(!name.empty(), "'{}' does not say which network its weights are of: name the model; 'fovea models' lists them", run_or_weights.string());
    const bool is_own = spec.model.empty() || (has_model(name) && has_model(facts.model) && find_model(name).name == find_model(facts.model).name);
    if (!is_own || facts.model_options.empty()) facts.model_options = to_text(spec.options);
    if (!is_own) facts.listing.clear();
    facts.model = name;
    Network network = build_network(facts);
    network.parameters = parameters_from(network.graph, values, {.name = file.string()});
    network.weights = file;
    if (facts.preprocess) network.preprocess = *facts.preprocess;
    if (!facts.classes.empty()) network.classes = facts.classes;
    read_loss(network, facts);
    network.epoch = facts.epoch, network.step = facts.step;
    if (const auto table = metadata.find(quantization_key); table != metadata.end()) network.graph = quantized(network.graph, parse_quantization(table->second, file.string()));
    return network;
}

}  // namespace fovea
