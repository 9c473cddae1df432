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

struct RunData {
    DatasetPtr train, validation;  ///< validation is empty where nothing is tested
};
/// What the recipe names. Classes without pictures are noted once.
[[nodiscard]] RunData open_run_data(const Recipe& recipe);

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
