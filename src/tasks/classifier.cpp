#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/text.h"
#include "fovea/tasks.h"
#include "fovea/train.h"

namespace fovea {

std::string to_text(const ModelOptions& o) {
    nlohmann::ordered_json json{{"classes", o.classes}, {"channels", o.channels}, {"height", o.height}, {"width", o.width}, {"dropout", o.dropout},
                                  {"width_multiplier", o.width_multiplier}, {"drop_path", o.drop_path}};
    if (o.shortcut != Shortcut::card) json["shortcut"] = std::string(1, "abc"[static_cast<int>(o.shortcut) - 1]);
    return json.dump();
}

ModelOptions parse_model_options(std::string_view text) {
    ModelOptions options;
    const auto json = nlohmann::json::parse(text, nullptr, false);
    require<FormatError>(json.is_object(), "model options: a JSON object is expected, got '{}'", text.substr(0, 80));
    for (const auto& [name, value] : json.items()) {
        if (name == "shortcut") {
            const std::string kind = value.is_string() ? value.get<std::string>() : value.dump();
            require<FormatError>(kind == "a" || kind == "b" || kind == "c", "model options: 'shortcut' is \"a\", \"b\" or \"c\", got {}", value.dump());
            options.shortcut = kind == "a" ? Shortcut::a : kind == "b" ? Shortcut::b : Shortcut::c;
            continue;
        }
        require<FormatError>(value.is_number(), "model options: '{}' is a number, got {}", name, value.dump());
        if (name == "classes") options.classes = value.get<std::int64_t>();
        else if (name == "channels") options.channels = value.get<std::int64_t>();
        else if (name == "height") options.height = value.get<std::int64_t>();
        else if (name == "width") options.width = value.get<std::int64_t>();
        else if (name == "dropout") options.dropout = value.get<double>();
        else if (name == "width_multiplier") options.width_multiplier = value.get<double>();
        else if (name == "drop_path") options.drop_path = value.get<double>();
        else fail<FormatError>("model options: no option '{}'; there are classes, channels, height, width, dropout, width_multiplier, drop_path, shortcut", name);
    }
    return options;
}

namespace {

/// Pictures of any size come out as the network wants them: what the given preprocessing leaves open is added.
Preprocess completed(Preprocess p, const Shape& input) {
    const std::int64_t height = input[2], width = input[3];
    if (p.channels == 0) p.channels = static_cast<int>(input[1]);
    const bool fixes_size = p.crop_width > 0 ? p.crop_width == width && p.crop_height == height : p.resize_width == width && p.resize_height == height;
    if (fixes_size) return p;
    p.resize_shorter = p.resize_width = p.resize_height = p.crop_width = p.crop_height = 0;
    if (height == width) {
        p.resize_shorter = p.crop_width = p.crop_height = height;
    } else {
        p.resize_width = width;
        p.resize_height = height;
    }
    return p;
}

/// Each class a question of its own.
std::vector<double> sigmoid_of(std::span<const float> scores) {
    std::vector<double> result;
    for (const float score : scores) result.push_back(1 / (1 + std::exp(-static_cast<double>(score))));
    return result;
}

}  // namespace

struct Classifier::Impl {
    std::filesystem::path weights;
    std::string model;
    std::vector<std::string> classes;
    Preprocess preprocess;
    ModelLoss loss = ModelLoss::cross_entropy;
    std::unique_ptr<Program> program;
    Shape input;  ///< [N, C, H, W]
};

Classifier::Classifier(const std::filesystem::path& run_or_weights, const ClassifierSpec& spec) : Classifier(load_network(run_or_weights, {.model = spec.model, .options = spec.options}), spec.compile) {}

Classifier::Classifier(Network network, const CompileOptions& compile) : impl_(std::make_unique<Impl>()) {
    Impl& self = *impl_;
    self.weights = network.weights;
    self.model = network.model;
    self.loss = network.loss;
    Graph graph = std::move(network.graph);
    const Value scores = scores_of(graph);
    graph.clear_outputs();
    graph.output("out", scores);
    for (const Value& input : graph.inputs())
        if (input.path() == "image") self.input = input.shape();
    require<ArgumentError>(self.input.rank() == 4 && self.input[1] != dynamic && self.input[2] != dynamic && self.input[3] != dynamic, "model '{}' has no input 'image' [N, C, H, W]", self.model);
    require<ArgumentError>(network.parameters.size() > 0 || graph.parameters().empty(), "model '{}' is untrained: a classifier needs its weights", self.model);
    self.preprocess = completed(network.preprocess, self.input);
    self.classes = std::move(network.classes);
    for (auto i = static_cast<std::int64_t>(self.classes.size()); i < scores.shape()[1]; ++i) self.classes.push_back(fmt::format("{}", i));
    CompileOptions options = compile;
    options.inference = true;
    self.program = std::make_unique<Program>(std::move(graph), std::make_shared<State>(network.parameters), options);
}
Classifier::~Classifier() = default;
Classifier::Classifier(Classifier&&) noexcept = default;

std::vector<Prediction> Classifier::predict(const Image& image, std::int64_t k) const { return predict(std::span<const Image>(&image, 1), k).front(); }

std::vector<Prediction> Classifier::predict(const std::filesystem::path& image, std::int64_t k) const {
    return predict(read_image(image, impl_->preprocess.channels == 1 ? 1 : 3), k);
}

std::vector<std::vector<Prediction>> Classifier::predict(std::span<const Image> images, std::int64_t k) const {
    const Impl& self = *impl_;
    require<ArgumentError>(!images.empty() && k > 0, "predict: at least one picture and k of at least 1, got {} and {}", images.size(), k);
    Tensor batch({static_cast<std::int64_t>(images.size()), self.input[1], self.input[2], self.input[3]});
    for (std::size_t n = 0; n < images.size(); ++n) {
        const Tensor one = to_tensor(images[n], self.preprocess);
        require<ShapeError>(one.bytes() * images.size() == batch.bytes(), "predict: a picture becomes {}, the network '{}' takes {}", one.shape(), self.model, self.input);
        std::memcpy(batch.raw() + n * one.bytes(), one.raw(), one.bytes());
    }
    const Tensor out = self.program->run({{"image", batch}}).front().to(DType::f32);
    const auto classes = static_cast<std::size_t>(out.shape()[1]);
    const float sign = self.loss == ModelLoss::label_distance ? -1.0F : 1.0F;  // of distances the smallest wins
    std::vector<std::vector<Prediction>> results;
    for (std::size_t n = 0; n < images.size(); ++n) {
        std::vector<float> scores(classes);
        for (std::size_t i = 0; i < classes; ++i) scores[i] = sign * out.data<float>()[n * classes + i];
        const bool is_sigmoid = self.loss == ModelLoss::bce || self.loss == ModelLoss::focal;
        const std::vector<double> probabilities = is_sigmoid ? sigmoid_of(scores) : probabilities_of(scores);
        std::vector<Prediction> best;
        for (const std::int64_t i : top_k(scores, k)) best.push_back({i, self.classes[static_cast<std::size_t>(i)], probabilities[static_cast<std::size_t>(i)]});
        results.push_back(std::move(best));
    }
    return results;
}

const std::string& Classifier::model() const { return impl_->model; }
const std::vector<std::string>& Classifier::classes() const { return impl_->classes; }
const Preprocess& Classifier::preprocess() const { return impl_->preprocess; }
const Graph& Classifier::network() const { return impl_->program->graph(); }
const std::filesystem::path& Classifier::weights() const { return impl_->weights; }

}  // namespace fovea
