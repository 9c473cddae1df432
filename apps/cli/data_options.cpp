#include "data_options.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "network.h"

namespace fovea::cli {

void add_data_options(CLI::App& command, const std::function<void(const std::string&, const std::string&)>& set) {
    const auto setting = [&](const std::string& flag, const std::string& key, const std::string& help) {
        return command.add_option_function<std::string>(flag, [set, key](const std::string& value) { set(key, value); }, help);
    };
    const auto flag = [&](const std::string& name, const std::string& key, const std::string& value, const std::string& help) {
        command.add_flag_callback(name, [set, key, value] { set(key, value); }, help);
    };
    std::string kinds = "DATASET, one of";
    for (const auto& [name, line] : dataset_names()) kinds += "\n  " + line;
    setting("--data", "data", kinds);
    setting("--val", "validation", "Another data set to test on (default: the test part of --data)");
    setting("--val-split", "val_split", "Share of the training pictures to hold out and test on, by a hash of their names")->check(CLI::Range(0.0, 1.0));
    flag("--no-val", "validation", "none", "No test after each epoch");
    flag("--balanced", "balanced", "true", "Every class is met equally often");
    setting("--augment", "augment", "Steps joined by commas: pad-crop,mirror,random-resized-crop,color-jitter,rand-augment,mixup,distort, ... or none (docs/training.md)");
    flag("--no-draft", "draft", "false", "Decode large JPEGs at full size, however small the network's input");
}

namespace {

/// A set without parts: a tenth of it is not learned from, unless it has too few pictures for that.
void hold_out(RunData& data) {
    constexpr std::int64_t fewest = 20;
    const DatasetPtr whole = data.train;
    if (whole->size() < fewest) return note(fmt::format("'{}' has no part to test on and few pictures: the test accuracy is of those it learns from", whole->name()));
    note(fmt::format("'{}' has no part to test on: a tenth is held out, chosen by a hash of the pictures' names (--val-split for another share, --no-val for none)", whole->name()));
    data.validation = split_by_hash(whole, 0.1, Split::val);
    data.train = split_by_hash(whole, 0.1, Split::train);
}

}  // namespace

DatasetPtr for_classes(DatasetPtr data, const std::vector<std::string>& classes, const std::string& whose) {
    const std::vector<std::string>& own = data->classes();
    if (classes.empty() || own == classes) return data;
    const auto stranger = std::ranges::find_if(own, [&](const std::string& name) { return std::ranges::find(classes, name) == classes.end(); });
    if (stranger == own.end()) return with_classes(std::move(data), classes);
    if (own.size() == classes.size()) {
        note(fmt::format("'{}' calls its classes otherwise ('{}', ...) than {} ('{}', ...): they are taken by their numbers", data->name(), own.front(), whose, classes.front()));
        return data;
    }
    throw ArgumentError(fmt::format("'{}' has {} classes, among them '{}', which is none of the {} of {}", data->name(), own.size(), *stranger, classes.size(), whose));
}

RunData open_run_data(const Recipe& recipe) {
    RunData data{open_dataset(recipe.data, Split::train), nullptr};
    if (!recipe.balanced)  // which draws from all of it
        for (const std::string& text : data.train->notes()) note(text);
    if (recipe.val_split > 0) {
        data.validation = split_by_hash(data.train, recipe.val_split, Split::val);
        data.train = split_by_hash(data.train, recipe.val_split, Split::train);
    } else if (recipe.validation != "none") {
        data.validation = open_dataset(recipe.validation.empty() ? recipe.data : recipe.validation, Split::test);
        if (recipe.validation.empty() && data.validation->name() == data.train->name()) hold_out(data);
        data.validation = for_classes(data.validation, data.train->classes(), fmt::format("'{}'", data.train->name()));
    }
    if (recipe.per_class > 0) data.train = few_per_class(data.train, recipe.per_class);
    const auto& classes = data.train->classes();
    std::vector<std::int64_t> counts(classes.size());
    for (std::int64_t i = 0; i < data.train->size(); ++i)
        for (const std::int64_t tag : data.train->tags(i)) ++counts[static_cast<std::size_t>(tag)];
    std::vector<std::string> empty;
    for (std::size_t c = 0; c < classes.size(); ++c)
        if (counts[c] == 0) empty.push_back(classes[c]);
    if (!empty.empty())
        note(fmt::format("'{}': {} of {} classes have no pictures to learn from: {}{}", data.train->name(), empty.size(), classes.size(),
                         fmt::join(empty.begin(), empty.begin() + std::min<std::ptrdiff_t>(5, std::ssize(empty)), ", "), empty.size() > 5 ? ", ..." : ""));
    if (data.train->size() == 1) note(fmt::format("'{}' holds one picture: a network learns nothing from it but to name it", data.train->name()));
    return data;
}

void PictureOptions::add_to(CLI::App& command) {
    command.add_option("data", data, "NAME or NAME:PLACE, as for 'fovea train --data' (default: the recipe's)");
    command.add_option("--recipe", recipe, "A TOML file, or a name of 'fovea recipes': its augmentation");
    command.add_option("--model", model, "Prepare pictures as for this model (default: the recipe's)");
    command.add_option("--split", split, "train, val or test")->check(CLI::IsMember({"train", "val", "test"}));
    command.add_option_function<std::string>("--augment", [this](const std::string& value) { settings.emplace_back("augment", value); }, "Steps joined by commas, instead of the recipe's");
    command.add_option_function<std::vector<std::string>>("--set", [this](const std::vector<std::string>& texts) {
        for (const std::string& text : texts) settings.push_back(parse_setting(text));
    }, "key=value ...: any key of the recipe, for instance augment.color_jitter.hue=0.1");
}

Recipe PictureOptions::resolved() const {
    Recipe result;
    if (!recipe.empty()) result = load_recipe(recipe);
    override_recipe(result, settings);
    if (!data.empty()) result.data = data;
    if (!model.empty()) result.model = model;
    if (result.data.empty()) throw CLI::ValidationError("name a data set: fashion-mnist, mnist:DIR, cifar10:DIR, folder:DIR");
    return result;
}

DatasetPtr PictureOptions::open(const Recipe& resolved) const {
    return open_dataset(resolved.data, split_of(split));
}

Preprocess PictureOptions::preprocess(const Recipe& resolved, const Dataset& dataset) const {
    if (!resolved.model.empty()) return build_for(resolved.model, dataset, false, options_of(resolved)).preprocess;
    if (dataset.image_shape()[0] > 0) return {};
    return preprocess_preset("torchvision");
}

}  // namespace fovea::cli
