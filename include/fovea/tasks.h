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

/// ModelOptions as the JSON object that checkpoints carry, and back. Throws FormatError for an unknown field.
[[nodiscard]] std::string to_text(const ModelOptions& options);
[[nodiscard]] ModelOptions parse_model_options(std::string_view json);

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
    /// A run directory (its best checkpoint, else its last), a checkpoint, or a weights file (safetensors, PyTorch) with spec.model.
    /// Throws FormatError or ArgumentError naming the file and what is missing.
    explicit Classifier(const std::filesystem::path& run_or_weights, const ClassifierSpec& spec = {});
    Classifier(const std::filesystem::path& run_or_weights, std::string_view model) : Classifier(run_or_weights, ClassifierSpec{.model = std::string(model)}) {}
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
