// Checkpoints: one safetensors file with the network, the optimiser's state and what is needed to go on.
#include "core/text.h"
#include "fovea/io.h"
#include "train/facts.h"

namespace fovea {

void save_checkpoint(const Checkpoint& checkpoint, const std::filesystem::path& path) {
    Parameters all;
    for (const std::string& name : checkpoint.parameters.names()) all.set(name, checkpoint.parameters.at(name));
    for (const std::string& name : checkpoint.optimizer.names()) {
        require<ArgumentError>(name.starts_with(optimizer_prefix) && !all.has(name), "save '{}': '{}' is no name for optimiser state", path.string(), name);
        all.set(name, checkpoint.optimizer.at(name));
    }
    save_safetensors(path.string(), all, {{"format", "pt"}, {"fovea", checkpoint.facts}});
}

Checkpoint load_checkpoint(const std::filesystem::path& path) {
    Metadata metadata;
    const Parameters all = load_safetensors(path.string(), &metadata);
    Checkpoint checkpoint;
    for (const std::string& name : all.names()) (name.starts_with(optimizer_prefix) ? checkpoint.optimizer : checkpoint.parameters).set(name, all.at(name));
    const auto facts = metadata.find("fovea");
    require<FormatError>(facts != metadata.end(), "'{}' holds weights only, nothing about the run that made them: it is no checkpoint of fovea", path.string());
    require<FormatError>(parse_json(facts->second, path.string()).is_object(), "'{}': its description is no JSON object", path.string());
    checkpoint.facts = facts->second;
    return checkpoint;
}

Checkpoint load_last_checkpoint(const std::filesystem::path& run) {
    const std::filesystem::path last = run / "checkpoint-last.safetensors", best = run / "checkpoint-best.safetensors";
    try {
        return load_checkpoint(last);
    } catch (const FormatError& error) {
        std::int64_t epochs = 0;
        try {
            epochs = facts_of(load_checkpoint(best)).epoch;
        } catch (const Error&) {
            throw error;  // there is none, or it is damaged too
        }
        fail<FormatError>("{}; '{}' is whole: copied to its place, the run goes on behind epoch {}", error.what(), best.string(), epochs);
    }
}

namespace {

CheckpointFacts read_facts(const std::string& text, std::string_view file) {
    CheckpointFacts facts;
    const Json json = parse_json(text.empty() ? "{}" : text, file);
    require<FormatError>(json.is_object(), "'{}': its description is no JSON object", file);
    try {
        facts.model = json.value("model", "");
        if (json.contains("model_options")) facts.model_options = json.at("model_options").dump();
        facts.listing = json.value("listing", "");
        facts.classes = json.value("classes", std::vector<std::string>{});
        if (json.contains("preprocess")) facts.preprocess = preprocess_of(json.at("preprocess"), file);
        facts.epoch = json.value("epoch", std::int64_t{0});
        facts.step = json.value("updates", std::int64_t{0});
        facts.best_metric = json.contains("best_metric") && json.at("best_metric").is_number() ? json.at("best_metric").get<double>() : 0.0;
        facts.dataset = json.value("dataset", "");
        // Of a run the recipe says it, with what belongs to it behind the name.
        facts.loss = json.value("loss", "");
        if (json.contains("recipe") && json.at("recipe").is_object()) facts.loss = json.at("recipe").value("loss", "");
        facts.loss = facts.loss.substr(0, facts.loss.find(' '));
    } catch (const nlohmann::json::exception& error) {
        fail<FormatError>("'{}': its description cannot be read: {}", file, error.what());
    }
    return facts;
}

}  // namespace

CheckpointFacts facts_of(const Checkpoint& checkpoint) { return read_facts(checkpoint.facts, "checkpoint"); }

CheckpointFacts facts_of(const Metadata& metadata, std::string_view file) {
    const auto it = metadata.find("fovea");
    return it == metadata.end() ? CheckpointFacts{} : read_facts(it->second, file);
}

Parameters without_optimizer(const Parameters& file) {
    Parameters network;
    for (const std::string& name : file.names()) {
        if (name.starts_with(optimizer_prefix)) continue;
        const std::string average = std::string(average_prefix) + name;
        network.set(name, file.at(file.has(average) ? average : name));
    }
    return network;
}

std::string to_text(const CheckpointFacts& facts) {
    Json json{{"version", 1}, {"model", facts.model}, {"model_options", parse_json(facts.model_options.empty() ? "{}" : facts.model_options, "model options")}, {"classes", facts.classes}};
    if (!facts.listing.empty()) json["listing"] = facts.listing;
    if (facts.preprocess) json["preprocess"] = to_json(*facts.preprocess);
    if (facts.epoch > 0) json["epoch"] = facts.epoch, json["updates"] = facts.step;
    if (facts.best_metric != 0) json["best_metric"] = facts.best_metric;
    if (!facts.dataset.empty()) json["dataset"] = facts.dataset;
    if (!facts.loss.empty()) json["loss"] = facts.loss;
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace fovea
