// Image in, answer out: a trained network together with its preprocessing and its class names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/core.h"
#include "fovea/image.h"
#include "fovea/models.h"
#include "fovea/runtime.h"

namespace fovea {

struct CheckpointFacts;

/// ModelOptions as the JSON object that checkpoints carry, and back. Throws FormatError for an unknown field.
[[nodiscard]] std::string to_text(const ModelOptions& options);
[[nodiscard]] ModelOptions parse_model_options(std::string_view json);

/// A network and all it takes to run it.
struct Network {
    std::string model{};                ///< full name of its card, the ONNX file, or "listing:FILE"
    std::string model_options = "{}";   ///< JSON, as checkpoints keep it
    std::string listing{};              ///< the text of a listing: a checkpoint carries it
    Graph graph{};                      ///< input "image"; scores_of() finds its answer
    Parameters parameters{};            ///< of a trained one
    Preprocess preprocess{};
    std::vector<std::string> classes{}; ///< as the file says, else as the card's are called; empty: not known
    ModelLoss loss = ModelLoss::cross_entropy;
    std::int64_t epoch = 0, step = 0;   ///< of a run's checkpoint
    std::vector<std::string> notes{};   ///< of a listing: what was read with a grain of salt
    std::filesystem::path weights{};    ///< the file the parameters are from
};

/// A model by name, untrained; an ONNX file, with the weights in it; "listing:FILE", the network whose text the file holds.
/// Throws ArgumentError for a name that does not exist and for options that a file cannot take, FormatError for a file that cannot be read.
[[nodiscard]] Network build_network(std::string_view name, const ModelOptions& options = {});
/// The network of a listing's text; `file` is its name in messages.
[[nodiscard]] Network build_listing(const std::string& text, const std::string& file, const ListingOptions& options = {});

/// An ONNX file and a listing are networks as they are written: throws ArgumentError where `options` sets dropout, drop_path,
/// width_multiplier or shortcut.
void refuse_changes(std::string_view name, const ModelOptions& options);

/// The network that a checkpoint or a weights file describes.
[[nodiscard]] Network build_network(const CheckpointFacts& facts);

struct LoadNetworkSpec {
    std::string model{};        ///< for weights files that do not say what they are of; overrides what the file says
    ModelOptions options{};     ///< with `model`
    std::string checkpoint{};   ///< of a run: "best" or "last"; empty: the best, else the last
};
/// A run directory, a checkpoint, an ONNX file, or a weights file of any format with spec.model.
/// Throws FormatError or ArgumentError naming the file and what is missing.
[[nodiscard]] Network load_network(const std::filesystem::path& run_or_weights, const LoadNetworkSpec& spec = {});
/// The checkpoint in a run directory, or the file itself.
[[nodiscard]] std::filesystem::path weights_file(const std::filesystem::path& run_or_weights, std::string_view checkpoint = {});

struct Prediction {
    std::int64_t index = 0;
    std::string name;        ///< of the class; its number where no names are known
    double probability = 0;  ///< softmax over the classes
};

struct ClassifierSpec {
    std::string model{};        ///< for weights files that do not say what they are of; overrides what the file says
    ModelOptions options{};     ///< with `model`
    CompileOptions compile{};   ///< compiled for inference whatever this says
};

/// Pictures -> the most probable classes. Any number of threads may predict at once.
class Classifier {
public:
    /// What load_network() takes; of a run its best checkpoint, else its last.
    explicit Classifier(const std::filesystem::path& run_or_weights, const ClassifierSpec& spec = {});
    Classifier(const std::filesystem::path& run_or_weights, std::string_view model) : Classifier(run_or_weights, ClassifierSpec{.model = std::string(model)}) {}
    explicit Classifier(Network network, const CompileOptions& compile = {});
    ~Classifier();
    Classifier(Classifier&&) noexcept;

    /// The k most probable classes, best first.
    [[nodiscard]] std::vector<Prediction> predict(const Image& image, std::int64_t k = 5) const;
    [[nodiscard]] std::vector<Prediction> predict(const std::filesystem::path& image, std::int64_t k = 5) const;
    /// Several pictures in one run of the network.
    [[nodiscard]] std::vector<std::vector<Prediction>> predict(std::span<const Image> images, std::int64_t k = 5) const;

    [[nodiscard]] const std::string& model() const;
    [[nodiscard]] const std::vector<std::string>& classes() const;
    /// The checkpoint's or the card's, with what a picture of another size needs to fit the network.
    [[nodiscard]] const Preprocess& preprocess() const;
    [[nodiscard]] const Graph& network() const;
    [[nodiscard]] const std::filesystem::path& weights() const;  ///< the file that was read

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace fovea
