// From what the user names (a model, a run directory, a weights file) to a network that can run.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/data.h"
#include "fovea/graph.h"
#include "fovea/image.h"
#include "fovea/io.h"
#include "fovea/models.h"
#include "fovea/train.h"

namespace fovea::cli {

struct Network {
    std::string model;                 ///< full name, aliases resolved
    std::string model_options = "{}";  ///< JSON, as checkpoints keep it
    Graph graph;
    Preprocess preprocess;
    LossFunction loss{};               ///< empty: cross-entropy
    std::string loss_name{};
    bool lowest_wins = false;          ///< distances: the smallest is the answer
    Parameters parameters{};           ///< of a trained one
    std::vector<std::string> classes{};
    std::int64_t epoch = 0, step = 0;  ///< of a run's checkpoint
};

/// A model by name, untrained; an ONNX file, with the weights in it; "listing:FILE" reads the network of a listing and says on stderr what
/// was read with a grain of salt.
[[nodiscard]] Network build_network(std::string_view name, const ModelOptions& options = {});
[[nodiscard]] Network build_listing(const std::string& file, const ListingOptions& options = {});
/// The model with as many classes as the data, for its pictures: their size and channels where the model takes any. With
/// `by_data` mean and deviation are those of the training set instead of the card's.
[[nodiscard]] Network build_for(std::string_view model, const Dataset& train, bool by_data, ModelOptions options = {});
/// The network.* keys of a recipe.
[[nodiscard]] ModelOptions options_of(const Recipe& recipe);
/// Parameters to train from: a run's or a weights file's, the layer before the output anew where its shape differs. With `map`
/// ("source=target" beginnings of names) only what it names is taken. Throws FormatError when anything else does not fit.
[[nodiscard]] Parameters start_from(const Network& network, const std::string& file, const std::vector<std::string>& map, std::uint64_t seed, LoadReport& report);
/// The checkpoint in a run directory, or the file itself; throws FormatError when there is none.
[[nodiscard]] std::filesystem::path weights_file(const std::filesystem::path& path, std::string_view which);
/// A run directory (checkpoint-<which>), a checkpoint, or a weights file of any format with the model's name.
[[nodiscard]] Network load_network(const std::filesystem::path& path, const std::string& model, std::string_view which = "last");

}  // namespace fovea::cli
