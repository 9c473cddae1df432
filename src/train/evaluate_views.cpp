// Averages over views and networks. Krizhevsky et al. 2012, sec. 4.1 and 6 (ten crops, ensembles).
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <map>

#include "core/text.h"
#include "fovea/passes.h"
#include "train/average_precision.h"
#include "train/require_pictures.h"

namespace fovea {

namespace {

/// One network, compiled for each size of picture it meets.
class Predictor {
public:
    Predictor(const Member& member, const Views& views, const EvaluateSpec& spec) : member_(member), views_(views), spec_(spec), parameters_(member.parameters->clone()) {
        const Value scores = scores_of(*member.network);
        require<ShapeError>(scores.shape().rank() == 2, "the output '{}' is {}; one row of scores per picture, [N, L], is expected", scores.path(), scores.shape());
        classes_ = scores.shape()[1];
        for (const Value& input : member.network->inputs())
            if (input.path() == "image") input_ = input.shape();
        require<ShapeError>(input_.rank() == 4 && input_[2] != dynamic && input_[3] != dynamic, "the network's input 'image' is {}; [N, C, H, W] of known size is expected", input_);
    }

    [[nodiscard]] std::int64_t classes() const { return classes_; }

    /// Adds this network's mean probabilities of each picture to its row.
    void add(const std::vector<Image>& pictures, std::vector<std::vector<double>>& rows, double weight) {
        // Views of one size go through the network together; a picture's views stay in order.
        std::map<std::pair<std::int64_t, std::int64_t>, std::vector<std::pair<Tensor, std::size_t>>> by_size;
        std::vector<std::size_t> counts(pictures.size());
        for (std::size_t i = 0; i < pictures.size(); ++i) {
            Preprocess p = member_.preprocess;
            const std::vector<Image> views = views_of(pictures[i], p, views_, input_[3], input_[2]);
            counts[i] = views.size();
            p.resize_shorter = p.resize_width = p.resize_height = p.crop_width = p.crop_height = 0;
            for (const Image& view : views) by_size[{view.height, view.width}].emplace_back(to_tensor(view, p), i);
        }
        for (const auto& [size, views] : by_size)
            for (std::size_t first = 0; first < views.size(); first += static_cast<std::size_t>(spec_.batch)) {
                const std::size_t count = std::min(views.size() - first, static_cast<std::size_t>(spec_.batch));
                const Tensor scores = run(size.first, size.second, std::span(views).subspan(first, count));
                for (std::size_t v = 0; v < count; ++v) {
                    const std::size_t picture = views[first + v].second;
                    add_softmax(scores, static_cast<std::int64_t>(v), rows[picture], weight / static_cast<double>(counts[picture]));
                }
            }
    }

private:
    Tensor run(std::int64_t height, std::int64_t width, std::span<const std::pair<Tensor, std::size_t>> views) {
        const std::int64_t channels = input_[1];
        Tensor images({std::ssize(views), channels, height, width});
        const auto values = static_cast<std::size_t>(channels * height * width);
        for (std::size_t v = 0; v < views.size(); ++v) std::memcpy(images.data<float>().data() + v * values, views[v].first.data<float>().data(), values * sizeof(float));
        std::unique_ptr<Program>& program = programs_[{height, width}];
        if (!program) {
            CompileOptions options = spec_.compile;
            options.inference = true;
            Graph graph;
            if (views_.crops == 0) {
                graph = fully_convolutional(to_inference(*member_.network), parameters_, height, width);
            } else {
                graph = member_.network->clone();
                const Value scores = scores_of(*member_.network);
                graph.clear_outputs();
                graph.output("out", Value(&graph, scores.id(), scores.output()));
            }
            if (!state_) {
                state_ = std::make_shared<State>(parameters_.of(graph));
            }
            program = std::make_unique<Program>(std::move(graph), state_, options);
        }
        return program->run({{"image", images}}).front();
    }

    void add_softmax(const Tensor& scores, std::int64_t row, std::vector<double>& into, double weight) const {
        const double sign = member_.lowest_wins ? -1 : 1;
        double largest = -INFINITY, total = 0;
        for (std::int64_t c = 0; c < classes_; ++c) largest = std::max(largest, sign * scores.at(row * classes_ + c));
        for (std::int64_t c = 0; c < classes_; ++c) total += std::exp(sign * scores.at(row * classes_ + c) - largest);
        for (std::int64_t c = 0; c < classes_; ++c) into[static_cast<std::size_t>(c)] += weight * std::exp(sign * scores.at(row * classes_ + c) - largest) / total;
    }

    const Member& member_;
    const Views& views_;
    const EvaluateSpec& spec_;
    Parameters parameters_;
    Shape input_;
    std::int64_t classes_ = 0;
    std::shared_ptr<State> state_;
    std::map<std::pair<std::int64_t, std::int64_t>, std::unique_ptr<Program>> programs_;
};

}  // namespace

Evaluation evaluate_views(const std::vector<Member>& members, const DatasetPtr& dataset, const Views& views, const EvaluateSpec& spec) {
    require<ArgumentError>(dataset != nullptr && !members.empty(), "evaluate: at least one network and a data set are needed");
    require<ArgumentError>(!dataset->has_tags(), "evaluate: pictures of '{}' have several classes; several views or networks are averaged where they have one", dataset->name());
    require<ArgumentError>(spec.batch >= 1, "evaluate: batch is at least 1, got {}", spec.batch);
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::unique_ptr<Predictor>> predictors;
    for (const Member& member : members) predictors.push_back(std::make_unique<Predictor>(member, views, spec));
    const std::int64_t classes = predictors.front()->classes();
    for (const auto& predictor : predictors)
        require<ArgumentError>(predictor->classes() == classes, "the networks tell different numbers of classes apart: {} and {}", classes, predictor->classes());
    require<ArgumentError>(static_cast<std::int64_t>(dataset->classes().size()) <= classes, "data set '{}' has {} classes, the network tells {} apart", dataset->name(),
                           dataset->classes().size(), classes);
    Evaluation result;
    result.k = std::min(spec.k, classes);
    result.confusion = ConfusionMatrix(classes);
    KeptProbabilities kept({.average_precision = spec.average_precision}, dataset->size(), classes);
    const auto count = static_cast<std::size_t>(classes);
    for (std::int64_t first = 0; first < dataset->size() && (spec.stop == nullptr || !spec.stop->load()); first += spec.batch) {
        std::vector<Image> pictures;
        std::vector<std::int64_t> labels;
        for (std::int64_t i = first; i < std::min(dataset->size(), first + spec.batch); ++i) {
            std::optional<Sample> sample = dataset->try_get(i);
            if (!sample) {
                ++result.skipped;
                continue;
            }
            pictures.push_back(std::move(sample->image));
            labels.push_back(sample->label);
        }
        std::vector<std::vector<double>> rows(pictures.size(), std::vector<double>(count, 0.0));
        for (const auto& predictor : predictors) predictor->add(pictures, rows, 1.0 / static_cast<double>(predictors.size()));
        for (std::size_t n = 0; n < pictures.size(); ++n) {
            const std::vector<float> row(rows[n].begin(), rows[n].end());
            const std::int64_t rank = rank_of(row, labels[n]);
            result.top1 += rank == 0;
            result.topk += rank < result.k;
            result.loss -= std::log(std::max(rows[n][static_cast<std::size_t>(labels[n])], 1e-300));
            const std::int64_t predicted = top_k(row, 1).front();
            result.confusion.add(labels[n], predicted);
            result.reliability.add(rows[n], labels[n], predicted);
            kept.add<double>(rows[n], {&labels[n], 1});
            ++result.images;
        }
    }
    const bool is_stopped = spec.stop != nullptr && spec.stop->load();
    if (!is_stopped) require_pictures(result.images, *dataset);
    if (result.images > 0) {
        const auto n = static_cast<double>(result.images);
        result.loss /= n, result.top1 /= n, result.topk /= n;
    }
    result.average_precision = kept.average_precision();
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return result;
}

}  // namespace fovea
