#include "network.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <tuple>

#include <fmt/format.h>

#include "fovea/io.h"
#include "fovea/nn.h"
#include "fovea/ops.h"

namespace fovea::cli {

namespace fs = std::filesystem;

namespace {

Network said(Network network) {
    for (const std::string& line : network.notes) note(fmt::format("{}: {}", network.model.substr(network.model.find(':') + 1), line));
    return network;
}

std::string text_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw FormatError(fmt::format("no file '{}' with a listing", path));
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

/// A listing for pictures [H, W, C]: where its text leaves the size open theirs is tried first; channels it does not state are theirs.
Network build_listing_for(const std::string& file, const std::string& text, const Shape& image) {
    Network network = build_listing(text, file, {.usual_height = image[0], .usual_width = image[1]});
    if (image[2] > 0 && network.graph.inputs().front().shape()[1] != image[2])
        network = build_listing(text, file, {.channels = image[2], .usual_height = image[0], .usual_width = image[1]});
    return said(std::move(network));
}

}  // namespace

Network named_network(std::string_view name, const ModelOptions& options) { return said(fovea::build_network(name, options)); }

Network read_listing_file(const std::string& file, const ListingOptions& options) { return said(build_listing(text_of(file), file, options)); }

Network load_network(const std::string& path, const std::string& model, std::string_view checkpoint) {
    return fovea::load_network(path, {.model = model, .checkpoint = std::string(checkpoint)});
}

std::string facts_text(const Network& network) {
    return to_text(CheckpointFacts{.model = network.model, .model_options = network.model_options, .listing = network.listing, .classes = network.classes, .preprocess = network.preprocess, .epoch = network.epoch,
                                   .step = network.step, .loss = network.loss == ModelLoss::cross_entropy ? "" : std::string(name_of(network.loss))});
}

void save_quantized(const std::string& file, const Network& network, const QuantizationTable& grids) {
    save_safetensors(file, network.parameters, {{"format", "pt"}, {"fovea", facts_text(network)}, {std::string(quantization_key), to_text(grids)}});
}

LossFunction loss_of(const Network& network) {
    if (network.loss == ModelLoss::cross_entropy) return {};
    return [kind = network.loss](const Value& out, const Value& labels) { return model_loss(kind, out, labels); };
}

bool lowest_wins(const Network& network) { return network.loss == ModelLoss::label_distance; }

Network build_for(std::string_view model, const Dataset& train, bool by_data, ModelOptions options, const std::string& listing) {
    const Shape image = train.image_shape();  // [H, W, C], zeros where pictures differ
    const bool is_one_size = image[0] > 0 && image[1] > 0;
    const bool is_listing = model.starts_with("listing:"), is_file = is_listing || is_onnx(std::string(model));
    options.classes = static_cast<std::int64_t>(train.classes().size());
    if (!is_file && options.channels == 0 && is_one_size && image[2] != find_model(model).channels) options.channels = image[2];
    if (is_file && options.channels > 0) throw ArgumentError(fmt::format("'{}' is a network as it is written: network.channels changes models of 'fovea models' only", model));
    if (is_file) refuse_changes(model, options);
    const std::string file(model.substr(model.find(':') + 1));
    Network network = is_listing ? build_listing_for(file, listing.empty() ? text_of(file) : listing, is_one_size ? image : Shape{0, 0, 0}) : named_network(model, options);
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
    options.channels = recipe.channels;
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

namespace {

/// "224", or "640x480" as width x height.
std::pair<std::int64_t, std::int64_t> size_of(const std::string& text, std::string_view flag) {
    const auto number = [&](const std::string& part) -> std::int64_t {
        if (part.empty() || part.size() > 5 || part.find_first_not_of("0123456789") != std::string::npos)
            throw ArgumentError(fmt::format("{} takes a size as 224 or as 640x480 (width x height), got '{}'", flag, text));
        return std::stoll(part);
    };
    const std::size_t x = text.find('x');
    if (x == std::string::npos) return {number(text), number(text)};
    return {number(text.substr(0, x)), number(text.substr(x + 1))};
}

void set_channels(std::array<double, 3>& to, const std::vector<double>& given, std::string_view flag) {
    if (given.empty()) return;
    if (given.size() != 1 && given.size() != 3) throw ArgumentError(fmt::format("{} takes one number or three, got {}", flag, given.size()));
    for (std::size_t c = 0; c < 3; ++c) to[c] = given[given.size() == 1 ? 0 : c];
}

}  // namespace

void PreprocessArguments::add_to(CLI::App& command) {
    command.add_option("--preprocess", preset_, fmt::format("Prepare pictures as: {}", fmt::join(preprocess_presets(), ", ")));
    command.add_option("--resize", resize_, "Shorter side (256), or width x height (256x256); 0: none");
    command.add_option("--crop", crop_, "From the centre: 224, or width x height; 0: none");
    command.add_option("--interpolation", interpolation_, "Of the resize: nearest, box, bilinear, hamming, bicubic, lanczos");
    command.add_option("--range", range_, "Pixels go from 0 to this before mean and deviation: 1 or 255")->check(CLI::IsMember({1.0, 255.0}));
    command.add_option("--mean", mean_, "Taken off, one number or one per channel in the network's order: 0.485,0.456,0.406")->delimiter(',')->allow_extra_args(false);
    command.add_option("--std", std_, "Divided by, likewise: 0.229,0.224,0.225")->delimiter(',')->allow_extra_args(false);
    command.add_flag("--bgr{1},--rgb{-1}", order_, "The network takes blue first; red first");
}

bool PreprocessArguments::is_given() const {
    return !preset_.empty() || !resize_.empty() || !crop_.empty() || !interpolation_.empty() || !mean_.empty() || !std_.empty() || range_ != 0 || order_ != 0;
}

Preprocess PreprocessArguments::over(Preprocess p) const {
    if (!preset_.empty()) p = preprocess_preset(preset_);
    if (!resize_.empty()) {
        const auto [width, height] = size_of(resize_, "--resize");
        p.resize_shorter = p.resize_width = p.resize_height = 0;
        if (resize_.find('x') == std::string::npos) p.resize_shorter = width;
        else p.resize_width = width, p.resize_height = height;
    }
    if (!crop_.empty()) std::tie(p.crop_width, p.crop_height) = size_of(crop_, "--crop");
    if (!interpolation_.empty()) p.filter = filter_of(interpolation_);
    if (range_ != 0) p.scale = range_ / 255;
    set_channels(p.mean, mean_, "--mean");
    set_channels(p.std, std_, "--std");
    for (const double deviation : p.std)
        if (!(deviation > 0)) throw ArgumentError(fmt::format("--std takes numbers above 0, got {}", deviation));
    if (order_ != 0) p.is_bgr = order_ > 0;
    return p;
}

std::vector<std::string> class_names_of(const std::string& file_or_set) {
    std::ifstream file(file_or_set);
    if (!file) {
        if (std::ranges::find(class_sets(), file_or_set) != class_sets().end()) return class_names(file_or_set);
        throw FormatError(fmt::format("no file '{}' with class names; names that are known: {}", file_or_set, fmt::join(class_sets(), ", ")));
    }
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (!line.empty()) lines.push_back(line);
    }
    return lines;
}

}  // namespace fovea::cli
