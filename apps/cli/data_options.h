// Which pictures a training command reads and how they are changed.
#pragma once

#include <functional>
#include <string>

#include "command.h"
#include "fovea/data.h"
#include "fovea/train.h"

namespace fovea::cli {

/// Short forms of the recipe's keys about data; `set(key, value)` takes them.
void add_data_options(CLI::App& command, const std::function<void(const std::string&, const std::string&)>& set);

/// train, val or, for anything else, test: what --split takes.
[[nodiscard]] inline Split split_of(const std::string& name) { return name == "train" ? Split::train : name == "val" ? Split::val : Split::test; }

struct RunData {
    DatasetPtr train, validation;  ///< validation is empty where nothing is tested
};
/// What the recipe names. Classes without pictures are noted once; of a set without parts a tenth is held out.
[[nodiscard]] RunData open_run_data(const Recipe& recipe);
/// The set with its classes numbered as in `classes` (of a network or a training set; empty: unknown), by their names. Where the names differ
/// but not their number they are taken as they stand, which is noted. Throws ArgumentError where neither fits.
[[nodiscard]] DatasetPtr for_classes(DatasetPtr data, const std::vector<std::string>& classes, const std::string& whose);

/// --recipe, --model, --augment and --set of the commands that only read pictures.
struct PictureOptions {
    std::string data, recipe, model, split = "train";
    std::vector<std::pair<std::string, std::string>> settings;

    void add_to(CLI::App& command);
    [[nodiscard]] Recipe resolved() const;
    /// The model's preprocessing; without a model that of the pictures as they are, and where they differ in size 256 shorter side, crop 224.
    [[nodiscard]] Preprocess preprocess(const Recipe& recipe, const Dataset& dataset) const;
    [[nodiscard]] DatasetPtr open(const Recipe& recipe) const;
};

}  // namespace fovea::cli
